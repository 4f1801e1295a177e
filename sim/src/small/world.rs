//! Two services, their units, watchdog's policy and what is on its way between them; and all that may happen next.
//!
//! Invariant: one connection to systemd carries requests one way, and words and replies the other, each in their order; the
//! kernel's records keep theirs; heartbeats come back in any order. All of that is quick: time passes only when nothing is on
//! its way, to the next deadline of anybody, but for a delay, which counts as a fault.

use std::{collections::VecDeque, fmt::Write, time::Duration};

use watchdog::{
    engine::Effect,
    model::{
        Act, Action, Answer, Ask, Cause, CgroupId, End, Exit, Fact, Job, JobKind, Known, Look, Loss, Mono,
        Order, OrderId, Outcome, Phase, Port, Question, Result, Saw, Service, Sign, Source, Stall, Suspicion,
        Verdict, Why,
    },
    policy::{Input, Policy, Settings},
};

use super::key;
use crate::{
    books::Told,
    host::{Health, Host, Owner, Reply, StartWay, StopWay, Truth, Word},
    invariants::{Invariant, Judge, Violation},
    mutations::{Mutation, Tricks},
    subject::{back, orders},
};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// systemd takes the oldest request.
    Serve,
    /// watchdog hears systemd's oldest word.
    Hear,
    /// watchdog reads the kernel's oldest record.
    Record,
    /// The oldest look at the host itself is answered.
    Found,
    /// This heartbeat ends.
    Beat(usize),
    /// What this unit waited for is over.
    Alarm(usize),
    /// Nothing takes the connections of a unit.
    Stall(usize),
    Wake,
    /// Nothing is on its way: time passes until something is due.
    Pass,
    /// All is well for so long that nothing before it counts.
    Later,
    /// watchdog is back.
    Back,
    Fault(Fault),
}

/// What goes wrong, and what operators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The program of this unit exits with 1.
    Exits(usize),
    /// The same, and its next start fails.
    ExitsForLonger(usize),
    Hangs(usize),
    /// It hangs, and ignores SIGTERM.
    HangsForGood(usize),
    Stop(usize),
    Start(usize),
    /// watchdog dies; what it was told and had not heard is lost, and so is what systemd had not read.
    Crash,
    /// Time passes over what is on its way.
    Delay,
}

#[derive(Clone, Debug)]
enum Request {
    Act(Box<Act>),
    Look(Box<Look>),
    Read(usize),
}

#[derive(Clone, Debug)]
enum Said {
    Sign(Box<Sign>),
    Outcome(Box<Outcome>),
    Fact(Box<Fact>),
}

const FIRST_PORT: u16 = 8000;
const STALL: Duration = Duration::from_millis(250);
const CLIENTS: Duration = Duration::from_secs(60);
/// What jitter is drawn from, before each step: it is no part of what differs.
const SEED: u64 = 0;

#[derive(Clone, Debug)]
pub(super) struct World {
    now: Mono,
    policy: Policy,
    host: Host,
    pub(super) judge: Judge,
    tricks: Option<Tricks>,
    requests: VecDeque<Request>,
    words: VecDeque<Said>,
    records: VecDeque<Sign>,
    found: VecDeque<Fact>,
    beats: Vec<(Mono, Answer)>,
    /// When the kernel next sees that nothing takes the connections of this unit, in this run.
    stalls: Vec<(Mono, usize, CgroupId)>,
    unanswered: Vec<Act>,
    /// The run of each unit that watchdog was told of.
    known: Vec<u32>,
    dead: bool,
    /// So much more goes wrong.
    left: u32,
    /// What was told and ordered, where someone reads it.
    pub(super) log: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(
        settings: Settings,
        host: Host,
        judge: Judge,
        mutation: Option<Mutation>,
        faults: u32,
    ) -> World {
        let now = Mono(1_000_000_000_000);
        let tricks = mutation.map(Tricks::new);
        let kept = tricks.as_ref().map_or(settings.clone(), |tricks| tricks.settings(settings));
        let units = host.units.len();
        let mut world = World {
            now,
            policy: Policy::new(now, kept, SEED),
            host,
            judge,
            tricks,
            requests: (0..units).map(Request::Read).collect(),
            words: VecDeque::new(),
            records: VecDeque::new(),
            found: VecDeque::new(),
            beats: Vec::new(),
            stalls: Vec::new(),
            unanswered: Vec::new(),
            known: vec![0; units],
            dead: false,
            left: faults,
            log: None,
        };
        // a host in good health, watched: nothing of interest happens before
        while let Some(next) =
            world.moves().into_iter().find(|next| !matches!(next, Move::Fault(_) | Move::Later))
        {
            world.go(next);
        }
        world
    }

