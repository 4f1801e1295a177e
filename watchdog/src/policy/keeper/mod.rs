//! One service: its stage, and what each input does to it.

mod acting;
mod decide;
mod judge;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::Serialize;

use self::acting::Acting;
use super::{
    Ids,
    beat::{Beat, Kind, Told},
    incident::Incident,
    seed::Seed,
    settings::{Guard, Host},
    tries::{HostTries, Tries},
};
use crate::model::{
    Answer, Ask, CgroupId, Decision, Exit, Fact, Hold, Incarnation, IncidentEnd, IncidentId, Known, Look,
    Mono, OnFailure, Order, OrderId, Pause, Question, Service, SignalSent, Suspicion, Tell, Unit, UnitState,
    Verdict, Warning, Why,
};

/// A dead main process that systemd has not reaped: it is given this long before the heartbeat is asked.
const REAP: Duration = Duration::from_millis(100);
/// The longest pause between two looks at a unit that is on its way somewhere.
const LOOK_LONGEST: Duration = Duration::from_secs(30);

/// What a keeper works with during one step.
pub(super) struct Desk<'a> {
    pub(super) now: Mono,
    pub(super) orders: &'a mut Vec<Order>,
    pub(super) ids: &'a mut Ids,
    pub(super) seed: &'a mut Seed,
    pub(super) host: &'a Host,
    pub(super) host_tries: &'a mut HostTries,
    pub(super) briefs: &'a BTreeMap<Service, Brief>,
    pub(super) units: &'a BTreeMap<Unit, UnitState>,
    /// Services whose heartbeat is wanted too, for this one stands behind them.
    pub(super) ask: BTreeSet<Service>,
}

/// What keepers know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Brief {
    /// It is not up, or not known to be well.
    pub(super) failing: bool,
    /// A round of heartbeats is on its way.
    pub(super) asking: bool,
    /// When it last answered; `None` when it never did or has no heartbeat.
    pub(super) alive_at: Option<Mono>,
    /// It has heartbeats.
    pub(super) asked: bool,
    /// A living unit is being stopped (counted for its first seconds, until this) or started.
    pub(super) restarting_until: Option<Mono>,
}

/// Keeps one service.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Keeper {
    pub(super) service: Service,
    pub(super) guard: Guard,
    unit: Option<UnitState>,
    stage: Stage,
    incident: Option<Incident>,
    beats: Vec<Beat>,
    tries: Tries,
    /// An operator's stop stands.
    stopped: bool,
    pause: Option<Pause>,
    /// Jobs on the unit that are not ours.
    foreign: BTreeSet<u32>,
    /// Our own last jobs: what is said of them late is not a foreign job.
    own_jobs: VecDeque<u32>,
    /// The run that is judged.
    incarnation: Option<Incarnation>,
    /// The last cgroup that the unit had.
    cgroup: Option<CgroupId>,
    /// Another hand than ours and systemd's own started this run.
    other_hand: bool,
    /// How the main process of this run ended, as the kernel told it.
    exit: Option<(Exit, Option<SignalSent>)>,
    fronts: BTreeSet<Service>,
    /// What was warned of already, by heartbeat.
    warned: BTreeMap<usize, Vec<Warning>>,
}

