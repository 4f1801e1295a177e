//! Whether a restart would help: on a host that is short of something it would not, unless the unit itself is the cause.

use super::settings::{Gates, Threshold};
use crate::model::{Gate, Pressed, Pressure};

/// A unit that owns so much of what is used is the cause, in hundredths of a percent.
const HALF: u32 = 5_000;
/// A start takes some tasks: fewer than these left are none.
const TASKS_LEFT: u64 = 16;

/// A gate that is closed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) gate: Gate,
    pub(super) why: String,
}

impl Gates {
    /// Something is to be looked up at all.
    pub fn any(&self) -> bool {
        self.memory.is_some() || self.io.is_some() || self.cpu.is_some() || self.disk_free > 0
    }
}

/// The first gate that stands against a plan. `living`: the unit lives, and may be the cause itself. A start costs a host
/// under pressure nothing but memory, numbers and blocks; what a dead unit took it has given back, so of its memory gate
/// the moment counts too.
pub(super) fn closed(gates: &Gates, living: bool, pressure: &Pressure) -> Option<Closed> {
    if let Some(why) = disks(gates, pressure) {
        return Some(Closed { gate: Gate::Disk, why });
    }
    if let Some(why) = tasks(living, pressure) {
        return Some(Closed { gate: Gate::Tasks, why });
    }
    let pressed = [
        (Gate::Memory, gates.memory, pressure.memory),
        (Gate::Io, gates.io, pressure.io),
        (Gate::Cpu, gates.cpu, pressure.cpu),
    ];
    for (gate, threshold, pressed) in pressed {
        let (Some(threshold), Some(pressed)) = (threshold, pressed) else { continue };
        let counts = living || (gate == Gate::Memory && lasts(&threshold, &pressed));
        if counts && let Some(why) = stalls(gate, &threshold, &pressed, living) {
            return Some(Closed { gate, why });
        }
    }
    None
}

/// The gates that have no figure here and are therefore open. A unit that writes nowhere needs no figure of a disk.
pub(super) fn blind(gates: &Gates, pressure: &Pressure) -> Vec<Gate> {
    let lacks = [
        (Gate::Memory, gates.memory.is_some() && pressure.memory.is_none()),
        (Gate::Io, gates.io.is_some() && pressure.io.is_none()),
        (Gate::Cpu, gates.cpu.is_some() && pressure.cpu.is_none()),
    ];
    lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(gate, _)| gate).collect()
}

/// Nobody's share of a full file system is known cheaply, so it holds whoever filled it.
fn disks(gates: &Gates, pressure: &Pressure) -> Option<String> {
    pressure.disks.iter().find_map(|disk| {
        let lacks = |free: u32, of: &str| {
            let least = percent(gates.disk_free);
            (free < gates.disk_free)
                .then(|| format!("{} has {} of its {of} free, less than {least}", disk.place, percent(free)))
        };
        lacks(disk.blocks, "blocks").or_else(|| lacks(disk.inodes?, "inodes"))
    })
}

fn tasks(living: bool, pressure: &Pressure) -> Option<String> {
    let full = pressure.tasks.iter().find(|tasks| {
        let left = tasks.limit.saturating_sub(tasks.used);
        let none_left = left < TASKS_LEFT || left < tasks.limit / 200;
        none_left && !(living && tasks.own >= tasks.used / 2)
    })?;
    let (place, used, limit, own) = (&full.place, full.used, full.limit, full.own);
    let own = if living { format!(", {own} of them the unit's own") } else { String::new() };
    Some(format!("no tasks are left to {place}: {used} of {limit}{own}"))
}

fn stalls(gate: Gate, threshold: &Threshold, pressed: &Pressed, living: bool) -> Option<String> {
    let average = threshold.average(pressed);
    if average <= threshold.limit || (living && pressed.own.is_some_and(|own| own >= HALF)) {
        return None;
    }
    let own = match pressed.own.filter(|_| living) {
        Some(own) => format!("; the unit has {} of what is used", percent(own)),
        None => String::new(),
    };
    let (name, limit) = (threshold.name(), percent(threshold.limit));
    Some(format!("{} pressure: {name} is {}, above {limit}{own}", gate_name(gate), percent(average)))
}

/// The moment itself is not far better than the average.
fn lasts(threshold: &Threshold, pressed: &Pressed) -> bool {
    pressed.now.is_none_or(|now| now >= threshold.limit / 2)
}

pub(super) fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::Disk => "disk",
        Gate::Tasks => "tasks",
        Gate::Memory => "memory",
        Gate::Io => "I/O",
        Gate::Cpu => "CPU",
    }
}

