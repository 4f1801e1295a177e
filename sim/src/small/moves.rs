//! Everything that may happen next, and what goes wrong.

use std::time::Duration;

use watchdog::model::{Cause, CgroupId, JobKind, Mono, Port, Saw, Sign, Source, Stall};

use super::world::{CLIENTS, FIRST_PORT, STALL, World};
use crate::host::{Health, Owner, Reply, StartWay, StopWay};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// systemd takes the oldest request.
    Serve,
    /// watchdog hears systemd's oldest word.
    Hear,
    /// watchdog reads the kernel's oldest record.
    Record,
    /// The oldest look at the host itself is answered.
    Found,
    /// This heartbeat ends.
    Beat(usize),
    /// What this unit waited for is over.
    Alarm(usize),
    /// Nothing takes the connections of a unit.
    Stall(usize),
    Wake,
    /// Nothing is on its way: time passes until something is due.
    Pass,
    /// All is well for so long that nothing before it counts.
    Later,
    /// watchdog is back.
    Back,
    Fault(Fault),
}

/// What goes wrong, and what operators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The program of this unit exits with 1.
    Exits(usize),
    /// The same, and its next start fails.
    ExitsForLonger(usize),
    Hangs(usize),
    /// It hangs, and ignores SIGTERM.
    HangsForGood(usize),
    Stop(usize),
    Start(usize),
    /// watchdog dies; what it was told and had not heard is lost, and so is what systemd had not read.
    Crash,
    /// Time passes over what is on its way.
    Delay,
}

impl World {
    /// Everything that may happen next.
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if !self.dead && self.wake_at().is_some_and(|at| at <= self.now) {
            return vec![Move::Wake]; // whatever comes first, this is stepped before it
        }
        let ways = [
            (self.requests.is_empty(), Move::Serve),
            (self.words.is_empty(), Move::Hear),
            (self.records.is_empty(), Move::Record),
            (self.found.is_empty(), Move::Found),
            (!self.dead, Move::Back),
        ];
        moves.extend(ways.iter().filter(|(empty, _)| !empty).map(|(_, next)| *next));
        let due = |at: &Mono| *at <= self.now;
        let beats = self.beats.iter().enumerate().filter(|(_, (at, _))| due(at));
        moves.extend(beats.map(|(at, _)| Move::Beat(at)));
        let alarms = self.host.alarms.iter().enumerate().filter(|(_, (at, _, _))| due(at));
        moves.extend(alarms.map(|(at, _)| Move::Alarm(at)));
        let stalls = self.stalls.iter().enumerate().filter(|(_, (at, _, _))| due(at) && !self.dead);
        moves.extend(stalls.map(|(at, _)| Move::Stall(at)));
        if self.rests() {
            if self.left > 0 {
                moves.push(Move::Later);
            }
        } else if (moves.is_empty() || moves == [Move::Back]) && self.soon_due().is_some() {
            moves.push(Move::Pass);
        }
        if self.left > 0 {
            moves.extend(self.faults().into_iter().map(Move::Fault));
        }
        moves
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, unit) in self.host.units.iter().enumerate() {
            if unit.active.is_up() {
                faults.extend([Fault::Exits(at), Fault::ExitsForLonger(at)]);
            }
            if unit.serves() {
                faults.extend([Fault::Hangs(at), Fault::HangsForGood(at)]);
            }
            // the stop of what has ended leaves no trace for a watchdog that does not listen
            if !unit.wanted_down && (!self.dead || unit.active.is_up()) {
                faults.push(Fault::Stop(at));
            }
            if unit.wanted_down {
                faults.push(Fault::Start(at));
            }
        }
        if !self.dead {
            faults.push(Fault::Crash);
        }
        if !self.is_quiet() && self.next_due().is_some_and(|at| at.since(self.now) < Duration::from_secs(5)) {
            faults.push(Fault::Delay);
        }
        faults
    }

    pub(super) fn goes_wrong(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Exits(at) => self.host.main_ends(now, at, Cause::Code(1), Duration::from_millis(1)),
            Fault::ExitsForLonger(at) => {
                self.host.units[at].start_way = StartWay::Fails(Duration::from_millis(20));
                self.host.main_ends(now, at, Cause::Code(1), Duration::from_millis(1));
            }
            Fault::Hangs(at) => self.hangs(at),
            Fault::HangsForGood(at) => {
                self.host.units[at].stop_way = StopWay::Ignores;
                self.hangs(at);
            }
            Fault::Stop(at) => self.operator(at, JobKind::Stop),
            Fault::Start(at) => self.operator(at, JobKind::Start),
            Fault::Crash => self.die(),
            Fault::Delay => {}
        }
        self.heed();
    }

    fn hangs(&mut self, at: usize) {
        self.host.units[at].health = Health::Hangs;
        let run = CgroupId(u64::from(self.host.units[at].run));
        self.stalls.push((self.now + STALL, at, run));
    }

    /// Seen again and again, as clients come.
    pub(super) fn stalls(&mut self, place: usize) {
        let (_, at, run) = self.stalls.remove(place);
        self.stalls.push((self.now + CLIENTS, at, run));
        let port = Port(FIRST_PORT + u16::try_from(at).unwrap_or(0));
        let saw = Saw::AcceptStall(Stall { port, age: STALL, waiting: 1 });
        self.records.push_back(Sign { at: self.now, source: Source::Ebpf, saw });
    }

    fn operator(&mut self, at: usize, kind: JobKind) {
        if let Reply::Queued(_) = self.host.ask_job(self.now, at, kind, Owner::Operator, true) {
            let unit = &mut self.host.units[at];
            unit.wanted_down = kind == JobKind::Stop;
            unit.stopped_at = self.now;
            unit.was_stopped |= kind == JobKind::Stop;
        }
    }
}
