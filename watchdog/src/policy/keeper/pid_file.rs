//! A start that failed, and what the PID file has to do with it.
//!
//! A daemon that finds a living process under the PID in its file takes it for itself and refuses to start. Where it is
//! another program's, the file is stale: that is told, and on request, with proof, it is removed before one more start. Where
//! the process may be one of the service, nothing is removed, and nothing is started beside it.

use super::{Desk, Keeper, Stage, UnitState, words};
use crate::{
    model::{Mono, PidFile},
    policy::{StalePidFile, cause::Class},
};

impl Keeper {
    /// Whether the PID file may be why the last start failed.
    pub(super) fn suspects_pid_file(&self) -> bool {
        let named = self.unit.as_ref().and_then(|unit| unit.pid_file.as_ref());
        self.refused && (self.guard.pid_file.is_some() || named.is_some())
    }

    /// The unit ended: a program that refuses to start ends by itself, by an exit code, at once.
    pub(super) fn may_have_refused(&self, now: Mono, unit: &UnitState, class: Class) -> bool {
        let at_once = !unit.came_up || self.began.is_none_or(|began| now.since(began) < self.guard.grace);
        match class {
            Class::UncleanCode => at_once && unit.result != "signal" && unit.result != "core-dump",
            Class::Timeout | Class::Abnormal => at_once,
            Class::Clean => !unit.came_up && !unit.oneshot && unit.result == "success",
            Class::UncleanSignal | Class::Watchdog => false,
        }
    }

    /// What the file says, told once for each thing that it says.
    pub(super) fn pid_file(&mut self, desk: &mut Desk<'_>, file: Option<&PidFile>) {
        let remove = self.guard.stale_pid_file == StalePidFile::Remove;
        let Some(file) = file else { return };
        let (told, stale) = (words::pid_file(file, remove), file.is_stale());
        self.step(desk.now, told.clone());
        if self.pid_file_told.as_ref() != Some(&told) {
            self.alert(desk, told.clone());
            self.pid_file_told = Some(told);
        }
        let Stage::Checking(checking) = &mut self.stage else { return };
        let found = &mut checking.found;
        found.stale = (stale && remove).then_some(file.stamp);
        let instance = file.holder.as_ref().filter(|holder| holder.alike && !holder.own);
        found.instance = instance.map(|holder| words::instance(file, holder));
    }
}
