use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A class of failures, by what must be seen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// A process of a unit ends.
    Exit,
    /// Who sent the signal that ended it.
    Sender,
    /// Who asked systemd to stop or restart a unit.
    StopRequest,
    /// The kernel kills for want of memory.
    OomKill,
    /// The main process is dead and nobody takes notice.
    Zombie,
    /// Processes are stopped by a signal (T).
    Stopped,
    /// Nobody listens on a port any more: connections are refused.
    ListenerLost,
    /// Connections are not accepted, or find the backlog full.
    AcceptStall,
    /// Requests are not answered.
    AnswerStall,
    /// Answers of 500 and above.
    ServerErrors,
}

impl FailureClass {
    /// Every class, in the order in which they are told.
    pub const ALL: [FailureClass; 10] = [
        FailureClass::Exit,
        FailureClass::Sender,
        FailureClass::StopRequest,
        FailureClass::OomKill,
        FailureClass::Zombie,
        FailureClass::Stopped,
        FailureClass::ListenerLost,
        FailureClass::AcceptStall,
        FailureClass::AnswerStall,
        FailureClass::ServerErrors,
    ];

    /// As records, metrics and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            FailureClass::Exit => "exit",
            FailureClass::Sender => "sender",
            FailureClass::StopRequest => "stop_request",
            FailureClass::OomKill => "oom_kill",
            FailureClass::Zombie => "zombie",
            FailureClass::Stopped => "stopped",
            FailureClass::ListenerLost => "listener_lost",
            FailureClass::AcceptStall => "accept_stall",
            FailureClass::AnswerStall => "answer_stall",
            FailureClass::ServerErrors => "server_errors",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By what a class of failures is seen; the better one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A probe on a tracepoint with the kernel's own types.
    TpBtf,
    /// A program that sees what leaves the unit's cgroup.
    CgroupSkb,
    /// A probe on a classic tracepoint.
    Tracepoint,
    /// The kernel's messages on processes (netlink).
    ProcConnector,
    /// The kernel's table of sockets, looked at again and again.
    SockDiag,
    /// What systemd says.
    Systemd,
    /// A descriptor of the main process.
    Pidfd,
    /// Looks at /proc and at the cgroup's files.
    Procfs,
    /// The service's own log.
    Log,
    /// Nothing but the heartbeat.
    Heartbeat,
}

impl Rung {
    /// As records, metrics and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Rung::TpBtf => "tp_btf",
            Rung::CgroupSkb => "cgroup_skb",
            Rung::Tracepoint => "tracepoint",
            Rung::ProcConnector => "proc_connector",
            Rung::SockDiag => "sock_diag",
            Rung::Systemd => "systemd",
            Rung::Pidfd => "pidfd",
            Rung::Procfs => "procfs",
            Rung::Log => "log",
            Rung::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which rung serves a class of failures now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Serving {
    /// The class.
    pub class: FailureClass,
    /// The best rung that works.
    pub rung: Rung,
    /// Why no better one does, for people; empty where this is the best.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}
