//! Carries out the orders of the pure rooms: each in a task of its own, which answers over the engine's channel.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{Error, Event, Settings};
use crate::{
    actuator::Actuator,
    clock,
    heartbeat::{Heart, Profiles, Program, Ran},
    look,
    model::{Act, Ask, Fact, Known, Listener, Look, OrderId, Place, Question, Service, Unit, UnitState},
    sources::{sock_diag::SockDiag, units::Units},
    suspicion::Suspicions,
    systemd::{self, Link},
};

/// What the engine reaches the world with.
pub struct Edges {
    /// systemd's units: signals and reads.
    pub units: Units,
    /// The kernel's table of sockets.
    pub sockets: SockDiag,
}

pub(super) struct Hands {
    hearts: BTreeMap<Service, Vec<Arc<Heart>>>,
    units: Units,
    actuator: Actuator,
    sockets: SockDiag,
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
            units: edges.units,
            actuator,
            sockets: edges.sockets,
            states: BTreeMap::new(),
            results,
        })
    }

    pub(super) fn replace(&mut self, hearts: BTreeMap<Service, Vec<Arc<Heart>>>) {
        self.hearts = hearts;
    }

    pub(super) fn watch_units(&self, watched: BTreeSet<Unit>) {
        let units = self.units.clone();
        tokio::spawn(async move { units.watch(watched.into_iter().collect()).await });
    }

    pub(super) fn learn(&mut self, state: &UnitState) {
        self.actuator.learn(state);
        self.states.insert(state.unit.clone(), state.clone());
    }

    /// Reads every unit again, as if each had been looked for.
    pub(super) fn reconcile(&self, units: impl Iterator<Item = (Service, Unit)>) {
        for (service, unit) in units {
            let (handle, results) = (self.units.clone(), self.results.clone());
            tokio::spawn(async move {
                match handle.read(&unit).await {
                    Ok(state) => {
                        let known = Known::Unit(Box::new(state));
                        let fact = Fact { order: OrderId(0), service, at: clock::now(), known };
                        results.send(Event::Fact(fact)).await.ok();
                    }
                    Err(fault) => tracing::warn!(%unit, %fault, "not reconciled"),
                }
            });
        }
    }

    pub(super) fn ask(&self, ask: Ask, own: impl FnOnce(&Service, u16) -> SocketAddr) {
        let Some(heart) = self.hearts.get(&ask.service).and_then(|hearts| hearts.get(ask.heartbeat)) else {
            return;
        };
        let (heart, results, link) = (heart.clone(), self.results.clone(), self.units.link());
        let spot = heart.spot(|port| Some(Place::Tcp(own(&ask.service, port.0))));
        tokio::spawn(async move {
            let answer = heart.ask(&ask, &spot, |program| run(link, program)).await;
            results.send(Event::Answer(Box::new(answer))).await.ok();
        });
    }

    pub(super) fn act(&self, act: Act) {
        let carried_out = self.actuator.carry_out(act);
        let results = self.results.clone();
        tokio::spawn(async move {
            results.send(Event::Outcome(carried_out.await)).await.ok();
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

    pub(super) fn look(&mut self, look: Look, places: Vec<Place>) {
        let results = self.results.clone();
        match look.question {
            Question::Unit => {
                let units = self.units.clone();
                tokio::spawn(async move {
                    let known = match units.read(&look.unit).await {
                        Ok(state) => Known::Unit(Box::new(state)),
                        Err(fault) => Known::Nothing { why: fault.to_string() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Holders => {
                let listeners = self.sockets.listeners();
                let unit = self.states.get(&look.unit).cloned();
                tokio::spawn(async move {
                    let known = match listeners {
                        Ok(listeners) => holders(unit, listeners, places).await,
                        Err(fault) => Known::Nothing { why: fault.to_string() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
        }
    }

    /// Every listener; a Unix listener's owner is looked up where it may be one of ours.
    pub(super) fn listeners(&mut self, suspicions: &Suspicions) -> Option<Vec<Listener>> {
        let mut listeners = match self.sockets.listeners() {
            Ok(listeners) => listeners,
            Err(fault) => {
                tracing::warn!(%fault, "the table of listeners is not known");
                return None;
            }
        };
        for (cgroup, path) in suspicions.without_port(&listeners) {
            let Some(procs) = procs_of(&path) else {
                continue;
            };
            let own: Vec<PathBuf> = self.sockets.unix_listeners_of(&procs).unwrap_or_default();
            for listener in &mut listeners {
                if matches!(&listener.place, Place::Unix(path) if own.contains(path)) {
                    listener.cgroup = Some(cgroup);
                }
            }
        }
        Some(listeners)
    }
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

fn fact(look: Look, known: Known) -> Fact {
    Fact { order: look.id, service: look.service, at: clock::now(), known }
}

/// Finding a holder walks /proc and the cgroups: not on the engine's own thread.
async fn holders(unit: Option<UnitState>, listeners: Vec<Listener>, places: Vec<Place>) -> Known {
    let Some(unit) = unit else { return Known::Holders(Vec::new()) };
    let found = tokio::task::spawn_blocking(move || look::holders(&unit, &places, &listeners)).await;
    match found {
        Ok(Ok(holders)) => Known::Holders(holders),
        Ok(Err(fault)) => Known::Nothing { why: fault.to_string() },
        Err(fault) => Known::Nothing { why: fault.to_string() },
    }
}

/// Runs a heartbeat's program as a transient unit: in a cgroup of its own, gone at its time-out.
async fn run(link: Link, program: Program) -> Ran {
    let connection = match link.connection("a heartbeat's program").await {
        Ok(connection) => connection,
        Err(fault) => return Ran::NotRun(fault.to_string()),
    };
    match systemd::run_transient(&connection, &program.argv, program.user.as_deref(), program.timeout).await {
        Ok(systemd::Ran::Ended(cause)) => Ran::Ended(cause),
        Ok(systemd::Ran::Late) => Ran::Late,
        Err(fault) => Ran::NotRun(fault.to_string()),
    }
}

/// The list of processes of a cgroup, as systemd names the cgroup.
fn procs_of(control_group: &str) -> Option<PathBuf> {
    let mount = systemd::cgroup::mount().ok()?;
    Some(mount.join(control_group.trim_start_matches('/')).join("cgroup.procs"))
}
