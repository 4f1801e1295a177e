//! A job of ours on the unit: from the request to its end, with a deadline for the stop and one for the start.

use std::time::Duration;

use serde::Serialize;

use super::{Desk, Keeper, Plan, Stage, UnitState, words};
use crate::{
    model::{
        Act, Action, ActiveState, Decision, Hold, Incarnation, IncidentId, Job, JobResult, JobStep, Mono,
        Order, OrderId, Outcome, Result,
    },
    policy::settings::Guard,
};

/// A living unit's stop counts against `concurrent_restarts` for this long.
const STOP_COUNTS: Duration = Duration::from_secs(5);
/// systemd's default where a unit has no time-out of its own to go by.
const STOP_UNLIMITED: Duration = Duration::from_secs(300);
const START_UNLIMITED: Duration = Duration::from_secs(300);
/// ExecStop=, the signals, and ExecStopPost= each have TimeoutStopSec= for themselves.
const STOP_PHASES: u32 = 3;
/// After a kill: the next stop phase is given this long.
const KILL_AGAIN: Duration = Duration::from_secs(2);
/// So many kills without an end: it cannot be killed, and someone must come.
const KILLS_TOLD: u32 = 3;
/// So many of our own jobs are remembered.
const OWN_JOBS: usize = 8;
/// A request that systemd does not answer.
const REPLY: Duration = Duration::from_secs(30);

/// A job of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Acting {
    order: OrderId,
    plan: Plan,
    rule: String,
    since: Mono,
    /// systemd's number of it, once it is known.
    pub(super) job: Option<u32>,
    /// The incarnation that is to end.
    old: Option<Incarnation>,
    /// Jobs seen before ours was known: number, and how the unit was left where it is over already.
    unsorted: Vec<(u32, Option<(JobResult, ActiveState)>)>,
    phase: Phase,
    stop_timeout: Duration,
    start_timeout: Duration,
    /// An operator's stop crossed our start, which was taken back.
    undone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Phase {
    Stopping { deadline: Mono, kills: u32, sub: String },
    Starting { deadline: Mono, told: bool },
}

impl Acting {
    pub(super) fn new(
        now: Mono,
        order: OrderId,
        plan: Plan,
        rule: String,
        unit: Option<&UnitState>,
        guard: &Guard,
    ) -> Acting {
        let own_stop = unit.and_then(|unit| unit.stop_timeout).map(|timeout| timeout * STOP_PHASES);
        let stop_timeout = guard.stop_timeout.or(own_stop).unwrap_or(STOP_UNLIMITED);
        let own_start = unit.and_then(|unit| unit.start_timeout);
        let start_timeout = guard.start_timeout.or(own_start).unwrap_or(START_UNLIMITED);
        let down = unit.is_some_and(|unit| unit.active.is_down());
        let phase = if down {
            Phase::Starting { deadline: now + start_timeout, told: false }
        } else {
            Phase::Stopping { deadline: now + stop_timeout, kills: 0, sub: String::new() }
        };
        Acting {
            order,
            plan,
            rule,
            since: now,
            job: None,
            old: unit.and_then(|unit| unit.incarnation),
            unsorted: Vec::new(),
            phase,
            stop_timeout,
            start_timeout,
            undone: false,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        let phase = match &self.phase {
            Phase::Stopping { deadline, .. } => *deadline,
            Phase::Starting { deadline, .. } => *deadline,
        };
        Some(if self.job.is_none() { phase.min(self.since + REPLY) } else { phase })
    }

    /// Until when it counts as a restart of a living unit.
    pub(super) fn counts_until(&self, now: Mono) -> Option<Mono> {
        match (self.plan, &self.phase) {
            (Plan::Start, _) => None,
            (Plan::Restart, Phase::Stopping { .. }) => {
                Some(self.since + STOP_COUNTS).filter(|until| *until > now)
            }
            (Plan::Restart, Phase::Starting { deadline, .. }) => Some(*deadline),
        }
    }
}

impl Keeper {
    pub(super) fn order(&mut self, desk: &mut Desk<'_>, incident: IncidentId, action: Action) -> OrderId {
        let id = desk.ids.order();
        desk.orders.push(Order::Act(Act {
            id,
            service: self.service.clone(),
            unit: self.guard.unit.clone(),
            incarnation: self.incarnation,
            incident,
            action,
        }));
        id
    }

