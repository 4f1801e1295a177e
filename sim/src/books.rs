//! What watchdog was told, what it ordered and what came of it: the books that the invariants go by.
//!
//! Invariant: kept from the outside, of inputs, orders and the deeds of the simulated systemd; nothing of it is read from the
//! policy. Deliberately absent: judgement; that is `judge`.

mod units;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use watchdog::{
    model::{
        Act, Action, ActiveState, Answer, Command, Fact, Incarnation, IncidentId, Known, LoadState, Mono,
        OnFailure, OrderId, Outcome, Preflight, Result, Saw, Service, Sign, Source, Unit, Verdict,
    },
    policy::{Dependency, Guard, Settings},
};

use crate::book::{Acting, Book};

/// A request that systemd does not answer is given up after this.
const REPLY: Duration = Duration::from_secs(30);
/// A look that takes longer is not waited for, and stands against nothing: half a second from the moment at which it was due,
/// after which watchdog may have been woken a little late.
const QUICK: Duration = Duration::from_millis(400);
/// So many jobs are kept in mind.
const JOBS: usize = 64;

/// One thing that watchdog is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told<'a> {
    Sign(&'a Sign),
    Answer(&'a Answer),
    Outcome(&'a Outcome),
    Fact(&'a Fact),
    Command(&'a Command),
    Settings(&'a Settings),
    Wake,
}

/// The books of all services.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) settings: Settings,
    pub(crate) services: BTreeMap<Service, Book>,
    /// Units that services need.
    pub(crate) needed: BTreeMap<Unit, (ActiveState, LoadState)>,
    /// Incidents that cost something and have not ended.
    pub(crate) open: BTreeMap<IncidentId, Service>,
    pub(crate) closed: BTreeMap<IncidentId, Mono>,
    /// When the host was rebooted last.
    pub(crate) booted: Mono,
    /// The last reboot that was asked for, and whether watchdog knows that it does not come.
    pub(crate) reboot: Option<(OrderId, Mono, bool)>,
    /// Restarts and starts of the whole host.
    pub(crate) tries: VecDeque<(Mono, OrderId)>,
    /// Requests of which watchdog never heard, for it died: they count if systemd began a run upon them.
    maybe: Vec<(Mono, OrderId, Service)>,
    /// Requests upon which systemd began a run.
    began: VecDeque<OrderId>,
}

impl Books {
    pub(crate) fn new(settings: Settings) -> Books {
        let mut books = Books {
            settings: settings.clone(),
            services: BTreeMap::new(),
            needed: BTreeMap::new(),
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            booted: Mono(0),
            reboot: None,
            tries: VecDeque::new(),
            maybe: Vec::new(),
            began: VecDeque::new(),
        };
        books.settings(Mono(0), settings);
        books
    }

    pub(crate) fn guard(&self, service: &Service) -> Option<&Guard> {
        self.settings.services.get(service)
    }

    /// Whether a job of ours may still be on the unit, as far as watchdog can know.
    pub(crate) fn busy(&self, service: &Service, now: Mono) -> Option<Acting> {
        let acting = self.services.get(service)?.acting?;
        (acting.job.is_some() || now.since(acting.at) < REPLY).then_some(acting)
    }

    /// What is about to be told.
    pub(crate) fn told(&mut self, now: Mono, told: Told<'_>) {
        match told {
            Told::Sign(sign) => match &sign.saw {
                Saw::Unit(state) => self.state(now, state),
                Saw::Job(job) => self.job(now, job),
                Saw::Exit(exit) => {
                    let cgroup = Incarnation(u128::from(exit.cgroup.0).to_be_bytes());
                    let of_run = |book: &&mut Book| book.run == Some(cgroup);
                    self.services.values_mut().filter(of_run).for_each(|book| book.ended = true);
                }
                Saw::SignalSent(_)
                | Saw::ListenerUp(_)
                | Saw::ListenerDown { .. }
                | Saw::AcceptStall(_)
                | Saw::AnswerStall(_)
                | Saw::StallOver(_)
                | Saw::InUse(_)
                | Saw::OomKill(_)
                | Saw::ServerErrors(_)
                | Saw::LogErrors(_)
                | Saw::UnixStall(_)
                | Saw::CommandRun(_)
                | Saw::Serving(_)
                | Saw::Listeners(_)
                | Saw::Working { .. } => {}
                Saw::Loss(_) => {
                    let missed = sign.source == Source::Units;
                    self.services.values_mut().for_each(|book| book.gap |= missed);
                }
            },
            Told::Answer(answer) => self.answer(now, answer),
            Told::Outcome(outcome) => self.outcome(now, outcome),
            Told::Fact(fact) => match &fact.known {
                Known::Unit(state) => {
                    let job = state.job.map(|job| job.id);
                    if let Some(book) = self.services.get_mut(&fact.service) {
                        // a read without our job says that it is over
                        let over = |acting: &Acting| {
                            acting.order < fact.order && acting.job.is_some() && acting.job != job
                        };
                        book.acting = book.acting.filter(|acting| !over(acting));
                    }
                    self.state(now, state);
                }
                Known::Holders(holders) => {
                    let book = self.services.get_mut(&fact.service);
                    let book = book.filter(|book| now.since(book.looked_at) < QUICK);
                    found(book.and_then(|book| book.held_port.as_mut()), fact, !holders.is_empty());
                }
                Known::Preflight(preflight) => {
                    let failed = matches!(preflight, Preflight::Failed { .. });
                    let book = self.services.get_mut(&fact.service);
                    found(book.and_then(|book| book.broken.as_mut()), fact, failed);
                }
                Known::Pressure(pressure) => {
                    let least = self.settings.host.gates.disk_free;
                    let full = pressure.disks.iter().any(|disk| disk.blocks < least);
                    let book = self.services.get_mut(&fact.service);
                    let book = book.filter(|book| now.since(book.looked_at) < QUICK);
                    found(book.and_then(|book| book.full_disk.as_mut()), fact, full);
                }
                Known::Nothing { .. }
                | Known::Fronts(_)
                | Known::PidFile(_)
                | Known::Ourselves { .. }
                | Known::Others(_)
                | Known::LastWords(_)
                | Known::MainProcess { .. }
                | Known::Recorded(_)
                | Known::Asked { .. } => {}
            },
            Told::Command(Command::Pause { service, pause }) => {
                if let Some(book) = self.services.get_mut(service) {
                    book.paused = Some(pause.until);
                }
            }
            Told::Command(Command::Resume { service }) => {
                if let Some(book) = self.services.get_mut(service) {
                    book.paused = None;
                }
            }
            Told::Settings(settings) => self.settings(now, settings.clone()),
            Told::Command(Command::Restart { .. } | Command::Reload { .. }) | Told::Wake => {}
        }
    }

    /// An order that was found lawful.
    pub(crate) fn acted(&mut self, at: Mono, act: &Act) {
        let Some(guard) = self.settings.services.get(&act.service) else { return };
        let Some(book) = self.services.get_mut(&act.service) else { return };
        let living = match act.action {
            Action::Restart { .. } => true,
            Action::Start { .. } | Action::StartAfresh { .. } => false,
            Action::Undo => {
                book.acting = None;
                self.open.insert(act.incident, act.service.clone());
                return;
            }
            Action::Reboot => {
                self.reboot = Some((act.id, at, false));
                self.open.insert(act.incident, act.service.clone());
                return;
            }
            Action::Kill | Action::Cancel { .. } => return,
        };
        book.owed = Some(book.run);
        book.acting = Some(Acting { order: act.id, at, job: None, living });
        book.tried += u32::from(book.quarantined.is_some());
        book.tries.push_back((at, act.id));
        book.not_before = at + pause(guard);
        (book.waived, book.spited) = (false, false);
        self.tries.push_back((at, act.id));
        self.open.insert(act.incident, act.service.clone());
        let longest = self.settings.host.within.max(guard.within);
        book.tries.retain(|(then, _)| at.since(*then) < longest);
        self.tries.retain(|(then, _)| at.since(*then) < longest);
    }

    /// An incident came to its end.
    pub(crate) fn closed(&mut self, at: Mono, service: &Service, incident: IncidentId) {
        self.open.remove(&incident);
        self.closed.insert(incident, at);
        let Some(book) = self.services.get_mut(service) else { return };
        book.beats.iter_mut().for_each(|(failures, _)| *failures = 0);
        book.ended = book.state.is_some_and(|(active, _, _)| !active.is_up());
    }

    /// What is looked up is not waited for.
    pub(crate) fn forget_looks(&mut self) {
        for book in self.services.values_mut() {
            (book.held_port, book.broken, book.full_disk) = (None, None, None);
        }
    }

    /// systemd began a run upon a request of ours.
    pub(crate) fn began(&mut self, order: OrderId) {
        if self.began.len() == JOBS {
            self.began.pop_front();
        }
        self.began.push_back(order);
        let Some(at) = self.maybe.iter().position(|(_, maybe, _)| *maybe == order) else { return };
        let (at, order, service) = self.maybe.remove(at);
        self.tries.push_back((at, order));
        if let Some(book) = self.services.get_mut(&service) {
            book.tries.push_back((at, order));
        }
    }

    /// watchdog died: what was on its way has no one to hear of it.
    pub(crate) fn died(&mut self, unanswered: &[Act]) {
        for act in unanswered.iter().filter(|act| !self.began.contains(&act.id)) {
            let Some(book) = self.services.get_mut(&act.service) else { continue };
            let Some((at, order)) = book.tries.iter().find(|(_, order)| *order == act.id).copied() else {
                continue;
            };
            book.tries.retain(|(_, other)| *other != order);
            self.tries.retain(|(_, other)| *other != order);
            self.maybe.push((at, order, act.service.clone()));
            book.not_before = Mono(0);
        }
        for book in self.services.values_mut() {
            book.acting = None;
            (book.held_port, book.broken, book.full_disk) = (None, None, None);
            book.warming = None;
        }
    }

    fn settings(&mut self, now: Mono, settings: Settings) {
        let before = std::mem::replace(&mut self.settings, settings);
        let settings = &self.settings;
        let moved = |service: &Service| {
            let then = before.services.get(service).map(|guard| &guard.unit);
            then != settings.services.get(service).map(|guard| &guard.unit)
        };
        self.services.retain(|service, _| settings.services.contains_key(service) && !moved(service));
        // what nobody needs is not watched, and unknown when it is needed again
        let needs = |guard: &Guard, unit: &Unit| guard.depends_on.contains(&Dependency::Unit(unit.clone()));
        self.needed.retain(|unit, _| settings.services.values().any(|guard| needs(guard, unit)));
        for (service, guard) in &settings.services {
            let book = self
                .services
                .entry(service.clone())
                .or_insert_with(|| Book { since: now, ..Book::default() });
            let same = before.services.get(service).is_some_and(|then| then.heartbeats == guard.heartbeats);
            if !same || book.beats.len() != guard.heartbeats.len() {
                book.beats = vec![(0, None); guard.heartbeats.len()];
                book.warming = None; // a unit that was up without a heartbeat is asked at once when it has one
            }
            // a pause that another setting had made is over with it, at the latest when that one's is
            let longest = before.services.get(service).map_or(pause(guard), pause).min(pause(guard));
            if let Some((last, _)) = book.tries.back() {
                book.not_before = book.not_before.min(*last + longest);
            }
        }
    }

    fn answer(&mut self, now: Mono, answer: &Answer) {
        let Some(guard) = self.settings.services.get(&answer.service) else { return };
        let Some(book) = self.services.get_mut(&answer.service) else { return };
        let Some((failures, verdict)) = book.beats.get_mut(answer.heartbeat) else { return };
        let restarts =
            guard.heartbeats.get(answer.heartbeat).is_some_and(|p| p.on_failure == OnFailure::Restart);
        match answer.verdict {
            Verdict::Dead => {
                *failures += 1;
                *verdict = Some(Verdict::Dead);
                book.last_dead = restarts.then_some(now).or(book.last_dead);
            }
            Verdict::Alive => {
                *verdict = Some(Verdict::Alive);
                book.warming = None;
            }
            Verdict::Unknown => {}
        }
    }

    fn outcome(&mut self, now: Mono, outcome: &Outcome) {
        if let Some((order, _, over)) = &mut self.reboot
            && *order == outcome.order
        {
            *over = matches!(outcome.result, Result::Refused { .. } | Result::Nothing);
            return;
        }
        let Some(book) = self.services.get_mut(&outcome.service) else { return };
        let current = book.acting.is_some_and(|acting| acting.order == outcome.order);
        let waited_for = book.acting.is_some_and(|acting| current && now.since(acting.at) < REPLY);
        match &outcome.result {
            Result::Queued { job } => {
                remember(&mut book.own, *job);
                let over = book.over.contains(job);
                if let Some(acting) = book.acting.as_mut().filter(|_| current) {
                    acting.job = Some(*job);
                }
                if current && over {
                    book.acting = None;
                }
            }
            Result::Refused { error, .. } => {
                book.owed = book.owed.filter(|_| !error.ends_with("TransactionIsDestructive"));
                book.acting = book.acting.filter(|_| !current);
                // of one that was not waited for any more the pause began with the request
                if waited_for && book.tries.iter().any(|(_, order)| *order == outcome.order) {
                    book.not_before =
                        self.settings.services.get(&outcome.service).map_or(now, |guard| now + pause(guard));
                }
                book.tries.retain(|(_, order)| *order != outcome.order);
                self.tries.retain(|(_, order)| *order != outcome.order);
            }
            Result::NoReply { .. } => book.acting = book.acting.filter(|_| !current),
            Result::Done | Result::Nothing => {}
        }
    }
}

/// What the last look found; an answer to an older one says nothing.
fn found(looked: Option<&mut (OrderId, bool)>, fact: &Fact, stands_against: bool) {
    if let Some((order, against)) = looked
        && *order == fact.order
    {
        *against = stands_against;
    }
}

/// The shortest pause that a restart must leave before the next.
fn pause(guard: &Guard) -> Duration {
    (guard.backoff.min(guard.backoff_max) / 2).min(guard.stable)
}

fn remember<T>(jobs: &mut VecDeque<T>, job: T) {
    if jobs.len() == JOBS {
        jobs.pop_front();
    }
    jobs.push_back(job);
}
