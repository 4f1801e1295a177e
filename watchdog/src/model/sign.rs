use std::{net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ActiveState, Cause, CgroupId, JobKind, Mono, Port, Service, Serving, Unit, UnitState};

/// One raw thing that a source saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sign {
    /// When it happened: the kernel's time where the kernel told it, else when the source read it.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// Who saw it.
    pub source: Source,
    /// What.
    pub saw: Saw,
}

/// Where signs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The probes in the kernel.
    Ebpf,
    /// systemd's signals and properties.
    Units,
    /// The kernel's table of sockets.
    SockDiag,
    /// The kernel's messages on processes.
    ProcConnector,
    /// Descriptors of main processes.
    Pidfd,
    /// Looks at /proc and at the files of cgroups.
    Procfs,
    /// The services' own logs.
    Logs,
    /// No source of signs: what watchdog remembers over its own death.
    Store,
    /// Watchdog's own loop.
    Engine,
}

impl Source {
    /// As records, metrics and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Ebpf => "ebpf",
            Source::Units => "units",
            Source::SockDiag => "sock_diag",
            Source::ProcConnector => "proc_connector",
            Source::Pidfd => "pidfd",
            Source::Procfs => "procfs",
            Source::Logs => "logs",
            Source::Store => "store",
            Source::Engine => "engine",
        }
    }
}

/// What a source can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saw {
    /// A process (all of its threads) of a watched cgroup ended.
    Exit(Exit),
    /// A signal that can end a process was sent to a process of a watched cgroup.
    SignalSent(SignalSent),
    /// A socket of a watched cgroup or on a watched port began to listen.
    ListenerUp(Port),
    /// A listener on a watched port went away; `left` others listen on the port still.
    ListenerDown {
        /// The port.
        port: Port,
        /// How many listeners of this port are left.
        left: u32,
    },
    /// The oldest connection of a watched port has waited for an accept longer than `accept_after`.
    AcceptStall(Stall),
    /// A sampled connection of a watched port has sent bytes, and the server none since, for longer than `answer_after`.
    AnswerStall(Stall),
    /// The queue of a port that had stalled moves again.
    StallOver(Port),
    /// Clients are connecting to a watched port; said at most once in 5 s, and never for a heartbeat alone.
    InUse(Port),
    /// The kernel killed a process of a watched cgroup for want of memory.
    OomKill(OomKill),
    /// Answers of 500 and above left a watched cgroup.
    ServerErrors(ServerErrors),
    /// A log holds too many errors.
    LogErrors(LogErrors),
    /// The accept queue of a Unix socket of a watched unit does not move.
    UnixStall(UnixStall),
    /// A program was run that may ask systemd for something: `systemctl`, `service`, `shutdown`, a package manager.
    CommandRun(CommandRun),
    /// By what a source sees what it can see, whenever that changes.
    Serving(Vec<Serving>),
    /// What systemd says of a watched unit, at a change and at each reconciliation.
    Unit(Box<UnitState>),
    /// A job on a watched unit came or went.
    Job(Job),
    /// Every listener of this network namespace: the truth that replaces what was known before.
    Listeners(Vec<Listener>),
    /// Something may have been missed: every service of this source is looked at again.
    Loss(Loss),
    /// A source works (again), or no longer.
    Working {
        /// It works.
        works: bool,
        /// Why not, or by which way (such as "bus").
        why: String,
    },
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// The watched cgroup it belonged to.
    pub cgroup: CgroupId,
    /// Its PID in watchdog's PID namespace; 0 when it is not visible there.
    pub pid: u32,
    /// How it ended; `None` where its source cannot tell.
    pub cause: Option<Cause>,
    /// Its name (the kernel's `comm`, 15 bytes), for people only.
    pub comm: String,
    /// How many other unclean ends of processes that are not the main one were left out before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// A signal on its way to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignalSent {
    /// The watched cgroup of the target.
    pub cgroup: CgroupId,
    /// The target's PID in watchdog's PID namespace; 0 when it is not visible there.
    pub pid: u32,
    /// The signal's number.
    pub signal: u8,
    /// Who sent it.
    pub sender: Sender,
    /// How many signals to processes that are not the main one were left out before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The kernel itself (a fault, a timer).
    Kernel,
    /// The kernel, for want of memory.
    OomKiller,
    /// A process.
    Process {
        /// Its PID in watchdog's PID namespace; 0 when it is not visible there.
        pid: u32,
        /// Its real user.
        uid: u32,
        /// Its name, for people only.
        comm: String,
        /// Its cgroup.
        cgroup: CgroupId,
        /// Its unit, session or scope; empty where that is not known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        unit: String,
    },
}

/// Connections that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    /// The local port.
    pub port: Port,
    /// How long the oldest has waited.
    #[serde(rename = "age_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub age: Duration,
    /// How many wait: in the accept queue, or of the sampled ones.
    pub waiting: u32,
}

/// A process that the kernel killed for want of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OomKill {
    /// The watched cgroup it belongs to.
    pub cgroup: CgroupId,
    /// Its PID in watchdog's PID namespace; 0 when it is not visible there, or not known.
    pub pid: u32,
    /// Its name, for people only.
    pub comm: String,
}

/// Answers of 500 and above, seen as they left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerErrors {
    /// The watched cgroup they left.
    pub cgroup: CgroupId,
    /// The local port.
    pub port: Port,
    /// The status of the last one.
    pub status: u16,
    /// How many, since it was last told.
    pub errors: u32,
}

/// Too many errors in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogErrors {
    /// Whose log.
    pub service: Service,
    /// The file.
    pub path: PathBuf,
    /// Lines that count as errors, within the time that is set.
    pub errors: u32,
    /// Of how many.
    pub lines: u32,
}

/// Connections that wait on a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnixStall {
    /// The socket.
    pub path: PathBuf,
    /// For how long at least.
    #[serde(rename = "age_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub age: Duration,
    /// How many wait.
    pub waiting: u32,
}

/// A program that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRun {
    /// Its PID in watchdog's PID namespace; 0 when it is not visible there.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its real user.
    pub uid: u32,
    /// Its cgroup.
    pub cgroup: CgroupId,
    /// Its unit, session or scope; empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// A job of systemd on a watched unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// The unit.
    pub unit: Unit,
    /// systemd's number, which grows from job to job.
    pub id: u32,
    /// New, or removed.
    pub step: JobStep,
}

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStep {
    /// Queued. The kind is `None` when it was over before it could be read.
    New(Option<JobKind>),
    /// Finished.
    Removed {
        /// How.
        result: JobResult,
        /// The unit's state as the signals before this one left it.
        active: ActiveState,
    },
}

/// JobRemoved's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobResult {
    /// Done.
    Done,
    /// Replaced by another job, or cancelled.
    Canceled,
    /// JobTimeoutSec= was reached.
    Timeout,
    /// The start or stop failed.
    Failed,
    /// A unit that this one needs failed.
    Dependency,
    /// Nothing to do in the unit's present state.
    Skipped,
    /// `invalid`, `assert`, `unsupported`, `collected`, `once`, and what newer versions add.
    Other,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Where it listens.
    pub place: Place,
    /// The cgroup of its creator; with socket activation that of the .socket unit's or PID 1's.
    pub cgroup: Option<CgroupId>,
    /// Connections that wait for an accept.
    pub queue: u32,
    /// How many may wait.
    pub limit: u32,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A TCP address; `0.0.0.0` and `[::]` mean all.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A gap in what a source saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// How many records are missing; 0 when it cannot be known.
    pub lost: u64,
    /// Where: "ring buffer", "reconnected to systemd", …
    pub place: String,
}
