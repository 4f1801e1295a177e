use std::collections::BTreeSet;

use crate::{
    model::{
        ActiveState, CgroupId, Ends, FileState, Incarnation, LoadState, PendingJob, RestartOn, Unit,
        UnitState,
    },
    systemd::{self, Said},
};

/// What is known of one unit: the words of the model, and what they are made from.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// As it would be told now.
    pub(super) state: UnitState,
    /// systemd has said everything at least once.
    pub(super) known: bool,
    /// It was asked for everything again, by itself, and has not said it yet.
    pub(super) looked_at: bool,
    /// systemd has read its files again, and has not said everything since: its settings may be others by now. Whatever it
    /// says after its word of that is new.
    pub(super) outdated: bool,
    /// The unit's own name, which is another where the configuration has an alias.
    pub(super) own_name: String,
    /// The sockets that start it.
    pub(super) sockets: BTreeSet<Unit>,
    exec: Exec,
    times: Times,
    /// Where the last incarnation lived: the next one lives at the same place, in a directory of its own.
    home: Option<(String, Option<CgroupId>)>,
    /// The exit that was seen last, by its time, and the incarnation that it ended.
    exit: Option<(u64, Option<Incarnation>)>,
}

/// Microseconds of the monotonic clock; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    began: u64,
    came_up: u64,
    went: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Exec {
    code: i32,
    status: i32,
    exit: u64,
}

impl Kept {
    /// A unit of which nothing is known yet.
    pub(super) fn blank(unit: &Unit) -> Kept {
        let state = UnitState {
            unit: unit.clone(),
            load: LoadState::NotFound,
            file: FileState::Other,
            active: ActiveState::Inactive,
            sub: "dead".into(),
            incarnation: None,
            main_pid: None,
            cgroup: None,
            cgroup_path: String::new(),
            job: None,
            main_ended: None,
            result: "success".into(),
            restart: RestartOn::No,
            restart_pause: std::time::Duration::ZERO,
            restarts: 0,
            stop_timeout: None,
            start_timeout: None,
            start_limit_burst: 0,
            start_limit_interval: std::time::Duration::ZERO,
            socket_activated: false,
            oneshot: false,
            success: Ends::default(),
            prevent: Ends::default(),
            force: Ends::default(),
            pid_file: None,
            program: None,
            came_up: true,
            stopped_first: false,
        };
        let own_name = unit.as_str().to_owned();
        Kept {
            state,
            known: false,
            looked_at: false,
            outdated: false,
            own_name,
            sockets: BTreeSet::new(),
            exec: Exec::default(),
            times: Times::default(),
            home: None,
            exit: None,
        }
    }

    /// Takes the part that changed. A new incarnation has a cgroup that is not known yet.
    pub(super) fn change(&mut self, said: Said, complete: bool) {
        let before = self.state.incarnation;
        self.take(said);
        if self.state.incarnation != before && self.state.incarnation.is_some() {
            self.remember_home();
            self.state.cgroup = None;
            self.state.cgroup_path = String::new();
        }
        if complete {
            self.attribute();
        }
    }

    /// Takes everything: what is not said any more has gone, but for what systemd forgets of a unit that it unloads.
    pub(super) fn replace(&mut self, said: Said) {
        let unit = self.state.unit.clone();
        let old = std::mem::replace(self, Kept::blank(&unit));
        self.known = true;
        self.exit = old.exit;
        self.home = old.home;
        self.take(said);
        self.remember_home();
        if self.state.cgroup_path.is_empty() {
            self.state.cgroup = None; // systemd remembers the number of a cgroup that it has removed
        }
        let forgotten = self.state.incarnation.is_none() && self.state.active.is_down() && old.known;
        if forgotten && old.state.incarnation.is_some() {
            self.state.incarnation = old.state.incarnation;
            self.state.main_ended = old.state.main_ended;
            self.state.result = old.state.result;
            self.exec = old.exec;
            self.times = old.times;
            self.state.came_up = old.state.came_up;
            self.state.stopped_first = old.state.stopped_first;
        } else {
            self.attribute();
        }
        if let (Some(now), Some(then)) = (&mut self.state.job, old.state.job)
            && now.id == then.id
        {
            now.kind = then.kind;
        }
    }

    /// Whether this is a moment that is told to nobody: systemd names a new incarnation before the state leaves that of the
    /// old one; a unit that was absent runs, and has not been read; a unit is down, and may not stay so; a unit ends, and by
    /// which settings this is to be judged is not known yet.
    pub(super) fn is_passing(&self, told: Option<&UnitState>) -> bool {
        let state = &self.state;
        if self.outdated && ends(state.active) {
            return true;
        }
        let between = state.job.is_some() && told.is_some_and(|told| told.incarnation != state.incarnation);
        match state.active.is_down() {
            true => between || (self.looked_at && self.may_restart()),
            false => self.looked_at && state.load == LoadState::NotFound,
        }
    }

