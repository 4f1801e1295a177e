//! systemd's jobs: who asked for what, what is merged, what is refused, what begins.

use std::time::Duration;

use watchdog::model::{ActiveState, JobKind, JobResult, JobStep, LoadState, Mono};

use super::{
    Host, Owner, StartWay, Truth, Word,
    unit::{Job, Phase},
};

/// What a request for a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Queued(u32),
    Refused(&'static str),
}

const DESTRUCTIVE: &str = "org.freedesktop.systemd1.TransactionIsDestructive";
const MASKED: &str = "org.freedesktop.systemd1.UnitMasked";
const MISSING: &str = "org.freedesktop.systemd1.NoSuchUnit";

impl Host {
    /// `TryRestartUnit`, mode `fail`.
    pub(crate) fn try_restart(&mut self, now: Mono, at: usize, owner: Owner) -> Reply {
        let down = self.units[at].active.is_down() || self.units[at].active == ActiveState::Deactivating;
        match self.unloadable(at) {
            Some(error) => Reply::Refused(error),
            None if down => Reply::Queued(self.fleeting(at, None)),
            None => self.ask_job(now, at, JobKind::Restart, owner, false),
        }
    }

    /// Any other job; `replace` is the mode of operators.
    pub(crate) fn ask_job(
        &mut self,
        now: Mono,
        at: usize,
        kind: JobKind,
        owner: Owner,
        replace: bool,
    ) -> Reply {
        if let Some(error) = self.unloadable(at).filter(|_| kind != JobKind::Stop) {
            return Reply::Refused(error);
        }
        if let (Some(Job { owner: Owner::Ours(_), .. }), Owner::Ours(order)) = (self.units[at].job, owner)
            && kind != JobKind::Stop
        {
            self.truths.push(Truth::TwoJobs { unit: at, order });
        }
        match self.units[at].job {
            Some(job) if job.kind == JobKind::Stop && kind == JobKind::Stop => return Reply::Queued(job.id),
            Some(job) if job.kind != JobKind::Stop && kind != JobKind::Stop => {
                self.merge(now, at, job, kind);
                return Reply::Queued(job.id);
            }
            Some(_) if !replace => return Reply::Refused(DESTRUCTIVE),
            Some(_) => self.over(at, JobResult::Canceled),
            None => {}
        }
        let active = self.units[at].active;
        let nothing_to_do = match kind {
            JobKind::Stop => active.is_down(),
            JobKind::Start => active.is_up(),
            JobKind::Restart => false,
            JobKind::Reload => !active.is_up(),
        };
        if nothing_to_do {
            return Reply::Queued(self.fleeting(at, Some(kind)));
        }
        self.install(at, kind, owner);
        let id = self.jobs;
        self.run_job(now, at);
        Reply::Queued(id)
    }

    /// `CancelJob`; false where there is none.
    pub(crate) fn cancel(&mut self, at: usize, id: u32) -> bool {
        let is_there = self.units[at].job.is_some_and(|job| job.id == id);
        if is_there {
            self.over(at, JobResult::Canceled);
        }
        is_there
    }

    /// `ResetFailedUnit`.
    pub(crate) fn reset_failed(&mut self, at: usize) {
        let unit = &mut self.units[at];
        (unit.limit_began, unit.restarts) = (None, 0);
        if unit.active == ActiveState::Failed {
            unit.result = "success";
            self.set(at, ActiveState::Inactive, "dead");
        }
    }

