//! What must be true after every step, whatever comes in whatever order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::super::super::{Input, Policy, Settings};
use crate::model::*;

/// What the policy was told and has ordered, as far as the rules go by it.
pub(super) struct Rules {
    units: BTreeMap<Unit, Known>,
    /// Restarts and starts that were not refused.
    restarts: Vec<(Mono, Service, OrderId)>,
    /// The last reboot that was asked for.
    reboot: Option<Mono>,
    /// Incidents that cost an action and have not ended.
    pub(super) open: BTreeMap<IncidentId, Mono>,
}

#[derive(Default)]
struct Known {
    state: Option<UnitState>,
    /// The run that an order must name.
    run: Option<Incarnation>,
    /// An operator's stop is done, and nothing has started it since.
    stop_stands: bool,
    /// Jobs that the policy asked for.
    own: BTreeSet<u32>,
    over: BTreeSet<u32>,
    /// The order on its way, and its job where it is known.
    acting: Option<(OrderId, Mono, Option<u32>)>,
    /// Failed heartbeats in this incident.
    deads: u32,
    ended: bool,
    paused: Option<Mono>,
    /// An operator asked for a restart, and nothing was done about it yet.
    wanted: bool,
    /// Its budget is spent since then, and it has not been well.
    quarantined: Option<Mono>,
}

impl Rules {
    pub(super) fn new(units: impl Iterator<Item = Unit>) -> Rules {
        let units = units.map(|unit| (unit, Known::default())).collect();
        Rules { units, restarts: vec![], reboot: None, open: BTreeMap::new() }
    }

