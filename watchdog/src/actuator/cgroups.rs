use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    model::{Incarnation, Unit, UnitState},
    systemd::cgroup::{self, Cgroup},
};

/// The cgroups of the incarnations that are or may still be there.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    mount: Option<PathBuf>,
    held: BTreeMap<Unit, Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    incarnation: Incarnation,
    cgroup: Arc<Cgroup>,
}

impl Cgroups {
    /// Opens the cgroup of a new incarnation; lets go of those that are empty.
    pub(super) fn learn(&mut self, state: &UnitState) {
        let Some(incarnation) = state.incarnation else { return };
        let held = self.held.entry(state.unit.clone()).or_default();
        let known = held.iter().any(|it| it.incarnation == incarnation);
        if state.active.is_down() || state.cgroup.is_none() || known {
            return;
        }
        held.retain(|it| it.cgroup.is_populated().unwrap_or(true));
        if self.mount.is_none() {
            self.mount = cgroup::mount().ok();
        }
        let Some(mount) = &self.mount else { return };
        match Cgroup::open(mount, &state.cgroup_path) {
            // Another number: it is the next incarnation already, and will be learnt with its own state.
            Ok(cgroup) if Some(cgroup.id()) == state.cgroup => {
                held.push(Held { incarnation, cgroup: Arc::new(cgroup) });
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(unit = %state.unit, %error, "cannot hold a cgroup"),
        }
    }

    /// The cgroup of this incarnation. Where processes outlive a stop (KillMode=process) systemd uses their cgroup again: what
    /// belongs to a later incarnation too is nobody's to kill.
    pub(super) fn of(&self, unit: &Unit, incarnation: Incarnation) -> Option<Arc<Cgroup>> {
        let held = self.held.get(unit)?;
        let at = held.iter().position(|it| it.incarnation == incarnation)?;
        let cgroup = &held[at].cgroup;
        let shared = held[at + 1..].iter().any(|later| later.cgroup.id() == cgroup.id());
        (!shared).then(|| cgroup.clone())
    }
}
