use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ailments, Evidence, IncidentId, Mono, OrderId, Service};

/// How one heartbeat ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The order it answers.
    pub order: OrderId,
    /// The service asked.
    pub service: Service,
    /// Which of the service's heartbeats, counted from 0.
    pub heartbeat: usize,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// What it means.
    pub verdict: Verdict,
    /// How it ended.
    pub end: End,
    /// How far it came.
    pub phase: Phase,
    /// Whom it asked, such as `127.0.0.1:80` or `unix:/run/app.sock`.
    pub asked: String,
    /// When it began.
    #[serde(rename = "began_us")]
    pub began: Mono,
    /// How long it took.
    #[serde(rename = "took_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
    /// Bytes of the body, as far as they were read.
    pub body_bytes: u64,
    /// Worth telling, though no reason to restart.
    pub warnings: Vec<Warning>,
    /// What was seen of the unit meanwhile, where it was not answered well and not soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What ails the unit's processes, where it was not answered well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ailments: Option<Ailments>,
}

/// What a heartbeat's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It answers as it should.
    Alive,
    /// It does not.
    Dead,
    /// Nobody can say: the fault may be ours.
    Unknown,
}

/// How far a heartbeat came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Resolving the name (`connect = "dns"` only).
    Resolve,
    /// Connecting.
    Connect,
    /// TLS handshake.
    Tls,
    /// Waiting for the status line and the headers.
    Headers,
    /// Reading the body.
    Body,
    /// Running a program.
    Exec,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Headers => "headers",
            Phase::Body => "body",
            Phase::Exec => "exec",
        })
    }
}

/// How a heartbeat ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A complete answer as asked for; `status` where there is one.
    Good {
        /// HTTP status.
        status: Option<u16>,
    },
    /// Connection refused.
    Refused,
    /// Connection reset, or closed before the answer was complete.
    Reset,
    /// No complete answer within this time.
    #[serde(rename = "late_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    Late(Duration),
    /// A status outside `status`, or 5xx.
    Status(u16),
    /// A complete answer without the text that `body` or `body_regex` asks for.
    WrongBody {
        /// HTTP status.
        status: u16,
        /// What was looked for.
        wanted: String,
        /// The first bytes of what came, made printable.
        got: String,
    },
    /// Bytes that are no HTTP, or headers without end.
    BadHttp(String),
    /// TLS failed before any answer (not for the certificate's name, date or issuer).
    BadTls(String),
    /// A program ended with this code or signal.
    Program(String),
    /// Another fault of the network on the way, such as "no route to host".
    Unreachable(String),
    /// A fault on our side.
    Own(OwnFault),
}

/// Faults of the asker, which say nothing of the asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnFault {
    /// EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL.
    Resources(String),
    /// The name was not resolved.
    Name(String),
    /// The program cannot be run.
    Program(String),
    /// A file that the heartbeat needs (password, CA) cannot be read.
    File(String),
    /// We ran late ourselves by more than half of the time-out.
    #[serde(rename = "lateness_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    Lateness(Duration),
    /// EACCES, EPERM: our rights, or a local firewall, keep us from it.
    Forbidden(String),
    /// No TLS version or cipher in common, or it wants a certificate of ours: it lives, and cannot be asked.
    Tls(String),
}

/// Worth telling, though no reason to restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// A 4xx inside `status`: a restart does not cure a 403.
    ClientError(u16),
    /// The certificate is out of date or soon will be, of another name, or of an unknown issuer.
    Certificate(String),
}

/// Where a heartbeat connects to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Connect {
    /// The unit's own listener for the URL's port, else loopback.
    Own,
    /// This address.
    Address(SocketAddr),
    /// This Unix socket.
    Unix(PathBuf),
    /// What the name in the URL resolves to.
    Dns,
}

/// What a dead heartbeat leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// A restart of the unit.
    Restart,
    /// An alert only.
    Alert,
    /// The heartbeat is not asked.
    Off,
}

/// The end in one line, such as `no complete answer within 3 s (phase: body)`, and what is worth telling beside it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.end, f)?;
        match self.end {
            End::Reset | End::Late(_) | End::Unreachable(_) | End::Own(_) => {
                write!(f, " (phase: {})", self.phase)?;
            }
            End::WrongBody { .. } => write!(f, "; {} bytes were searched", self.body_bytes)?,
            End::Good { .. }
            | End::Refused
            | End::Status(_)
            | End::BadHttp(_)
            | End::BadTls(_)
            | End::Program(_) => {}
        }
        self.evidence.iter().try_for_each(|evidence| write!(f, "; {evidence}"))?;
        self.ailments.iter().try_for_each(|ailments| write!(f, "; {ailments}"))?;
        self.warnings.iter().try_for_each(|warning| write!(f, "; {warning}"))
    }
}

/// A time-out as people write it: `3 s`, `1.5 s`, `250 ms`.
struct Spoken(Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis @ 0..1_000 => write!(f, "{millis} ms"),
            _ => write!(f, "{} s", self.0.as_secs_f64()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Good { status: Some(status) } => write!(f, "status {status}"),
            End::Good { status: None } => f.write_str("good"),
            End::Refused => f.write_str("connection refused"),
            End::Reset => f.write_str("connection closed before the answer was complete"),
            End::Late(limit) => write!(f, "no complete answer within {}", Spoken(*limit)),
            End::Status(status) => write!(f, "status {status}"),
            End::WrongBody { status, wanted, got } => {
                write!(f, "status {status}, but the body lacks {wanted:?} (it begins {got:?})")
            }
            End::BadHttp(why) => write!(f, "not HTTP: {why}"),
            End::BadTls(why) => write!(f, "TLS failed: {why}"),
            End::Program(why) => write!(f, "program {why}"),
            End::Unreachable(why) => write!(f, "unreachable: {why}"),
            End::Own(fault) => write!(f, "our own fault: {fault}"),
        }
    }
}

impl fmt::Display for OwnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnFault::Resources(why) => f.write_str(why),
            OwnFault::Name(why) => write!(f, "name not resolved: {why}"),
            OwnFault::Program(why) => write!(f, "program cannot be run: {why}"),
            OwnFault::File(why) => write!(f, "file cannot be read: {why}"),
            OwnFault::Lateness(by) => write!(f, "we were late ourselves by {by:.0?}"),
            OwnFault::Forbidden(why) => write!(f, "not allowed: {why}"),
            OwnFault::Tls(why) => write!(f, "no TLS in common: {why}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::ClientError(status) => {
                write!(f, "it answers {status}: alive, but a restart does not cure that")
            }
            Warning::Certificate(why) => write!(f, "certificate: {why}"),
        }
    }
}