    fn unloadable(&self, at: usize) -> Option<&'static str> {
        match self.units[at].load {
            LoadState::Loaded => None,
            LoadState::Masked => Some(MASKED),
            LoadState::NotFound | LoadState::Error => Some(MISSING),
        }
    }

    fn merge(&mut self, now: Mono, at: usize, job: Job, kind: JobKind) {
        let unit = &mut self.units[at];
        let wider = match (job.kind, kind) {
            (JobKind::Start | JobKind::Reload, JobKind::Restart) => JobKind::Restart,
            (JobKind::Reload, JobKind::Start) => JobKind::Reload,
            (before, _) => before,
        };
        if wider == job.kind {
            return;
        }
        unit.job = Some(Job { kind: wider, ..job });
        self.run_job(now, at);
    }

    fn run_job(&mut self, now: Mono, at: usize) {
        let unit = &self.units[at];
        let Some(job) = unit.job else { return };
        match (job.kind, unit.active) {
            (JobKind::Stop, ActiveState::Activating) if unit.phase == Phase::AutoRestart => {
                self.units[at].asked_down = true;
                super::unit_rest(&mut self.units[at]);
                self.set(at, ActiveState::Inactive, "dead");
                self.over(at, JobResult::Done);
            }
            (JobKind::Restart, ActiveState::Activating) if unit.phase == Phase::AutoRestart => {
                self.begin_start(now, at);
            }
            (
                JobKind::Stop | JobKind::Restart,
                ActiveState::Active | ActiveState::Reloading | ActiveState::Activating,
            ) => self.begin_stop(now, at),
            (JobKind::Stop, ActiveState::Deactivating) => self.units[at].asked_down = true,
            (JobKind::Start | JobKind::Restart, ActiveState::Inactive | ActiveState::Failed) => {
                self.begin_start(now, at);
            }
            (JobKind::Reload, ActiveState::Active) if unit.phase == Phase::Unreaped => {} // its end is seen first
            (JobKind::Reload, ActiveState::Active) => {
                self.set(at, ActiveState::Reloading, "reload");
                self.alarm(now + Duration::from_millis(30), at, Phase::Reloading);
            }
            // it waits for what is on its way
            (JobKind::Start, ActiveState::Activating | ActiveState::Deactivating)
            | (JobKind::Restart, ActiveState::Deactivating) => {}
            (
                JobKind::Stop | JobKind::Start | JobKind::Restart | JobKind::Reload,
                ActiveState::Active
                | ActiveState::Reloading
                | ActiveState::Inactive
                | ActiveState::Failed
                | ActiveState::Activating
                | ActiveState::Deactivating
                | ActiveState::Maintenance,
            ) => self.over(at, JobResult::Skipped),
        }
    }

    fn begin_stop(&mut self, now: Mono, at: usize) {
        let ours = self.ours(at);
        self.truths.push(Truth::StopBegan { unit: at, ours });
        let unit = &mut self.units[at];
        unit.stopped_first = unit.main && unit.came_up;
        unit.asked_down = true;
        let sub = if unit.exec_stop_fails { "stop" } else { "stop-sigterm" };
        let phase = if unit.exec_stop_fails { Phase::ExecStop } else { Phase::Term };
        self.set(at, ActiveState::Deactivating, sub);
        self.take_down(now, at, phase);
    }

    pub(super) fn begin_start(&mut self, now: Mono, at: usize) {
        if !self.below_limit(now, at) {
            let unit = &mut self.units[at];
            unit.result = "start-limit-hit";
            super::unit_rest(unit);
            self.set(at, ActiveState::Failed, "failed");
            self.over(at, JobResult::Failed);
            return;
        }
        let ours = self.ours(at);
        self.truths.push(Truth::StartBegan { unit: at, ours });
        self.runs += 1;
        let unit = &mut self.units[at];
        (unit.run, unit.main, unit.ended, unit.result) = (self.runs, true, None, "success");
        (unit.came_up, unit.stopped_first, unit.asked_down) = (false, false, false);
        unit.was_stopped &= ours.is_some() && unit.wanted_down; // a start of ours that crossed the stop is taken back
        let ends = match unit.start_way {
            StartWay::Well(after) | StartWay::Fails(after) => Some(now + after),
            StartWay::Loops(_) | StartWay::Deaf => Some(now + Duration::from_millis(20)),
            StartWay::Hangs => unit.start_timeout.map(|limit| now + limit),
        };
        (unit.phase, unit.token, unit.phase_ends) = (Phase::Starting, unit.token + 1, None);
        if let Some(ends) = ends {
            self.alarms.push((ends, at, unit.token));
        }
        self.set(at, ActiveState::Activating, "start");
    }

    /// systemd's own count of starts: a window that begins with the first of them.
    fn below_limit(&mut self, now: Mono, at: usize) -> bool {
        let unit = &mut self.units[at];
        if unit.limit_burst == 0 || unit.limit_interval.is_zero() {
            return true;
        }
        if unit.limit_began.is_none_or(|began| now.since(began) > unit.limit_interval) {
            (unit.limit_began, unit.limit_used) = (Some(now), 1);
            return true;
        }
        unit.limit_used += 1;
        unit.limit_used <= unit.limit_burst
    }

    /// A job that is over as soon as it is there.
    fn fleeting(&mut self, at: usize, kind: Option<JobKind>) -> u32 {
        self.jobs += 1;
        let (unit, id, active) = (at, self.jobs, self.units[at].active);
        let result = if kind == Some(JobKind::Reload) { JobResult::Skipped } else { JobResult::Done };
        self.words.push(Word::Job { unit, id, step: JobStep::New(kind) });
        self.words.push(Word::Job { unit, id, step: JobStep::Removed { result, active } });
        id
    }

    pub(super) fn install(&mut self, at: usize, kind: JobKind, owner: Owner) {
        self.jobs += 1;
        let id = self.jobs;
        self.units[at].job = Some(Job { id, kind, owner });
        self.words.push(Word::Job { unit: at, id, step: JobStep::New(Some(kind)) });
    }

    pub(super) fn over(&mut self, at: usize, result: JobResult) {
        let ours = self.ours(at);
        let unit = &mut self.units[at];
        let Some(job) = unit.job.take() else { return };
        let step = JobStep::Removed { result, active: unit.active };
        self.words.push(Word::Job { unit: at, id: job.id, step });
        self.words.push(Word::State(at));
        self.truths.push(Truth::JobOver { unit: at, ours });
    }

    fn ours(&self, at: usize) -> Option<watchdog::model::OrderId> {
        self.units[at].job.and_then(|job| match job.owner {
            Owner::Ours(order) => Some(order),
            Owner::Operator | Owner::Systemd => None,
        })
    }
}
