//! The simulated host: systemd and the programs under it.
//!
//! Invariant: it keeps to systemd's own rules (KERNEL facts of 252): one job per unit with growing numbers, merged or refused as
//! its modes say; start limits that are enforced; stop phases that each have their time-out; words in the order of one
//! connection. Deliberately absent: whoever listens to it; words, alarms and what truly happened are left to be fetched.

mod acts;
mod jobs;
mod unit;

use std::{path::PathBuf, time::Duration};

use watchdog::model::{
    ActiveState, Cause, IncidentId, JobKind, JobResult, JobStep, Known, Moment, Mono, OrderId, Recorded,
};

pub(crate) use self::{
    jobs::Reply,
    unit::{Health, Owner, SimUnit, StartWay, StopWay},
};

use self::unit::Phase;

/// What the host lets be heard.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// The state of this unit, at this moment.
    State(usize),
    Job {
        unit: usize,
        id: u32,
        step: JobStep,
    },
    /// The kernel: a process of the unit ended.
    Exit {
        unit: usize,
        pid: u32,
        run: u32,
        cause: Cause,
    },
}

/// What truly happened, heard or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// A job began to stop a living unit.
    StopBegan { unit: usize, ours: Option<OrderId> },
    /// A new run begins.
    StartBegan { unit: usize, ours: Option<OrderId> },
    /// A job came to an end.
    JobOver { unit: usize, ours: Option<OrderId> },
    /// A request of ours came while another of our jobs was on the unit.
    TwoJobs { unit: usize, order: OrderId },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) units: Vec<SimUnit>,
    pub(crate) words: Vec<Word>,
    pub(crate) alarms: Vec<(Mono, usize, u32)>,
    pub(crate) truths: Vec<Truth>,
    jobs: u32,
    runs: u32,
}

/// The evidence is kept, whichever it is.
pub(crate) fn recorded(incident: IncidentId, moment: Moment) -> Known {
    let (path, took) = (PathBuf::from("/evidence"), Duration::ZERO);
    Known::Recorded(Box::new(Recorded { incident, moment, path, took, missing: None }))
}

/// An end that is seen at once takes systemd so long.
const MOMENT: Duration = Duration::from_millis(1);

impl Host {
    pub(crate) fn add(&mut self, mut unit: SimUnit) {
        self.runs += 1;
        unit.run = self.runs;
        if unit.active.is_down() {
            (unit.main, unit.came_up, unit.sub) = (false, false, "dead");
        }
        self.units.push(unit);
    }

    /// The main process ends by itself; systemd sees it after `reaped`.
    pub(crate) fn main_ends(&mut self, now: Mono, at: usize, cause: Cause, reaped: Duration) {
        let unit = &mut self.units[at];
        let runs = matches!(unit.phase, Phase::Rest | Phase::Reloading | Phase::Starting);
        if !unit.main || !runs {
            return;
        }
        self.exits(at, cause);
        self.alarm(now + reaped, at, Phase::Unreaped);
    }

    /// Every process of this incarnation is killed; false where there is none.
    pub(crate) fn kill(&mut self, now: Mono, at: usize, run: u32) -> bool {
        let unit = &self.units[at];
        if unit.run != run || unit.cgroup().is_none() {
            return false;
        }
        if matches!(unit.stop_way, StopWay::Stuck(until) if until > now) {
            return true;
        }
        match unit.phase {
            Phase::Rest | Phase::Reloading | Phase::Starting => {
                if unit.main {
                    self.exits(at, KILLED);
                }
                self.alarm(now + MOMENT, at, Phase::Unreaped);
            }
            Phase::ExecStop | Phase::Term | Phase::Kill | Phase::StopPost | Phase::FinalKill => {
                if unit.main {
                    self.exits(at, KILLED);
                }
                let phase = self.units[at].phase;
                self.units[at].stop_way = StopWay::Obeys(MOMENT);
                self.alarm(now + MOMENT, at, phase);
                self.units[at].phase_ends = None;
            }
            Phase::Unreaped | Phase::AutoRestart => {}
        }
        true
    }

    /// Alarms for what is over need not be kept.
    pub(crate) fn drop_void_alarms(&mut self) {
        let units = &self.units;
        self.alarms.retain(|(_, at, token)| units[*at].token == *token);
    }