    pub(super) fn key(&self, text: &mut String) -> u64 {
        text.clear();
        let alarms: Vec<(Mono, usize)> = self.host.alarms.iter().map(|(at, unit, _)| (*at, *unit)).collect();
        let (policy, units, judge) = (&self.policy, &self.host.units, &self.judge);
        let ways = (&self.requests, &self.words, &self.records, &self.found, &self.beats, &self.stalls);
        let rest = (&self.unanswered, &self.known_runs(), self.dead, self.left, &self.tricks);
        write!(text, "{policy:?}{units:?}{alarms:?}{judge:?}{ways:?}{rest:?}").expect("a string takes it");
        key::key(text, self.now, self.rests())
    }

    /// Told as runs, so that they are ranked as such.
    fn known_runs(&self) -> Vec<CgroupId> {
        self.known.iter().map(|run| CgroupId(u64::from(*run))).collect()
    }

    fn wake_at(&self) -> Option<Mono> {
        let at = self.policy.wake_at();
        self.tricks.as_ref().map_or(at, |tricks| tricks.wake_at(at))
    }

    /// Nothing is on its way but heartbeats.
    fn is_quiet(&self) -> bool {
        self.requests.is_empty() && self.words.is_empty() && self.records.is_empty() && self.found.is_empty()
    }

    fn next_due(&self) -> Option<Mono> {
        let alarms = self.host.alarms.iter().map(|(at, _, _)| *at);
        let beats = self.beats.iter().map(|(at, _)| *at);
        // nobody looks while watchdog is dead
        let stalls = self.stalls.iter().filter(|_| !self.dead).map(|(at, _, _)| *at);
        alarms.chain(beats).chain(stalls).chain(self.wake_at()).filter(|at| *at > self.now).min()
    }

    fn soon_due(&self) -> Option<Mono> {
        self.next_due().filter(|at| at.since(self.now) <= Duration::from_nanos(key::LONG_AGO))
    }

    /// Nothing happens any more, unless something goes wrong.
    pub(super) fn rests(&self) -> bool {
        let far = self.soon_due().is_none();
        let due = self.wake_at().is_some_and(|at| at <= self.now);
        let timed = self.beats.is_empty() && self.stalls.is_empty() && self.host.alarms.is_empty();
        !self.dead && !due && self.is_quiet() && timed && far
    }

