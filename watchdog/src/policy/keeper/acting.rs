//! A job of ours on the unit: from the request to its end, with a deadline for the stop and one for the start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Desk, Keeper, Plan, Stage, UnitState, words};
use crate::{
    model::{
        Act, Action, ActiveState, Decision, Hold, Incarnation, IncidentId, JobKind, JobResult, Mono, Order,
        OrderId, Outcome, Result,
    },
    policy::settings::Guard,
};

/// A living unit's stop counts against `concurrent_restarts` for this long.
const STOP_COUNTS: Duration = Duration::from_secs(5);
/// systemd's default where a unit has no time-out of its own to go by.
const STOP_UNLIMITED: Duration = Duration::from_secs(300);
pub(super) const START_UNLIMITED: Duration = Duration::from_secs(300);
/// ExecStop=, the signals, and ExecStopPost= each have TimeoutStopSec= for themselves.
const STOP_PHASES: u32 = 3;
/// So many of our own jobs are remembered.
const OWN_JOBS: usize = 8;
/// So many jobs are kept apart while ours has no number: a unit has one job at a time.
const UNSORTED: usize = 32;
/// A request that systemd does not answer.
pub(super) const REPLY: Duration = Duration::from_secs(30);

/// A job of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acting {
    order: OrderId,
    pub(super) plan: Plan,
    rule: String,
    pub(super) since: Mono,
    /// systemd's number of it, once it is known.
    pub(super) job: Option<u32>,
    /// The incarnation that is to end.
    pub(super) old: Option<Incarnation>,
    /// The last order before the reply with its number: what was looked up since has seen the job.
    replied: OrderId,
    /// Jobs seen before ours was known.
    pub(super) unsorted: Vec<Seen>,
    pub(super) phase: Phase,
    /// When the evidence of a stop that takes so long is taken: ahead of its deadline, which waits for nothing.
    #[serde(default)]
    pub(super) record_at: Option<Mono>,
    pub(super) stop_timeout: Duration,
    /// `None`: neither we nor systemd end a start that takes long.
    pub(super) start_timeout: Option<Duration>,
    /// The start took too long, and its job was cancelled.
    pub(super) given_up: bool,
    /// An operator's stop crossed our start, which was taken back.
    pub(super) undone: bool,
}

/// A job whose owner is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) id: u32,
    pub(super) kind: Option<JobKind>,
    /// How it ended and left the unit, where it is over already.
    pub(super) over: Option<(JobResult, ActiveState)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
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
        let start_timeout = guard.start_timeout.or(unit.and_then(|unit| unit.start_timeout));
        let down = unit.is_some_and(|unit| unit.active.is_down());
        let phase = if down {
            starting(now, start_timeout)
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
            replied: order,
            unsorted: Vec::new(),
            phase,
            record_at: None,
            stop_timeout,
            start_timeout,
            given_up: false,
            undone: false,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        let phase = match &self.phase {
            Phase::Stopping { deadline, .. } => self.record_at.map_or(*deadline, |at| at.min(*deadline)),
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
            // a start that hangs is told, and holds nobody else any more
            (Plan::Restart, Phase::Starting { deadline, told }) => (!told).then_some(*deadline),
        }
    }

    /// When it has had the time of a stop and of a start.
    pub(super) fn longest(&self) -> Mono {
        self.since + self.stop_timeout + self.start_timeout.unwrap_or(START_UNLIMITED)
    }

    /// With so much time for the evidence of a stop that does not end; less where the stop itself has little.
    pub(super) fn recorded_within(mut self, record: Option<Duration>) -> Acting {
        self.records_stop(self.since, record);
        self
    }

    /// A stop begins, or is known to have begun.
    pub(super) fn records_stop(&mut self, since: Mono, record: Option<Duration>) {
        if let Phase::Stopping { deadline, .. } = self.phase {
            let ahead = record.map(|record| record.min(self.stop_timeout / 2));
            self.record_at = ahead.map(|ahead| since + deadline.since(since).saturating_sub(ahead));
        }
    }

    /// The old incarnation is gone.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    pub(super) fn see(&mut self, seen: Seen) {
        if self.unsorted.len() < UNSORTED {
            self.unsorted.push(seen);
        }
    }
}

/// Another's job of the opposite kind stands against it, which for a start or a restart is a stop.
fn is_crossed(error: &str) -> bool {
    error.ends_with("TransactionIsDestructive") || error.ends_with("TransactionJobsConflicting")
}

