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

mod lately;
mod owners;
mod quiet;
mod settings;
mod storm;
#[cfg(test)]
mod tests;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use settings::{Settings, Watched};

use self::{lately::Lately, owners::Owners, quiet::Quiet, storm::Storms};
use crate::model::{
    Cause, CgroupId, Exit, Finding, Job, JobKind, JobStep, Listener, Mono, Place, Port, Saw, ServerErrors,
    Service, Sign, SignalSent, Suspicion, Unit, UnitState, Verdict, Watch, Why,
};

/// Signals that stop a process where it stands, until it is sent another: SIGSTOP, SIGTSTP.
const STOPPING: [u8; 2] = [19, 20];

/// SIGHUP, SIGINT, SIGTERM: what a master sends to workers that it lets go of in a reload; systemd calls such ends clean.
const LET_GO: [u8; 3] = [1, 2, 15];

/// The suspicion room.
#[derive(Debug)]
pub struct Suspicions {
    settings: Settings,
    owners: Owners,
    quiet: BTreeMap<Service, Quiet>,
    lately: Lately,
    storms: BTreeMap<Service, Storms>,
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
            lately: Lately::default(),
            storms: BTreeMap::new(),
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
        self.storms.retain(|service, _| stays(service));
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
            Saw::SignalSent(sent) => self.signal(now, sign.at, sent, &mut found),
            Saw::OomKill(killed) => {
                self.lately.killed(sign.at, killed);
                if let Some(service) = self.owners.of_cgroup(killed.cgroup) {
                    self.suspect(now, sign.at, &service, Why::OomKill(killed.clone()), &mut found);
                }
            }
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
            Saw::Job(job) => self.asked(sign.at, job, &mut found),
            Saw::CommandRun(run) => self.lately.ran(sign.at, run),
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
            Saw::ServerErrors(errors) => self.server_errors(now, sign.at, *errors, &mut found),
            Saw::LogErrors(errors) => {
                self.suspect(now, sign.at, &errors.service, Why::LogErrors(errors.clone()), &mut found);
            }
            Saw::UnixStall(stall) => {
                for service in self.of_path(&stall.path) {
                    self.suspect(now, sign.at, &service, Why::UnixStall(stall.clone()), &mut found);
                }
            }
            Saw::Serving(_) => {}
            Saw::Working { works, .. } => {
                if *works {
                    found.push(Finding::AskListeners);
                }
            }
        }
        found
    }

    /// What a heartbeat of a service said that began then.
    pub fn answered(&mut self, now: Mono, service: &Service, began: Mono, verdict: Verdict) {
        if let Some(quiet) = self.quiet.get_mut(service) {
            quiet.answered(now, began, verdict);
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
            Saw::Unit(state) => self.of_unit(&state.unit),
            Saw::Job(job) => self.of_unit(&job.unit),
            Saw::OomKill(killed) => self.owners.of_cgroup(killed.cgroup),
            Saw::ServerErrors(errors) => {
                self.owners.of_cgroup(errors.cgroup).or_else(|| self.of_port(errors.port).into_iter().next())
            }
            Saw::LogErrors(errors) => Some(errors.service.clone()),
            Saw::UnixStall(stall) => self.of_path(&stall.path).into_iter().next(),
            Saw::CommandRun(_) | Saw::Serving(_) | Saw::Listeners(_) | Saw::Loss(_) | Saw::Working { .. } => {
                None
            }
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
        let sent = self.lately.sent_to(at, exit);
        let storms = self.storms.entry(service.clone()).or_default();
        if self.owners.is_main(&service, exit.cgroup, exit.pid) {
            storms.over();
            if !self.owners.ends(&service, exit.cgroup, exit.pid) {
                return;
            }
            let why = Why::MainExit { exit: exit.clone(), sent };
            found.push(Finding::Suspicion(Suspicion { service, at, why }));
            return;
        }
        if let Some(storm) = storms.ended(at, exit, sent.as_ref()) {
            // whatever a heartbeat says, and where there is none too
            let (service, why) = (service.clone(), Why::WorkerStorm(storm));
            found.push(Finding::Suspicion(Suspicion { service, at, why }));
        }
        let left = match exit.cause {
            Some(Cause::Code(code)) => code == 0,
            // where no main process is known, any process may be it
            Some(Cause::Signal { signal, .. }) => {
                LET_GO.contains(&signal) && self.owners.knows_main(&service, exit.cgroup)
            }
            None => false,
        };
        if !left {
            self.suspect(now, at, &service, Why::WorkerExit { exit: exit.clone(), sent }, found);
        }
    }

    fn signal(&mut self, now: Mono, at: Mono, sent: &SignalSent, found: &mut Vec<Finding>) {
        self.lately.sent(at, sent);
        if STOPPING.contains(&sent.signal)
            && let Some(service) = self.owners.of_cgroup(sent.cgroup)
        {
            self.suspect(now, at, &service, Why::Stopped(sent.clone()), found);
        }
    }

    /// A job that may stop a unit comes after whatever asked for it was run. Whose job it is, the policy knows.
    fn asked(&self, at: Mono, job: &Job, found: &mut Vec<Finding>) {
        let stops = match job.step {
            JobStep::New(kind) => {
                matches!(kind, None | Some(JobKind::Stop | JobKind::Restart)) // unknown where it is over already
            }
            JobStep::Removed { .. } => false,
        };
        let by = self.lately.asking(at);
        if let Some(service) = self.of_unit(&job.unit).filter(|_| stops && !by.is_empty()) {
            found.push(Finding::Asked { service, job: job.id, by });
        }
    }

    fn port(&mut self, now: Mono, at: Mono, port: Port, why: &Why, found: &mut Vec<Finding>) {
        for service in self.of_port(port) {
            self.suspect(now, at, &service, why.clone(), found);
        }
    }

    /// Those that answered, and those that are asked there: behind a front end they are what fails.
    fn server_errors(&mut self, now: Mono, at: Mono, errors: ServerErrors, found: &mut Vec<Finding>) {
        let mut services = self.of_port(errors.port);
        services.extend(self.owners.of_cgroup(errors.cgroup));
        services.retain(|service| self.settings.services.get(service).is_some_and(|it| it.status_5xx));
        for service in services {
            self.suspect(now, at, &service, Why::ServerErrors(errors), found);
        }
    }

    fn suspect(&mut self, now: Mono, at: Mono, service: &Service, why: Why, found: &mut Vec<Finding>) {
        // no answer would ever make it quiet; a loss may have taken the end of its unit, which is looked up
        if why != Why::Loss && !self.settings.services.get(service).is_some_and(|watched| watched.asked) {
            return;
        }
        let suspicion = Suspicion { service: service.clone(), at, why };
        match suspicion.why {
            Why::MainExit { .. } | Why::WorkerStorm(_) | Why::InUse => {
                found.push(Finding::Suspicion(suspicion))
            }
            Why::WorkerExit { .. }
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::UnixStall(_)
            | Why::ListenerLost(_)
            | Why::OomKill(_)
            | Why::Stopped(_)
            | Why::ServerErrors(_)
            | Why::LogErrors(_)
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
        let Some(service) = self.of_unit(&state.unit) else { return };
        let news = self.owners.unit(&service, state);
        if state.active.is_down()
            && let Some(storms) = self.storms.get_mut(&service)
        {
            storms.over();
        }
        if news.listeners {
            found.push(Finding::AskListeners);
        }
        if news.processes {
            self.rewatch(found);
        }
    }

    fn of_unit(&self, unit: &Unit) -> Option<Service> {
        self.settings.services.iter().find(|(_, w)| w.unit == *unit).map(|(s, _)| s.clone())
    }

    fn of_port(&self, port: Port) -> BTreeSet<Service> {
        let asked = |watched: &Watched| watched.ports().any(|p| p == port);
        let services = self.settings.services.iter();
        services.filter(|(s, w)| asked(w) || self.owners.owns(s, port)).map(|(s, _)| s.clone()).collect()
    }

    fn of_path(&self, path: &Path) -> BTreeSet<Service> {
        let is_it = |it: &PathBuf| it == path;
        let services = self.settings.services.iter();
        let found = services.filter(|(s, w)| w.paths().any(is_it) || self.owners.paths(s).any(is_it));
        found.map(|(s, _)| s.clone()).collect()
    }
}