    /// An alarm went off; one that is void does nothing.
    pub(crate) fn alarmed(&mut self, now: Mono, at: usize, token: u32) {
        let unit = &mut self.units[at];
        if unit.token != token {
            return;
        }
        let late = unit.phase_ends.is_some_and(|ends| ends <= now);
        match unit.phase {
            Phase::Rest => self.loops(now, at),
            Phase::Starting => self.started(now, at),
            Phase::Reloading => {
                self.set(at, ActiveState::Active, "running");
                unit_rest(&mut self.units[at]);
                self.over(at, JobResult::Done);
            }
            Phase::Unreaped => {
                if unit.active == ActiveState::Active || unit.active == ActiveState::Reloading {
                    self.set(at, ActiveState::Deactivating, "stop-sigterm");
                    self.take_down(now, at, Phase::Term);
                } else {
                    self.finish(now, at); // a start that failed
                }
            }
            Phase::ExecStop => {
                if unit.exec_stop_fails {
                    unit.result = "exit-code";
                }
                self.set(at, ActiveState::Deactivating, "stop-sigterm");
                self.take_down(now, at, Phase::Term);
            }
            Phase::Term if late => {
                unit.result = "timeout";
                self.set(at, ActiveState::Deactivating, "stop-sigkill");
                self.take_down(now, at, Phase::Kill);
            }
            Phase::Term => {
                if unit.main {
                    self.exits(at, TERMINATED);
                }
                self.set(at, ActiveState::Deactivating, "stop-post");
                self.take_down(now, at, Phase::StopPost);
            }
            Phase::Kill => {
                if unit.main && !late {
                    self.exits(at, KILLED);
                }
                self.set(at, ActiveState::Deactivating, "stop-post");
                self.take_down(now, at, Phase::StopPost);
            }
            Phase::StopPost if matches!(unit.stop_way, StopWay::Stuck(until) if until > now) => {
                self.set(at, ActiveState::Deactivating, "final-sigkill");
                self.take_down(now, at, Phase::FinalKill);
            }
            Phase::StopPost | Phase::FinalKill => self.finish(now, at),
            Phase::AutoRestart => {
                unit.restarts += 1;
                if unit.job.is_none() {
                    self.install(at, JobKind::Restart, Owner::Systemd);
                }
                self.begin_start(now, at);
            }
        }
    }

    /// What hangs or waits goes on.
    pub(crate) fn thaw(&mut self, now: Mono, at: usize) {
        match self.units[at].phase {
            Phase::Rest | Phase::AutoRestart | Phase::Unreaped | Phase::Reloading => {}
            phase @ (Phase::Starting
            | Phase::ExecStop
            | Phase::Term
            | Phase::Kill
            | Phase::StopPost
            | Phase::FinalKill) => self.alarm(now + MOMENT, at, phase),
        }
    }

    /// Begins one phase of a stop: it ends when the program does, or at its time-out.
    fn take_down(&mut self, now: Mono, at: usize, phase: Phase) {
        let unit = &mut self.units[at];
        let limit = unit.stop_timeout.map(|limit| now + limit);
        let gone = !unit.main && !matches!(unit.stop_way, StopWay::Stuck(_));
        let ends = match (phase, unit.stop_way) {
            (Phase::ExecStop | Phase::StopPost, _) => Some(now + MOMENT),
            _ if gone => Some(now + MOMENT),
            (_, StopWay::Stuck(until)) => Some(until),
            (Phase::Kill | Phase::FinalKill, _) => Some(now + MOMENT),
            (_, StopWay::Obeys(after)) => Some(now + after),
            (_, StopWay::Ignores) => None,
        };
        let next = ends.into_iter().chain(limit).min();
        unit.phase_ends = limit.filter(|limit| ends.is_none_or(|ends| *limit < ends));
        (unit.phase, unit.token) = (phase, unit.token + 1);
        if let Some(next) = next {
            self.alarms.push((next, at, self.units[at].token));
        }
    }

