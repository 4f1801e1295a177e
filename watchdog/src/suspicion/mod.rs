//! Pure. Whose process or socket was that, and is it worth a heartbeat? Merges what belongs together; quiets what was
//! answered alive.
//!
//! Identity is the cgroup's number, which systemd makes anew at each start; a port leads to the services that own it and to
//! those whose heartbeat connects to it. The end of a main process is never quieted. Of a service that nobody asks, only
//! the end of its main process and a loss are told.
//!
//! Invariant: a sign that comes in a quiet time is kept and told when the time is over, unless what it saw is over too.
//! Deliberately absent: any judgement of what a suspicion is worth; that is the policy's.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod owners;
mod quiet;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

pub use settings::{Settings, Watched};

use self::{owners::Owners, quiet::Quiet};
use crate::model::{
    Cause, CgroupId, Exit, Finding, Listener, Mono, Place, Port, Saw, Service, Sign, SignalSent, Suspicion,
    UnitState, Verdict, Watch, WatchedPort, Why,
};

/// How long a sent signal may take to end its process and still be named as what was sent.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// How many sent signals are remembered.
const SENT_KEPT: usize = 64;

/// The suspicion room.
#[derive(Debug)]
pub struct Suspicions {
    settings: Settings,
    owners: Owners,
    quiet: BTreeMap<Service, Quiet>,
    sent: VecDeque<(Mono, SignalSent)>,
    watch: Watch,
    fronts: BTreeMap<Service, BTreeSet<Service>>,
}

impl Suspicions {
    /// Watches what the settings name. [`Suspicions::watch`] is right from the start.
    pub fn new(settings: Settings) -> Suspicions {
        let mut room = Suspicions {
            settings: Settings::default(),
            owners: Owners::default(),
            quiet: BTreeMap::new(),
            sent: VecDeque::new(),
            watch: Watch::default(),
            fronts: BTreeMap::new(),
        };
        room.replace(settings);
        room
    }

    /// Takes other settings; what is known of services that stay with their unit is kept.
    pub fn replace(&mut self, settings: Settings) -> Vec<Finding> {
        let before = &self.settings.services;
        let stays = |service: &Service| {
            let now = settings.services.get(service);
            now.is_some_and(|now| before.get(service).is_some_and(|before| before.unit == now.unit))
        };
        self.quiet.retain(|service, _| stays(service));
        self.owners.keep(stays);
        self.fronts.retain(|service, _| stays(service));
        self.settings = settings;
        let mut found = vec![Finding::AskListeners];
        self.rewatch(&mut found);
        found
    }

    /// Takes over what a watchdog before this one watched, and so its signs can be understood that were not told before it died.
    /// Nothing of it is let out of sight until systemd has said what is true now.
    pub fn inherit(&mut self, left: &Watch) {
        for (cgroup, unit) in &left.units {
            let Some((service, _)) = self.settings.services.iter().find(|(_, w)| w.unit == *unit) else {
                continue;
            };
            let mains = left.cgroups.get(cgroup).map_or(&[][..], Vec::as_slice);
            self.owners.inherit(service, *cgroup, mains);
        }
        self.rewatch(&mut Vec::new());
    }

    /// One sign.
    pub fn step(&mut self, now: Mono, sign: &Sign) -> Vec<Finding> {
        let mut found = Vec::new();
        match &sign.saw {
            Saw::Exit(exit) => self.exit(now, sign.at, exit, &mut found),
            Saw::SignalSent(sent) => self.remember(sign.at, sent),
            Saw::ListenerUp(_) => found.push(Finding::AskListeners),
            Saw::ListenerDown { port, left } => {
                if *left == 0 {
                    self.port(now, sign.at, *port, &Why::ListenerLost(*port), &mut found);
                }
                found.push(Finding::AskListeners);
            }
            Saw::AcceptStall(stall) => {
                self.port(now, sign.at, stall.port, &Why::AcceptStall(*stall), &mut found);
            }
            Saw::AnswerStall(stall) => {
                self.port(now, sign.at, stall.port, &Why::AnswerStall(*stall), &mut found);
            }
            Saw::StallOver(port) => self.over(*port),
            Saw::InUse(port) => self.port(now, sign.at, *port, &Why::InUse, &mut found),
            Saw::Unit(state) => self.unit(state, &mut found),
            Saw::Job(_) => {}
            Saw::Listeners(listeners) => {
                self.owners.listeners(listeners, &self.settings);
                self.rewatch(&mut found);
                self.refront(&mut found);
            }
            Saw::Loss(_) => {
                found.push(Finding::AskListeners);
                let all: Vec<Service> = self.settings.services.keys().cloned().collect();
                for service in all {
                    self.suspect(now, sign.at, &service, Why::Loss, &mut found);
                }
            }
            Saw::Working { works, .. } => {
                if *works {
                    found.push(Finding::AskListeners);
                }
            }
        }
        found
    }