/// A rule that went on to fail in this way; how often is in the story.
fn once(rule: &str, how: &str) -> String {
    if rule.contains(how) { rule.to_owned() } else { format!("{rule}{how}") }
}

pub(super) fn starting(now: Mono, timeout: Option<Duration>) -> Phase {
    Phase::Starting { deadline: now + timeout.unwrap_or(START_UNLIMITED), told: false }
}

impl Keeper {
    pub(super) fn order(&mut self, desk: &mut Desk<'_>, incident: IncidentId, action: Action) -> OrderId {
        let id = desk.ids.order();
        match action {
            Action::Restart { .. } | Action::Start { .. } | Action::StartAfresh { .. } | Action::Undo => {
                self.unanswered = Some(id);
            }
            Action::Kill | Action::Cancel { .. } | Action::Reboot => {}
        }
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
        if self.reboot_answered(desk, outcome) {
            return;
        }
        let told = words::outcome(outcome);
        let current = matches!(&self.stage, Stage::Acting(acting) if acting.order == outcome.order);
        match &outcome.result {
            Result::Queued { job } if current => {
                self.step(outcome.requested, "requested");
                self.step(outcome.at, told);
                self.queued(desk, *job);
            }
            Result::Queued { job } => {
                // a reply that we had given up waiting for: the job counts, though nobody follows it
                self.step(outcome.at, told);
                let late = std::mem::take(&mut self.abandoned) == Some(outcome.order);
                let other_start = self.started_after.is_some_and(|start| start < *job);
                if late && !other_start && self.last_stop.is_some_and(|stop| stop < *job) {
                    self.take_back(desk);
                } else if !self.own_jobs.contains(job) {
                    self.foreign.entry(*job).or_insert(None);
                    self.look(desk, super::Question::Unit);
                }
            }
            Result::Refused { error, .. } if current => {
                self.step(outcome.at, told.clone());
                self.refused(desk, error, told);
            }
            Result::Nothing if current => {
                self.step(outcome.at, told);
                self.refund(desk);
                self.lost_touch(desk);
            }
            Result::NoReply { .. } | Result::Done if current => {
                self.step(outcome.at, told);
                self.lost_touch(desk);
            }
            Result::Refused { error, .. } => {
                self.step(outcome.at, told);
                self.owed &= !is_crossed(error);
            }
            Result::NoReply { .. } | Result::Done | Result::Nothing => {
                self.step(outcome.at, told);
            }
        }
        let answered = !matches!(outcome.result, Result::NoReply { .. });
        self.unanswered = self.unanswered.filter(|request| !answered || *request != outcome.order);
    }

    fn queued(&mut self, desk: &mut Desk<'_>, job: u32) {
        let Stage::Acting(acting) = &mut self.stage else { return };
        acting.job = Some(job);
        acting.replied = desk.ids.last();
        let unsorted = std::mem::take(&mut acting.unsorted);
        self.own_jobs.push_back(job);
        if self.own_jobs.len() > OWN_JOBS {
            self.own_jobs.pop_front();
        }
        self.foreign.remove(&job);
        self.tries.accepted();
        self.sort(desk, job, &unsorted);
    }

    fn refused(&mut self, desk: &mut Desk<'_>, error: &str, told: String) {
        let Stage::Acting(acting) = &mut self.stage else { return };
        let (plan, rule) = (acting.plan, acting.rule.clone());
        if acting.undone {
            self.stopped = true;
            self.alert(desk, format!("the start that crossed an operator's stop was not taken back: {told}"));
            self.lost_touch(desk);
            return;
        }
        let unsorted = std::mem::take(&mut acting.unsorted);
        self.refund(desk);
        self.owed &= plan == Plan::Start && !is_crossed(error);
        if unsorted.iter().any(|seen| self.is_stop(seen)) {
            self.stopped_by_other(desk);
            return;
        }
        self.foreign.extend(unsorted.iter().filter(|s| s.over.is_none()).map(|s| (s.id, s.kind)));
        self.look(desk, super::Question::Unit);
        if is_crossed(error) {
            self.ending(desk.now);
        } else {
            self.alert_seldom(desk, told);
            let until = desk.now + self.guard.backoff.max(Duration::from_secs(30));
            self.hold_for(desk, plan, rule, Hold::Backoff, until);
        }
    }

