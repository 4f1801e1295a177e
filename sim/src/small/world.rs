//! Two services, their units, watchdog's policy and what is on its way between them; and all that may happen next.
//!
//! Invariant: one connection to systemd carries requests one way, and words and replies the other, each in their order; the
//! kernel's records keep theirs; heartbeats come back in any order. All of that is quick: time passes only when nothing is on
//! its way, to the next deadline of anybody, but for a delay, which counts as a fault.

use std::{collections::VecDeque, fmt::Write, time::Duration};

use watchdog::{
    engine::Effect,
    model::{
        Act, Answer, CgroupId, Exit, Fact, Job, Look, Loss, Mono, Order, Outcome, Saw, Service, Sign, Source,
    },
    policy::{Policy, Settings},
};

use super::{
    key,
    moves::{Fault, Move},
};
use crate::{
    books::Told,
    host::{Health, Host, StartWay, StopWay, Truth, Word},
    invariants::{Invariant, Violation},
    judge::Judge,
    mutations::{Mutation, Tricks},
    subject::{back, orders},
};

#[derive(Clone, Debug)]
pub(super) enum Request {
    Act(Box<Act>),
    Look(Box<Look>),
    Read(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Said {
    Sign(Box<Sign>),
    Outcome(Box<Outcome>),
    Fact(Box<Fact>),
}

pub(super) const FIRST_PORT: u16 = 8000;
pub(super) const STALL: Duration = Duration::from_millis(250);
pub(super) const CLIENTS: Duration = Duration::from_secs(60);
/// What jitter is drawn from, before each step: it is no part of what differs.
const SEED: u64 = 0;

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) now: Mono,
    pub(super) policy: Policy,
    pub(super) host: Host,
    pub(super) judge: Judge,
    pub(super) tricks: Option<Tricks>,
    pub(super) requests: VecDeque<Request>,
    pub(super) words: VecDeque<Said>,
    pub(super) records: VecDeque<Sign>,
    pub(super) found: VecDeque<Fact>,
    pub(super) beats: Vec<(Mono, Answer)>,
    /// When the kernel next sees that nothing takes the connections of this unit, in this run.
    pub(super) stalls: Vec<(Mono, usize, CgroupId)>,
    pub(super) unanswered: Vec<Act>,
    /// The run of each unit that watchdog was told of.
    pub(super) known: Vec<u32>,
    pub(super) dead: bool,
    /// So much more goes wrong.
    pub(super) left: u32,
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

    pub(super) fn wake_at(&self) -> Option<Mono> {
        let at = self.policy.wake_at();
        self.tricks.as_ref().map_or(at, |tricks| tricks.wake_at(at))
    }

    /// Nothing is on its way but heartbeats.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.is_empty() && self.words.is_empty() && self.records.is_empty() && self.found.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        let alarms = self.host.alarms.iter().map(|(at, _, _)| *at);
        let beats = self.beats.iter().map(|(at, _)| *at);
        // nobody looks while watchdog is dead
        let stalls = self.stalls.iter().filter(|_| !self.dead).map(|(at, _, _)| *at);
        alarms.chain(beats).chain(stalls).chain(self.wake_at()).filter(|at| *at > self.now).min()
    }

    pub(super) fn soon_due(&self) -> Option<Mono> {
        self.next_due().filter(|at| at.since(self.now) <= Duration::from_nanos(key::LONG_AGO))
    }

    /// Nothing happens any more, unless something goes wrong.
    pub(super) fn rests(&self) -> bool {
        let far = self.soon_due().is_none();
        let due = self.wake_at().is_some_and(|at| at <= self.now);
        let timed = self.beats.is_empty() && self.stalls.is_empty() && self.host.alarms.is_empty();
        !self.dead && !due && self.is_quiet() && timed && far
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
    fn is_well(&self) -> Result<(), String> {
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

    pub(super) fn die(&mut self) {
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

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
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

    /// What the host did, and lets be heard.
    pub(super) fn heed(&mut self) {
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
                    let exit = Exit { cgroup, pid, cause: Some(cause), comm: "program".to_owned(), more: 0 };
                    self.records.push_back(Sign { at: self.now, source: Source::Ebpf, saw: Saw::Exit(exit) });
                }
            }
        }
    }

    pub(super) fn say(&mut self, saw: Saw) {
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

    pub(super) fn unit_of(&self, of: &Service) -> Option<usize> {
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

    pub(super) fn line(&mut self, text: impl FnOnce(Mono) -> String) {
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
