//! The last rung: the host is rebooted for a service that restarts do not cure. Off by default.
//!
//! It is looked into only when a fresh failure is decided upon, in quarantine, after a slow retry in it failed too. Whatever
//! stands against it is told, and the rung below goes on as if there were no other: the slow retries do not wait for it.
//!
//! The limit needs no store, and cannot be lost with one: no reboot while the host has been up for less than `reboot_every`.
//! `Mono` is CLOCK_MONOTONIC, which begins with the kernel, and a container's own PID 1 begins with the container; a reboot of
//! ours begins one or the other anew, so there is never more than one in that time, whatever becomes of our files.
//!
//! Deliberately absent: any try in spite of a hold. Restarts have them; what takes every service of the host along has not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Checking, Decision, Desk, FileState, Hold, Keeper, Known, Mono, OrderId, Plan, Question, Service, Stage,
    checking::PROGRAM,
    decide::{FRESH, alike},
    others::stands_against,
    words,
};
use crate::{
    model::{Action, Others, Outcome, Preflight, Result, SystemState},
    policy::{gates, reboots::GOES_DOWN},
};

/// What stands against a reboot is looked at again after this, or after `reboot_after` where that is less.
const AGAIN: Duration = Duration::from_secs(300);

/// How far up the ladder a plan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rung {
    /// The unit is started or restarted.
    Unit,
    /// The host is rebooted.
    Host,
}

/// What becomes of the last rung.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Climb {
    /// Since when it has been in quarantine without having been well, and how often it was tried since.
    since: Option<Mono>,
    tried: u32,
    /// A reboot that was asked for, until it is known not to come.
    asked: Option<Asked>,
    not_before: Mono,
    /// What was told to stand against it last.
    told: Option<Against>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    order: OrderId,
    /// When it is looked whether the host shuts down, and the look on its way.
    look_at: Mono,
    look: Option<OrderId>,
}

/// What stands against a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Against {
    /// What stands against a restart as well.
    Hold(Hold),
    /// An operator's pause of another service: a reboot would touch that one too.
    Paused(Service),
    /// It would not come up with the host.
    NotEnabled,
    /// The host has not been up for long enough.
    Uptime { up: Duration, every: Duration },
    /// One was asked for, and did not come.
    Asked { after: Duration },
    /// What a look brought to light.
    Found { question: Question, why: String },
}

impl Against {
    fn words(&self) -> String {
        match self {
            Against::Hold(hold) => words::hold(hold),
            Against::Paused(service) => format!("an operator has paused {service}"),
            Against::NotEnabled => "the unit is disabled or masked, and would not come up again".to_owned(),
            Against::Uptime { up, every } => {
                format!("the host has been up for {up:?}, and reboot_every is {every:?}")
            }
            Against::Asked { after } => {
                format!("a reboot was asked for already, and reboot_after is {after:?}")
            }
            Against::Found { why, .. } => why.clone(),
        }
    }