    /// Everything that may happen next.
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if !self.dead && self.wake_at().is_some_and(|at| at <= self.now) {
            return vec![Move::Wake]; // whatever comes first, this is stepped before it
        }
        let ways = [
            (self.requests.is_empty(), Move::Serve),
            (self.words.is_empty(), Move::Hear),
            (self.records.is_empty(), Move::Record),
            (self.found.is_empty(), Move::Found),
            (!self.dead, Move::Back),
        ];
        moves.extend(ways.iter().filter(|(empty, _)| !empty).map(|(_, next)| *next));
        let due = |at: &Mono| *at <= self.now;
        let beats = self.beats.iter().enumerate().filter(|(_, (at, _))| due(at));
        moves.extend(beats.map(|(at, _)| Move::Beat(at)));
        let alarms = self.host.alarms.iter().enumerate().filter(|(_, (at, _, _))| due(at));
        moves.extend(alarms.map(|(at, _)| Move::Alarm(at)));
        let stalls = self.stalls.iter().enumerate().filter(|(_, (at, _, _))| due(at) && !self.dead);
        moves.extend(stalls.map(|(at, _)| Move::Stall(at)));
        if self.rests() {
            if self.left > 0 {
                moves.push(Move::Later);
            }
        } else if (moves.is_empty() || moves == [Move::Back]) && self.soon_due().is_some() {
            moves.push(Move::Pass);
        }
        if self.left > 0 {
            moves.extend(self.faults().into_iter().map(Move::Fault));
        }
        moves
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, unit) in self.host.units.iter().enumerate() {
            if unit.active.is_up() {
                faults.extend([Fault::Exits(at), Fault::ExitsForLonger(at)]);
            }
            if unit.serves() {
                faults.extend([Fault::Hangs(at), Fault::HangsForGood(at)]);
            }
            // the stop of what has ended leaves no trace for a watchdog that does not listen
            if !unit.wanted_down && (!self.dead || unit.active.is_up()) {
                faults.push(Fault::Stop(at));
            }
            if unit.wanted_down {
                faults.push(Fault::Start(at));
            }
        }
        if !self.dead {
            faults.push(Fault::Crash);
        }
        if !self.is_quiet() && self.next_due().is_some_and(|at| at.since(self.now) < Duration::from_secs(5)) {
            faults.push(Fault::Delay);
        }
        faults
    }

    /// It happens.
    pub(super) fn go(&mut self, next: Move) {
        if let Some(log) = &mut self.log {
            log.push(format!("{} # {next:?}", self.now));
        }
        match next {
            Move::Serve => self.serve(),
            Move::Hear => match self.words.pop_front() {
                Some(Said::Sign(sign)) => {
                    self.learn(&sign);
                    self.tell(Told::Sign(&sign));
                }
                Some(Said::Outcome(outcome)) => {
                    self.unanswered.retain(|act| act.id != outcome.order);
                    self.tell(Told::Outcome(&outcome));
                }
                Some(Said::Fact(fact)) => self.tell(Told::Fact(&fact)),
                None => {}
            },
            Move::Record => {
                if let Some(sign) = self.records.pop_front() {
                    self.tell(Told::Sign(&sign));
                }
            }
            Move::Found => {
                if let Some(fact) = self.found.pop_front() {
                    self.tell(Told::Fact(&fact));
                }
            }
            Move::Beat(at) => {
                let (_, answer) = self.beats.remove(at);
                self.tell(Told::Answer(&answer));
            }
            Move::Alarm(at) => {
                let (_, unit, token) = self.host.alarms.remove(at);
                self.host.alarmed(self.now, unit, token);
                self.heed();
            }
            Move::Stall(at) => self.stalls(at),
            Move::Wake => self.tell(Told::Wake),
            Move::Pass | Move::Fault(Fault::Delay) => self.now = self.next_due().unwrap_or(self.now),
            Move::Later => self.now = self.now + Duration::from_nanos(key::LONG_AGO),
            Move::Back => self.succeed(),
            Move::Fault(
                Fault::Exits(_)
                | Fault::ExitsForLonger(_)
                | Fault::Hangs(_)
                | Fault::HangsForGood(_)
                | Fault::Stop(_)
                | Fault::Start(_)
                | Fault::Crash,
            ) => {}
        }
        if let Move::Fault(fault) = next {
            self.left -= 1;
            self.goes_wrong(fault);
        }
        self.settle(next);
    }

    /// What follows at once, and whether it may be so.
    fn settle(&mut self, next: Move) {
        self.host.drop_void_alarms();
        let hangs = |at: usize, run| {
            let unit = &self.host.units[at];
            unit.health == Health::Hangs && unit.active.is_up() && CgroupId(u64::from(unit.run)) == run
        };
        self.stalls.retain(|(_, at, run)| hangs(*at, *run));
        self.pin();
        if self.judge.broken.is_some() || self.dead {
            return;
        }
        self.judge.settled(self.now, &self.host, &self.policy, next == Move::Wake);
        if self.rests()
            && let Err(what) = self.is_well()
        {
            self.judge.breaks(Invariant::Healed, what);
        }
    }

    /// At rest: each service is up, or down for a reason, and no incident is open.
    fn is_well(&self) -> std::result::Result<(), String> {
        for ((service, stage, _), unit) in self.policy.wakings().zip(&self.host.units) {
            let fits = match stage {
                "up" => unit.serves() && !unit.wanted_down,
                "stopped" => unit.active.is_down() && unit.wanted_down,
                _ => false,
            };
            if !fits {
                let (active, wanted) = (unit.active, if unit.wanted_down { "down" } else { "up" });
                return Err(format!(
                    "{service} is kept as {stage}, its unit is {active:?} and wanted {wanted}"
                ));
            }
        }
        match self.judge.books.open.iter().next() {
            None => Ok(()),
            Some((incident, service)) => Err(format!("incident {incident} of {service} has no end")),
        }
    }

    fn goes_wrong(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Exits(at) => self.host.main_ends(now, at, Cause::Code(1), Duration::from_millis(1)),
            Fault::ExitsForLonger(at) => {
                self.host.units[at].start_way = StartWay::Fails(Duration::from_millis(20));
                self.host.main_ends(now, at, Cause::Code(1), Duration::from_millis(1));
            }
            Fault::Hangs(at) => self.hangs(at),
            Fault::HangsForGood(at) => {
                self.host.units[at].stop_way = StopWay::Ignores;
                self.hangs(at);
            }
            Fault::Stop(at) => self.operator(at, JobKind::Stop),
            Fault::Start(at) => self.operator(at, JobKind::Start),
            Fault::Crash => self.die(),
            Fault::Delay => {}
        }
        self.heed();
    }

    fn hangs(&mut self, at: usize) {
        self.host.units[at].health = Health::Hangs;
        let run = CgroupId(u64::from(self.host.units[at].run));
        self.stalls.push((self.now + STALL, at, run));
    }

    /// Seen again and again, as clients come.
    fn stalls(&mut self, place: usize) {
        let (_, at, run) = self.stalls.remove(place);
        self.stalls.push((self.now + CLIENTS, at, run));
        let port = Port(FIRST_PORT + u16::try_from(at).unwrap_or(0));
        let saw = Saw::AcceptStall(Stall { port, age: STALL, waiting: 1 });
        self.records.push_back(Sign { at: self.now, source: Source::Ebpf, saw });
    }

    fn operator(&mut self, at: usize, kind: JobKind) {
        if let Reply::Queued(_) = self.host.ask_job(self.now, at, kind, Owner::Operator, true) {
            let unit = &mut self.host.units[at];
            unit.wanted_down = kind == JobKind::Stop;
            unit.stopped_at = self.now;
            unit.was_stopped |= kind == JobKind::Stop;
        }
    }

    fn die(&mut self) {
        self.dead = true;
        self.requests.clear();
        self.words.clear();
        self.records.clear();
        self.found.clear();
        self.beats.clear();
        self.judge.books.died(&self.unanswered);
    }

    fn succeed(&mut self) {
        let mut settings = self.judge.books.settings.clone();
        let text = serde_json::to_string(&self.policy).expect("a state can be written");
        let stored: Policy = serde_json::from_str(&text).expect("a state can be read");
        self.policy = match &self.tricks {
            Some(tricks) => {
                let stored = tricks.stored(self.now, &stored, &tricks.settings(settings.clone()));
                settings = tricks.settings(settings);
                stored
            }
            None => stored,
        };
        self.dead = false;
        self.judge.books.told(self.now, Told::Settings(&self.judge.books.settings.clone()));
        let ordered = back(self.now, &mut self.policy, settings, SEED + 1);
        let effects: Vec<Effect> = ordered.into_iter().map(Effect::Order).collect();
        self.carry_out(effects);
        self.unanswered
            .retain(|act| self.requests.iter().any(|open| matches!(open, Request::Act(a) if a.id == act.id)));
        let loss = Loss { lost: 0, place: "watchdog was dead".to_owned() };
        let sign = Sign { at: self.now, source: Source::Units, saw: Saw::Loss(loss) };
        self.tell(Told::Sign(&sign));
        self.requests.extend((0..self.host.units.len()).map(Request::Read));
    }

    fn tell(&mut self, told: Told<'_>) {
        let due = self.wake_at().is_some_and(|at| at <= self.now);
        if due && !matches!(told, Told::Wake) {
            self.tell(Told::Wake);
        }
        self.line(|now| format!("{now} < {}", crate::words::told(&told)));
        self.judge.books.told(self.now, told);
        let (now, known) = (self.now, &self.known);
        let policy = &mut self.policy;
        let mut step = |told: Told<'_>| -> Vec<Effect> {
            let ordered = match told {
                Told::Wake => policy.catch_up(now),
                Told::Sign(_)
                | Told::Answer(_)
                | Told::Outcome(_)
                | Told::Fact(_)
                | Told::Command(_)
                | Told::Settings(_) => {
                    input(told, known).map_or_else(Vec::new, |input| policy.step(now, input))
                }
            };
            ordered.into_iter().map(Effect::Order).collect()
        };
        let effects = match &mut self.tricks {
            Some(tricks) => {
                let mut effects = tricks.tell(told, step);
                tricks.edit(&mut effects);
                effects
            }
            None => step(told),
        };
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            self.line(|now| format!("{now}   > {}", crate::words::effect(effect)));
        }
        self.judge.ordered(self.now, orders(&effects));
        for order in orders(&effects) {
            match order {
                Order::Ask(ask) => self.ask(ask),
                Order::Act(act) => {
                    self.unanswered.push(act.clone());
                    self.requests.push_back(Request::Act(Box::new(act.clone())));
                }
                Order::Look(look) => self.look(look),
                Order::Tell(_) => {}
            }
        }
    }

    /// A heartbeat's end is decided by what it meets when it leaves.
    fn ask(&mut self, ask: &Ask) {
        let Some(at) = self.unit_of(&ask.service) else { return };
        let unit = &self.host.units[at];
        let timeout = self.judge.books.settings.services[&ask.service].heartbeats[ask.heartbeat].timeout;
        let (verdict, end, took) = if unit.active.is_up() && unit.health == Health::Hangs {
            (Verdict::Dead, End::Late(timeout), timeout)
        } else if unit.serves() {
            (Verdict::Alive, End::Good { status: Some(200) }, Duration::ZERO)
        } else {
            (Verdict::Dead, End::Status(503), Duration::ZERO)
        };
        let answer = Answer {
            order: ask.id,
            service: ask.service.clone(),
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict,
            end,
            phase: Phase::Headers,
            asked: String::new(),
            began: self.now,
            took,
            body_bytes: 0,
            warnings: Vec::new(),
            evidence: None,
        };
        self.beats.push((self.now + took, answer));
    }

    fn look(&mut self, look: &Look) {
        let known = match look.question {
            Question::Unit => return self.requests.push_back(Request::Look(Box::new(look.clone()))),
            Question::Holders => Known::Holders(Vec::new()),
            Question::Ourselves => Known::Ourselves { fault: None },
            Question::Others => Known::Others(Box::default()),
            Question::LastWords => Known::LastWords(Vec::new()),
            Question::PidFile => Known::PidFile(None),
            Question::Pressure | Question::Preflight => Known::Nothing { why: "not here".to_owned() },
        };
        self.found.push_back(Fact { order: look.id, service: look.service.clone(), at: self.now, known });
    }

    fn serve(&mut self) {
        match self.requests.pop_front() {
            Some(Request::Act(act)) => {
                let result = self.obey(&act);
                self.heed();
                let Act { id: order, service, incident, .. } = *act;
                let outcome = Outcome { order, service, incident, requested: self.now, at: self.now, result };
                self.words.push_back(Said::Outcome(Box::new(outcome)));
            }
            Some(Request::Look(look)) => {
                let Some(at) = self.unit_of(&look.service) else { return };
                self.read(at, look.id);
            }
            Some(Request::Read(at)) => self.read(at, OrderId(0)),
            None => {}
        }
    }

    fn read(&mut self, at: usize, order: OrderId) {
        let state = self.host.units[at].state(&self.host.units[at].name);
        let service = service(at);
        self.say(Saw::Unit(Box::new(state.clone())));
        let fact = Fact { order, service, at: self.now, known: Known::Unit(Box::new(state)) };
        self.words.push_back(Said::Fact(Box::new(fact)));
    }

    fn obey(&mut self, act: &Act) -> Result {
        let (now, owner) = (self.now, Owner::Ours(act.id));
        let Some(at) = self.unit_of(&act.service) else { return Result::Nothing };
        let host = &mut self.host;
        let reply = match act.action {
            Action::Restart { reset } => {
                if reset {
                    host.reset_failed(at);
                }
                host.try_restart(now, at, owner)
            }
            Action::Start { reset } | Action::StartAfresh { reset, .. } => {
                if reset {
                    host.reset_failed(at);
                }
                host.ask_job(now, at, JobKind::Start, owner, false)
            }
            Action::Undo => host.ask_job(now, at, JobKind::Stop, owner, true),
            Action::Cancel { job } => {
                return if host.cancel(at, job) { Result::Done } else { Result::Nothing };
            }
            Action::Kill => {
                let run = act.incarnation.map(|run| u128::from_be_bytes(run.0));
                let run = run.and_then(|run| u32::try_from(run).ok());
                let killed = run.is_some_and(|run| host.kill(now, at, run));
                return if killed { Result::Done } else { Result::Nothing };
            }
        };
        match reply {
            Reply::Queued(job) => Result::Queued { job },
            Reply::Refused(error) => Result::Refused { error: error.to_owned(), text: "no".to_owned() },
        }
    }

    /// What the host did, and lets be heard.
    fn heed(&mut self) {
        for truth in std::mem::take(&mut self.host.truths) {
            self.judge.happened(self.now, &self.host, truth);
            match truth {
                // a program that was mended by its failure
                Truth::JobOver { unit, .. } if !self.host.units[unit].active.is_up() => {
                    self.host.units[unit].start_way = well();
                }
                Truth::StartBegan { unit, .. } => {
                    self.host.units[unit].stop_way = StopWay::Obeys(Duration::from_millis(5));
                }
                Truth::JobOver { .. } | Truth::StopBegan { .. } | Truth::TwoJobs { .. } => {}
            }
        }
        for word in std::mem::take(&mut self.host.words) {
            if self.dead {
                continue;
            }
            match word {
                Word::State(at) => {
                    let state = self.host.units[at].state(&self.host.units[at].name);
                    self.say(Saw::Unit(Box::new(state)));
                }
                Word::Job { unit, id, step } => {
                    let unit = self.host.units[unit].name.clone();
                    self.say(Saw::Job(Job { unit, id, step }));
                }
                Word::Exit { pid, run, cause, .. } => {
                    let cgroup = CgroupId(u64::from(run));
                    let exit = Exit { cgroup, pid, cause, comm: "program".to_owned(), more: 0 };
                    self.records.push_back(Sign { at: self.now, source: Source::Ebpf, saw: Saw::Exit(exit) });
                }
            }
        }
    }

    fn say(&mut self, saw: Saw) {
        self.words.push_back(Said::Sign(Box::new(Sign { at: self.now, source: Source::Units, saw })));
    }

    /// Whose processes the kernel's records are about.
    fn learn(&mut self, sign: &Sign) {
        if let Saw::Unit(state) = &sign.saw
            && let Some(at) = self.host.units.iter().position(|unit| unit.name == state.unit)
            && let (Some(CgroupId(run)), Some(_)) = (state.cgroup, state.main_pid)
        {
            self.known[at] = u32::try_from(run).unwrap_or(0);
        }
    }

    fn unit_of(&self, of: &Service) -> Option<usize> {
        (0..self.host.units.len()).find(|at| service(*at) == *of)
    }

    /// The same jitter for all: what was drawn from it is forgotten.
    fn pin(&mut self) {
        let text = serde_json::to_string(&self.policy).expect("a state can be written");
        let word = "\"seed\":";
        let Some(at) = text.find(word).map(|at| at + word.len()) else { return };
        let end = at + text[at..].find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        if text[at..end] != *SEED.to_string() {
            let pinned = format!("{}{SEED}{}", &text[..at], &text[end..]);
            self.policy = serde_json::from_str(&pinned).expect("a state can be read");
        }
    }

    pub(super) fn broken(&self) -> Option<&Violation> {
        self.judge.broken.as_ref()
    }

    fn line(&mut self, text: impl FnOnce(Mono) -> String) {
        if let Some(log) = &mut self.log {
            log.push(text(self.now));
        }
    }
}