    /// What a heartbeat of a service said.
    pub fn answered(&mut self, now: Mono, service: &Service, verdict: Verdict) {
        if let Some(quiet) = self.quiet.get_mut(service) {
            quiet.answered(now, verdict);
        }
    }

    /// To be called at [`Suspicions::wake_at`]: quiet times that are over give back what they kept.
    pub fn wake(&mut self, now: Mono) -> Vec<Finding> {
        let over = self.quiet.values_mut().filter_map(|quiet| quiet.over(now));
        over.map(Finding::Suspicion).collect()
    }

    /// When it wants to be woken; `None`: only by a sign.
    pub fn wake_at(&self) -> Option<Mono> {
        self.quiet.values().filter_map(Quiet::wake_at).min()
    }

    /// What the filters in the kernel must let through.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The service whose unit or listener a sign is about, for its record: the first one, where there are several.
    pub fn about(&self, sign: &Sign) -> Option<Service> {
        match &sign.saw {
            Saw::Exit(exit) => self.owners.of_cgroup(exit.cgroup),
            Saw::SignalSent(sent) => self.owners.of_cgroup(sent.cgroup),
            Saw::ListenerUp(port)
            | Saw::ListenerDown { port, .. }
            | Saw::StallOver(port)
            | Saw::InUse(port) => self.of_port(*port).into_iter().next(),
            Saw::AcceptStall(stall) | Saw::AnswerStall(stall) => self.of_port(stall.port).into_iter().next(),
            Saw::Unit(state) => self.of_unit(state),
            Saw::Job(job) => {
                self.settings.services.iter().find(|(_, w)| w.unit == job.unit).map(|(s, _)| s.clone())
            }
            Saw::Listeners(_) | Saw::Loss(_) | Saw::Working { .. } => None,
        }
    }

    /// Where a heartbeat without `connect` goes: the unit's own listener for this port, else loopback.
    pub fn own_address(&self, service: &Service, port: u16) -> SocketAddr {
        self.owners.address(service, Port(port))
    }

    /// Where the unit listened when it was last seen to; what a start of it will want to have.
    pub fn own_places(&self, service: &Service) -> Vec<Place> {
        self.owners.places(service, &self.settings)
    }

    /// Units that are up and own none of these TCP listeners: theirs may be Unix sockets, whose owner the table does not
    /// tell. Each with its cgroup's path as systemd gives it.
    pub fn without_port(&self, listeners: &[Listener]) -> Vec<(CgroupId, String)> {
        self.owners.without_port(listeners)
    }

    fn exit(&mut self, now: Mono, at: Mono, exit: &Exit, found: &mut Vec<Finding>) {
        let Some(service) = self.owners.of_cgroup(exit.cgroup) else { return };
        let sent = self.sent_to(at, exit);
        if self.owners.is_main(&service, exit.cgroup, exit.pid) {
            let why = Why::MainExit { exit: exit.clone(), sent };
            found.push(Finding::Suspicion(Suspicion { service, at, why }));
            return;
        }
        let unclean = match exit.cause {
            Cause::Code(code) => code != 0,
            Cause::Signal { .. } => true,
        };
        if unclean {
            self.suspect(now, at, &service, Why::WorkerExit { exit: exit.clone(), sent }, found);
        }
    }

    fn remember(&mut self, at: Mono, sent: &SignalSent) {
        self.sent.retain(|(then, _)| at.since(*then) < SENT_WITHIN);
        if self.sent.len() == SENT_KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back((at, sent.clone()));
    }