fn percent(hundredths: u32) -> String {
    format!("{} %", f64::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Averages, Disk, Tasks},
        policy::Over,
    };

    fn gates() -> Gates {
        let threshold = |percent: u32| Some(Threshold { full: false, over: Over::Ten, limit: percent * 100 });
        let hold_for = std::time::Duration::from_secs(120);
        Gates { memory: threshold(40), io: threshold(60), cpu: threshold(80), disk_free: 100, hold_for }
    }

    fn pressed(percent: u32, now: u32, own: u32) -> Option<Pressed> {
        let some = Averages { avg10: percent * 100, avg60: 0, avg300: 0 };
        Some(Pressed { some, full: Averages::default(), now: Some(now * 100), own: Some(own * 100) })
    }

    fn check(living: bool, pressure: &Pressure, closed_by: Option<&str>) {
        let found = closed(&gates(), living, pressure);
        assert_eq!(found.map(|closed| closed.why).as_deref(), closed_by, "{pressure:?}");
    }

    #[test]
    fn b14_pressure_that_comes_from_elsewhere_closes_the_gate_of_a_living_unit() {
        let memory =
            |percent, own| Pressure { memory: pressed(percent, percent, own), ..Pressure::default() };
        check(
            true,
            &memory(61, 12),
            Some("memory pressure: some avg10 is 61 %, above 40 %; the unit has 12 % of what is used"),
        );
        check(true, &memory(40, 12), None);
        let io = Pressure { io: pressed(61, 61, 49), ..Pressure::default() };
        check(
            true,
            &io,
            Some("I/O pressure: some avg10 is 61 %, above 60 %; the unit has 49 % of what is used"),
        );
    }

    #[test]
    fn f6_a_unit_that_owns_half_of_it_is_the_cause_and_its_restart_is_the_cure() {
        let spins = Pressure { cpu: pressed(95, 95, 50), ..Pressure::default() };
        check(true, &spins, None);
        let leaks = Pressure { memory: pressed(95, 95, 80), ..Pressure::default() };
        check(true, &leaks, None);
    }

    #[test]
    fn a_start_waits_for_memory_while_it_is_short_and_for_no_other_pressure() {
        let busy = Pressure { cpu: pressed(95, 95, 0), io: pressed(95, 95, 0), ..Pressure::default() };
        check(false, &busy, None);
        let short = Pressure { memory: pressed(95, 30, 0), ..Pressure::default() };
        check(false, &short, Some("memory pressure: some avg10 is 95 %, above 40 %"));
        // it took the memory with it into its end: the average only remembers
        let over = Pressure { memory: pressed(95, 2, 0), ..Pressure::default() };
        check(false, &over, None);
    }

    #[test]
    fn g3_a_full_disk_holds_whoever_filled_it() {
        let disk = |blocks, inodes| Pressure {
            disks: vec![Disk { place: "/var".into(), blocks, inodes }],
            ..Pressure::default()
        };
        for living in [true, false] {
            check(living, &disk(20, Some(9_000)), Some("/var has 0.2 % of its blocks free, less than 1 %"));
            check(living, &disk(9_000, Some(0)), Some("/var has 0 % of its inodes free, less than 1 %"));
            check(living, &disk(100, None), None);
        }
    }

    #[test]
    fn f6_without_numbers_for_processes_nothing_is_started() {
        let tasks = |used, limit, own| Pressure {
            tasks: vec![Tasks { place: "the host".into(), used, limit, own }],
            ..Pressure::default()
        };
        check(false, &tasks(98, 100, 0), Some("no tasks are left to the host: 98 of 100"));
        let own = "no tasks are left to the host: 98 of 100, 40 of them the unit's own";
        check(true, &tasks(98, 100, 40), Some(own));
        check(true, &tasks(98, 100, 60), None); // a fork bomb: its restart is the cure
        check(false, &tasks(32_700, 32_768, 0), Some("no tasks are left to the host: 32700 of 32768"));
        check(false, &tasks(32_000, 32_768, 0), None);
    }

    #[test]
    fn a_gate_that_is_off_or_has_no_figure_is_open_and_the_latter_is_named() {
        assert_eq!(blind(&gates(), &Pressure::default()), [Gate::Memory, Gate::Io, Gate::Cpu]);
        check(true, &Pressure::default(), None);
        let hold_for = std::time::Duration::ZERO;
        let off = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for };
        let full = Disk { place: "/".into(), blocks: 0, inodes: Some(0) };
        let all = Pressure { cpu: pressed(99, 99, 0), disks: vec![full], ..Pressure::default() };
        assert_eq!((closed(&off, true, &all), blind(&off, &all), off.any()), (None, vec![], false));
    }
}
