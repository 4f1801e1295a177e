//! From a verdict or an end to an order, or to a hold with a reason and an end.

use std::time::Duration;

use super::{
    Desk, Hold, Holding, Keeper, Kind, NO_HEARTBEAT, Plan, Stage, acting::Acting, ladder::Rung,
    unfit::cannot_start, words,
};
use crate::model::{Action, Decision, FileState, IncidentEnd, LoadState, Mono, PidStamp, Question};

/// A hold that depends on others is looked at again after this, whatever they say.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(30);
/// A hold by something else than an operator that lasts for so long is worth waking someone.
pub(super) const LONG: Duration = Duration::from_secs(120);
/// How old a verdict may be to act on; an older one is asked for again first.
pub(super) const FRESH: Duration = Duration::from_secs(5);

impl Keeper {
    /// Something must be done: now, or when nothing holds it any more.
    pub(super) fn decide(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: String) {
        self.open(desk, desk.now);
        if self.wanted.is_some() || !self.climbs(desk, plan, &rule) {
            self.decide_below(desk, plan, rule);
        }
    }

    /// The same, with the last rung left out.
    pub(super) fn decide_below(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: String) {
        match self.held(desk, plan) {
            Some((hold, until)) => self.hold_for(desk, plan, rule, hold, until),
            None => self.check(desk, plan, rule, Rung::Unit),
        }
    }

    /// The looks are done; what holds may have come meanwhile.
    pub(super) fn act_or_hold(
        &mut self,
        desk: &mut Desk<'_>,
        plan: Plan,
        rule: String,
        stale: Option<PidStamp>,
    ) {
        match self.held(desk, plan) {
            Some((hold, until)) => self.hold_for(desk, plan, rule, hold, until),
            None => self.act(desk, plan, rule, stale),
        }
    }

    /// Orders it.
    fn act(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: String, stale: Option<PidStamp>) {
        let incident = self.open(desk, desk.now);
        self.tries.charge(desk.now, &self.guard, desk.seed);
        match self.wanted.take() {
            Some(_) => self.stopped = false, // whoever stopped it, this is the last word
            None => self.climb.tries(),
        }
        desk.host_tries.charge(desk.now);
        let reset = self.unit.as_ref().is_some_and(|unit| {
            unit.result == "start-limit-hit"
                || self.tries.start_limit_near(desk.now, unit.start_limit_burst, unit.start_limit_interval)
        });
        let action = match (plan, stale) {
            (Plan::Restart, _) => Action::Restart { reset },
            (Plan::Start, None) => Action::Start { reset },
            (Plan::Start, Some(stale)) => Action::StartAfresh { reset, stale },
        };
        self.step(desk.now, format!("{}: {rule}", words::action(action)));
        if let Some(incident) = &mut self.incident {
            incident.restarts += 1;
        }
        self.tell(desk, Some(incident), Decision::Act { action, rule: rule.clone(), observed_only: false });
        let order = self.order(desk, incident, action);
        self.quiet_beats();
        (self.owed, self.owed_after) = (true, self.incarnation);
        (self.port_held_by, self.abandoned, self.last_stop, self.unsure) = (None, None, None, None);
        (self.waived, self.came_to_nothing, self.unfit) = (false, false, None);
        self.tried_in_spite(desk);
        self.at_work = None;
        let acting = Acting::new(desk.now, order, plan, rule, self.unit.as_ref(), &self.guard);
        self.stage = Stage::Acting(acting.recorded_within(desk.host.record));
    }

    pub(super) fn hold_for(
        &mut self,
        desk: &mut Desk<'_>,
        plan: Plan,
        rule: String,
        hold: Hold,
        until: Mono,
    ) {
        if self.turns_down(desk, plan, &rule, &hold) {
            return;
        }
        let since = desk.now;
        let known = match plan {
            Plan::Restart => self.dead_at,
            Plan::Start => since,
        };
        self.hold(desk, Holding { plan, rule, hold, until, known, since, told: false });
    }

