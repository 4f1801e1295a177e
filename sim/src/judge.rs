//! Judges after each step whether all that must hold still does.
//!
//! Invariant: judged from the outside, by what watchdog was told, what it ordered, and what the simulated systemd did.

use std::{collections::BTreeMap, time::Duration};

use watchdog::{
    model::{
        Act, Action, ActiveState, Decision, FileState, Hold, IncidentEnd, JobKind, LoadState, Mono,
        OnFailure, Order, OrderId, Question, Service, Tell,
    },
    policy::{Dependency, Guard, Policy},
};

use crate::{
    book::Book,
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
                        | Question::LastWords => {}
                    }
                }
                Order::Ask(_) => {}
            }
        }
    }

    fn lawful(&self, at: Mono, act: &Act) -> Result<(), (Invariant, String)> {
        let broken = |invariant, what: &str| Err((invariant, what.to_owned()));
        let (Some(guard), Some(book)) =
            (self.books.guard(&act.service), self.books.services.get(&act.service))
        else {
            return broken(Invariant::Intent, "done to a service that is not configured");
        };
        let Some((active, load, file)) = book.state else {
            return broken(Invariant::Evidence, "done to a unit that was never seen");
        };
        if act.incarnation != book.run {
            return Err((Invariant::Incarnation, format!("the run that was judged is {:?}", book.run)));
        }
        if self.books.closed.contains_key(&act.incident) {
            return broken(Invariant::IncidentEnds, "done in an incident that has ended");
        }
        let hands_off = self.books.settings.host.observe || book.paused.is_some_and(|until| until > at);
        match act.action {
            Action::Undo => return Ok(()),
            Action::Reboot => return self.lawful_reboot(at, act, guard, book),
            Action::Restart { .. }
            | Action::Start { .. }
            | Action::StartAfresh { .. }
            | Action::Kill
            | Action::Cancel { .. } => {
                if hands_off {
                    return broken(Invariant::HandsOff, "done in a pause");
                }
            }
        }
        match act.action {
            Action::Undo | Action::Reboot => return Ok(()),
            Action::Kill | Action::Cancel { .. } => {
                return match self.books.open.contains_key(&act.incident) {
                    true => Ok(()),
                    false => broken(Invariant::Evidence, "done where nothing was begun"),
                };
            }
            Action::Restart { .. } => self.lawful_restart(at, act, guard, book, load)?,
            Action::Start { .. } | Action::StartAfresh { .. } => {
                if !book.ended || active.is_up() {
                    return broken(Invariant::Evidence, "a start of what has not ended");
                }
                if book.held_port.is_some_and(|(_, held)| held) {
                    return broken(Invariant::CanStart, "a start where a stranger holds the port");
                }
            }
        }
        if self.books.reboot.is_some_and(|(_, asked, over)| !over && at.since(asked) < GOES_DOWN) {
            return broken(Invariant::Reboot, "begun though the host goes down");
        }
        if book.full_disk.is_some_and(|(_, full)| full) {
            let dead = !matches!(act.action, Action::Restart { .. });
            if !(dead && book.spited) {
                return broken(Invariant::Gates, "a disk is full");
            }
        }
        if book.stop_stands {
            return broken(Invariant::Intent, "against an operator's stop");
        }
        let masked = load == LoadState::Masked || file == FileState::Masked;
        let off = masked || (file == FileState::Disabled && !book.has_socket);
        if guard.only_if_enabled && off {
            return broken(Invariant::Intent, "the unit is disabled or masked");
        }
        if let Some(second) = self.books.busy(&act.service, at) {
            return Err((Invariant::OneJob, format!("beside {second:?}")));
        }
        if at < book.not_before {
            return Err((Invariant::Pauses, format!("not before {}", book.not_before)));
        }
        let spent = book.tries.iter().filter(|(then, _)| at.since(*then) < guard.within).count();
        if spent >= guard.burst.max(1) as usize {
            return Err((Invariant::Budget, format!("{spent} are spent within {:?}", guard.within)));
        }
        let host = &self.books.settings.host;
        let spent = self.books.tries.iter().filter(|(then, _)| at.since(*then) < host.within).count();
        if spent >= host.restarts as usize {
            return Err((Invariant::HostBudget, format!("{spent} are spent within {:?}", host.within)));
        }
        Ok(())
    }

    fn lawful_reboot(
        &self,
        at: Mono,
        act: &Act,
        guard: &Guard,
        book: &Book,
    ) -> Result<(), (Invariant, String)> {
        let broken = |what: &str| Err((Invariant::Reboot, what.to_owned()));
        let (ladder, books) = (&guard.ladder, &self.books);
        if books.settings.host.observe
            || books.services.values().any(|book| book.paused.is_some_and(|until| until > at))
        {
            return Err((Invariant::HandsOff, "a reboot in a pause".to_owned()));
        }
        if !ladder.reboot {
            return broken("nobody wants a reboot");
        }
        if at < Mono(0) + ladder.reboot_every || at < books.booted + ladder.reboot_every {
            return Err((Invariant::Reboot, format!("the host is up since {}", books.booted)));
        }
        if books.reboot.is_some_and(|(_, asked, _)| at.since(asked) < ladder.reboot_after) {
            return broken("one was asked for just now");
        }
        if book.tried == 0 || book.quarantined.is_none_or(|since| at.since(since) < ladder.reboot_after) {
            let (since, tried) = (book.quarantined, book.tried);
            return Err((Invariant::Reboot, format!("in quarantine since {since:?}, tried {tried} times")));
        }
        let Some((active, load, file)) = book.state else { return broken("of a unit that was never seen") };
        let failed =
            guard.heartbeats.iter().zip(&book.beats).any(|(pulse, (failed, _))| {
                pulse.on_failure == OnFailure::Restart && *failed >= pulse.failures
            });
        let fresh = failed && book.last_dead.is_some_and(|last| at.since(last) <= FRESH);
        let dead = book.ended && active.is_down();
        if !(fresh || dead) {
            return Err((Invariant::Evidence, "a reboot without a failure".to_owned()));
        }
        let off = load == LoadState::Masked || matches!(file, FileState::Disabled | FileState::Masked);
        if book.stop_stands || off {
            return Err((Invariant::Intent, "the unit is stopped, disabled or masked".to_owned()));
        }
        let stands = [book.held_port, book.broken, book.full_disk];
        if stands.into_iter().flatten().any(|(_, stands)| stands) {
            return Err((Invariant::CanStart, "it would not help".to_owned()));
        }
        let busy = |service: &&Service| {
            **service != act.service && books.busy(service, at).is_some_and(|a| at.since(a.at) < JUST_BEGUN)
        };
        match books.services.keys().find(busy) {
            Some(other) => Err((Invariant::Reboot, format!("{other} is being restarted"))),
            None => Ok(()),
        }
    }

    fn lawful_restart(
        &self,
        at: Mono,
        act: &Act,
        guard: &Guard,
        book: &Book,
        load: LoadState,
    ) -> Result<(), (Invariant, String)> {
        let broken = |invariant, what: &str| Err((invariant, what.to_owned()));
        let restarting = || {
            let beats = guard.heartbeats.iter().zip(&book.beats);
            beats.filter(|(pulse, _)| pulse.on_failure == OnFailure::Restart)
        };
        if !restarting().any(|(pulse, (failed, _))| *failed >= pulse.failures) {
            return broken(Invariant::Evidence, "a restart without a failed heartbeat");
        }
        if book.last_dead.is_none_or(|last| at.since(last) > FRESH) {
            return Err((Invariant::Fresh, format!("the last failure came at {:?}", book.last_dead)));
        }
        if book.warming.is_some_and(|since| at.since(since) < guard.grace) {
            return Err((Invariant::WarmUp, format!("it came up at {:?}", book.warming)));
        }
        if book.broken.is_some_and(|(_, broken)| broken) {
            return broken(Invariant::CanStart, "its configuration is broken");
        }
        if load != LoadState::Loaded {
            return Err((Invariant::CanStart, format!("the unit is {load:?}")));
        }
        for dependency in &guard.depends_on {
            let Dependency::Unit(unit) = dependency else { continue };
            let failing = self.books.needed.get(unit).is_some_and(|(active, load)| {
                matches!(active, ActiveState::Failed | ActiveState::Activating | ActiveState::Deactivating)
                    && *load != LoadState::NotFound
            });
            if failing && !book.waived {
                return Err((Invariant::Needs, format!("{unit} is failing")));
            }
        }
        let restarted_now = |service: &&Service| {
            **service != act.service
                && self.books.busy(service, at).is_some_and(|a| a.living && at.since(a.at) < STOP_COUNTS)
        };
        let others = self.books.services.keys().filter(restarted_now).count();
        if others >= self.books.settings.host.concurrent_restarts as usize {
            return Err((Invariant::OneRestart, format!("beside {others} others")));
        }
        Ok(())
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
