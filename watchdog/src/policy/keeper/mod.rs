//! One service: its stage, and what each input does to it.

mod acting;
mod asked;
mod brief;
mod deadlines;
mod decide;
mod judge;
mod telling;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::Serialize;

use self::acting::Acting;
pub(super) use self::brief::Brief;
use super::{
    Ids,
    beat::{Beat, Kind, Told},
    incident::Incident,
    seed::Seed,
    settings::{Guard, Host},
    tries::{HostTries, Tries},
};
use crate::model::{
    Answer, Ask, CgroupId, Decision, Exit, Fact, Hold, Incarnation, IncidentEnd, IncidentId, JobKind, Known,
    Look, Mono, OnFailure, Order, OrderId, Pause, Question, Service, SignalSent, Suspicion, Tell, Unit,
    UnitState, Verdict, Warning, Why,
};

/// A dead main process that systemd has not reaped: it is given this long before the heartbeat is asked.
const REAP: Duration = Duration::from_millis(100);
/// The longest pause between two looks at a unit that is on its way somewhere.
const LOOK_LONGEST: Duration = Duration::from_secs(30);

/// systemd answers in milliseconds; a unit of which nothing is known after this is told.
const UNSEEN: Duration = Duration::from_secs(30);

/// Why it counts as well where nothing can be asked.
const NO_HEARTBEAT: &str = "the unit is active (it has no heartbeat)";

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
    /// systemd's words were missed: a stop may be known only by what it left behind.
    gap: bool,
    /// When someone hears that systemd says nothing of the unit.
    unseen: Option<Mono>,
    /// A restart in this incident did not make it well.
    in_vain: bool,
    /// It has waited long enough for what it needs: one try without it.
    waived: bool,
    /// The last unclean end of a process, while systemd names no main process.
    worker: Option<(Exit, Option<SignalSent>)>,
    /// A start or restart of ours has not come up yet: an end before it does is ours to mend, whatever `restart.on` says.
    owed: bool,
    pause: Option<Pause>,
    /// Jobs on the unit that are not ours, and what they do where that is known.
    foreign: BTreeMap<u32, Option<JobKind>>,
    /// A request that was not answered in time: its reply may come yet.
    abandoned: Option<OrderId>,
    /// What became of this request shows only in a read after it; nothing is decided before.
    unheard: Option<OrderId>,
    /// The last stop by another hand since our last request.
    last_stop: Option<u32>,
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
    /// Who holds its ports, as it was told last.
    port_held_by: Option<String>,
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
    /// Since when it waits for this.
    since: Mono,
    /// Someone heard that it waits for long.
    told: bool,
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
            gap: false,
            unseen: Some(now + UNSEEN),
            in_vain: false,
            waived: false,
            worker: None,
            owed: false,
            pause: None,
            foreign: BTreeMap::new(),
            abandoned: None,
            unheard: None,
            last_stop: None,
            own_jobs: VecDeque::new(),
            incarnation: None,
            cgroup: None,
            other_hand: false,
            exit: None,
            fronts: BTreeSet::new(),
            port_held_by: None,
            warned: BTreeMap::new(),
        }
    }

    /// Other settings for the same unit: budgets, pauses and the incident live on, questions are asked anew.
    pub(super) fn replace(&mut self, desk: &mut Desk<'_>, guard: Guard) {
        let other = guard.heartbeats != self.guard.heartbeats;
        self.guard = guard;
        if !other {
            return;
        }
        let now = desk.now;
        let beats = self.guard.heartbeats.iter();
        self.beats = beats.map(|pulse| Beat::new(pulse.clone(), now, desk.seed)).collect();
        self.warned.clear();
        match &self.stage {
            Stage::Up => {
                self.begin(now, Kind::Confirm);
                self.calm(desk, NO_HEARTBEAT.to_owned());
            }
            Stage::Proving { .. } => self.prove(desk),
            Stage::Holding(holding) if holding.plan == Plan::Restart => self.begin(now, Kind::Linger),
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking { .. }
            | Stage::Holding(_)
            | Stage::Acting(_) => {}
        }
    }

    /// It is in the configuration no more: what was begun is told to its end.
    pub(super) fn leave(mut self, desk: &mut Desk<'_>) {
        if self.incident.as_ref().is_some_and(|incident| incident.told) {
            self.step(desk.now, "left alone: it is not in the configuration any more");
            self.end_incident(desk, IncidentEnd::StoodDown);
        }
    }

    pub(super) fn suspicion(&mut self, desk: &mut Desk<'_>, suspicion: Suspicion) {
        match suspicion.why {
            Why::InUse => self.in_use(desk.now),
            Why::MainExit { exit, sent } => self.main_exit(desk, suspicion.at, exit, sent),
            Why::WorkerExit { .. }
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::ListenerLost(_)
            | Why::Loss => {
                self.remember_worker(&suspicion.why);
                match &self.stage {
                    Stage::Up if self.has_heartbeat() => {
                        self.open(desk, suspicion.at);
                        self.step(suspicion.at, words::suspicion(&suspicion.why));
                        self.doubt(desk.now, suspicion.at);
                        desk.ask.extend(self.leans_on());
                    }
                    Stage::Ending { .. } | Stage::Holding(_) | Stage::Acting(_)
                        if suspicion.why == Why::Loss =>
                    {
                        // what is waited for may be over, and the word of it lost
                        self.step(suspicion.at, words::suspicion(&suspicion.why));
                        self.look(desk, Question::Unit);
                    }
                    Stage::New
                    | Stage::Down
                    | Stage::Up
                    | Stage::Ending { .. }
                    | Stage::Checking { .. }
                    | Stage::Holding(_)
                    | Stage::Acting(_)
                    | Stage::Proving { .. } => self.step(suspicion.at, words::suspicion(&suspicion.why)),
                }
            }
        }
    }

    /// systemd's words were missed for a while.
    pub(super) fn missed_words(&mut self) {
        self.gap = true;
    }

    /// Where systemd names no main process (Type=forking without PIDFile=), the last process that ended says how the unit did.
    fn remember_worker(&mut self, why: &Why) {
        let no_main =
            self.unit.as_ref().is_some_and(|unit| unit.main_pid.is_none() && unit.main_ended.is_none());
        if let (Why::WorkerExit { exit, sent }, true) = (why, no_main) {
            self.worker = Some((exit.clone(), sent.clone()));
        }
    }

    pub(super) fn fact(&mut self, desk: &mut Desk<'_>, fact: Fact) {
        match fact.known {
            Known::Unit(state) => {
                // read after every signal before it: a job that is not there is over, though the word of it was lost
                let job = state.job.map(|job| job.id);
                let down = state.active.is_down();
                let may_stop = |kind: &Option<JobKind>| matches!(kind, None | Some(JobKind::Stop));
                let lost_stop = self
                    .foreign
                    .iter()
                    .find(|(id, kind)| Some(**id) != job && may_stop(kind))
                    .map(|(id, _)| *id);
                self.foreign.retain(|foreign, _| Some(*foreign) == job);
                self.acting_read(desk, fact.order, job);
                self.unheard = self.unheard.filter(|request| *request > fact.order);
                if let Some(stop) = lost_stop.filter(|_| down && !self.is_acting()) {
                    // a job of another that may have been a stop is over, and the unit is down: the operator wins
                    self.last_stop = Some(stop);
                    self.stopped = true;
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

    pub(super) fn wake(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        if self.pause.as_ref().is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        match &mut self.stage {
            Stage::New | Stage::Down | Stage::Up => self.unseen_for_long(desk),
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
                    self.act_or_hold(desk, plan, rule);
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
            Stage::New => self.unseen,
            Stage::Down | Stage::Up => None,
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

    fn unseen_for_long(&mut self, desk: &mut Desk<'_>) {
        if self.stage == Stage::New && self.unseen.is_some_and(|at| at <= desk.now) {
            self.unseen = None;
            let unit = &self.guard.unit;
            self.alert(
                desk,
                format!(
                    "systemd says nothing of {unit} since {UNSEEN:?}: it is not guarded; see watchdog's log"
                ),
            );
        }
    }

    fn main_exit(&mut self, desk: &mut Desk<'_>, at: Mono, exit: Exit, sent: Option<SignalSent>) {
        let told = words::main_exit(&exit, sent.as_ref());
        match &self.stage {
            Stage::New | Stage::Down => return,
            Stage::Acting(acting) => {
                if acting.is_starting() {
                    self.exit = Some((exit, sent));
                }
                self.step(at, told);
                return;
            }
            Stage::Checking { .. } => {
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
        // systemd reaps and tells by itself; to ask it now would cost it milliseconds before that
        self.ending(desk.now);
    }

    /// On its way somewhere: looked at again soon, then more seldom.
    fn ending(&mut self, now: Mono) {
        self.quiet_beats();
        if !matches!(self.stage, Stage::Ending { .. }) {
            let run = match &self.stage {
                Stage::Acting(acting) => acting.old, // a later one has to prove itself
                Stage::New
                | Stage::Down
                | Stage::Up
                | Stage::Ending { .. }
                | Stage::Checking { .. }
                | Stage::Holding(_)
                | Stage::Proving { .. } => self.incarnation,
            };
            self.stage = Stage::Ending { since: now, look_at: now + REAP, pause: REAP, told: false, run };
        }
    }

    /// An operator's pause, or `observe`: nothing is done to the unit.
    fn hands_off(&self, desk: &Desk<'_>) -> bool {
        desk.host.observe || self.pause.as_ref().is_some_and(|pause| pause.until > desk.now)
    }

    fn is_acting(&self) -> bool {
        matches!(self.stage, Stage::Acting(_))
    }
}