    /// systemd's reply.
    pub(in crate::policy) fn outcome(&mut self, desk: &mut Desk<'_>, outcome: &Outcome) {
        let Stage::Acting(acting) = &mut self.stage else { return };
        if acting.order != outcome.order {
            self.step(outcome.at, words::outcome(outcome));
            return;
        }
        let told = words::outcome(outcome);
        match &outcome.result {
            Result::Queued { job } => {
                let job = *job;
                acting.job = Some(job);
                let unsorted = std::mem::take(&mut acting.unsorted);
                let plan = acting.plan;
                self.own_jobs.push_back(job);
                if self.own_jobs.len() > OWN_JOBS {
                    self.own_jobs.pop_front();
                }
                self.step(outcome.requested, "requested");
                self.step(outcome.at, told);
                self.sort(desk, job, plan, &unsorted);
            }
            Result::Refused { error, .. } => {
                let (plan, rule) = (acting.plan, acting.rule.clone());
                let unsorted = std::mem::take(&mut acting.unsorted);
                self.foreign.extend(unsorted.iter().filter(|(_, over)| over.is_none()).map(|(id, _)| *id));
                let conflict = error.ends_with("TransactionIsDestructive")
                    || error.ends_with("TransactionJobsConflicting");
                self.step(outcome.at, told.clone());
                self.tries.refund();
                desk.host_tries.refund();
                if let Some(incident) = &mut self.incident {
                    incident.restarts = incident.restarts.saturating_sub(1);
                }
                if conflict {
                    self.ending(desk.now);
                } else {
                    self.alert(desk, told);
                    let until = desk.now + self.guard.backoff.max(Duration::from_secs(30));
                    self.hold(
                        desk,
                        super::Holding { plan, rule, hold: Hold::Backoff, until, known: desk.now },
                    );
                }
                self.look(desk, super::Question::Unit);
            }
            Result::NoReply { .. } => {
                self.step(outcome.at, told);
                self.lost_touch(desk);
            }
            Result::Done | Result::Nothing => {
                self.step(outcome.at, told);
                self.lost_touch(desk);
            }
        }
    }

    /// A job came or went while ours is on its way; true when that is all there is to it.
    pub(super) fn acting_job(&mut self, desk: &mut Desk<'_>, job: &Job) -> bool {
        let Stage::Acting(acting) = &mut self.stage else { return false };
        match (acting.job, job.step) {
            (None, JobStep::New(_)) => {
                acting.unsorted.push((job.id, None));
                true
            }
            (None, JobStep::Removed { result, active }) => {
                match acting.unsorted.iter_mut().find(|(id, _)| *id == job.id) {
                    Some((_, over)) => {
                        *over = Some((result, active));
                        true
                    }
                    None => false,
                }
            }
            (Some(ours), JobStep::Removed { result, active }) if ours == job.id => {
                self.finished(desk, result, active);
                true
            }
            (Some(ours), JobStep::New(_)) => ours == job.id,
            (Some(_), JobStep::Removed { .. }) => false,
        }
    }

    /// The unit moved while our job is on its way.
    pub(super) fn acting_unit(&mut self, desk: &mut Desk<'_>) {
        let Some(unit) = &self.unit else { return };
        let (active, sub, incarnation) = (unit.active, unit.sub.clone(), unit.incarnation);
        let Stage::Acting(acting) = &mut self.stage else { return };
        let start_timeout = acting.start_timeout;
        let Phase::Stopping { deadline, kills, sub: before } = &mut acting.phase else { return };
        let new_run = incarnation.is_some() && incarnation != acting.old;
        if active == ActiveState::Activating || new_run {
            let took = desk.now.since(acting.since);
            acting.phase = Phase::Starting { deadline: desk.now + start_timeout, told: false };
            self.step(desk.now, format!("stopped after {took:?}; starting"));
            return;
        }
        let further = *before != sub;
        before.clone_from(&sub);
        // each stop phase that begins after the deadline gets its own kill, for it gets its own time-out too
        if further && *kills > 0 && active == ActiveState::Deactivating {
            *deadline = desk.now;
        }
    }