    /// What is about to be told to the policy.
    pub(super) fn told(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Unit(state) => self.state(state),
            Input::Job(job) => self.job(job),
            Input::Fact(Fact { known: crate::model::Known::Unit(state), .. }) => self.state(state),
            Input::Suspicion(Suspicion { service, why: Why::MainExit { .. }, .. }) => {
                self.of(service).ended = true;
            }
            Input::Answer(answer) => {
                let known = self.of(&answer.service);
                known.deads += u32::from(answer.verdict == Verdict::Dead);
            }
            Input::Outcome(outcome) => self.outcome(outcome),
            Input::Command(Command::Pause { service, pause }) => {
                self.of(service).paused = Some(pause.until);
            }
            Input::Command(Command::Restart { service, .. }) => self.of(service).wanted = true,
            Input::Command(Command::Resume { service }) => self.of(service).paused = None,
            Input::Suspicion(_)
            | Input::Fact(_)
            | Input::Gap
            | Input::Command(Command::Reload { .. })
            | Input::Settings(_)
            | Input::Back { .. }
            | Input::HeldUp
            | Input::Wake => {}
        }
        for known in self.units.values_mut() {
            if known.paused.is_some_and(|until| until <= now) {
                known.paused = None;
            }
        }
    }

    /// What the policy ordered upon it.
    pub(super) fn ordered(&mut self, now: Mono, settings: &Settings, orders: &[Order]) {
        for order in orders {
            match order {
                Order::Act(act) => self.act(now, settings, act),
                Order::Tell(tell) => {
                    let turned_down = matches!(&tell.decision, Decision::Alert { what } if what.starts_with("not restarted, though"));
                    self.of(&tell.service).wanted &= !turned_down;
                    let Decision::End(story) = &tell.decision else { continue };
                    if let Some(incident) = tell.incident {
                        self.open.remove(&incident);
                    }
                    let known = self.of(&tell.service);
                    match story.end {
                        IncidentEnd::Quarantined => drop(known.quarantined.get_or_insert(now)),
                        IncidentEnd::Recovered => known.quarantined = None,
                        IncidentEnd::StoodDown | IncidentEnd::Superseded => {}
                    }
                    (known.deads, known.wanted) = (0, false);
                    known.ended = known.state.as_ref().is_some_and(|state| !state.active.is_up());
                }
                Order::Ask(_) | Order::Look(_) => {}
            }
        }
    }

    fn reboot(&mut self, now: Mono, settings: &Settings, act: &Act) {
        let guard = &settings.services[&act.service];
        let failures = guard.heartbeats.iter().map(|pulse| pulse.failures).min().unwrap_or(1);
        let ladder = &guard.ladder;
        assert!(ladder.reboot && !settings.host.observe, "a reboot that nobody asked for: {act:?}");
        assert!(now >= Mono(0) + ladder.reboot_every, "a reboot so soon after the boot: {act:?}");
        let long = |since: Option<Mono>| since.is_some_and(|since| now.since(since) >= ladder.reboot_after);
        assert!(self.reboot.is_none() || long(self.reboot), "a second reboot at once: {act:?}");
        assert!(self.units.values().all(|known| known.paused.is_none()), "a reboot in a pause: {act:?}");
        for (unit, other) in &self.units {
            let busy = other.acting.is_some_and(|(_, at, _)| now.since(at) < Duration::from_secs(30));
            assert!(!busy, "a reboot while {unit} is being restarted: {act:?}");
        }
        let known = self.of(&act.service);
        assert!(long(known.quarantined), "a reboot without a quarantine: {act:?}");
        assert!(known.ended || known.deads >= failures, "a reboot without a failure: {act:?}");
        assert!(!known.stop_stands, "against an operator's stop: {act:?}");
        self.open.insert(act.incident, now);
        self.reboot = Some(now);
    }

    /// It moves by itself where it must, and never in a circle.
    pub(super) fn settled(&self, now: Mono, policy: &Policy) {
        for (service, keeper) in &policy.keepers {
            let wake = keeper.wake_at();
            assert!(wake.is_none_or(|at| at > now), "{service} wants to be woken at {wake:?}, now is {now}");
            let stage = keeper.stage();
            let rests = ["not seen yet", "down", "stopped", "absent", "waits for a client"].contains(&stage);
            let asked = !keeper.guard.heartbeats.is_empty();
            let ends = rests || (stage == "up" && !asked) || wake.is_some();
            assert!(ends, "{service} is {stage} and nothing wakes it");
        }
    }

    /// No window of time holds more restarts than its budget.
    pub(super) fn budgets(&self, settings: &Settings) {
        let within = |mine: &[Mono], most: u32, within: Duration, whose: &str| {
            for (at, first) in mine.iter().enumerate() {
                let window = mine[at..].iter().take_while(|then| then.since(*first) < within).count();
                assert!(window <= most as usize, "{whose}: {window} restarts within {within:?} of {first}");
            }
        };
        for (service, guard) in &settings.services {
            let mine: Vec<Mono> = self.restarts.iter().filter(|r| r.1 == *service).map(|r| r.0).collect();
            within(&mine, guard.burst, guard.within, service.as_str());
        }
        let all: Vec<Mono> = self.restarts.iter().map(|r| r.0).collect();
        within(&all, settings.host.restarts, settings.host.within, "the host");
    }

    fn of(&mut self, service: &Service) -> &mut Known {
        let unit: Unit = format!("{service}.service").parse().unwrap();
        self.units.get_mut(&unit).expect("a unit of this host")
    }

    fn state(&mut self, state: &UnitState) {
        let known = self.units.get_mut(&state.unit).expect("a unit of this host");
        let runs = state.active.is_up() || state.active == ActiveState::Activating;
        if runs && known.state.is_some() && state.incarnation != known.run {
            known.stop_stands = false;
        }
        if runs || known.state.is_none() {
            known.run = state.incarnation;
        }
        known.ended |= !state.active.is_up();
        known.state = Some(state.clone());
    }

    fn job(&mut self, job: &Job) {
        let known = self.units.get_mut(&job.unit).expect("a unit of this host");
        let JobStep::Removed { result, active } = job.step else { return };
        known.over.insert(job.id);
        let acting = known.acting.and_then(|(_, _, job)| job);
        if acting == Some(job.id) {
            known.acting = None;
        }
        // a stop of ours (Undo) stands as well; what a reply has yet to tell is ours is judged then
        let maybe_ours = known.acting.is_some_and(|(_, _, job)| job.is_none());
        if result == JobResult::Done && active.is_down() && !known.own.contains(&job.id) && !maybe_ours {
            known.stop_stands = true;
        }
        if let Some(state) = &mut known.state {
            state.active = active;
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let known = self.of(&outcome.service);
        let current = known.acting.filter(|(order, _, _)| *order == outcome.order);
        match &outcome.result {
            Result::Queued { job } => {
                known.own.insert(*job);
                if let Some((order, at, _)) = current {
                    known.acting = (!known.over.contains(job)).then_some((order, at, Some(*job)));
                }
            }
            Result::Refused { .. } => {
                known.acting = known.acting.filter(|_| current.is_none());
                self.restarts.retain(|(_, _, order)| *order != outcome.order);
            }
            Result::NoReply { .. } => known.acting = known.acting.filter(|_| current.is_none()),
            Result::Done | Result::Nothing => {}
        }
    }

    fn act(&mut self, now: Mono, settings: &Settings, act: &Act) {
        if act.action == Action::Reboot {
            self.reboot(now, settings, act);
            return;
        }
        let failures = settings.services[&act.service].heartbeats.iter().map(|pulse| pulse.failures).min();
        let known = self.of(&act.service);
        assert_eq!(act.incarnation, known.run, "an order for another incarnation: {act:?}");
        let state = known.state.as_ref().expect("nothing is done to a unit that was never seen");
        let hands_off = settings.host.observe || known.paused.is_some();
        assert!(!hands_off || act.action == Action::Undo, "done in a pause: {act:?}");
        let wanted = known.wanted;
        match act.action {
            Action::Restart { .. } => {
                assert!(
                    known.deads >= failures.unwrap_or(1) || wanted,
                    "a restart without a failed heartbeat: {act:?}"
                );
            }
            Action::Start { .. } | Action::StartAfresh { .. } => {
                assert!(known.ended || wanted, "a start without an end: {act:?}");
                assert!(!state.active.is_up(), "a start of a unit that is up: {act:?}");
            }
            Action::Undo => {
                self.open.insert(act.incident, now);
                return;
            }
            Action::Reboot => return, // seen to above
            Action::Kill | Action::Cancel { .. } => {
                assert!(self.open.contains_key(&act.incident), "beside an incident: {act:?}");
                return;
            }
        }
        known.wanted = false;
        known.stop_stands &= !wanted; // whoever stopped it, the last word counts
        assert!(!known.stop_stands, "against an operator's stop: {act:?}");
        let waiting = known.acting.filter(|(_, at, _)| now.since(*at) < Duration::from_secs(30));
        let second = waiting.or(known.acting.filter(|(_, _, job)| job.is_some()));
        assert!(second.is_none(), "a second order at once: {act:?} beside {second:?}");
        known.acting = Some((act.id, now, None));
        if !wanted {
            self.restarts.push((now, act.service.clone(), act.id)); // no budget refuses an operator
        }
        self.open.insert(act.incident, now);
    }
}