    /// Nothing was done: it costs nothing.
    fn refund(&mut self, desk: &mut Desk<'_>) {
        let Stage::Acting(acting) = &self.stage else { return };
        let charged = acting.since;
        self.tries.refund(charged, desk.now, &self.guard, desk.seed);
        self.climb.untries();
        desk.host_tries.refund(charged);
        if let Some(incident) = &mut self.incident {
            incident.restarts = incident.restarts.saturating_sub(1);
        }
    }

    /// The unit was read while our job was on its way; without our job, the word that it is over was lost.
    pub(super) fn acting_read(&mut self, desk: &mut Desk<'_>, look: OrderId, job: Option<u32>) {
        let Stage::Acting(acting) = &self.stage else { return };
        if acting.job.is_none() || acting.job == job || look <= acting.replied {
            return;
        }
        self.stopped |= acting.undone;
        self.step(desk.now, "the job is over, and no word of it came");
        self.ending(desk.now);
    }

    /// Our job is over.
    pub(super) fn finished(&mut self, desk: &mut Desk<'_>, result: JobResult, active: ActiveState) {
        let Stage::Acting(acting) = &self.stage else { return };
        let (plan, rule, undone, given_up) =
            (acting.plan, acting.rule.clone(), acting.undone, acting.given_up);
        let took = desk.now.since(acting.since);
        if let Some(unit) = &mut self.unit {
            unit.active = active;
            unit.job = None;
        }
        self.step(
            desk.now,
            format!("job {} after {took:?}, the unit is {}", words::job(result), words::active(active)),
        );
        if undone {
            // where it runs still, another hand started it after the stop
            self.stopped = !active.is_up();
            if active.is_down() {
                self.stand_down(desk, "an operator stopped it".to_owned());
            } else {
                self.lost_touch(desk);
            }
            return;
        }
        match result {
            JobResult::Done if active.is_up() => self.prove(desk),
            JobResult::Failed | JobResult::Timeout if active.is_down() => {
                self.exit = None;
                self.refused = true;
                self.tries.sick(desk.now, &self.guard);
                self.tell_failed_start(desk, result);
                self.start_failed(desk);
                self.decide(desk, Plan::Start, once(&rule, "; its start failed"));
            }
            JobResult::Dependency => {
                self.tell_failed_start(desk, result);
                let plan = if active.is_down() { Plan::Start } else { plan };
                self.decide(desk, plan, once(&rule, "; a unit that it needs failed"));
            }
            JobResult::Canceled if given_up && active == ActiveState::Activating && !self.hands_off(desk) => {
                // systemd cancels the job and lets the start go on: it is ours, and past the limit that it was given
                let incident = self.open(desk, desk.now);
                self.order(desk, incident, Action::Kill);
                self.lost_touch(desk);
            }
            JobResult::Done
            | JobResult::Failed
            | JobResult::Timeout
            | JobResult::Canceled
            | JobResult::Skipped
            | JobResult::Other => {
                // a restart of what had ended, or a start that came to its end, did all that it should
                self.came_to_nothing = result == JobResult::Done && active.is_down();
                self.owed &= !self.came_to_nothing;
                self.lost_touch(desk);
            }
        }
    }

    fn tell_failed_start(&mut self, desk: &mut Desk<'_>, result: JobResult) {
        let unit = &self.guard.unit;
        let incident = self.incident.as_ref().map(|incident| incident.id);
        let what = format!("the start of {unit} ended {}: see `journalctl -u {unit}`", words::job(result));
        self.tell(desk, incident, Decision::Alert { what });
    }

    /// What became of our job is not known: the unit is read, and judged as it is.
    pub(super) fn lost_touch(&mut self, desk: &mut Desk<'_>) {
        if let Stage::Acting(acting) = &mut self.stage {
            let unsorted = std::mem::take(&mut acting.unsorted);
            let unheard = acting.job.is_none();
            if unheard && !acting.undone {
                self.abandoned = Some(acting.order);
            }
            self.unheard = unheard.then_some(acting.order);
            let stop = unsorted.iter().filter(|seen| self.is_stop(seen)).map(|seen| seen.id).max();
            self.stopped |= stop.is_some();
            if stop.is_some() {
                (self.last_stop, self.started_after) = (stop, None);
            }
            self.foreign.extend(unsorted.iter().filter(|s| s.over.is_none()).map(|s| (s.id, s.kind)));
        }
        self.ending(desk.now);
        self.look(desk, super::Question::Unit);
    }
}
