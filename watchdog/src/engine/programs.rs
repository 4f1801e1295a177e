//! What the main process of each unit was seen to run: where systemd starts a script or a wrapper, another program serves in the
//! end. So it is looked at with each word on the unit, and with each heartbeat.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    look,
    model::{Unit, UnitState},
};

#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<Unit, BTreeSet<PathBuf>>);

impl Programs {
    pub(super) fn learn(&mut self, state: &UnitState) {
        let Some(pid) = state.main_pid.filter(|_| state.active.is_up()) else { return };
        if let Some(program) = look::program(state.unit.as_str(), pid) {
            self.0.entry(state.unit.clone()).or_default().insert(program);
        }
    }

    /// What it runs by its own unit file too.
    pub(super) fn of(&self, unit: &Unit, state: Option<&UnitState>) -> BTreeSet<PathBuf> {
        let mut programs = self.0.get(unit).cloned().unwrap_or_default();
        programs.extend(state.and_then(|state| state.program.clone()));
        programs
    }
}
