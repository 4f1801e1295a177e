//! One service: its stage, and what each input does to it.

mod acting;
mod asked;
mod back;
mod brief;
mod checking;
mod corpse;
mod crossing;
mod deadlines;
mod decide;
mod evidence;
mod gated;
mod heard;
mod judge;
mod ladder;
mod loops;
mod needs;
mod operator;
mod others;
mod pid_file;
mod reload;
mod runs;
mod standing;
mod telling;
mod together;
mod unfit;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub(super) use self::brief::Brief;
use self::{
    acting::Acting, back::Unsure, checking::Checking, gated::Gated, ladder::Climb, loops::Loop,
    operator::Wanted, others::AtWork, unfit::Unfit,
};
use super::{
    Ids,
    beat::{Beat, Kind, Told},
    common::Common,
    incident::Incident,
    reboots::Reboots,
    seed::Seed,
    settings::{Guard, Host},
    tries::{HostTries, Tries},
};
use crate::model::{
    Answer, Ask, CgroupId, CommandRun, Decision, Exit, Fact, FileState, Gate, Hold, Incarnation, IncidentEnd,
    IncidentId, JobKind, Known, Look, Mono, OnFailure, Order, OrderId, Pause, Question, Service, SignalSent,
    Storm, Suspicion, Tell, Unit, UnitState, Verdict, Warning, Why,
};

/// A dead main process that systemd has not reaped after so long may be none of its children: systemd is asked, and then the
/// heartbeat. It reaps within a few milliseconds, and answers no question before it has.
const UNREAPED: Duration = Duration::from_millis(25);
/// For so long it is left to systemd to begin what it should.
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
    pub(super) reboots: &'a mut Reboots,
    pub(super) briefs: &'a BTreeMap<Service, Brief>,
    pub(super) units: &'a BTreeMap<Unit, UnitState>,
    /// Gates without a figure, of which it was told.
    pub(super) blind: &'a mut BTreeSet<Gate>,
    /// Services that fail together.
    pub(super) common: &'a mut Common,
    /// A request of one that left may be on its way, on whichever unit.
    pub(super) parted: bool,
    /// Services whose heartbeat is wanted too, for this one stands behind them.
    pub(super) ask: BTreeSet<Service>,
}

/// Keeps one service.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// The last verdict that it is dead.
    dead_at: Mono,
    /// A restart in this incident did not make it well.
    in_vain: bool,
    /// When it was last found well after it was not.
    well_since: Option<Mono>,
    /// It has waited long enough for what it needs: one try without it.
    waived: bool,
    /// The last unclean end of a process, while systemd names no main process.
    worker: Option<(Exit, Option<SignalSent>)>,
    /// A start or restart of ours has not come up yet: an end before it does is ours to mend, whatever `restart.on` says.
    owed: bool,
    /// The run before that.
    owed_after: Option<Incarnation>,
    /// The last start failed as one does that the program itself refuses.
    refused: bool,
    /// Our start was done, says systemd, and left the unit down.
    came_to_nothing: bool,
    /// When this run was seen to begin, or else to have come up; `None` where that was missed.
    began: Option<Mono>,
    crash_loop: Loop,
    /// What was told last of its PID file.
    pid_file_told: Option<String>,
    pause: Option<Pause>,
    /// A restart that an operator asked for, until it is requested.
    #[serde(default)]
    wanted: Option<Wanted>,
    /// Jobs on the unit that are not ours, and what they do where that is known.
    foreign: BTreeMap<u32, Option<JobKind>>,
    /// Who may have asked for one of them.
    asked_by: Option<(u32, Vec<CommandRun>)>,
    /// Whether its main process is dead without notice is being looked up, and until when the answer is waited for.
    corpse: Option<(OrderId, Mono)>,
    /// A request that was not answered in time: its reply may come yet.
    abandoned: Option<OrderId>,
    /// What became of this request shows only in a read after it; nothing is decided before.
    unheard: Option<OrderId>,
    /// A request that is not answered yet, and no read since is either: systemd may have to come to it.
    unanswered: Option<OrderId>,
    /// A request of ours of which it is not known whether it went out, for watchdog died.
    unsure: Option<Unsure>,
    /// The last stop by another hand since our last request.
    last_stop: Option<u32>,
    /// The first job since that wanted the unit up; ours, or another's who had the last word.
    started_after: Option<u32>,
    /// Our own last jobs: what is said of them late is not a foreign job.
    own_jobs: VecDeque<u32>,
    /// The run that is judged.
    incarnation: Option<Incarnation>,
    /// NRestarts when it began.
    restarts_before: u32,
    /// The last cgroup that the unit had.
    cgroup: Option<CgroupId>,
    /// Another hand than ours and systemd's own started this run.
    other_hand: bool,
    /// How the main process of this run ended, as the kernel told it.
    exit: Option<(Exit, Option<SignalSent>)>,
    fronts: BTreeSet<Service>,
    /// The service that keeps the same unit under another name.
    twin: Option<Service>,
    /// Who holds its ports, as it was told last.
    port_held_by: Option<String>,
    /// What the host is short of, while that holds this service.
    gated: Option<Gated>,
    /// What keeps it from being started again, while that holds its restart.
    unfit: Option<Unfit>,
    /// When someone heard that its workers die one after the other.
    storm_told: Option<Mono>,
    /// What was told within the last hour and is not told again before.
    seldom: BTreeMap<String, Mono>,
    /// Its last listener was lost: another may have its port by now.
    listener_lost: bool,
    /// Who else is at work, while that holds this service.
    at_work: Option<AtWork>,
    /// The run whose evidence was ordered last, and in which incident.
    #[serde(default)]
    recorded: Option<(IncidentId, Option<Incarnation>)>,
    /// What becomes of the last rung.
    climb: Climb,
    /// It has been reloading since then, and has not answered well since it was done.
    reloading: Option<Mono>,
    /// When another hand started a unit that nobody had stopped.
    by_others: VecDeque<Mono>,
    /// What was warned of already, by heartbeat.
    warned: BTreeMap<usize, Vec<Warning>>,
}

