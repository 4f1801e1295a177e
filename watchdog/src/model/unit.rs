use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CgroupId, Incarnation, Unit};

/// What systemd said of one unit at one moment. Times are as systemd gives them; `None` where it says infinity or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitState {
    /// Its name.
    pub unit: Unit,
    /// LoadState.
    pub load: LoadState,
    /// UnitFileState.
    pub file: FileState,
    /// ActiveState.
    pub active: ActiveState,
    /// SubState, such as `running`, `auto-restart`, `stop-sigterm`, `stop-post`.
    pub sub: String,
    /// InvocationID of the present or last run; `None` when systemd has forgotten it.
    pub incarnation: Option<Incarnation>,
    /// MainPID, in watchdog's PID namespace.
    pub main_pid: Option<u32>,
    /// ControlGroupId (read from the directory where systemd does not tell it), while the unit has a cgroup.
    pub cgroup: Option<CgroupId>,
    /// ControlGroup, such as `/system.slice/nginx.service`; empty while the unit has none.
    pub cgroup_path: String,
    /// Job: what is queued or running on this unit.
    pub job: Option<PendingJob>,
    /// How the main process ended, from ExecMainCode and ExecMainStatus; `None` while it runs or when unknown.
    pub main_ended: Option<Cause>,
    /// Result, such as `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`. Not the cause of a death.
    pub result: String,
    /// Restart: what systemd itself does at an end.
    pub restart: RestartOn,
    /// RestartUSec: systemd's own pause before it restarts.
    #[serde(rename = "restart_pause_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub restart_pause: Duration,
    /// NRestarts: how often systemd restarted by itself.
    pub restarts: u32,
    /// TimeoutStopUSec.
    #[serde(rename = "stop_timeout_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub stop_timeout: Option<Duration>,
    /// TimeoutStartUSec.
    #[serde(rename = "start_timeout_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub start_timeout: Option<Duration>,
    /// StartLimitBurst; 0 is no limit.
    pub start_limit_burst: u32,
    /// StartLimitIntervalUSec; zero is no limit.
    #[serde(rename = "start_limit_interval_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub start_limit_interval: Duration,
    /// TriggeredBy has a socket that is listening: an inactive unit is healthy and waits for a client.
    pub socket_activated: bool,
    /// Type=oneshot: its ending is its success.
    pub oneshot: bool,
    /// SuccessExitStatus: ends of the main process that are clean too.
    pub success: Ends,
    /// RestartPreventExitStatus: ends of the main process after which nothing is ever started again.
    pub prevent: Ends,
    /// RestartForceExitStatus: ends of the main process after which it is always started again.
    pub force: Ends,
    /// PIDFile.
    pub pid_file: Option<PathBuf>,
    /// The program of the first ExecStart.
    pub program: Option<PathBuf>,
    /// This run has been active; an end before that is a start that failed.
    pub came_up: bool,
    /// The unit left `active` before its main process ended: it was stopped, and did not end by itself.
    pub stopped_first: bool,
}

/// Exit codes and signals, as SuccessExitStatus= and its like name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// Exit codes.
    pub codes: Vec<u8>,
    /// Signals, whether with a core or without.
    pub signals: Vec<u8>,
}

impl Ends {
    /// Whether this end is one of them.
    pub fn have(&self, cause: Cause) -> bool {
        match cause {
            Cause::Code(code) => self.codes.contains(&code),
            Cause::Signal { signal, .. } => self.signals.contains(&signal),
        }
    }
}

/// LoadState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadState {
    /// The unit file was read.
    Loaded,
    /// No such unit.
    NotFound,
    /// Masked: must not be started.
    Masked,
    /// `bad-setting`, `error` and whatever else keeps a unit from being started.
    Error,
}

/// UnitFileState, as far as it decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// `disabled`.
    Disabled,
    /// `masked`, `masked-runtime`.
    Masked,
    /// `enabled`, `static`, `generated`, `transient`, `alias`, `indirect`, `linked`, or none.
    Other,
}

/// ActiveState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    /// Started.
    Active,
    /// Active, and reading its configuration again (also systemd's newer `refreshing`).
    Reloading,
    /// Ended, cleanly or never started.
    Inactive,
    /// Ended uncleanly.
    Failed,
    /// Being started, or waiting for systemd's own restart (SubState `auto-restart`).
    Activating,
    /// Being stopped, or ending by itself.
    Deactivating,
    /// `maintenance`.
    Maintenance,
}

impl ActiveState {
    /// Nothing runs any more, and nothing will without a new job.
    pub fn is_down(self) -> bool {
        matches!(self, ActiveState::Inactive | ActiveState::Failed)
    }

    /// It serves.
    pub fn is_up(self) -> bool {
        matches!(self, ActiveState::Active | ActiveState::Reloading)
    }
}

/// A job that systemd has queued or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingJob {
    /// systemd's number; grows with each job, also over a re-exec.
    pub id: u32,
    /// What it does; `None` when it was over before it could be read.
    pub kind: Option<JobKind>,
}

/// JobType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// `start`, `verify-active`.
    Start,
    /// `stop`.
    Stop,
    /// `restart`, `try-restart`.
    Restart,
    /// `reload`, `reload-or-start`, `try-reload`, `nop`.
    Reload,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It exited with this code.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// Its number.
        signal: u8,
        /// The kernel began to write a core.
        core: bool,
    },
}

/// Which ends of a unit are acted upon: the words and the table of systemd's `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// None.
    No,
    /// Every one, also a clean end that no operator asked for.
    Always,
    /// A clean end.
    OnSuccess,
    /// An unclean code or signal, a time-out, systemd's watchdog.
    OnFailure,
    /// An unclean signal, a time-out, systemd's watchdog.
    OnAbnormal,
    /// An unclean signal.
    OnAbort,
    /// systemd's watchdog.
    OnWatchdog,
}
