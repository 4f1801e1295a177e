//! Carries out the orders of the pure rooms: each in a task of its own, which answers over the engine's channel.

mod looks;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use tokio::sync::mpsc;

use super::{
    Error, Event, Settings,
    programs::Programs,
    tables::{Owners, Tables},
    witness::{self, Witness},
};
use crate::{
    actuator::{self, Actuator},
    clock,
    crash::{self, Point},
    heartbeat::{Heart, Profiles, Program, Ran},
    look::Lodging,
    model::{
        Act, Action, Ask, Connect, Fact, Known, OrderId, Outcome, PidStamp, Place, Port, Result as Became,
        Service, Unit, UnitState,
    },
    policy::Gates,
    recorder::Recorder,
    sources::{
        logs::{Log, Logs},
        sock_diag::SockDiag,
        units::Units,
    },
    suspicion::Suspicions,
    systemd::{self, Link},
};

/// What the engine reaches the world with.
pub struct Edges {
    /// systemd's units: signals and reads.
    pub units: Units,
    /// The kernel's table of sockets.
    pub sockets: SockDiag,
    /// The services' logs.
    pub logs: Logs,
}

pub(super) struct Hands {
    hearts: BTreeMap<Service, Vec<Arc<Heart>>>,
    units: Units,
    logs: Logs,
    actuator: Actuator,
    /// The ports that each service's heartbeats ask.
    asked: BTreeMap<Service, BTreeSet<u16>>,
    gates: Gates,
    preflights: BTreeMap<Service, Vec<String>>,
    units_of: BTreeMap<Service, Unit>,
    /// A look at disks that does not come back is not followed by others.
    pressing: Arc<AtomicUsize>,
    /// `pid_file` of each service that has one.
    pid_files: BTreeMap<Service, PathBuf>,
    programs: Programs,
    pub(super) tables: Tables,
    recorder: Recorder,
    /// The logs of each service, for the evidence.
    log_files: BTreeMap<Service, Vec<PathBuf>>,
    /// The last word of systemd on each unit.
    states: BTreeMap<Unit, UnitState>,
    results: mpsc::Sender<Event>,
}

impl Hands {
    pub(super) fn new(
        settings: &Settings,
        edges: Edges,
        results: mpsc::Sender<Event>,
    ) -> Result<Hands, Error> {
        let actuator = Actuator::new(edges.units.link());
        Ok(Hands {
            hearts: hearts(settings)?,
            asked: asked(settings),
            pid_files: pid_files(settings),
            programs: Programs::default(),
            units: edges.units,
            logs: edges.logs,
            actuator,
            gates: settings.policy.host.gates.clone(),
            preflights: preflights(settings),
            units_of: units(settings),
            pressing: Arc::default(),
            tables: Tables::new(edges.sockets, results.clone()),
            recorder: Recorder::new(settings.state_directory.join(EVIDENCE), settings.recorder.clone()),
            log_files: log_files(settings),
            states: BTreeMap::new(),
            results,
        })
    }

    pub(super) fn replace(&mut self, settings: &Settings, hearts: BTreeMap<Service, Vec<Arc<Heart>>>) {
        self.asked = asked(settings);
        self.gates = settings.policy.host.gates.clone();
        self.preflights = preflights(settings);
        self.pid_files = pid_files(settings);
        self.units_of = units(settings);
        self.logs.follow(settings.logs.clone());
        self.recorder.replace(settings.recorder.clone());
        self.log_files = log_files(settings);
        self.hearts = hearts;
    }

    pub(super) fn watch_units(&self, watched: BTreeSet<Unit>) {
        let units = self.units.clone();
        tokio::spawn(async move { units.watch(watched.into_iter().collect()).await });
    }

    pub(super) fn learn(&mut self, state: &UnitState) {
        self.actuator.learn(state);
        self.programs.learn(state);
        self.states.insert(state.unit.clone(), state.clone());
    }

