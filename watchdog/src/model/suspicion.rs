use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CgroupId, CommandRun, Exit, LogErrors, Mono, OomKill, Port, ServerErrors, Service, SignalSent, Stall,
    Unit, UnixStall,
};

/// Signs that make a service worth a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suspicion {
    /// Of which service.
    pub service: Service,
    /// When the first of its signs happened.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// What was seen.
    pub why: Why,
}

/// What makes a service suspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its main process ended: the end of the unit, whatever a heartbeat says.
    MainExit {
        /// How.
        exit: Exit,
        /// The last signal that was sent to it before, where one was seen.
        sent: Option<SignalSent>,
    },
    /// Another process of the unit ended by a fatal signal or with a code that is not 0.
    WorkerExit {
        /// How.
        exit: Exit,
        /// The last signal that was sent to it before, where one was seen.
        sent: Option<SignalSent>,
    },
    /// One process of it after the other dies, while its main process lives.
    WorkerStorm(Storm),
    /// Connections are not accepted.
    AcceptStall(Stall),
    /// Requests are not answered.
    AnswerStall(Stall),
    /// Connections to its Unix socket are not accepted.
    UnixStall(UnixStall),
    /// Nothing listens on its port any more.
    ListenerLost(Port),
    /// A process of it was killed for want of memory.
    OomKill(OomKill),
    /// A process of it was stopped by a signal (SIGSTOP).
    Stopped(SignalSent),
    /// It answers with errors.
    ServerErrors(ServerErrors),
    /// Its log holds too many errors.
    LogErrors(LogErrors),
    /// Not a fault: clients are connecting, so that the service is asked at `every_in_use`.
    InUse,
    /// Signs were lost: anything may have happened.
    Loss,
}

impl Why {
    /// As records, metrics and tables have it.
    pub fn name(&self) -> &'static str {
        match self {
            Why::MainExit { .. } => "main_exit",
            Why::WorkerExit { .. } => "worker_exit",
            Why::WorkerStorm(_) => "worker_storm",
            Why::AcceptStall(_) => "accept_stall",
            Why::AnswerStall(_) => "answer_stall",
            Why::UnixStall(_) => "unix_stall",
            Why::ListenerLost(_) => "listener_lost",
            Why::OomKill(_) => "oom_kill",
            Why::Stopped(_) => "stopped",
            Why::ServerErrors(_) => "server_errors",
            Why::LogErrors(_) => "log_errors",
            Why::InUse => "in_use",
            Why::Loss => "loss",
        }
    }
}

/// Processes other than the main one that die by faults or by another's hand, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storm {
    /// So many deaths were told apart.
    pub deaths: u32,
    /// From the first of them to the last.
    #[serde(rename = "within_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub within: Duration,
    /// The last one.
    pub last: Exit,
}

/// What the suspicion room concludes from a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A service is worth a heartbeat, or its main process ended.
    Suspicion(Suspicion),
    /// The filters in the kernel must change to these.
    Watch(Watch),
    /// The table of listeners must be read again.
    AskListeners,
    /// What a job on the unit of `service` may have been asked for by.
    Asked {
        /// The service.
        service: Service,
        /// systemd's number of the job.
        job: u32,
        /// Programs that were run just before it, the latest last.
        by: Vec<CommandRun>,
    },
    /// The heartbeats of `service` connect to listeners of `fronts`.
    Fronts {
        /// The dependant.
        service: Service,
        /// The services in front of it.
        fronts: BTreeSet<Service>,
    },
}

/// What the kernel side must let through; everything else wakes nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Cgroups of watched units, each with the PIDs of its main processes, the latest last; none where none is known. Ends
    /// of, and signals to, other processes are told now and then, and clean ends of them never.
    pub cgroups: BTreeMap<CgroupId, Vec<u32>>,
    /// Whose cgroups they are: not for the kernel, but for the watchdog after this one, which must understand what it told.
    pub units: BTreeMap<CgroupId, Unit>,
    /// Ports of watched units and of heartbeats, in watchdog's own network namespace.
    pub ports: BTreeMap<Port, WatchedPort>,
    /// Cgroups whose answers are read for a status of 500 and above: their paths, as systemd names them. They stay while the
    /// unit is down, so that none of its first answers goes by unread.
    pub answers: BTreeSet<String>,
    /// Unix sockets of watched units and of heartbeats: the same connection at the head of the accept queue for this long is a
    /// stall. No hook of the kernel's sees them.
    pub unix: BTreeMap<PathBuf, Duration>,
}

/// How one port is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedPort {
    /// The same connection at the head of the accept queue for this long is a stall.
    pub accept_after: Duration,
    /// Bytes received and none sent since, for this long, is a stall.
    pub answer_after: Duration,
}
