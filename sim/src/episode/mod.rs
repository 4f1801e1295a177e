//! One simulated host from its first sign to its rest: time, what is on its way, and who is told what.
//!
//! Invariant: the same seed gives the same run. Time jumps from event to event; watchdog is woken at its own deadlines, a little late,
//! as a process is. Deliberately absent: judgement (`judge`), and the rules of systemd (`host`).

mod crash;
mod faults;
mod heal;
mod heard;
mod power;
mod queue;
mod requests;

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use watchdog::{
    engine::{Core, Effect},
    model::{
        Act, Answer, Command, Fact, Known, Look, Mono, Order, Outcome, Saw, Service, Sign, Source, Unit,
    },
};

use self::{
    faults::Trouble,
    power::Power,
    queue::{Entry, Queue},
};
use crate::{
    REBOOTS,
    books::{Books, Told},
    dice::Dice,
    host::{Host, Word},
    invariants::{Invariant, Violation},
    judge::Judge,
    mutations::Mutation,
    scenario::Scenario,
    subject::{Subject, orders},
    tally::Tally,
    words,
};

/// What comes at its time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Of the host.
    Alarm {
        unit: usize,
        token: u32,
    },
    Request(Box<Act>),
    Look(Box<Look>),
    Read(Box<(Unit, Option<Service>)>),
    Fault,
    /// systemd is heard again.
    GapOver,
    /// watchdog runs again after its death.
    Successor,
    /// To watchdog.
    Sign(Box<Sign>),
    Answer(Box<Answer>),
    Outcome(Box<Outcome>),
    Fact(Box<Fact>),
    Command(Box<Command>),
    Table,
    Reconcile,
}

/// Steps of one host before its world comes to rest: from the least to twice that.
const STEPS: usize = 2_500;
/// Woken later than this, what it looks up has had most of its time already.
const BEHIND: Duration = Duration::from_millis(100);
/// Every unit is read again after this.
const RECONCILE: Duration = Duration::from_secs(300);

pub(crate) struct Episode {
    dice: Dice,
    now: Mono,
    queue: Queue,
    subject: Subject,
    /// Told the same: it must order the same.
    twin: Option<Core>,
    host: Host,
    judge: Judge,
    /// Every service, as configured at first.
    all: Scenario,
    /// What is in force.
    current: Scenario,
    trouble: Trouble,
    power: Power,
    /// Signs of systemd arrive in their order, and no sooner than this.
    words_due: Mono,
    requests_due: Mono,
    /// watchdog is held up until then.
    busy_until: Mono,
    /// How late it is woken.
    late: Duration,
    table_ordered: bool,
    /// The last state that was told, by the name of the unit.
    newest: BTreeMap<Unit, Box<Sign>>,
    /// Requests of which watchdog has heard nothing yet.
    unanswered: Vec<Act>,
    /// watchdog is dead; what it had stored.
    dead: Option<Box<watchdog::policy::Policy>>,
    crash: Option<crash::Point>,
    /// Words or replies were lost: some things can only be guessed.
    guesses: bool,
    steps: u64,
    pub(crate) tally: Tally,
    pub(crate) log: VecDeque<String>,
    /// How much of the log is kept, where it is.
    lines: Option<usize>,
}

