//! Judges after each step whether all that must hold still does.
//!
//! Invariant: judged from the outside, by what watchdog was told, what it ordered, and what the simulated systemd did.

mod acts;

use std::{collections::BTreeMap, time::Duration};

use watchdog::{
    model::{
        Decision, Hold, IncidentEnd, JobKind, LoadState, Mono, OnFailure, Order, OrderId, Question, Service,
        Tell,
    },
    policy::Policy,
};

use crate::{
    books::Books,
    host::{Host, Truth},
    invariants::{Invariant, Violation},
};

/// How old a verdict may be to act on; what is looked up before, a preflight among it, may take 15 s of this.
const FRESH: Duration = Duration::from_secs(20);
/// A living unit's stop counts against `concurrent_restarts` for this long.
const STOP_COUNTS: Duration = Duration::from_secs(5);
/// A stop that went wrong is told at the latest this long after its deadline.
const ALARM_WITHIN: Duration = Duration::from_secs(600);
/// The longest that stop phases of systemd take where no time-out is set.
const STOP_UNLIMITED: Duration = Duration::from_secs(300);
/// Nothing is begun for so long after a reboot was asked for.
const GOES_DOWN: Duration = Duration::from_secs(30);
/// A restart that is not over and was begun within this is one that everybody knows of.
const JUST_BEGUN: Duration = Duration::from_secs(25);
/// So many wakings at one moment are a circle.
const CIRCLE: u32 = 64;

/// Judges.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    pub(crate) books: Books,
    pub(crate) broken: Option<Violation>,
    /// By service: its unit.
    homes: BTreeMap<Service, usize>,
    /// By unit: until when a stop that we began must have come to a start or an alarm.
    stopping: Vec<Option<(Mono, OrderId)>>,
    woken: (Mono, u32),
}

impl Judge {
    pub(crate) fn new(books: Books, homes: BTreeMap<Service, usize>, units: usize) -> Judge {
        Judge { books, broken: None, homes, stopping: vec![None; units], woken: (Mono(0), 0) }
    }

    /// The first one counts: what follows may follow from it.
    pub(crate) fn breaks(&mut self, invariant: Invariant, what: String) {
        self.broken.get_or_insert(Violation { invariant, what });
    }