    /// Whether systemd must be asked for more: a run whose cgroup is not known, a unit that has appeared, or one that has just
    /// ended. The last goes through `failed` on its way to `auto-restart`, and says both.
    pub(super) fn wants_a_look(&self, told: Option<&UnitState>) -> bool {
        match self.state.active.is_down() {
            true => self.may_restart() && told.is_some_and(|told| !told.active.is_down()),
            false => self.is_homeless() || self.state.load != LoadState::Loaded,
        }
    }

    /// It runs, and where is not known.
    pub(super) fn is_homeless(&self) -> bool {
        let state = &self.state;
        !state.active.is_down() && state.cgroup_path.is_empty() && state.unit.as_str().ends_with(".service")
    }

    fn may_restart(&self) -> bool {
        let restarts = self.state.restart != RestartOn::No || self.state.force != Ends::default();
        restarts && self.state.job.is_none()
    }

    /// Where a run whose cgroup is not known is likely to live, and the cgroup that was there before.
    pub(super) fn likely_home(&self) -> Option<(String, Option<CgroupId>)> {
        (self.is_homeless() && self.state.load == LoadState::Loaded).then(|| self.home.clone())?
    }

    /// The new incarnation was found where the last one lived.
    pub(super) fn housed(&mut self, path: &str, cgroup: CgroupId) {
        path.clone_into(&mut self.state.cgroup_path);
        self.state.cgroup = Some(cgroup);
        self.remember_home();
    }

    fn remember_home(&mut self) {
        if !self.state.cgroup_path.is_empty() {
            self.home = Some((self.state.cgroup_path.clone(), self.state.cgroup));
        }
    }

    fn take(&mut self, said: Said) {
        let state = &mut self.state;
        put(&mut self.own_name, said.id);
        put(&mut state.load, said.load);
        put(&mut state.file, said.file);
        put(&mut state.active, said.active);
        put(&mut state.sub, said.sub);
        put(&mut state.main_pid, said.main_pid.map(|pid| (pid != 0).then_some(pid)));
        put(&mut state.cgroup, said.cgroup);
        put(&mut state.cgroup_path, said.cgroup_path);
        put(&mut state.result, said.result);
        put(&mut state.restart, said.restart);
        put(&mut state.restart_pause, said.restart_pause);
        put(&mut state.restarts, said.restarts);
        put(&mut state.stop_timeout, said.stop_timeout);
        put(&mut state.start_timeout, said.start_timeout);
        put(&mut state.start_limit_burst, said.start_limit_burst);
        put(&mut state.start_limit_interval, said.start_limit_interval);
        put(&mut state.oneshot, said.oneshot);
        put(&mut state.success, said.success);
        put(&mut state.prevent, said.prevent);
        put(&mut state.force, said.force);
        put(&mut state.pid_file, said.pid_file);
        put(&mut state.program, said.program);
        put(&mut self.exec.code, said.exec_code);
        put(&mut self.exec.status, said.exec_status);
        put(&mut self.exec.exit, said.exec_exit);
        put(&mut self.times.began, said.began);
        put(&mut self.times.came_up, said.came_up);
        put(&mut self.times.went, said.went);
        let Times { began, came_up, went } = self.times;
        state.came_up = began == 0 || came_up >= began;
        state.stopped_first = state.came_up && came_up != 0 && went > came_up && self.exec.exit > went;
        if let Some(Some(incarnation)) = said.incarnation {
            state.incarnation = Some(incarnation);
        }
        if let Some(triggers) = said.triggered_by {
            let units = triggers.iter().filter_map(|name| name.parse().ok());
            self.sockets = units.filter(|unit: &Unit| unit.as_str().ends_with(".socket")).collect();
        }
        if let Some(id) = said.job {
            let kind = state.job.filter(|job| job.id == id).and_then(|job| job.kind);
            state.job = (id != 0).then_some(PendingJob { id, kind });
        }
    }

    /// Says how the main process ended, if it was one of this incarnation: a new run begins with the exit of the one before.
    fn attribute(&mut self) {
        let cause = systemd::cause(self.exec.code, self.exec.status);
        if cause.is_some() && self.exit.is_none_or(|(at, _)| at != self.exec.exit) {
            self.exit = Some((self.exec.exit, self.state.incarnation));
        }
        let ours = self.exit.is_some_and(|(_, incarnation)| incarnation == self.state.incarnation);
        self.state.main_ended = cause.filter(|_| ours && self.state.main_pid.is_none());
    }
}

fn ends(active: ActiveState) -> bool {
    match active {
        ActiveState::Active | ActiveState::Reloading | ActiveState::Activating => false,
        ActiveState::Deactivating
        | ActiveState::Maintenance
        | ActiveState::Inactive
        | ActiveState::Failed => true,
    }
}

fn put<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}