impl Episode {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>, lines: Option<usize>) -> Episode {
        let mut dice = Dice::new(seed);
        let all = Scenario::new(&mut dice, seed >= REBOOTS);
        let mut host = Host::default();
        all.units.iter().for_each(|unit| host.add(unit.clone()));
        let now = Mono(1_000_000_000);
        let jitter = dice.next();
        let subject = Subject::new(now, all.policy.clone(), all.suspicion.clone(), jitter, mutation);
        let free = u64::from(mutation == Some(Mutation::FreeJitter));
        let compared = dice.permille(120);
        let twin = (compared && mutation.is_none_or(|m| m == Mutation::FreeJitter))
            .then(|| Core::new(now, all.policy.clone(), all.suspicion.clone(), jitter + free));
        let judge = Judge::new(Books::new(all.policy.clone()), all.homes.clone(), host.units.len());
        let trouble = Trouble::new(&mut dice);
        let mut episode = Episode {
            dice,
            now,
            queue: Queue::default(),
            subject,
            twin,
            host,
            judge,
            current: all.clone(),
            all,
            trouble,
            power: Power::default(),
            words_due: now,
            requests_due: now,
            busy_until: now,
            late: Duration::ZERO,
            table_ordered: false,
            newest: BTreeMap::new(),
            unanswered: Vec::new(),
            dead: None,
            crash: None,
            guesses: false,
            steps: 0,
            tally: Tally::default(),
            log: VecDeque::new(),
            lines,
        };
        for unit in 0..episode.host.units.len() {
            episode.host.words.push(Word::State(unit));
        }
        episode.heed();
        episode.order_table();
        episode.queue.push(now + RECONCILE, Event::Reconcile);
        episode.next_fault();
        episode
    }

    /// Runs to the end, or to the first broken invariant.
    pub(crate) fn run(&mut self) -> Option<Violation> {
        let most = STEPS + self.dice.below(STEPS);
        while self.steps < most as u64 && self.judge.broken.is_none() {
            self.advance();
        }
        if self.judge.broken.is_none() {
            self.heal();
        }
        self.tally.steps = self.steps;
        self.tally.episodes = 1;
        self.judge.broken.take()
    }

    /// The next thing happens.
    fn advance(&mut self) {
        let wake = self.subject.wake_at().filter(|_| self.dead.is_none());
        let wake = wake.map(|at| (at + self.late).max(self.now).max(self.busy_until));
        match (self.queue.next_at(), wake) {
            (Some(at), Some(wake)) if wake < at => self.wake(wake),
            (None, Some(wake)) => self.wake(wake),
            (Some(_), _) => {
                let Some(entry) = self.queue.pop() else { return };
                self.now = self.now.max(entry.at);
                self.event(entry);
            }
            (None, None) => self.next_fault(),
        }
    }

    fn wake(&mut self, at: Mono) {
        self.now = self.now.max(at);
        self.late = match self.dice.below(8) {
            0..6 => Duration::ZERO,
            6 => self.dice.between(Duration::ZERO, Duration::from_millis(2)),
            _ => self.dice.spread(Duration::from_millis(1), Duration::from_millis(300)),
        };
        self.step(Told::Wake);
    }

    fn event(&mut self, entry: Entry) {
        let for_watchdog = match entry.event {
            Event::Sign(_)
            | Event::Answer(_)
            | Event::Outcome(_)
            | Event::Fact(_)
            | Event::Command(_)
            | Event::Table
            | Event::Reconcile => true,
            Event::Alarm { .. }
            | Event::Request(_)
            | Event::Look(_)
            | Event::Read(_)
            | Event::Fault
            | Event::GapOver
            | Event::Successor => false,
        };
        if for_watchdog && self.now < self.busy_until {
            return self.queue.hold_up(entry, self.busy_until);
        }
        match entry.event {
            Event::Alarm { unit, token } => {
                self.host.alarmed(self.now, unit, token);
                self.heed();
            }
            Event::Request(act) => self.serve(*act),
            Event::Look(look) => self.look(*look),
            Event::Read(read) => self.read(&read.0, read.1),
            Event::Fault => self.fault(),
            Event::GapOver => self.gap_over(),
            Event::Successor => self.succeed(),
            Event::Sign(sign) => self.sign(sign),
            Event::Answer(answer) => self.step(Told::Answer(&answer)),
            Event::Outcome(outcome) => {
                self.step(Told::Outcome(&outcome));
            }
            Event::Fact(mut fact) => {
                if let Known::Unit(state) = &mut fact.known
                    && let Some(Saw::Unit(newest)) = self.newest.get(&state.unit).map(|sign| &sign.saw)
                {
                    state.clone_from(newest); // the last sign is what is true
                }
                self.step(Told::Fact(&fact));
            }
            Event::Command(command) => self.step(Told::Command(&command)),
            Event::Table => {
                self.table_ordered = false;
                let sign = Sign { at: self.now, source: Source::SockDiag, saw: Saw::Listeners(self.table()) };
                self.step(Told::Sign(&sign));
            }
            Event::Reconcile => {
                self.queue.push(self.now + RECONCILE, Event::Reconcile);
                self.reconcile();
            }
        }
    }

    fn sign(&mut self, sign: Box<Sign>) {
        self.step(Told::Sign(&sign));
        if let Saw::Unit(state) = &sign.saw
            && self.dead.is_none()
        {
            match self.newest.get_mut(&state.unit) {
                Some(newest) => *newest = sign,
                None => drop(self.newest.insert(state.unit.clone(), sign)),
            }
        }
    }

    /// watchdog is told something; what it was to be woken for comes first.
    pub(super) fn step(&mut self, told: Told<'_>) {
        let due = self.subject.wake_at().is_some_and(|at| at <= self.now);
        if due && !matches!(told, Told::Wake) {
            self.one_step(Told::Wake);
        }
        self.one_step(told);
    }

    fn one_step(&mut self, told: Told<'_>) {
        if self.dead.is_some() || self.judge.broken.is_some() {
            return;
        }
        let behind = self.subject.wake_at().is_some_and(|at| self.now.since(at) > BEHIND);
        let point = self.crash.take();
        let before = point.filter(|p| *p == crash::Point::NotStored);
        let before = before
            .map(|_| (self.subject.stored(self.now, &self.current.policy), self.judge.clone()))
            .map(|(stored, judge)| Box::new((stored, judge, self.unanswered.clone())));
        if let Told::Outcome(outcome) = told {
            self.unanswered.retain(|act| act.id != outcome.order);
        }
        self.steps += 1;
        self.tally.told(&told);
        self.line(|now| format!("{now} < {}", words::told(&told)));
        self.judge.books.told(self.now, told);
        let effects = self.subject.tell(self.now, told, &self.current.suspicion);
        self.compare(told, &effects);
        for effect in &effects {
            self.line(|now| format!("{now}   > {}", words::effect(effect)));
        }
        if let Some(before) = before {
            // a stop of a failed unit leaves no other trace than the words of its job
            self.guesses |= matches!(told, Told::Sign(sign) if matches!(sign.saw, Saw::Job(_)));
            return self.die_before(*before);
        }
        self.judge.ordered(self.now, orders(&effects));
        if behind {
            self.judge.books.forget_looks(); // they count from when it should have been woken
        }
        let woken = matches!(told, Told::Wake);
        if woken || self.steps.is_multiple_of(8) {
            self.judge.settled(self.now, &self.host, self.subject.policy(), woken);
        }
        if self.steps.is_multiple_of(64) {
            for (_, stage, _) in self.subject.policy().wakings() {
                self.tally.count("stage", stage);
            }
        }
        match point {
            Some(point) => self.die(point, effects),
            None => self.carry_out(effects),
        }
    }

    fn compare(&mut self, told: Told<'_>, effects: &[Effect]) {
        let Some(twin) = &mut self.twin else { return };
        let again = crate::subject::tell(twin, self.now, told, &self.current.suspicion);
        if again != effects {
            let what = format!("once {effects:?}, once {again:?}");
            self.judge.breaks(Invariant::SameOrders, what);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Order(order) => {
                    self.tally.ordered(&order);
                    match order {
                        Order::Ask(ask) => self.ask(&ask),
                        Order::Act(act) => self.request(act),
                        Order::Look(look) => self.request_look(look),
                        Order::Tell(_) => {}
                    }
                }
                Effect::ReadListeners => self.order_table(),
                Effect::Reconcile => self.reconcile(),
                Effect::Suspicion(_)
                | Effect::Found(_)
                | Effect::HeldUp(_)
                | Effect::Watch(_)
                | Effect::TellState => {}
            }
        }
    }

    fn line(&mut self, text: impl FnOnce(Mono) -> String) {
        let Some(lines) = self.lines else { return };
        if self.log.len() >= lines {
            self.log.pop_front();
        }
        self.log.push_back(text(self.now));
    }
}