    /// The PID file of a service, and by what its processes are known.
    fn lodging(&self, service: &Service, unit: &Unit) -> Option<Lodging> {
        let state = self.states.get(unit);
        let own = state.and_then(|state| state.pid_file.as_ref());
        let path = self.pid_files.get(service).or(own)?.clone();
        let programs = self.programs.of(unit, state);
        Some(Lodging { path, unit: unit.as_str().to_owned(), programs })
    }

    /// Reads every unit again, as if each had been looked for.
    pub(super) fn reconcile(&self, units: Vec<(Unit, Option<Service>)>) {
        for (unit, service) in units {
            let (handle, results) = (self.units.clone(), self.results.clone());
            tokio::spawn(async move {
                match handle.read(&unit).await {
                    Ok(state) => {
                        let Some(service) = service else { return }; // what it needs was told as a sign, if it is new
                        let known = Known::Unit(Box::new(state));
                        let fact = Fact { order: OrderId(0), service, at: clock::now(), known };
                        results.send(Event::Fact(fact)).await.ok();
                    }
                    Err(fault) => tracing::warn!(%unit, %fault, "not reconciled"),
                }
            });
        }
    }

    pub(super) fn ask(&mut self, ask: Ask, places: &[Place], own: impl FnOnce(&Service, u16) -> SocketAddr) {
        let Some(heart) = self.hearts.get(&ask.service).and_then(|hearts| hearts.get(ask.heartbeat)) else {
            return;
        };
        let (heart, results, link) = (heart.clone(), self.results.clone(), self.units.link());
        let spot = heart.spot(|port| Some(Place::Tcp(own(&ask.service, port.0))));
        let port = |place: &Place| match place {
            Place::Tcp(address) => Some(Port(address.port())),
            Place::Unix(_) => None,
        };
        let unit = self.units_of.get(&ask.service).and_then(|unit| self.states.get(unit)).cloned();
        if let Some(unit) = &unit {
            self.programs.learn(unit);
        }
        let ports = places.iter().filter_map(port).collect();
        let witness = Witness { unit, ports, sockets: self.tables.sockets() };
        tokio::spawn(async move {
            let asking = heart.ask(&ask, &spot, |program| run(link, program));
            let answer = witness::beside(asking, heart.timeout(), witness).await;
            results.send(Event::Answer(Box::new(answer))).await.ok();
        });
    }

    pub(super) fn act(&self, act: Act) {
        let stale = match act.action {
            Action::StartAfresh { stale, .. } => Some((stale, self.lodging(&act.service, &act.unit))),
            Action::Restart { .. }
            | Action::Start { .. }
            | Action::Kill
            | Action::Undo
            | Action::Reboot
            | Action::Cancel { .. } => None,
        };
        let (order, service, incident) = (act.id, act.service.clone(), act.incident);
        let carried_out = self.actuator.carry_out(act);
        let results = self.results.clone();
        tokio::spawn(async move {
            crash::at(Point::Released);
            let requested = clock::now();
            let removed = match stale {
                Some((stale, lodging)) => removed(lodging, stale).await,
                None => Ok(()),
            };
            let outcome = match removed {
                Ok(()) => carried_out.await,
                Err(text) => {
                    let result = Became::Refused { error: PID_FILE_KEPT.into(), text };
                    Outcome { order, service, incident, requested, at: clock::now(), result }
                }
            };
            crash::at(Point::Requested);
            results.send(Event::Outcome(outcome)).await.ok();
        });
    }

    /// A read comes by another way than the signs, and may be taken after a newer one: what it found was told as a sign before
    /// it was answered, so the last sign is what is true.
    pub(super) fn newest(&self, mut fact: Fact) -> Fact {
        if let Known::Unit(state) = &mut fact.known
            && let Some(told) = self.states.get(&state.unit)
        {
            told.clone_into(state);
        }
        fact
    }

    /// Begins to read the table of listeners.
    pub(super) fn read_listeners(&mut self, suspicions: &Suspicions) {
        let up = self.states.values().filter(|state| !state.active.is_down());
        let units = up.filter_map(|state| Some((state.unit.clone(), state.cgroup?))).collect();
        // against an empty table: all that are up, for the new one is not there yet
        self.tables.read(Owners { paths: suspicions.without_port(&[]), units });
    }
}

