use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{CgroupId, Exit, Mono, Port, Service, SignalSent, Stall, Unit};

/// Signs that make a service worth a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Connections are not accepted.
    AcceptStall(Stall),
    /// Requests are not answered.
    AnswerStall(Stall),
    /// Nothing listens on its port any more.
    ListenerLost(Port),
    /// Not a fault: clients are connecting, so that the service is asked at `every_in_use`.
    InUse,
    /// Signs were lost: anything may have happened.
    Loss,
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
}

/// How one port is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedPort {
    /// The same connection at the head of the accept queue for this long is a stall.
    pub accept_after: Duration,
    /// Bytes received and none sent since, for this long, is a stall.
    pub answer_after: Duration,
}