/// Where a service stands; see the picture above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    New,
    Down,
    Up,
    /// `run` is the incarnation that ends; `None` once another one is on its way.
    Ending {
        since: Mono,
        look_at: Mono,
        pause: Duration,
        told: bool,
        run: Option<Incarnation>,
    },
    Checking {
        plan: Plan,
        rule: String,
        order: OrderId,
        until: Mono,
    },
    Holding(Holding),
    Acting(Acting),
    Proving {
        since: Mono,
        until: Mono,
    },
}

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Holding {
    plan: Plan,
    rule: String,
    hold: Hold,
    until: Mono,
    /// When the verdict or the end was known that led here.
    known: Mono,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Plan {
    /// Of a living unit.
    Restart,
    /// Of a dead one.
    Start,
}

impl Keeper {
    pub(super) fn new(now: Mono, service: Service, guard: Guard, seed: &mut Seed) -> Keeper {
        let beats = guard.heartbeats.iter().map(|pulse| Beat::new(pulse.clone(), now, seed)).collect();
        Keeper {
            service,
            guard,
            unit: None,
            stage: Stage::New,
            incident: None,
            beats,
            tries: Tries::default(),
            stopped: false,
            pause: None,
            foreign: BTreeSet::new(),
            own_jobs: VecDeque::new(),
            incarnation: None,
            cgroup: None,
            other_hand: false,
            exit: None,
            fronts: BTreeSet::new(),
            warned: BTreeMap::new(),
        }
    }

    /// Other settings for the same unit: budgets, pauses and the incident live on, questions are asked anew.
    pub(super) fn replace(&mut self, now: Mono, guard: Guard, seed: &mut Seed) {
        if guard.heartbeats != self.guard.heartbeats {
            self.beats = guard.heartbeats.iter().map(|pulse| Beat::new(pulse.clone(), now, seed)).collect();
            self.warned.clear();
            match &self.stage {
                Stage::Up => self.begin(now, Kind::Confirm),
                Stage::Proving { .. } => self.begin(now, Kind::Probe),
                Stage::Holding(_) => self.begin(now, Kind::Linger),
                Stage::New
                | Stage::Down
                | Stage::Ending { .. }
                | Stage::Checking { .. }
                | Stage::Acting(_) => {}
            }
        }
        self.guard = guard;
    }

    pub(super) fn suspicion(&mut self, desk: &mut Desk<'_>, suspicion: Suspicion) {
        match suspicion.why {
            Why::InUse => self.in_use(desk.now),
            Why::MainExit { exit, sent } => self.main_exit(desk, suspicion.at, exit, sent),
            Why::WorkerExit { .. }
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::ListenerLost(_)
            | Why::Loss => match &self.stage {
                Stage::Up if self.has_heartbeat() => {
                    self.open(desk, suspicion.at);
                    self.step(suspicion.at, words::suspicion(&suspicion.why));
                    self.begin(desk.now, Kind::Confirm);
                    desk.ask.extend(self.leans_on());
                }
                Stage::New
                | Stage::Down
                | Stage::Up
                | Stage::Ending { .. }
                | Stage::Checking { .. }
                | Stage::Holding(_)
                | Stage::Acting(_)
                | Stage::Proving { .. } => self.step(suspicion.at, words::suspicion(&suspicion.why)),
            },
        }
    }

    pub(super) fn answer(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let Some(beat) = self.beats.get_mut(answer.heartbeat) else { return };
        let told = beat.answer(desk.now, answer.order, answer.verdict);
        let on_failure = beat.pulse.on_failure;
        let was = beat.verdict;
        if answer.verdict == Verdict::Alive {
            self.warn(desk, answer);
        }
        match told {
            Told::Open => {
                if answer.verdict != Verdict::Alive {
                    self.step(desk.now, words::answer(answer));
                }
            }
            Told::Alive => self.alive(desk, answer),
            Told::Dead => match on_failure {
                OnFailure::Restart => self.dead(desk, answer),
                OnFailure::Alert => {
                    self.step(desk.now, words::answer(answer));
                    self.alert(
                        desk,
                        format!("{}: no restart, for this heartbeat only alerts", words::answer(answer)),
                    );
                    self.calm();
                    if matches!(self.stage, Stage::Proving { .. }) && self.restarting_beats().next().is_none()
                    {
                        self.recovered(desk, "the unit is active (its heartbeats only alert)".to_owned());
                    }
                }
                OnFailure::Off => {}
            },
            Told::UnknownForLong => {
                debug_assert_eq!(was, Some(Verdict::Unknown));
                self.alert(desk, format!("cannot tell whether it is alive: {}", words::answer(answer)));
            }
        }
    }

    pub(super) fn fact(&mut self, desk: &mut Desk<'_>, fact: Fact) {
        match fact.known {
            Known::Unit(state) => {
                if state.job.is_none() && !self.is_acting() {
                    self.foreign.clear(); // read just now: the word that a job is over may have been lost
                }
                self.unit(desk, *state);
            }
            Known::Holders(holders) => self.holders(desk, fact.order, &holders),
            Known::Nothing { why } => {
                self.step(desk.now, format!("cannot look it up: {why}"));
                self.holders(desk, fact.order, &[]);
            }
        }
    }

    pub(super) fn pause(&mut self, pause: Option<Pause>) {
        self.pause = pause;
    }

    pub(super) fn stand_behind(&mut self, fronts: BTreeSet<Service>) {
        self.fronts = fronts;
    }

    /// Another service that stands behind this one wants to know whether this one is well.
    pub(super) fn ask_now(&mut self, desk: &mut Desk<'_>) {
        if self.stage == Stage::Up {
            self.begin(desk.now, Kind::Confirm);
        }
    }

    pub(super) fn wake(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        if self.pause.as_ref().is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        match &mut self.stage {
            Stage::New | Stage::Down | Stage::Up => {}
            Stage::Ending { look_at, pause, .. } => {
                if *look_at <= now {
                    *pause = (*pause * 4).min(LOOK_LONGEST);
                    *look_at = now + *pause;
                    self.look(desk, Question::Unit);
                    self.still_ending(desk);
                }
            }
            Stage::Checking { plan, rule, until, .. } => {
                if *until <= now {
                    let (plan, rule) = (*plan, rule.clone());
                    self.step(now, "nobody said in time who holds its ports");
                    self.act(desk, plan, rule);
                }
            }
            Stage::Holding(holding) => {
                if holding.until <= now {
                    self.release(desk);
                }
            }
            Stage::Acting(_) => self.acting_wake(desk),
            Stage::Proving { until, .. } => {
                // failures count from now on
                if *until <= now && self.beats.iter().any(Beat::is_probing) {
                    self.begin(now, Kind::Confirm);
                }
            }
        }
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        let stage = match &self.stage {
            Stage::New | Stage::Down | Stage::Up => None,
            Stage::Ending { look_at, .. } => Some(*look_at),
            Stage::Checking { until, .. } => Some(*until),
            Stage::Holding(holding) => Some(holding.until),
            Stage::Acting(acting) => acting.wake_at(),
            Stage::Proving { until, .. } => self.beats.iter().any(Beat::is_probing).then_some(*until),
        };
        let backstop = self.has_backstop();
        let beats = self.beats.iter().filter_map(|beat| beat.wake_at(backstop));
        beats.chain(stage).chain(self.pause.as_ref().map(|pause| pause.until)).min()
    }

    /// Sends the heartbeats whose time has come.
    pub(super) fn pump(&mut self, desk: &mut Desk<'_>) {
        let backstop = self.has_backstop();
        let incident = self.incident.as_ref().map(|incident| incident.id);
        for (heartbeat, beat) in self.beats.iter_mut().enumerate() {
            if beat.wake_at(backstop).is_none_or(|at| desk.now < at) {
                continue;
            }
            let id = desk.ids.order();
            if beat.ask(desk.now, backstop, desk.seed, id) {
                let service = self.service.clone();
                desk.orders.push(Order::Ask(Ask { id, service, heartbeat, incident }));
            }
        }
    }

    pub(super) fn brief(&self, now: Mono) -> Brief {
        let failing = match &self.stage {
            Stage::New | Stage::Up => {
                self.incident.is_some() && self.beats.iter().any(|b| b.is_asking() && b.is_sick())
            }
            Stage::Proving { .. } => self.incident.is_some(),
            Stage::Down => !self.unit.as_ref().is_some_and(|u| u.socket_activated),
            Stage::Ending { .. } | Stage::Checking { .. } | Stage::Holding(_) | Stage::Acting(_) => true,
        };
        let restarting_until = match &self.stage {
            Stage::Acting(acting) => acting.counts_until(now),
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking { .. }
            | Stage::Holding(_)
            | Stage::Proving { .. } => None,
        };
        Brief {
            failing,
            asking: self.stage == Stage::Up && self.beats.iter().any(Beat::is_asking),
            alive_at: self.beats.iter().filter_map(|beat| beat.alive_at).max(),
            asked: self.has_heartbeat(),
            restarting_until,
        }
    }

    pub(super) fn stage(&self) -> &'static str {
        match &self.stage {
            Stage::New => "not seen yet",
            Stage::Down => match &self.unit {
                Some(unit) if unit.socket_activated => "waits for a client",
                Some(_) if self.stopped => "stopped",
                Some(_) => "down",
                None => "absent",
            },
            Stage::Up => "up",
            Stage::Ending { .. } => "ending",
            Stage::Checking { .. } => "checking",
            Stage::Holding(_) if self.tries.in_quarantine() => "quarantined",
            Stage::Holding(_) => "holding",
            Stage::Acting(_) => "restarting",
            Stage::Proving { .. } => "proving",
        }
    }

    fn in_use(&mut self, now: Mono) {
        if self.stage != Stage::Up {
            return;
        }
        for beat in &mut self.beats {
            if beat.alive_at.is_none_or(|at| now.since(at) >= beat.pulse.every_in_use) {
                beat.begin(now, Kind::Confirm);
            }
        }
    }

    fn main_exit(&mut self, desk: &mut Desk<'_>, at: Mono, exit: Exit, sent: Option<SignalSent>) {
        let told = words::main_exit(&exit, sent.as_ref());
        match &self.stage {
            Stage::New | Stage::Down => return,
            Stage::Acting(_) | Stage::Checking { .. } => {
                self.step(at, told);
                return;
            }
            Stage::Holding(holding) if holding.plan == Plan::Start => {
                self.step(at, told);
                return;
            }
            Stage::Up | Stage::Ending { .. } | Stage::Proving { .. } | Stage::Holding(_) => {}
        }
        if self.foreign.is_empty() {
            self.open(desk, at);
        }
        self.step(at, told);
        self.exit = Some((exit, sent));
        self.ending(desk.now);
        self.look(desk, Question::Unit);
    }

    /// On its way somewhere: looked at again soon, then more seldom.
    fn ending(&mut self, now: Mono) {
        self.quiet_beats();
        if !matches!(self.stage, Stage::Ending { .. }) {
            let run = self.incarnation;
            self.stage = Stage::Ending { since: now, look_at: now + REAP, pause: REAP, told: false, run };
        }
    }

    /// A good heartbeat, which ends what it can end.
    fn alive(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        match &self.stage {
            Stage::Up => {
                self.tries.healthy(desk.now, &self.guard);
                self.calm();
            }
            Stage::Proving { since, .. } => {
                let since = *since;
                if self.restarting_beats().all(|beat| beat.alive_at.is_some_and(|at| at >= since)) {
                    self.recovered(desk, words::answer(answer));
                }
            }
            Stage::Holding(holding) if holding.plan == Plan::Restart => {
                if self.restarting_beats().all(|beat| beat.verdict == Some(Verdict::Alive)) {
                    let story = format!("{}: well again without our help", words::answer(answer));
                    self.recovered(desk, story);
                } else {
                    self.begin(desk.now, Kind::Linger);
                }
            }
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking { .. }
            | Stage::Holding(_)
            | Stage::Acting(_) => {}
        }
    }

    /// Every question that this incident raised was answered well: it was a false alarm, and costs no record of its own.
    fn calm(&mut self) {
        if self.stage == Stage::Up && !self.beats.iter().any(Beat::is_asking) {
            self.incident = None;
        }
    }

    fn dead(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let told = words::answer(answer);
        match &self.stage {
            Stage::Up | Stage::Proving { .. } => {
                self.open(desk, answer.began);
                self.step(desk.now, told.clone());
                self.tries.sick(desk.now, &self.guard);
                let failures = self.beats.get(answer.heartbeat).map_or(1, |beat| beat.pulse.failures);
                let rule = match failures {
                    1 => format!("heartbeat failed: {told}"),
                    _ => format!("heartbeat failed {failures} times in a row: {told}"),
                };
                self.quiet_beats();
                self.decide(desk, Plan::Restart, rule);
            }
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking { .. }
            | Stage::Holding(_)
            | Stage::Acting(_) => self.step(desk.now, told),
        }
    }

    fn recovered(&mut self, desk: &mut Desk<'_>, why: String) {
        if self.incident.is_none() && self.tries.in_quarantine() {
            self.open(desk, desk.now);
        }
        self.step(desk.now, format!("recovered: {why}"));
        self.stage = Stage::Up;
        self.quiet_beats();
        self.tries.healthy(desk.now, &self.guard);
        let ours = self.incident.as_ref().is_some_and(|incident| incident.restarts > 0);
        let superseded = std::mem::take(&mut self.other_hand) && !ours;
        self.end_incident(desk, if superseded { IncidentEnd::Superseded } else { IncidentEnd::Recovered });
    }

    fn warn(&mut self, desk: &mut Desk<'_>, answer: &Answer) {
        let warned = self.warned.entry(answer.heartbeat).or_default();
        if *warned == answer.warnings {
            return;
        }
        warned.clone_from(&answer.warnings);
        for warning in &answer.warnings {
            self.alert(desk, format!("{}: {warning}", answer.asked));
        }
    }

    fn is_acting(&self) -> bool {
        matches!(self.stage, Stage::Acting(_))
    }

    fn has_heartbeat(&self) -> bool {
        self.beats.iter().any(|beat| !beat.is_off())
    }

    fn has_backstop(&self) -> bool {
        self.stage == Stage::Up
    }

    fn restarting_beats(&self) -> impl Iterator<Item = &Beat> {
        self.beats.iter().filter(|beat| beat.pulse.on_failure == OnFailure::Restart)
    }

    fn begin(&mut self, now: Mono, kind: Kind) {
        self.beats.iter_mut().for_each(|beat| beat.begin(now, kind));
    }

    fn quiet_beats(&mut self) {
        self.beats.iter_mut().for_each(Beat::stop);
    }

    fn open(&mut self, desk: &mut Desk<'_>, at: Mono) -> IncidentId {
        let ids = &mut *desk.ids;
        let incident = self.incident.get_or_insert_with(|| {
            ids.incident += 1;
            Incident::new(IncidentId { run: ids.run, number: ids.incident }, at)
        });
        incident.id
    }

    fn step(&mut self, at: Mono, what: impl Into<String>) {
        if let Some(incident) = &mut self.incident {
            incident.step(at, what);
        }
    }

    fn end_incident(&mut self, desk: &mut Desk<'_>, end: IncidentEnd) {
        if let Some(incident) = self.incident.take() {
            let id = incident.id;
            let story = Box::new(incident.end(desk.now, end));
            self.tell(desk, Some(id), Decision::End(story));
        }
    }

    fn alert(&mut self, desk: &mut Desk<'_>, what: String) {
        let incident = self.incident.as_ref().map(|incident| incident.id);
        self.tell(desk, incident, Decision::Alert { what });
    }

    fn tell(&self, desk: &mut Desk<'_>, incident: Option<IncidentId>, decision: Decision) {
        desk.orders.push(Order::Tell(Tell {
            service: self.service.clone(),
            unit: self.guard.unit.clone(),
            incarnation: self.incarnation,
            incident,
            at: desk.now,
            decision,
        }));
    }

    fn look(&self, desk: &mut Desk<'_>, question: Question) -> OrderId {
        let id = desk.ids.order();
        let (service, unit) = (self.service.clone(), self.guard.unit.clone());
        desk.orders.push(Order::Look(Look { id, service, unit, question }));
        id
    }
}
