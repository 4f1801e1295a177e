//! The kernel's table of listeners, read on threads that may wait: the kernel fills it in its own time, and owners of Unix
//! listeners are found by a walk through /proc. Never two readings for the engine at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::Event;
use crate::{
    clock, look,
    model::{CgroupId, Listener, Mono, Place, Unit},
    sources::sock_diag::{self, SockDiag},
    systemd,
};

/// A reading that waits for what is known already waits no longer than this.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many units are remembered to stand beside one; transient ones would add up.
const BESIDE_KEPT: usize = 64;

/// Every listener.
#[derive(Debug)]
pub struct Table {
    pub(super) at: Mono,
    pub(super) listeners: Vec<Listener>,
    /// Units that listen on the places of a unit that is up.
    pub(super) beside: BTreeMap<Unit, BTreeSet<String>>,
}

/// Whose listeners are looked up beyond what the table tells.
pub(super) struct Owners {
    /// Units that are up, each with its cgroup's path: where one made no TCP listener, it may have Unix listeners, or some that
    /// systemd made for it.
    pub(super) paths: Vec<(CgroupId, String)>,
    /// Units that are up.
    pub(super) units: Vec<(Unit, CgroupId)>,
}

pub(super) struct Tables {
    sockets: Arc<Mutex<SockDiag>>,
    results: mpsc::Sender<Event>,
    /// Since when a table is wanted that is newer than the last.
    wanted: Option<Mono>,
    reading: bool,
    /// Who has listened on a unit's places while the unit was up: it is no rival.
    beside: BTreeMap<Unit, BTreeSet<String>>,
}

impl Tables {
    pub(super) fn new(sockets: SockDiag, results: mpsc::Sender<Event>) -> Tables {
        let sockets = Arc::new(Mutex::new(sockets));
        Tables { sockets, results, wanted: Some(clock::now()), reading: false, beside: BTreeMap::new() }
    }

    /// The table must be read again.
    pub(super) fn want(&mut self) {
        self.wanted.get_or_insert_with(clock::now);
    }

    /// It is wanted, and no reading is under way.
    pub(super) fn is_due(&self) -> bool {
        self.wanted.is_some() && !self.reading
    }

    /// It has been due for long: signs that come without end must not hold it up.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_due() && self.wanted.is_some_and(|since| clock::now().since(since) >= PATIENCE)
    }

    /// Begins to read; the table comes as [`Event::Listeners`].
    pub(super) fn read(&mut self, owners: Owners) {
        self.wanted = None;
        self.reading = true;
        let (sockets, results) = (self.sockets.clone(), self.results.clone());
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || table(&sockets, &owners)).await;
            let table = match read {
                Ok(Ok(table)) => Some(table),
                Ok(Err(fault)) => {
                    tracing::warn!(%fault, "the table of listeners is not known");
                    None
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the table of listeners is not known");
                    None
                }
            };
            results.send(Event::Listeners(table)).await.ok();
        });
    }

    /// A reading is over.
    pub(super) fn done(&mut self, table: Option<&Table>) {
        self.reading = false;
        for (unit, names) in table.into_iter().flat_map(|table| &table.beside) {
            let kept = self.beside.entry(unit.clone()).or_default();
            if kept.len() + names.len() > BESIDE_KEPT {
                kept.clear();
            }
            kept.extend(names.iter().cloned());
        }
    }

    pub(super) fn beside(&self, unit: &Unit) -> BTreeSet<String> {
        self.beside.get(unit).cloned().unwrap_or_default()
    }

    /// Another way to the same socket, for a thread that may wait.
    pub(super) fn sockets(&self) -> Arc<Mutex<SockDiag>> {
        self.sockets.clone()
    }
}

/// The listeners of this moment, as far as the table tells them.
pub(super) fn listeners(sockets: &Mutex<SockDiag>) -> Result<Vec<Listener>, sock_diag::Error> {
    // a reader that panicked leaves a socket whose late replies are known by their numbers
    sockets.lock().unwrap_or_else(PoisonError::into_inner).listeners()
}

fn table(sockets: &Mutex<SockDiag>, owners: &Owners) -> Result<Table, sock_diag::Error> {
    let at = clock::now();
    let mut listeners = listeners(sockets)?;
    let known: Vec<CgroupId> = owners.units.iter().map(|(_, cgroup)| *cgroup).collect();
    for (cgroup, path) in &owners.paths {
        if listeners.iter().any(|listener| listener.cgroup == Some(*cgroup)) {
            continue;
        }
        let Some(procs) = procs_of(path) else { continue };
        let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let own: Vec<Place> = sockets.listeners_of(&procs).unwrap_or_default();
        for listener in &mut listeners {
            // of one that systemd made it tells systemd's cgroup, or that of the .socket unit
            if own.contains(&listener.place) && !known.iter().any(|it| Some(*it) == listener.cgroup) {
                listener.cgroup = Some(*cgroup);
            }
        }
    }
    let beside = |(unit, cgroup): &(Unit, CgroupId)| {
        let found = look::beside(*cgroup, &listeners);
        Some((unit.clone(), found.ok()?)).filter(|(_, names)| !names.is_empty())
    };
    let beside = owners.units.iter().filter_map(beside).collect();
    Ok(Table { at, listeners, beside })
}

/// The list of processes of a cgroup, as systemd names the cgroup.
fn procs_of(control_group: &str) -> Option<PathBuf> {
    let mount = systemd::cgroup::mount().ok()?;
    Some(mount.join(control_group.trim_start_matches('/')).join("cgroup.procs"))
}
