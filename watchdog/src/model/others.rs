use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mono;

/// Who else has a hand in a unit, or in the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Others {
    /// What systemd itself is doing.
    pub system: SystemState,
    /// A package manager at work, for people: `process 812 (dpkg) holds /var/lib/dpkg/lock`.
    pub package: Option<String>,
    /// The unit's cgroup is frozen.
    pub frozen: bool,
    /// A process that traces one of the unit's, for people: `process 812 (gdb) traces process 99 (nginx)`.
    pub tracer: Option<String>,
    /// When PID 1 began: with the host, or with the container, which a reboot begins anew. `None`: not known.
    #[serde(default)]
    pub began: Option<Mono>,
}

/// What systemd is doing, as far as it decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SystemState {
    /// `initializing`, `starting`: jobs of the boot are still running.
    Booting,
    /// `running`, `degraded`, `maintenance`, or unknown.
    #[default]
    Running,
    /// `stopping`: the host shuts down.
    Stopping,
}
