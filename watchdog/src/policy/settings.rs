use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{OnFailure, Pressed, RestartOn, Service, Unit};

/// Everything that the policy goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `[watchdog]`, as far as the policy goes.
    pub host: Host,
    /// Every service.
    pub services: BTreeMap<Service, Guard>,
}

/// `[watchdog]` and its tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// `mode = "observe"`: decide and record, do not act.
    pub observe: bool,
    /// `budget.concurrent_restarts`.
    pub concurrent_restarts: u32,
    /// `budget.restarts` …
    pub restarts: u32,
    /// … per `budget.within`.
    pub within: Duration,
    /// `[watchdog.gates]`.
    pub gates: Gates,
    /// `recorder.within`: so long a restart waits for the evidence; `None`: none is taken.
    #[serde(default)]
    pub record: Option<Duration>,
}

/// `[watchdog.gates]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// `memory`; `None` is switched off.
    pub memory: Option<Threshold>,
    /// `io`.
    pub io: Option<Threshold>,
    /// `cpu`.
    pub cpu: Option<Threshold>,
    /// `disk_free`, in hundredths of a percent; zero is switched off.
    pub disk_free: u32,
    /// `hold_for`.
    pub hold_for: Duration,
}

/// Above this a gate is closed, such as `some avg10 > 40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// `full`: every task stalled; else `some` did.
    pub full: bool,
    /// Of the last so many seconds.
    pub over: Over,
    /// In hundredths of a percent.
    pub limit: u32,
}

/// The averages that the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// `avg10`.
    Ten,
    /// `avg60`.
    Sixty,
    /// `avg300`.
    ThreeHundred,
}

impl Threshold {
    /// The average that it is about, in hundredths of a percent.
    pub fn average(&self, pressed: &Pressed) -> u32 {
        let of = if self.full { pressed.full } else { pressed.some };
        match self.over {
            Over::Ten => of.avg10,
            Over::Sixty => of.avg60,
            Over::ThreeHundred => of.avg300,
        }
    }

    /// Its name, such as `some avg10`.
    pub fn name(&self) -> String {
        let over = match self.over {
            Over::Ten => "avg10",
            Over::Sixty => "avg60",
            Over::ThreeHundred => "avg300",
        };
        format!("{} {over}", if self.full { "full" } else { "some" })
    }
}

/// One service, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// What is restarted.
    pub unit: Unit,
    /// `group`.
    pub group: Option<String>,
    /// `depends_on`.
    pub depends_on: Vec<Dependency>,
    /// `only_if_enabled`.
    pub only_if_enabled: bool,
    /// `preflight`.
    pub preflight: Option<Vec<String>>,
    /// `pid_file`; `None`: the unit's own PIDFile=.
    pub pid_file: Option<PathBuf>,
    /// `stale_pid_file`.
    pub stale_pid_file: StalePidFile,
    /// Its heartbeats, in order.
    pub heartbeats: Vec<Pulse>,
    /// `restart.on`.
    pub on: RestartOn,
    /// `restart.stop_timeout`; `None`: the unit's.
    pub stop_timeout: Option<Duration>,
    /// `restart.start_timeout`; `None`: the unit's.
    pub start_timeout: Option<Duration>,
    /// `restart.grace`.
    pub grace: Duration,
    /// `restart.burst`.
    pub burst: u32,
    /// `restart.within`.
    pub within: Duration,
    /// `restart.backoff`.
    pub backoff: Duration,
    /// `restart.backoff_max`.
    pub backoff_max: Duration,
    /// `restart.stable`.
    pub stable: Duration,
    /// `[service.NAME.restart.ladder]`.
    pub ladder: Ladder,
}

/// `[service.NAME.restart.ladder]`: what comes after restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// `reboot`: the host may be rebooted for this service.
    pub reboot: bool,
    /// `reboot_after`: so long in quarantine without a good answer.
    pub reboot_after: Duration,
    /// `reboot_every`: not before the host has been up for so long.
    pub reboot_every: Duration,
}

/// What is done about a PID file that names another program's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StalePidFile {
    /// It is told, and left alone.
    Keep,
    /// It is removed, on proof, before one more start.
    Remove,
}

/// When a heartbeat is asked and what its end leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// `timeout`.
    pub timeout: Duration,
    /// `failures`: at least 1.
    pub failures: u32,
    /// `retry_after`.
    pub retry_after: Duration,
    /// `every`.
    pub every: Duration,
    /// `every_in_use`.
    pub every_in_use: Duration,
    /// `on_failure`.
    pub on_failure: OnFailure,
}

/// One of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dependency {
    /// Another service of this configuration.
    Service(Service),
    /// A unit that is no service of ours.
    Unit(Unit),
}
