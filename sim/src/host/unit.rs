//! One unit of the simulated host: what systemd knows of it, and how its program behaves.

use std::time::Duration;

use watchdog::model::{
    ActiveState, Cause, CgroupId, Ends, FileState, Incarnation, JobKind, LoadState, Mono, OrderId,
    PendingJob, RestartOn, Unit, UnitState,
};

/// How its program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// Answers well, but late.
    Slow,
    /// Answers 503.
    Sick,
    /// Never answers.
    Hangs,
}

/// What comes of its next starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartWay {
    Well(Duration),
    Fails(Duration),
    Hangs,
    /// Comes up, and dies so long after.
    Loops(Duration),
    /// Comes up, and answers nothing.
    Deaf,
}

/// What its program does when it is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopWay {
    Obeys(Duration),
    /// Ignores SIGTERM.
    Ignores,
    /// Waits in the kernel: not even SIGKILL ends it before then.
    Stuck(Mono),
}

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Ours(OrderId),
    Operator,
    Systemd,
}

/// A job on the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: u32,
    pub(crate) kind: JobKind,
    pub(crate) owner: Owner,
}

/// Where it stands between two moves of systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Rest,
    Starting,
    Reloading,
    /// The main process is dead, and systemd has not seen it.
    Unreaped,
    ExecStop,
    Term,
    Kill,
    StopPost,
    /// After ExecStopPost=, for what is left.
    FinalKill,
    AutoRestart,
}

#[derive(Clone, Debug)]
pub(crate) struct SimUnit {
    pub(crate) name: Unit,
    /// Another name of it, under which it is told as well.
    pub(crate) alias: Option<Unit>,
    pub(crate) active: ActiveState,
    pub(crate) sub: &'static str,
    pub(crate) run: u32,
    pub(crate) job: Option<Job>,
    pub(crate) load: LoadState,
    pub(crate) file: FileState,
    pub(crate) restart: RestartOn,
    pub(crate) restart_pause: Duration,
    pub(crate) restarts: u32,
    pub(crate) stop_timeout: Option<Duration>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) limit_burst: u32,
    pub(crate) limit_interval: Duration,
    pub(crate) oneshot: bool,
    pub(crate) socket: bool,
    pub(crate) exec_stop_fails: bool,
    pub(crate) health: Health,
    pub(crate) start_way: StartWay,
    pub(crate) stop_way: StopWay,
    /// A stranger listens on its port.
    pub(crate) port_taken: bool,
    /// Its configuration is broken: it would not come up.
    pub(crate) broken: bool,
    /// Its PID file is stale: it does not come up while that is there.
    pub(crate) stale_pid_file: bool,
    /// The last word of an operator was a stop.
    pub(crate) wanted_down: bool,
    /// When an operator last stopped it.
    pub(crate) stopped_at: Mono,
    /// An operator stopped it, and no run has begun since but one of ours that crossed the stop.
    pub(crate) was_stopped: bool,
    pub(super) phase: Phase,
    /// The alarm that counts; older ones are void.
    pub(super) token: u32,
    pub(super) main: bool,
    pub(super) ended: Option<Cause>,
    pub(super) result: &'static str,
    pub(super) came_up: bool,
    pub(super) stopped_first: bool,
    /// It was told to end: systemd's Restart= does not act.
    pub(super) asked_down: bool,
    pub(super) phase_ends: Option<Mono>,
    pub(super) limit_began: Option<Mono>,
    pub(super) limit_used: u32,
}

impl SimUnit {
    pub(crate) fn new(name: Unit) -> SimUnit {
        SimUnit {
            name,
            alias: None,
            active: ActiveState::Active,
            sub: "running",
            run: 0,
            job: None,
            load: LoadState::Loaded,
            file: FileState::Other,
            restart: RestartOn::No,
            restart_pause: Duration::from_millis(100),
            restarts: 0,
            stop_timeout: Some(Duration::from_secs(90)),
            start_timeout: Some(Duration::from_secs(90)),
            limit_burst: 5,
            limit_interval: Duration::from_secs(10),
            oneshot: false,
            socket: false,
            exec_stop_fails: false,
            health: Health::Well,
            start_way: StartWay::Well(Duration::from_millis(50)),
            stop_way: StopWay::Obeys(Duration::from_millis(20)),
            port_taken: false,
            broken: false,
            stale_pid_file: false,
            wanted_down: false,
            stopped_at: Mono(0),
            was_stopped: false,
            phase: Phase::Rest,
            token: 0,
            main: true,
            ended: None,
            result: "success",
            came_up: true,
            stopped_first: false,
            asked_down: false,
            phase_ends: None,
            limit_began: None,
            limit_used: 0,
        }
    }

    /// Something stands against every start of it.
    pub(super) fn cannot_come_up(&self) -> bool {
        (self.port_taken && !self.socket) || self.broken || self.stale_pid_file
    }

    /// It runs, and its program answers.
    pub(crate) fn serves(&self) -> bool {
        self.active.is_up() && self.main && self.health != Health::Hangs
    }

    pub(crate) fn cgroup(&self) -> Option<CgroupId> {
        let has = !self.active.is_down() && self.phase != Phase::AutoRestart;
        has.then_some(CgroupId(u64::from(self.run)))
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation(u128::from(self.run).to_be_bytes())
    }

    /// What systemd says of it under this name.
    pub(crate) fn state(&self, name: &Unit) -> UnitState {
        let cgroup = self.cgroup();
        UnitState {
            unit: name.clone(),
            load: self.load,
            file: self.file,
            active: self.active,
            sub: self.sub.to_owned(),
            incarnation: Some(self.incarnation()),
            main_pid: self.main.then(|| self.pid()),
            cgroup,
            cgroup_path: cgroup.map_or_else(String::new, |_| self.name.as_str().to_owned()),
            job: self.job.map(|job| PendingJob { id: job.id, kind: Some(job.kind) }),
            main_ended: self.ended,
            result: self.result.to_owned(),
            restart: self.restart,
            restart_pause: self.restart_pause,
            restarts: self.restarts,
            stop_timeout: self.stop_timeout,
            start_timeout: self.start_timeout,
            start_limit_burst: self.limit_burst,
            start_limit_interval: self.limit_interval,
            socket_activated: self.socket,
            oneshot: self.oneshot,
            success: Ends::default(),
            prevent: Ends::default(),
            force: Ends::default(),
            pid_file: None,
            program: None,
            came_up: self.came_up,
            stopped_first: self.stopped_first,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.run + 1000
    }

    /// systemd's own Restart= brings it back from this end.
    pub(super) fn comes_back(&self) -> bool {
        let clean = self.result == "success"
            && self.ended.is_none_or(|ended| {
                matches!(ended, Cause::Code(0) | Cause::Signal { signal: 1 | 2 | 13 | 15, .. })
            });
        let signal = matches!(self.ended, Some(Cause::Signal { .. }));
        let acts = match self.restart {
            RestartOn::No => false,
            RestartOn::Always => true,
            RestartOn::OnSuccess => clean,
            RestartOn::OnFailure => !clean,
            RestartOn::OnAbnormal => !clean && (signal || self.result == "timeout"),
            RestartOn::OnAbort => !clean && signal && self.result != "timeout",
            RestartOn::OnWatchdog => self.result == "watchdog",
        };
        acts && !self.asked_down && self.result != "start-limit-hit"
    }
}