/// Where the evidence of incidents is kept, within `state_directory`.
const EVIDENCE: &str = "evidence";

fn log_files(settings: &Settings) -> BTreeMap<Service, Vec<PathBuf>> {
    let of = |logs: &[Log]| logs.iter().map(|log| log.path.clone()).collect();
    settings.logs.iter().map(|(service, logs)| (service.clone(), of(logs))).collect()
}

fn units(settings: &Settings) -> BTreeMap<Service, Unit> {
    let services = settings.policy.services.iter();
    services.map(|(service, guard)| (service.clone(), guard.unit.clone())).collect()
}

fn preflights(settings: &Settings) -> BTreeMap<Service, Vec<String>> {
    let services = settings.policy.services.iter();
    services.filter_map(|(service, guard)| Some((service.clone(), guard.preflight.clone()?))).collect()
}

/// The ports that each service's heartbeats ask.
fn asked(settings: &Settings) -> BTreeMap<Service, BTreeSet<u16>> {
    let port = |(connect, port): &(Connect, u16)| match connect {
        Connect::Own | Connect::Dns => Some(*port),
        Connect::Address(address) => Some(address.port()),
        Connect::Unix(_) => None,
    };
    let services = settings.suspicion.services.iter();
    services.map(|(service, it)| (service.clone(), it.connects.iter().filter_map(port).collect())).collect()
}

fn pid_files(settings: &Settings) -> BTreeMap<Service, PathBuf> {
    let services = settings.policy.services.iter();
    services.filter_map(|(service, guard)| Some((service.clone(), guard.pid_file.clone()?))).collect()
}

pub(super) fn hearts(settings: &Settings) -> Result<BTreeMap<Service, Vec<Arc<Heart>>>, Error> {
    let mut profiles = Profiles::default();
    let mut all = BTreeMap::new();
    for (service, heartbeats) in &settings.heartbeats {
        let mut hearts = Vec::with_capacity(heartbeats.len());
        for (index, heartbeat) in heartbeats.iter().enumerate() {
            let heart = Heart::new(heartbeat, &mut profiles);
            let fault = |source| Error::Heartbeat { service: service.clone(), number: index + 1, source };
            hearts.push(Arc::new(heart.map_err(fault)?));
        }
        all.insert(service.clone(), hearts);
    }
    Ok(all)
}

/// What an order to start afresh is answered with where the file is not proved to be stale any more.
const PID_FILE_KEPT: &str = "watchdog.PidFileKept";

/// Proves once more, at the last moment, that a PID file is stale, and removes it.
async fn removed(lodging: Option<Lodging>, stale: PidStamp) -> Result<(), String> {
    let still = looks::pid_file(lodging).await?.filter(|file| file.stamp == stale && file.is_stale());
    let Some(file) = still else { return Err("the PID file is not proved to be stale any more".into()) };
    let removed = tokio::task::spawn_blocking(move || actuator::remove_pid_file(&file.path, stale));
    removed.await.map_err(|fault| fault.to_string())?.map_err(|fault| fault.to_string())
}

/// Runs a heartbeat's program as a transient unit: in a cgroup of its own, gone at its time-out.
async fn run(link: Link, program: Program) -> Ran {
    let connection = match link.connection("a heartbeat's program").await {
        Ok(connection) => connection,
        Err(fault) => return Ran::NotRun(fault.to_string()),
    };
    let Program { argv, user, timeout } = &program;
    let what = systemd::Program { argv, user: user.as_deref(), ..systemd::Program::default() };
    match systemd::run_transient(&connection, &what, *timeout).await {
        Ok(systemd::Ran::Ended(cause)) => Ran::Ended(cause),
        Ok(systemd::Ran::Late) => Ran::Late,
        Err(fault) => Ran::NotRun(fault.to_string()),
    }
}
