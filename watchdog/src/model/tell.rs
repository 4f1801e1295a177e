use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Cause, Incarnation, IncidentId, Mono, Service, SignalSent, Unit};

/// What the policy has to say; each becomes one record of the event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tell {
    /// The service.
    pub service: Service,
    /// Its unit.
    pub unit: Unit,
    /// The incarnation that it is about.
    pub incarnation: Option<Incarnation>,
    /// The incident.
    pub incident: Option<IncidentId>,
    /// When it was decided.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// What.
    pub decision: Decision,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// To act.
    Act {
        /// What.
        action: Action,
        /// The rule that led to it, as a sentence.
        rule: String,
        /// `mode = "observe"`: it was not done.
        observed_only: bool,
    },
    /// To wait.
    Hold {
        /// For what.
        hold: Hold,
        /// Until when at the latest; then it is looked at again.
        #[serde(rename = "until_us")]
        until: Mono,
    },
    /// To leave the unit alone, and why (an operator's stop, a clean end, systemd acts by itself).
    LeaveAlone {
        /// Why.
        why: String,
        /// How the main process ended, where it did.
        cause: Option<Cause>,
        /// The last signal that was sent to it before, where one was seen.
        sent: Option<SignalSent>,
    },
    /// Worth waking someone.
    Alert {
        /// What.
        what: String,
    },
    /// The incident ended.
    End(Box<Story>),
}

/// What an order waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The pause between two restarts.
    Backoff,
    /// The service's budget is spent: quarantine, with slow retries.
    Quarantine,
    /// The host's budget is spent.
    HostBudget,
    /// Another living unit is being restarted.
    Concurrency,
    /// Something that it depends on is failing.
    Dependency {
        /// The service or unit.
        on: String,
    },
    /// A job that is not ours is on the unit.
    ForeignJob {
        /// systemd's number of it.
        job: u32,
    },
    /// An earlier request of ours was not answered, and may be on its way to systemd still.
    Request,
    /// A port of the unit is held by a process outside it.
    PortHeld {
        /// By whom, for people.
        by: String,
    },
    /// The host is short of something, and the unit is not the cause: a restart would not help, and may make it worse.
    Gate {
        /// Of what.
        gate: Gate,
        /// With the figures, for people.
        why: String,
    },
    /// The service's own check of its configuration fails: what is stopped now could not be started.
    Preflight {
        /// What it says, for people.
        why: String,
    },
    /// Many services fail together, and watchdog cannot ask itself either: the fault may be its own, or the host's.
    Ourselves {
        /// Why it cannot, for people.
        why: String,
    },
    /// Many services fail together: they are restarted one at a time, each verified before the next.
    Together {
        /// Whose turn it is.
        on: String,
    },
    /// systemd would refuse the start.
    Unstartable {
        /// Why, for people.
        why: String,
    },
    /// The PID file names a living process of the service, outside the unit.
    Instance {
        /// Which, for people.
        by: String,
    },
    /// A package manager is at work.
    Package {
        /// Which, for people.
        by: String,
    },
    /// Jobs of the boot are still running.
    Boot,
    /// The host shuts down.
    Shutdown,
    /// The last rung is due, and is not taken: what is below it goes on.
    Reboot {
        /// What stands against it, for people.
        why: String,
    },
    /// The unit's processes are frozen.
    Frozen,
    /// A debugger is attached to a process of the unit.
    Debugger {
        /// Which, for people.
        by: String,
    },
    /// systemd's own Restart= acts first.
    Systemd,
    /// Its unit is another service's too, under an alias; that one keeps it.
    Twin {
        /// Which service.
        service: String,
    },
    /// An operator's pause.
    Pause,
    /// `only_if_enabled`: the unit is disabled or masked.
    Disabled,
    /// `mode = "observe"`.
    Observe,
}

/// What the host can be short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Free blocks or inodes of a file system.
    Disk,
    /// Numbers for processes.
    Tasks,
    /// Memory.
    Memory,
    /// I/O.
    Io,
    /// CPU time.
    Cpu,
}

/// How an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentEnd {
    /// A good heartbeat of a unit that is up.
    Recovered,
    /// The budget is spent; the service is still watched.
    Quarantined,
    /// An operator's stop, or an end that is not to be acted upon.
    StoodDown,
    /// Another incarnation came by another hand before we acted.
    Superseded,
}

/// One incident, told in one record: what happened, the evidence, the verdict, the rule, the action, the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Story {
    /// How it ended.
    pub end: IncidentEnd,
    /// From the first sign to the end.
    #[serde(rename = "took_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
    /// Restarts that this incident cost.
    pub restarts: u32,
    /// Every step, in order.
    pub steps: Vec<Step>,
}

/// One step of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When.
    pub mono_us: Mono,
    /// Microseconds since the first sign.
    pub after_us: u64,
    /// What, as a short text: `main process 812 (nginx) ended: signal 9 (sent by pid 4711 kill, uid 0)`.
    pub what: String,
}
