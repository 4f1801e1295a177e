use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CgroupId, CommandRun, Incarnation, IncidentId, Mono, OrderId, Others, PidFile, PidStamp, Pressure,
    Service, Tell, Unit, UnitState,
};

/// What the policy wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Ask a service whether it is alive.
    Ask(Ask),
    /// Do something to a unit.
    Act(Act),
    /// Look something up.
    Look(Look),
    /// Write a record.
    Tell(Tell),
}

/// One heartbeat to be asked now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ask {
    /// Its number.
    pub id: OrderId,
    /// The service.
    pub service: Service,
    /// Which of the service's heartbeats, counted from 0.
    pub heartbeat: usize,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
}

/// One thing to be done to a unit, for one incarnation of it and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Act {
    /// Its number.
    pub id: OrderId,
    /// The service.
    pub service: Service,
    /// The unit.
    pub unit: Unit,
    /// The incarnation it is meant for.
    pub incarnation: Option<Incarnation>,
    /// The incident it belongs to.
    pub incident: IncidentId,
    /// What.
    pub action: Action,
}

/// What can be done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A living unit: one job, stop then start (`TryRestartUnit`, mode `fail`: nothing happens when a stop came first).
    Restart {
        /// Clear systemd's start limit first: our start would reach it.
        reset: bool,
    },
    /// A dead or dying unit (`StartUnit`, mode `fail`).
    Start {
        /// Clear systemd's start limit first.
        reset: bool,
    },
    /// The same, once its PID file, which was proved to be stale, is removed; without a new proof nothing is done.
    StartAfresh {
        /// Clear systemd's start limit first.
        reset: bool,
        /// Which file.
        stale: PidStamp,
    },
    /// Kill what is left of the incarnation, by its own cgroup, so that a new one is never hit.
    Kill,
    /// Take back a start that crossed an operator's stop (`StopUnit`).
    Undo,
    /// Reboot the host, as `systemctl reboot` does (`StartUnit` of reboot.target, mode `replace-irreversibly`): the last rung.
    Reboot,
    /// Cancel this job of ours.
    Cancel {
        /// systemd's number of it.
        job: u32,
    },
}

/// What became of an [`Act`]. A job's further way is told by the signs of its unit: they come over the same connection, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The order.
    pub order: OrderId,
    /// The service.
    pub service: Service,
    /// The incident.
    pub incident: IncidentId,
    /// When the request left.
    #[serde(rename = "requested_us")]
    pub requested: Mono,
    /// When the reply came.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// What.
    pub result: Result,
}

/// What became of an [`Act`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// systemd queued this job. It is finished when the unit's signs say so.
    Queued {
        /// systemd's number of the job.
        job: u32,
    },
    /// Done: killed, cancelled.
    Done,
    /// There was nothing to do any more: the cgroup was gone or empty, the job over.
    Nothing,
    /// systemd refused: another job stands against it, or the unit cannot be started.
    Refused {
        /// The D-Bus error's name, such as `org.freedesktop.systemd1.TransactionIsDestructive`.
        error: String,
        /// Its text.
        text: String,
    },
    /// systemd was not reached, or did not reply in time: what became of it is not known until the unit is read again.
    NoReply {
        /// Why.
        text: String,
    },
}

/// A question of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// Its number.
    pub id: OrderId,
    /// The service.
    pub service: Service,
    /// The unit.
    pub unit: Unit,
    /// What is asked.
    pub question: Question,
}

/// What can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The unit's properties, read after every signal that systemd sent before its reply.
    Unit,
    /// Whether something outside the unit listens on the service's own ports.
    Holders,
    /// What the host is short of, and the unit's own part in it.
    Pressure,
    /// Whether the service's own check of its configuration passes.
    Preflight,
    /// Whether watchdog itself can be asked over loopback.
    Ourselves,
    /// What the PID file of the unit says, after a start that failed.
    PidFile,
    /// Who else has a hand in the unit or in the host.
    Others,
    /// What the unit wrote last.
    LastWords,
    /// Whether the main process that systemd names is dead, and nobody takes notice.
    MainProcess,
    /// What shows of the unit now, kept in a file before it is gone.
    Record {
        /// For which incident.
        incident: IncidentId,
        /// Before what.
        moment: Moment,
    },
}

/// When the evidence of an incident is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before a living unit is restarted.
    Restart,
    /// Before what is left of a stop that takes too long is killed.
    Kill,
    /// After the unit ended: what is still there.
    Death,
}

/// The answer to a [`Look`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// The order.
    pub order: OrderId,
    /// The service.
    pub service: Service,
    /// When it was read.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// What is known now.
    pub known: Known,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The unit, as systemd sees it.
    Unit(Box<UnitState>),
    /// Who holds the service's ports though the unit is down.
    Holders(Vec<Holder>),
    /// What the host is short of.
    Pressure(Box<Pressure>),
    /// What the service's own check of its configuration said.
    Preflight(Preflight),
    /// Whether watchdog answered itself.
    Ourselves {
        /// What kept it from that.
        fault: Option<String>,
    },
    /// The PID file; `None` where there is none, or no PID in it.
    PidFile(Option<Box<PidFile>>),
    /// Who else is at work.
    Others(Box<Others>),
    /// What the unit wrote last, line by line.
    LastWords(Vec<String>),
    /// The main process.
    MainProcess {
        /// All of its threads have ended, and its parent has not asked how (state Z).
        unreaped: bool,
    },
    /// The evidence of an incident is in this file.
    Recorded(Box<Recorded>),
    /// Programs that were run just before another's job came to the unit, and may have asked for it; the latest last. Told
    /// without being asked.
    Asked {
        /// systemd's number of the job.
        job: u32,
        /// The programs.
        by: Vec<CommandRun>,
    },
    /// The heartbeats of the service connect to listeners of these services. Told without being asked.
    Fronts(BTreeSet<Service>),
    /// It could not be looked up.
    Nothing {
        /// Why.
        why: String,
    },
}

/// The evidence of an incident, kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Which incident.
    pub incident: IncidentId,
    /// Before what.
    pub moment: Moment,
    /// The file.
    pub path: PathBuf,
    /// From the order to this answer; the end of journal and logs is added to the file after it.
    #[serde(rename = "took_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
    /// What took too long and is not in it.
    pub missing: Option<String>,
}

/// How a service's own check of its configuration ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preflight {
    /// With exit code 0.
    Passed,
    /// Otherwise.
    Failed {
        /// With which code or signal.
        how: String,
        /// The first lines of what it printed.
        output: Vec<String>,
    },
    /// It could not be run, or not to its end: nothing is known.
    NotRun {
        /// Why.
        why: String,
    },
}

/// A process that listens where a service wants to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Where, such as `0.0.0.0:80` or a path.
    pub place: String,
    /// Its PID; 0 when it could not be found.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its cgroup.
    pub cgroup: Option<CgroupId>,
    /// Its unit or scope, the last part of its cgroup's path; empty when unknown.
    pub unit: String,
}