    /// Of one kind, whatever figures it names.
    fn is_like(&self, other: &Against) -> bool {
        match (self, other) {
            (Against::Hold(one), Against::Hold(other)) => alike(one, other),
            (Against::Found { question: one, .. }, Against::Found { question: other, .. }) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

impl Climb {
    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.asked.as_ref().map(|asked| asked.look_at)
    }

    /// Its budget is spent.
    pub(super) fn quarantined(&mut self, now: Mono) {
        self.since.get_or_insert(now);
    }

    /// A slow retry.
    pub(super) fn tries(&mut self) {
        self.tried += u32::from(self.since.is_some());
    }

    /// It was not one: nothing was done.
    pub(super) fn untries(&mut self) {
        self.tried = self.tried.saturating_sub(1);
    }

    /// It is well again, or left alone: what comes next begins anew.
    pub(super) fn afresh(&mut self) {
        (self.since, self.tried, self.told) = (None, 0, None);
    }
}

impl Keeper {
    /// Something must be done: the last rung, where it is due and nothing stands against it. `false`: the one below.
    pub(super) fn climbs(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: &str) -> bool {
        let fails_now = match plan {
            Plan::Restart => desk.now.since(self.dead_at) < FRESH,
            Plan::Start => self.unit.as_ref().is_some_and(|unit| unit.active.is_down()),
        };
        if !fails_now || !self.is_due(desk.now) {
            return false;
        }
        match self.against(desk, plan) {
            Some((against, until)) => {
                self.stays(desk, rule, against, until);
                false
            }
            None => {
                self.step(desk.now, "a reboot of the host is due");
                self.check(desk, plan, rule.to_owned(), Rung::Host);
                true
            }
        }
    }

    /// Whether a hold is left before its time, for the last rung is due.
    pub(super) fn is_to_climb(&self, now: Mono, hold: &Hold) -> bool {
        let news = !matches!(self.climb.told, Some(Against::Hold(Hold::Observe)));
        let leads_there = *hold == Hold::Quarantine || (*hold == Hold::Observe && news);
        leads_there && self.is_due(now)
    }

    /// When a service in quarantine is looked at again: for its next slow retry, or for the last rung.
    pub(super) fn climb_or(&self, now: Mono, until: Mono) -> Mono {
        self.due_at().map_or(until, |due| if due > now { until.min(due) } else { until.min(self.later(now)) })
    }

    /// What must be known before the host is rebooted.
    pub(super) fn questions_before_a_reboot(&self, desk: &Desk<'_>, plan: Plan) -> Vec<Question> {
        let mut questions = vec![Question::Others, Question::Ourselves];
        let by_socket = self.unit.as_ref().is_some_and(|unit| unit.socket_activated);
        if plan == Plan::Start && !by_socket {
            questions.push(Question::Holders);
        }
        if self.guard.preflight.is_some() {
            questions.push(Question::Preflight);
        }
        if desk.host.gates.any() {
            questions.push(Question::Pressure);
        }
        questions
    }

    /// An answer came. Of a reboot, what is not known stands against it.
    pub(super) fn checked_before_a_reboot(&mut self, desk: &Desk<'_>, plan: Plan, known: &Known) {
        let (later, every) = (self.later(desk.now), self.guard.ladder.reboot_every);
        let found = |question, why| Some((Against::Found { question, why }, later));
        let against = match known {
            Known::Others(others) => match (stands_against(plan, others), others.began) {
                (Some(hold), _) => Some((Against::Hold(hold), later)),
                (None, None) => {
                    found(Question::Others, "it is not known since when the host has been up".into())
                }
                (None, Some(began)) => not_up_for(desk.now, began, every),
            },
            Known::Ourselves { fault } => fault.as_ref().and_then(|why| {
                found(Question::Ourselves, format!("watchdog cannot ask itself either: {why}"))
            }),
            Known::Holders(holders) => {
                let other = holders.iter().find(|it| it.cgroup.is_none() || it.cgroup != self.cgroup);
                other.map(|it| (Against::Hold(Hold::PortHeld { by: words::holder(it) }), later))
            }
            Known::Pressure(pressure) => {
                let closed = gates::closed(&desk.host.gates, true, pressure);
                closed.and_then(|it| found(Question::Pressure, format!("it would not help: {}", it.why)))
            }
            Known::Preflight(Preflight::Passed) => None,
            Known::Preflight(preflight @ (Preflight::Failed { .. } | Preflight::NotRun { .. })) => {
                found(Question::Preflight, words::preflight(preflight))
            }
            Known::Nothing { why } => found(Question::Unit, format!("cannot look it up: {why}")),
            Known::Unit(_)
            | Known::PidFile(_)
            | Known::LastWords(_)
            | Known::MainProcess { .. }
            | Known::Recorded(_)
            | Known::Asked { .. }
            | Known::Fronts(_) => None,
        };
        self.note(against);
    }

    /// An answer did not come in time.
    pub(super) fn not_known_before_a_reboot(&mut self, desk: &Desk<'_>, question: Question) {
        let why = format!("not known in time: {}", words::question(question));
        self.note(Some((Against::Found { question, why }, self.later(desk.now))));
    }

    fn note(&mut self, against: Option<(Against, Mono)>) {
        if let Stage::Checking(Checking { found, .. }) = &mut self.stage {
            found.reboot = found.reboot.take().or(against);
        }
    }

    /// All that must be known is known.
    pub(super) fn climbed(
        &mut self,
        desk: &mut Desk<'_>,
        plan: Plan,
        rule: String,
        found: Option<(Against, Mono)>,
    ) {
        if let Some((against, until)) = found.or_else(|| self.against(desk, plan)) {
            self.stays(desk, &rule, against, until);
            self.decide_below(desk, plan, rule);
        } else if !self.is_due(desk.now) {
            self.decide_below(desk, plan, rule); // other settings are in force
        } else if plan == Plan::Restart && desk.now.since(self.dead_at) > FRESH + PROGRAM {
            self.ask_again(desk);
        } else {
            self.reboot(desk, plan, rule);
        }
    }

    /// Asks for it, and waits for the host to go down.
    fn reboot(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: String) {
        let Climb { since: Some(since), tried, .. } = self.climb else { return };
        let (lasts, every) = (whole(desk.now.since(since)), self.guard.ladder.reboot_every);
        let times = if tried == 1 { "once".to_owned() } else { format!("{tried} times") };
        let incident = self.open(desk, desk.now);
        let rule = format!("{lasts:?} in quarantine, tried {times} since: {rule}");
        let unit = &self.guard.unit;
        self.alert(
            desk,
            format!("the host is rebooted for {unit}: {rule}; not again within {every:?} of the boot"),
        );
        let action = Action::Reboot;
        self.step(desk.now, format!("{}: {rule}", words::action(action)));
        self.tell(desk, Some(incident), Decision::Act { action, rule: rule.clone(), observed_only: false });
        let order = self.order(desk, incident, action);
        desk.reboots.ask(desk.now);
        let look_at = desk.now + GOES_DOWN;
        self.climb.asked = Some(Asked { order, look_at, look: None });
        self.climb.not_before = desk.now + self.guard.ladder.reboot_after;
        self.climb.told = None;
        self.hold_for(desk, plan, rule, Hold::Shutdown, look_at);
    }

    /// systemd's reply, where the order was a reboot of ours.
    pub(super) fn reboot_answered(&mut self, desk: &mut Desk<'_>, outcome: &Outcome) -> bool {
        if self.climb.asked.as_ref().is_none_or(|asked| asked.order != outcome.order) {
            return false;
        }
        let told = words::outcome(outcome);
        self.step(outcome.requested, "requested");
        self.step(outcome.at, told.clone());
        match &outcome.result {
            Result::Queued { .. } | Result::Done | Result::NoReply { .. } => {} // what comes of it shows
            Result::Refused { .. } | Result::Nothing => self.no_reboot(desk, &told),
        }
        true
    }

    /// The host should be down by now, or about to be.
    pub(super) fn reboot_overdue(&mut self, desk: &mut Desk<'_>) {
        if self.climb.wake_at().is_none_or(|at| at > desk.now) {
            return;
        }
        let look = self.look(desk, Question::Others);
        if let Some(asked) = &mut self.climb.asked {
            (asked.look_at, asked.look) = (desk.now + GOES_DOWN, Some(look));
        }
    }

    /// Whether the host shuts down. systemd gives a shutdown as long as its slowest stop takes.
    pub(super) fn reboot_looked_after(&mut self, desk: &mut Desk<'_>, look: OrderId, others: &Others) {
        if self.climb.asked.as_ref().is_none_or(|asked| asked.look != Some(look)) {
            return;
        }
        match others.system {
            SystemState::Stopping => {}
            SystemState::Booting | SystemState::Running => {
                self.no_reboot(desk, "systemd does not shut down; see `systemctl status reboot.target`");
            }
        }
    }

    fn no_reboot(&mut self, desk: &mut Desk<'_>, why: &str) {
        let after = self.guard.ladder.reboot_after;
        self.climb.asked = None;
        self.climb.not_before = desk.now + after;
        desk.reboots.not_come();
        self.alert(desk, format!("the reboot that was asked for does not come: {why}; it is not asked for again within {after:?}"));
    }

    /// It is not done: told, unless the same was told last.
    fn stays(&mut self, desk: &mut Desk<'_>, rule: &str, against: Against, until: Mono) {
        let until = until.max(self.later(desk.now));
        self.climb.not_before = until;
        if self.climb.told.as_ref().is_some_and(|told| told.is_like(&against)) {
            return;
        }
        let why = against.words();
        self.step(desk.now, format!("no reboot of the host: {why}"));
        let incident = self.incident.as_ref().map(|incident| incident.id);
        if against == Against::Hold(Hold::Observe) {
            let (action, rule) = (Action::Reboot, rule.to_owned());
            self.tell(desk, incident, Decision::Act { action, rule, observed_only: true });
        }
        self.tell(desk, incident, Decision::Hold { hold: Hold::Reboot { why }, until });
        self.climb.told = Some(against);
    }

    fn later(&self, now: Mono) -> Mono {
        now + AGAIN.min(self.guard.ladder.reboot_after)
    }

    fn is_due(&self, now: Mono) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    /// When the last rung is due, as things stand; `None`: it is not for this service, or not before a slow retry.
    fn due_at(&self) -> Option<Mono> {
        let (ladder, climb) = (&self.guard.ladder, &self.climb);
        let tried = ladder.reboot && climb.tried > 0 && self.tries.in_quarantine() && !self.stopped;
        let since = climb.since.filter(|_| tried)?;
        Some((since + ladder.reboot_after).max(climb.not_before))
    }

    /// The first thing that stands against it and is known without a look, and when it is worth another try.
    fn against(&self, desk: &Desk<'_>, plan: Plan) -> Option<(Against, Mono)> {
        let (now, later, ladder) = (desk.now, self.later(desk.now), &self.guard.ladder);
        if let Some((hold, until)) = self.hands_off_for(desk, plan, later) {
            return Some((Against::Hold(hold), until));
        }
        let off = |file| matches!(file, FileState::Disabled | FileState::Masked);
        if self.unit.as_ref().is_some_and(|unit| off(unit.file)) {
            return Some((Against::NotEnabled, later));
        }
        let mut others = desk.briefs.iter().filter(|(service, _)| **service != self.service);
        let paused = |(service, brief): (&Service, &super::Brief)| {
            let until = brief.paused_until.filter(|until| *until > now)?;
            Some((Against::Paused(service.clone()), until))
        };
        if let Some(paused) = others.clone().find_map(paused) {
            return Some(paused);
        }
        if let Some(young) = not_up_for(now, Mono(0), ladder.reboot_every) {
            return Some(young);
        }
        if let Some(until) = desk.reboots.next(now, ladder.reboot_after) {
            return Some((Against::Asked { after: ladder.reboot_after }, until));
        }
        if let Some(on) = self.fails_that_it_needs(desk, plan) {
            return Some((Against::Hold(Hold::Dependency { on }), later));
        }
        let verifies = others.any(|(_, brief)| brief.verifying_until.is_some_and(|until| until > now));
        verifies.then_some((Against::Hold(Hold::Concurrency), later))
    }
}

/// Where what began then has not been up for long enough.
fn not_up_for(now: Mono, began: Mono, every: Duration) -> Option<(Against, Mono)> {
    let (up, until) = (whole(now.since(began)), began + every);
    (until > now).then_some((Against::Uptime { up, every }, until))
}

/// Whole seconds, for people.
fn whole(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}