    /// The start came to where it leads.
    fn started(&mut self, now: Mono, at: usize) {
        let unit = &mut self.units[at];
        match unit.start_way {
            StartWay::Hangs => {
                unit.result = "timeout";
                self.set(at, ActiveState::Deactivating, "stop-sigterm");
                self.take_down(now, at, Phase::Term);
            }
            StartWay::Fails(_) => self.failed_start(now, at),
            StartWay::Well(_) | StartWay::Loops(_) | StartWay::Deaf if unit.cannot_come_up() => {
                self.failed_start(now, at);
            }
            StartWay::Well(_) | StartWay::Loops(_) | StartWay::Deaf if unit.oneshot => {
                self.exits(at, Cause::Code(0));
                self.units[at].ended = Some(Cause::Code(0));
                unit_rest(&mut self.units[at]);
                self.set(at, ActiveState::Inactive, "dead");
                self.over(at, JobResult::Done);
            }
            StartWay::Well(_) | StartWay::Loops(_) | StartWay::Deaf => {
                unit.came_up = true;
                unit.health = if unit.start_way == StartWay::Deaf { Health::Hangs } else { Health::Well };
                unit_rest(unit);
                if let StartWay::Loops(after) = unit.start_way {
                    self.alarms.push((now + after, at, unit.token));
                }
                self.set(at, ActiveState::Active, "running");
                self.over(at, JobResult::Done);
            }
        }
    }

    fn failed_start(&mut self, now: Mono, at: usize) {
        self.exits(at, Cause::Code(1));
        self.alarm(now + MOMENT, at, Phase::Unreaped);
    }

    /// It was started well, and dies.
    fn loops(&mut self, now: Mono, at: usize) {
        if self.units[at].active.is_up() {
            self.main_ends(now, at, Cause::Signal { signal: 11, core: true }, MOMENT);
        }
    }

    /// Nothing is left of the run.
    fn finish(&mut self, now: Mono, at: usize) {
        let unit = &mut self.units[at];
        unit.main = false;
        unit_rest(unit);
        let clean = unit.result == "success";
        let (down, sub) =
            if clean { (ActiveState::Inactive, "dead") } else { (ActiveState::Failed, "failed") };
        match unit.job.map(|job| job.kind) {
            Some(JobKind::Stop) => {
                self.set(at, down, sub);
                self.over(at, JobResult::Done);
            }
            Some(JobKind::Start | JobKind::Restart) if unit.asked_down || unit.came_up => {
                self.set(at, down, sub);
                self.begin_start(now, at);
            }
            Some(JobKind::Start | JobKind::Restart | JobKind::Reload) | None => {
                if unit.comes_back() {
                    unit.phase = Phase::AutoRestart;
                    unit.token += 1;
                    self.alarms.push((now + unit.restart_pause, at, unit.token));
                    self.set(at, ActiveState::Activating, "auto-restart");
                } else {
                    self.set(at, down, sub);
                }
                self.over(at, JobResult::Failed);
            }
        }
    }

    /// The main process is gone, and the kernel says so.
    fn exits(&mut self, at: usize, cause: Cause) {
        let unit = &mut self.units[at];
        (unit.main, unit.ended) = (false, Some(cause));
        let clean = matches!(cause, Cause::Code(0) | Cause::Signal { signal: 1 | 2 | 13 | 15, core: false });
        if !clean && unit.result == "success" && !(unit.asked_down && cause == KILLED) {
            unit.result = match cause {
                Cause::Code(_) => "exit-code",
                Cause::Signal { core: true, .. } => "core-dump",
                Cause::Signal { core: false, .. } => "signal",
            };
        }
        let (pid, run) = (unit.pid(), unit.run);
        self.words.push(Word::Exit { unit: at, pid, run, cause });
    }

    fn set(&mut self, at: usize, active: ActiveState, sub: &'static str) {
        (self.units[at].active, self.units[at].sub) = (active, sub);
        self.words.push(Word::State(at));
    }

    fn alarm(&mut self, when: Mono, at: usize, phase: Phase) {
        let unit = &mut self.units[at];
        (unit.phase, unit.token, unit.phase_ends) = (phase, unit.token + 1, None);
        self.alarms.push((when, at, unit.token));
    }
}

const KILLED: Cause = Cause::Signal { signal: 9, core: false };
const TERMINATED: Cause = Cause::Signal { signal: 15, core: false };

fn unit_rest(unit: &mut SimUnit) {
    (unit.phase, unit.token, unit.phase_ends) = (Phase::Rest, unit.token + 1, None);
}