/// Where a service stands; see the picture above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    New,
    Down,
    Up,
    /// `run` is the incarnation that ends; `None` once another one is on its way. `proving`: since when it had to prove itself,
    /// where it had not yet.
    Ending {
        since: Mono,
        look_at: Mono,
        pause: Duration,
        told: bool,
        run: Option<Incarnation>,
        proving: Option<Mono>,
    },
    Checking(Checking),
    Holding(Holding),
    Acting(Acting),
    Proving {
        since: Mono,
        until: Mono,
    },
}

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            dead_at: Mono(0),
            in_vain: false,
            well_since: None,
            waived: false,
            worker: None,
            owed: false,
            owed_after: None,
            refused: false,
            came_to_nothing: false,
            began: None,
            crash_loop: Loop::default(),
            pid_file_told: None,
            pause: None,
            wanted: None,
            foreign: BTreeMap::new(),
            asked_by: None,
            corpse: None,
            abandoned: None,
            unheard: None,
            unanswered: None,
            unsure: None,
            last_stop: None,
            started_after: None,
            own_jobs: VecDeque::new(),
            incarnation: None,
            restarts_before: 0,
            cgroup: None,
            other_hand: false,
            exit: None,
            fronts: BTreeSet::new(),
            twin: None,
            port_held_by: None,
            gated: None,
            unfit: None,
            storm_told: None,
            seldom: BTreeMap::new(),
            listener_lost: false,
            at_work: None,
            recorded: None,
            climb: Climb::default(),
            reloading: None,
            by_others: VecDeque::new(),
            warned: BTreeMap::new(),
        }
    }

    /// Whether this is the run that it keeps, under another name of the unit.
    pub(super) fn is_run_of(&self, state: &UnitState) -> bool {
        let own = self.unit.as_ref().filter(|own| own.unit != state.unit);
        own.is_some_and(|own| own.incarnation.is_some() && own.incarnation == state.incarnation)
    }

    /// Both run, and not as one unit. One that is down may only not have been told of yet.
    pub(super) fn is_another_than(&self, state: &UnitState) -> bool {
        self.unit.as_ref().is_some_and(|own| {
            own.active.is_up() && state.active.is_up() && own.incarnation != state.incarnation
        })
    }

    pub(super) fn twin(&self) -> Option<&Service> {
        self.twin.as_ref()
    }

    /// Two names of one unit must not lead to two actions: the first service keeps it.
    pub(super) fn stand_beside(&mut self, desk: &mut Desk<'_>, other: &Service) {
        if self.twin.as_ref() != Some(other) {
            let unit = &self.guard.unit;
            self.alert(desk, format!("{unit} is an alias of the unit of service {other}, which keeps it; take one of the two out of the configuration"));
        }
        self.twin = Some(other.clone());
    }

    /// Its unit is another's no more.
    pub(super) fn stand_alone(&mut self) {
        self.twin = None;
    }

    /// It stood beside one that is gone, and keeps the unit from now on: what became of it shows in a read.
    pub(super) fn take_over(&mut self, desk: &mut Desk<'_>) {
        self.twin = None;
        self.look(desk, Question::Unit);
    }

    pub(super) fn wake(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        if self.pause.as_ref().is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        self.no_last_words(desk);
        self.remind(desk);
        self.reboot_overdue(desk);
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
            Stage::Checking(checking) => {
                if checking.until() <= now {
                    self.unchecked(desk);
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
            Stage::Checking(checking) => Some(checking.until()),
            Stage::Holding(holding) => Some(holding.until),
            Stage::Acting(acting) => acting.wake_at(),
            Stage::Proving { until, .. } => self.beats.iter().any(Beat::is_probing).then_some(*until),
        };
        let backstop = self.has_backstop();
        let beats = self.beats.iter().filter_map(|beat| beat.wake_at(backstop));
        let told = self.crash_loop.wake_at().into_iter().chain(self.tries.remind_at());
        let told = told.chain(self.climb.wake_at());
        beats.chain(stage).chain(told).chain(self.pause.as_ref().map(|pause| pause.until)).min()
    }

    fn is_acting(&self) -> bool {
        matches!(self.stage, Stage::Acting(_))
    }
}
