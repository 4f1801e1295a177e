//! What the host is short of, and how much of it one unit has.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{disks, own, own::Use, tasks};
use crate::{
    clock,
    model::{Averages, Pressed, Pressure, UnitState},
    policy::{Gates, Threshold},
    systemd::cgroup,
};

/// Long enough for /proc/stat, which counts hundredths of a second.
const SAMPLE: Duration = Duration::from_millis(200);

/// Reads every figure; where a gate is closed by one, it is measured for a fifth of a second who has what is used.
pub fn pressure(gates: &Gates, unit: &UnitState) -> Pressure {
    let directory = directory(unit);
    let pids = directory.as_deref().map(own::pids).unwrap_or_default();
    let read = || [stalls("memory"), stalls("io"), stalls("cpu")];
    let [memory, io, cpu] = read();
    let thresholds = [gates.memory, gates.io, gates.cpu];
    let mut pressed = [memory, io, cpu].map(|stalls| stalls.map(|it| it.pressed));
    let closed: BTreeSet<usize> =
        (0..3).filter(|at| closes(thresholds[*at].as_ref(), pressed[*at].as_ref())).collect();
    if !closed.is_empty() {
        let (began, before) = (clock::now(), Use::read(directory.as_deref(), &pids));
        thread::sleep(SAMPLE);
        let (took, after) = (clock::now().since(began), Use::read(directory.as_deref(), &pids));
        let own = before.own_of(&after);
        for (at, later) in read().into_iter().enumerate().filter(|(at, _)| closed.contains(at)) {
            let first = [memory, io, cpu][at];
            let (Some(pressed), Some(threshold)) = (&mut pressed[at], thresholds[at]) else { continue };
            pressed.now = first.zip(later).map(|(first, later)| first.until(&later, threshold.full, took));
            pressed.own = own[at];
        }
    }
    let [memory, io, cpu] = pressed;
    let tasks = tasks::limits(unit, directory.as_deref());
    Pressure { memory, io, cpu, disks: disks::written(unit, &pids), tasks }
}

/// The directory of a unit's cgroup, while it has one.
pub(super) fn directory(unit: &UnitState) -> Option<PathBuf> {
    let path = unit.cgroup_path.trim_start_matches('/');
    let found = cgroup::mount().ok()?.join(path);
    (!path.is_empty() && found.is_dir()).then_some(found)
}

fn closes(threshold: Option<&Threshold>, pressed: Option<&Pressed>) -> bool {
    threshold.zip(pressed).is_some_and(|(threshold, pressed)| threshold.average(pressed) > threshold.limit)
}

/// One file of /proc/pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stalls {
    pressed: Pressed,
    /// Microseconds.
    some: u64,
    full: u64,
}

impl Stalls {
    /// The share of the time that was lost between two readings, in hundredths of a percent.
    fn until(&self, later: &Stalls, full: bool, took: Duration) -> u32 {
        let lost =
            if full { later.full.saturating_sub(self.full) } else { later.some.saturating_sub(self.some) };
        own::share(lost, u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).unwrap_or(0)
    }
}

fn stalls(of: &str) -> Option<Stalls> {
    parse(&fs::read_to_string(Path::new("/proc/pressure").join(of)).ok()?)
}

/// `full` of the CPU is not told by every kernel; it is nothing then.
fn parse(text: &str) -> Option<Stalls> {
    let line = |kind: &str| {
        let words = text.lines().find_map(|line| line.strip_prefix(kind))?;
        let figure = |name: &str| words.split_whitespace().find_map(|word| word.strip_prefix(name));
        let average = |name: &str| Some((figure(name)?.parse::<f64>().ok()? * 100.0).round() as u32);
        let averages =
            Averages { avg10: average("avg10=")?, avg60: average("avg60=")?, avg300: average("avg300=")? };
        Some((averages, figure("total=")?.parse().ok()?))
    };
    let (some, total) = line("some ")?;
    let (full, full_total) = line("full ").unwrap_or_default();
    Some(Stalls { pressed: Pressed { some, full, now: None, own: None }, some: total, full: full_total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_proc_pressure_is_read_in_hundredths_of_a_percent() {
        let text = "some avg10=16.36 avg60=9.12 avg300=0.09 total=98138184\nfull avg10=1.48 avg60=0.82 avg300=0.85 total=10965309\n";
        let read = parse(text).expect("all of it");
        assert_eq!(read.pressed.some, Averages { avg10: 1_636, avg60: 912, avg300: 9 });
        assert_eq!(read.pressed.full, Averages { avg10: 148, avg60: 82, avg300: 85 });
        let later = Stalls { some: read.some + 50_000, full: read.full + 20_000, ..read };
        assert_eq!(read.until(&later, false, SAMPLE), 2_500);
        assert_eq!(read.until(&later, true, SAMPLE), 1_000);
    }

    #[test]
    fn an_old_kernel_tells_no_full_of_the_cpu_and_nonsense_is_no_figure() {
        let old = parse("some avg10=1.00 avg60=0.00 avg300=0.00 total=7\n").expect("some");
        assert_eq!((old.pressed.some.avg10, old.full), (100, 0));
        for nonsense in ["", "some", "some avg10=x avg60=0.00 avg300=0.00 total=7", "full avg10=1.00"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_figures_of_this_host_can_be_read() {
        let gates = Gates { memory: None, io: None, cpu: None, disk_free: 100, hold_for: SAMPLE };
        let unit = crate::look::tests::unit("nowhere.service");
        let pressure = pressure(&gates, &unit);
        assert!(pressure.tasks.iter().any(|tasks| tasks.used > 0), "{pressure:?}");
    }
}