    pub(super) fn acting_wake(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        let deactivating = self.unit.as_ref().is_some_and(|unit| unit.active == ActiveState::Deactivating);
        let stop_timeout = match &self.stage {
            Stage::Acting(acting) => acting.stop_timeout,
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking { .. }
            | Stage::Holding(_)
            | Stage::Proving { .. } => return,
        };
        let Stage::Acting(acting) = &mut self.stage else { return };
        if acting.job.is_none() && acting.since + REPLY <= now {
            self.step(now, "systemd did not answer in time");
            self.lost_touch(desk);
            return;
        }
        match &mut acting.phase {
            Phase::Stopping { deadline, kills, .. } if *deadline <= now => {
                *deadline = now + KILL_AGAIN;
                if !deactivating {
                    self.look(desk, super::Question::Unit); // nothing is being stopped: what is it then?
                    return;
                }
                *kills += 1;
                let times = *kills;
                let incident = self.open(desk, now);
                if times == 1 {
                    let what = format!(
                        "the stop took longer than {stop_timeout:?}: what is left of the old incarnation is killed"
                    );
                    self.step(now, what.clone());
                    self.alert(desk, what);
                }
                if times == KILLS_TOLD {
                    let what = "it cannot be killed (a process waits in the kernel, see `ps -o stat,wchan`): no second copy is started, someone must look";
                    self.step(now, what);
                    self.alert(desk, what.to_owned());
                }
                self.order(desk, incident, Action::Kill);
            }
            Phase::Starting { deadline, told } if *deadline <= now => {
                let first = !*told;
                *told = true;
                *deadline = now + REPLY;
                if let (true, Some(job)) = (first, acting.job) {
                    let timeout = acting.start_timeout;
                    let incident = self.open(desk, now);
                    let what = format!(
                        "the start took longer than {timeout:?}: it is given up, and tried again after a pause"
                    );
                    self.step(now, what.clone());
                    self.alert(desk, what);
                    self.order(desk, incident, Action::Cancel { job });
                } else {
                    self.look(desk, super::Question::Unit);
                }
            }
            Phase::Stopping { .. } | Phase::Starting { .. } => {}
        }
    }

    /// Our job's number is known: everything else that came meanwhile was another's.
    fn sort(
        &mut self,
        desk: &mut Desk<'_>,
        ours: u32,
        plan: Plan,
        unsorted: &[(u32, Option<(JobResult, ActiveState)>)],
    ) {
        let mut crossed = false;
        for (id, over) in unsorted.iter().filter(|(id, _)| *id != ours) {
            match over {
                None => {
                    self.foreign.insert(*id);
                }
                // numbers grow: a stop that was over before our start was queued came before it, and the operator wins
                Some((JobResult::Done, active)) if active.is_down() && *id < ours => crossed = true,
                Some(_) => {}
            }
        }
        if crossed && plan == Plan::Start {
            let incident = self.open(desk, desk.now);
            self.step(desk.now, "an operator's stop crossed this start: it is taken back");
            let order = self.order(desk, incident, Action::Undo);
            if let Stage::Acting(acting) = &mut self.stage {
                acting.undone = true;
                acting.order = order;
                acting.job = None;
                acting.since = desk.now;
            }
            return;
        }
        if let Some((_, Some((result, active)))) = unsorted.iter().find(|(id, _)| *id == ours) {
            self.finished(desk, *result, *active);
        }
    }

    /// Our job is over.
    fn finished(&mut self, desk: &mut Desk<'_>, result: JobResult, active: ActiveState) {
        let Stage::Acting(acting) = &self.stage else { return };
        let (plan, rule, undone, took) =
            (acting.plan, acting.rule.clone(), acting.undone, desk.now.since(acting.since));
        if let Some(unit) = &mut self.unit {
            unit.active = active;
            unit.job = None;
        }
        self.step(
            desk.now,
            format!("job {} after {took:?}, the unit is {}", words::job(result), words::active(active)),
        );
        if undone {
            self.stopped = true;
            self.ending(desk.now);
            if active.is_down() {
                self.stand_down(desk, "an operator stopped it".to_owned());
            }
            return;
        }
        match result {
            JobResult::Done if active.is_up() => self.prove(desk),
            JobResult::Failed | JobResult::Timeout if active.is_down() => {
                self.exit = None;
                self.tries.sick(desk.now, &self.guard);
                self.tell_failed_start(desk, result);
                self.decide(desk, Plan::Start, format!("{rule}; its start failed"));
            }
            JobResult::Dependency => {
                self.tell_failed_start(desk, result);
                self.decide(desk, plan, format!("{rule}; a unit that it needs failed"));
            }
            JobResult::Done
            | JobResult::Failed
            | JobResult::Timeout
            | JobResult::Canceled
            | JobResult::Skipped
            | JobResult::Other => self.lost_touch(desk),
        }
    }

    fn tell_failed_start(&mut self, desk: &mut Desk<'_>, result: JobResult) {
        let unit = &self.guard.unit;
        let incident = self.incident.as_ref().map(|incident| incident.id);
        let what = format!("the start of {unit} ended {}: see `journalctl -u {unit}`", words::job(result));
        self.tell(desk, incident, Decision::Alert { what });
    }

    /// What became of our job is not known: the unit is read, and judged as it is.
    fn lost_touch(&mut self, desk: &mut Desk<'_>) {
        self.ending(desk.now);
        self.look(desk, super::Question::Unit);
    }
}