    /// It waits, with its reason and an end.
    fn hold(&mut self, desk: &mut Desk<'_>, holding: Holding) {
        let again = match &self.stage {
            Stage::Holding(before) => before.hold == holding.hold && before.plan == holding.plan,
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => false,
        };
        let again = again || self.is_gated_still(&holding.hold) || self.is_unfit_still(&holding.hold);
        let again = again || self.is_at_work_still(&holding.hold);
        if !again {
            self.step(desk.now, format!("held: {}", words::hold(&holding.hold)));
            let incident = self.incident.as_ref().map(|incident| incident.id);
            if holding.hold == Hold::Observe {
                let action = match holding.plan {
                    Plan::Restart => Action::Restart { reset: false },
                    Plan::Start => Action::Start { reset: false },
                };
                let rule = holding.rule.clone();
                self.tell(desk, incident, Decision::Act { action, rule, observed_only: true });
            }
            self.tell(desk, incident, Decision::Hold { hold: holding.hold.clone(), until: holding.until });
            if self.waits_for_a_reply(&holding.hold) {
                self.look(desk, Question::Unit); // whose answer comes behind the request
            }
            if holding.hold == Hold::Disabled {
                let unit = &self.guard.unit;
                self.alert(desk, format!("{}: nothing is done, for {unit} is disabled or masked; `systemctl enable {unit}`, or only_if_enabled = false", holding.rule));
            }
        }
        if holding.hold == Hold::Quarantine {
            self.climb.quarantined(desk.now);
        }
        let spent = holding.hold == Hold::Quarantine && (!again || self.incident.is_some());
        if holding.plan == Plan::Restart
            && self.wanted.is_none()
            && !self.beats.iter().any(super::Beat::is_asking)
        {
            self.begin(desk.now, Kind::Linger);
        }
        let rule = holding.rule.clone();
        self.stage = Stage::Holding(holding);
        if !spent {
            return;
        }
        if self.tries.quarantine(desk.now) {
            let budget = format!("{} restarts within {:?} did not help", self.guard.burst, self.guard.within);
            self.alert(desk, format!("quarantined: {budget} ({rule}); it is still watched and tried again, more and more seldom"));
        }
        self.end_incident(desk, IncidentEnd::Quarantined);
    }

    /// A hold's time is over: what is held still waits on, what is fresh is decided again, what is old is asked again.
    pub(super) fn release(&mut self, desk: &mut Desk<'_>) {
        let Stage::Holding(holding) = &self.stage else { return };
        let (plan, rule, known, hold) =
            (holding.plan, holding.rule.clone(), holding.known, holding.hold.clone());
        let climbs = self.is_to_climb(desk.now, &hold);
        if let Some((still, until)) = self.held(desk, plan).filter(|(_, until)| *until > desk.now)
            && alike(&still, &hold)
            && !climbs
        {
            self.wait_on(desk, still, until);
            return;
        }
        if self.wanted.is_some() {
            self.decide_below(desk, plan, rule);
            return;
        }
        // what it needed was sick: it may be well itself now; and a new incident needs a verdict of its own
        let stale = matches!(hold, Hold::Dependency { .. }) || self.incident.is_none();
        match plan {
            Plan::Start => self.decide(desk, plan, rule),
            Plan::Restart if desk.now.since(known) < FRESH && !stale => self.decide(desk, plan, rule),
            Plan::Restart => self.ask_again(desk),
        }
    }

    /// A restart needs a verdict of now.
    pub(super) fn ask_again(&mut self, desk: &mut Desk<'_>) {
        self.wanted = None;
        self.open(desk, desk.now);
        self.step(desk.now, "asked again before anything is done");
        self.stage = Stage::Up;
        self.quiet_beats();
        if self.may_be_corpse() {
            self.ending(desk.now); // nobody else says whether it still is
            return;
        }
        self.begin(desk.now, Kind::Confirm);
        desk.ask.extend(self.leans_on());
        self.calm(desk, NO_HEARTBEAT.to_owned());
    }

    /// The same holds it still. A job that is not ours may be over without a word of it, and an answer to a read comes after
    /// whatever systemd has read before it: so the unit is read.
    fn wait_on(&mut self, desk: &mut Desk<'_>, still: Hold, until: Mono) {
        if matches!(still, Hold::ForeignJob { .. }) || self.waits_for_a_reply(&still) {
            self.look(desk, Question::Unit);
        }
        let Stage::Holding(holding) = &mut self.stage else { return };
        (holding.hold, holding.until) = (still, until);
        let lasts = desk.now.since(holding.since);
        if lasts < LONG || holding.told {
            return;
        }
        let worth_telling = match &holding.hold {
            // one alert for all that wait for it
            Hold::HostBudget => desk.host_tries.tell(desk.now, desk.host.within),
            Hold::Concurrency
            | Hold::Dependency { .. }
            | Hold::ForeignJob { .. }
            | Hold::Request
            | Hold::Together { .. }
            | Hold::Unstartable { .. } => true,
            Hold::Backoff
            | Hold::Quarantine
            | Hold::PortHeld { .. }
            | Hold::Gate { .. }
            | Hold::Preflight { .. }
            | Hold::Ourselves { .. }
            | Hold::Instance { .. }
            | Hold::Package { .. }
            | Hold::Boot
            | Hold::Shutdown
            | Hold::Reboot { .. }
            | Hold::Frozen
            | Hold::Debugger { .. }
            | Hold::Systemd
            | Hold::Twin { .. }
            | Hold::Pause
            | Hold::Disabled
            | Hold::Observe => false,
        };
        if worth_telling {
            holding.told = true;
            let depends = matches!(holding.hold, Hold::Dependency { .. });
            let why = words::hold(&holding.hold);
            let try_now = if depends { "; it is tried once without that" } else { "" };
            self.alert(
                desk,
                format!("nothing has been done for {lasts:?}, though it is needed: {why}{try_now}"),
            );
            if depends {
                self.waived = true;
                self.release(desk);
            }
        }
    }