    /// The signal that ended a process, or the last one sent to it before it ended by itself (a handler that exits).
    fn sent_to(&self, at: Mono, exit: &Exit) -> Option<SignalSent> {
        let fresh = |(then, sent): &&(Mono, SignalSent)| {
            sent.cgroup == exit.cgroup
                && sent.pid == exit.pid
                && exit.pid != 0
                && at.since(*then) < SENT_WITHIN
                && match exit.cause {
                    Cause::Signal { signal, .. } => sent.signal == signal,
                    Cause::Code(_) => true,
                }
        };
        self.sent.iter().rev().find(fresh).map(|(_, sent)| sent.clone())
    }

    fn port(&mut self, now: Mono, at: Mono, port: Port, why: &Why, found: &mut Vec<Finding>) {
        for service in self.of_port(port) {
            self.suspect(now, at, &service, why.clone(), found);
        }
    }

    fn suspect(&mut self, now: Mono, at: Mono, service: &Service, why: Why, found: &mut Vec<Finding>) {
        // no answer would ever make it quiet; a loss may have taken the end of its unit, which is looked up
        if why != Why::Loss && !self.settings.services.get(service).is_some_and(|watched| watched.asked) {
            return;
        }
        let suspicion = Suspicion { service: service.clone(), at, why };
        match suspicion.why {
            Why::MainExit { .. } | Why::InUse => found.push(Finding::Suspicion(suspicion)),
            Why::WorkerExit { .. }
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::ListenerLost(_)
            | Why::Loss => {
                let quiet = self.quiet.entry(service.clone()).or_default();
                found.extend(quiet.pass(now, suspicion).map(Finding::Suspicion));
            }
        }
    }

    /// A stall that is over is not told after the quiet time.
    fn over(&mut self, port: Port) {
        for service in self.of_port(port) {
            if let Some(quiet) = self.quiet.get_mut(&service) {
                quiet.forget_stall(port);
            }
        }
    }

    fn unit(&mut self, state: &UnitState, found: &mut Vec<Finding>) {
        let Some(service) = self.of_unit(state) else { return };
        let news = self.owners.unit(&service, state);
        if news.listeners {
            found.push(Finding::AskListeners);
        }
        if news.processes {
            self.rewatch(found);
        }
    }

    fn of_unit(&self, state: &UnitState) -> Option<Service> {
        self.settings.services.iter().find(|(_, w)| w.unit == state.unit).map(|(s, _)| s.clone())
    }

    fn of_port(&self, port: Port) -> BTreeSet<Service> {
        let asked = |watched: &Watched| watched.ports().any(|p| p == port);
        let services = self.settings.services.iter();
        services.filter(|(s, w)| asked(w) || self.owners.owns(s, port)).map(|(s, _)| s.clone()).collect()
    }

    fn rewatch(&mut self, found: &mut Vec<Finding>) {
        let unit = |service| Some(self.settings.services.get(service)?.unit.clone());
        let services = self.owners.services();
        let units = services.filter_map(|(cgroup, service)| Some((cgroup, unit(service)?))).collect();
        let mut watch = Watch { cgroups: self.owners.cgroups(), units, ports: BTreeMap::new() };
        for (service, watched) in &self.settings.services {
            if !watched.asked {
                continue;
            }
            for port in watched.ports().chain(self.owners.ports(service)) {
                let entry = watch.ports.entry(port).or_insert(WatchedPort {
                    accept_after: watched.accept_after,
                    answer_after: watched.answer_after,
                });
                entry.accept_after = entry.accept_after.min(watched.accept_after);
                entry.answer_after = entry.answer_after.min(watched.answer_after);
            }
        }
        if watch != self.watch {
            self.watch = watch.clone();
            found.push(Finding::Watch(watch));
        }
    }

    fn refront(&mut self, found: &mut Vec<Finding>) {
        for (service, watched) in &self.settings.services {
            let fronts = self.owners.fronts(service, watched);
            if self.fronts.get(service).is_none_or(|known| *known != fronts) {
                let before = self.fronts.insert(service.clone(), fronts.clone());
                if before.is_some() || !fronts.is_empty() {
                    found.push(Finding::Fronts { service: service.clone(), fronts });
                }
            }
        }
    }
}