pub(super) fn service(at: usize) -> Service {
    Service::new(&format!("s{at}"))
}

pub(super) fn well() -> StartWay {
    StartWay::Well(Duration::from_millis(20))
}

/// What the policy is told of it; a record of a run that watchdog does not know is nobody's.
fn input(told: Told<'_>, known: &[u32]) -> Option<Input> {
    match told {
        Told::Sign(sign) => match &sign.saw {
            Saw::Exit(exit) => {
                let at = known.iter().position(|run| u64::from(*run) == exit.cgroup.0)?;
                let why = Why::MainExit { exit: exit.clone(), sent: None };
                Some(Input::Suspicion(Suspicion { service: service(at), at: sign.at, why }))
            }
            Saw::AcceptStall(stall) => {
                let service = service(usize::from(stall.port.0.checked_sub(FIRST_PORT)?));
                let why = Why::AcceptStall(*stall);
                Some(Input::Suspicion(Suspicion { service, at: sign.at, why }))
            }
            Saw::Unit(_)
            | Saw::Job(_)
            | Saw::Loss(_)
            | Saw::SignalSent(_)
            | Saw::ListenerUp(_)
            | Saw::ListenerDown { .. }
            | Saw::AnswerStall(_)
            | Saw::StallOver(_)
            | Saw::InUse(_)
            | Saw::Listeners(_)
            | Saw::Working { .. } => Input::of(sign),
        },
        Told::Answer(answer) => Some(Input::Answer(Box::new(answer.clone()))),
        Told::Outcome(outcome) => Some(Input::Outcome(outcome.clone())),
        Told::Fact(fact) => Some(Input::Fact(fact.clone())),
        Told::Command(command) => Some(Input::Command(command.clone())),
        Told::Settings(settings) => Some(Input::Settings(Box::new(settings.clone()))),
        Told::Wake => Some(Input::Wake),
    }
}