    /// To a request of its own, of one that left, or of another name of its unit.
    fn waits_for_a_reply(&self, hold: &Hold) -> bool {
        let beside = matches!(hold, Hold::Twin { .. }) && self.twin.is_none();
        beside || *hold == Hold::Request
    }

    /// What it waits for, where that is something that it needs.
    pub(super) fn waits_for(&self) -> Option<String> {
        match &self.stage {
            Stage::Holding(Holding { hold: Hold::Dependency { on }, .. }) => Some(on.clone()),
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => None,
        }
    }

    /// Whether this one waits for something that others may have changed.
    pub(in crate::policy) fn waits_for_others(&self) -> bool {
        match &self.stage {
            Stage::Holding(holding) => match holding.hold {
                Hold::Concurrency
                | Hold::Dependency { .. }
                | Hold::ForeignJob { .. }
                | Hold::Request
                | Hold::Twin { .. }
                | Hold::Pause
                | Hold::Disabled
                | Hold::Unstartable { .. }
                | Hold::Together { .. }
                | Hold::Observe => true,
                Hold::Backoff
                | Hold::Quarantine
                | Hold::HostBudget
                | Hold::PortHeld { .. }
                | Hold::Gate { .. }
                | Hold::Preflight { .. }
                | Hold::Ourselves { .. }
                | Hold::Instance { .. }
                | Hold::Package { .. }
                | Hold::Boot
                | Hold::Shutdown
                | Hold::Reboot { .. }
                | Hold::Frozen
                | Hold::Debugger { .. }
                | Hold::Systemd => false,
            },
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => false,
        }
    }

    /// Others may have changed: goes on if nothing of that kind holds it any more.
    pub(in crate::policy) fn settle(&mut self, desk: &mut Desk<'_>) {
        let Stage::Holding(holding) = &self.stage else { return };
        let (plan, hold) = (holding.plan, holding.hold.clone());
        match self.held(desk, plan) {
            Some((now, _)) if alike(&now, &hold) => {}
            Some(_) | None => self.release(desk),
        }
    }

    /// The first thing that stands against a plan, and when to look again at the latest.
    fn held(&mut self, desk: &mut Desk<'_>, plan: Plan) -> Option<(Hold, Mono)> {
        let later = desk.now + ASK_AGAIN;
        if let Some(held) = self.hands_off_for(desk, plan, later) {
            return Some(held);
        }
        if let Some(until) = desk.reboots.on_its_way_until(desk.now) {
            return Some((Hold::Shutdown, until));
        }
        if let Some(on) = self.failing_dependency(desk, plan) {
            return Some((Hold::Dependency { on }, later));
        }
        if let Some(spent) = self.spent(desk) {
            return Some(spent);
        }
        if let Some((on, until)) = self.waits_its_turn(desk, plan) {
            return Some((Hold::Together { on }, until.min(later)));
        }
        if plan == Plan::Restart {
            let others = desk.briefs.iter().filter(|(service, _)| **service != self.service);
            let busy: Vec<Mono> = others
                .filter_map(|(_, brief)| brief.restarting_until.filter(|until| *until > desk.now))
                .collect();
            if busy.len() >= desk.host.concurrent_restarts as usize {
                return Some((Hold::Concurrency, busy.iter().copied().min().unwrap_or(later).min(later)));
            }
        }
        None
    }

    /// Who must not be crossed, whatever is to be done: operators, and jobs that are not ours.
    pub(super) fn hands_off_for(&self, desk: &Desk<'_>, plan: Plan, later: Mono) -> Option<(Hold, Mono)> {
        if let Some(twin) = &self.twin {
            return Some((Hold::Twin { service: twin.to_string() }, later));
        }
        let mut others = desk.briefs.iter();
        if let Some((twin, _)) = others.find(|(_, brief)| brief.busy_beside.as_ref() == Some(&self.service)) {
            return Some((Hold::Twin { service: twin.to_string() }, later)); // asked before it was known to be one
        }
        if let Some(pause) = self.pause.as_ref().filter(|pause| pause.until > desk.now) {
            return Some((Hold::Pause, pause.until));
        }
        if desk.host.observe {
            return Some((Hold::Observe, later));
        }
        if let Some(unit) = &self.unit {
            let off = match unit.file {
                FileState::Masked => true,
                FileState::Disabled => !unit.socket_activated, // its socket starts it for any client: that is enabled
                FileState::Other => false,
            };
            if self.guard.only_if_enabled && (off || unit.load == LoadState::Masked) {
                return Some((Hold::Disabled, later));
            }
            if let Some(why) = cannot_start(unit.load).filter(|_| plan == Plan::Restart) {
                return Some((Hold::Unstartable { why: why.to_owned() }, later));
            }
        }
        self.held_by_unit(desk).map(|hold| (hold, later))
    }
}

/// Of one kind, whatever it names.
pub(super) fn alike(one: &Hold, other: &Hold) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