    /// What was ordered in one step.
    pub(crate) fn ordered<'a>(&mut self, now: Mono, orders: impl Iterator<Item = &'a Order>) {
        for (at, order) in decided(now, orders) {
            match order {
                Order::Act(act) => {
                    if let Err((invariant, what)) = self.lawful(at, act) {
                        self.breaks(invariant, format!("{what}: {act:?}"));
                    }
                    self.books.acted(at, act);
                }
                Order::Tell(tell) => self.heard(tell),
                Order::Look(look) => {
                    let Some(book) = self.books.services.get_mut(&look.service) else { continue };
                    let open = Some((look.id, false)); // nothing stands against it until that is answered
                    book.looked_at = at;
                    match look.question {
                        Question::Holders => book.held_port = open,
                        Question::Preflight => book.broken = open,
                        Question::Pressure => book.full_disk = open,
                        Question::Unit
                        | Question::PidFile
                        | Question::Ourselves
                        | Question::Others
                        | Question::LastWords
                        | Question::MainProcess
                        | Question::Record { .. } => {}
                    }
                }
                Order::Ask(_) => {}
            }
        }
    }

    fn heard(&mut self, tell: &Tell) {
        match &tell.decision {
            Decision::Act { observed_only, .. } => {
                if let (Some(incident), false) = (tell.incident, observed_only) {
                    self.books.open.insert(incident, tell.service.clone());
                }
            }
            Decision::Hold { hold, until } => {
                let needs = matches!(hold, Hold::Dependency { .. });
                if let Some(book) = self.books.services.get_mut(&tell.service) {
                    book.waits_for_need = needs;
                }
                if let Some(incident) = tell.incident {
                    if self.books.closed.contains_key(&incident) {
                        self.breaks(Invariant::IncidentEnds, format!("held after its end: {tell:?}"));
                    }
                    self.books.open.insert(incident, tell.service.clone());
                }
                if *until < tell.at {
                    self.breaks(Invariant::NoDeadEnd, format!("a hold that ended before it began: {tell:?}"));
                }
            }
            Decision::Alert { what } => {
                if let Some(book) = self.books.services.get_mut(&tell.service) {
                    book.waived |= book.waits_for_need;
                    book.spited |= what.contains("it is tried once in spite of that");
                    // there was nothing that could have been started
                    book.left_alone |= book.state.is_some_and(|(_, load, _)| load == LoadState::NotFound);
                }
                self.alarmed(&tell.service);
            }
            Decision::End(story) => {
                let Some(incident) = tell.incident else {
                    return self.breaks(Invariant::IncidentEnds, format!("the end of no incident: {tell:?}"));
                };
                if self.books.closed.contains_key(&incident) {
                    self.breaks(Invariant::IncidentEnds, format!("ended twice: {tell:?}"));
                }
                if let Some(book) = self.books.services.get_mut(&tell.service) {
                    match story.end {
                        IncidentEnd::Quarantined => drop(book.quarantined.get_or_insert(tell.at)),
                        IncidentEnd::Recovered | IncidentEnd::Superseded => {
                            (book.quarantined, book.tried) = (None, 0);
                        }
                        IncidentEnd::StoodDown => {}
                    }
                }
                self.books.closed(tell.at, &tell.service, incident);
            }
            Decision::LeaveAlone { .. } => {
                if let Some(book) = self.books.services.get_mut(&tell.service) {
                    book.left_alone = true;
                }
            }
        }
    }

    /// Someone was told of this service: what it began is somebody's now.
    fn alarmed(&mut self, service: &Service) {
        let unit = self.homes.get(service);
        if let Some(stopping) = unit.and_then(|at| self.stopping.get_mut(*at)) {
            *stopping = None;
        }
    }

    /// What systemd did.
    pub(crate) fn happened(&mut self, now: Mono, host: &Host, truth: Truth) {
        match truth {
            Truth::TwoJobs { unit, order } => {
                self.breaks(Invariant::OneJob, format!("{order:?} on {}", host.units[unit].name));
            }
            Truth::StopBegan { unit, ours: Some(order) }
                if host.units[unit].job.is_some_and(|job| job.kind != JobKind::Stop) =>
            {
                let guard = self.books.settings.services.values().find(|g| g.unit == host.units[unit].name);
                let own = host.units[unit].stop_timeout.map(|limit| limit * 3);
                let limit = guard.and_then(|guard| guard.stop_timeout).or(own).unwrap_or(STOP_UNLIMITED);
                self.stopping[unit] = Some((now + limit + ALARM_WITHIN, order));
            }
            Truth::StartBegan { unit, ours } => {
                self.stopping[unit] = None;
                if let Some(order) = ours {
                    self.books.began(order);
                }
            }
            Truth::JobOver { unit, ours: Some(_) } if host.units[unit].wanted_down => {
                self.stopping[unit] = None;
            }
            Truth::StopBegan { unit, .. } => self.stopping[unit] = None,
            Truth::JobOver { .. } => {}
        }
    }

    /// After a step: it moves by itself where it must, and never in a circle.
    pub(crate) fn settled(&mut self, now: Mono, host: &Host, policy: &Policy, woken: bool) {
        if woken {
            let times = if self.woken.0 == now { self.woken.1 + 1 } else { 1 };
            self.woken = (now, times);
            if times > CIRCLE {
                self.breaks(Invariant::NoDeadEnd, format!("woken {times} times at {now}"));
            }
        }
        for (service, stage, wake) in policy.wakings() {
            let Some(guard) = self.books.settings.services.get(service) else { continue };
            let rests =
                matches!(stage, "not seen yet" | "down" | "stopped" | "absent" | "waits for a client");
            let asked = guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off);
            if !rests && (stage != "up" || asked) && wake.is_none() {
                let what = format!("{service} is {stage} and nothing wakes it");
                self.broken.get_or_insert(Violation { invariant: Invariant::NoDeadEnd, what });
            }
        }
        for unit in 0..self.stopping.len() {
            let Some((until, order)) = self.stopping[unit] else { continue };
            let name = &host.units[unit].name;
            let paused = self.books.settings.services.iter().find(|(_, g)| g.unit == *name);
            let hands_off = self.books.settings.host.observe
                || paused.is_none_or(|(service, _)| {
                    self.books.services.get(service).is_some_and(|book| book.paused.is_some_and(|p| p > now))
                });
            if hands_off {
                self.stopping[unit] = Some((until.max(now + STOP_UNLIMITED * 3 + ALARM_WITHIN), order));
            } else if until < now {
                self.stopping[unit] = None;
                self.breaks(
                    Invariant::StopEnds,
                    format!("{name}: {order:?} began a stop, and neither a start nor an alarm came of it"),
                );
            }
        }
    }
}

/// The acts among orders, each with the moment at which it was decided.
fn decided<'a>(now: Mono, orders: impl Iterator<Item = &'a Order>) -> Vec<(Mono, &'a Order)> {
    let mut at = now;
    let dated = orders.map(|order| {
        if let Order::Tell(tell) = order {
            at = tell.at;
        }
        (at, order)
    });
    dated.collect()
}
