use std::{fmt, ops::RangeInclusive, path::PathBuf, time::Duration};

use regex::bytes::Regex;

use crate::model::Connect;

/// One `[service.NAME.heartbeat]`, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is asked.
    pub target: Target,
    /// Where the connection goes.
    pub connect: Connect,
    /// Statuses that count as an answer. A status from 500 on counts only where it is named by a range that begins at 500 or above.
    pub status: Vec<RangeInclusive<u16>>,
    /// What the body of a 2xx or 3xx must hold, in its first 64 KiB: more is not read.
    pub body: Option<Body>,
    /// For the whole answer, from connect to the last byte.
    pub timeout: Duration,
    /// HTTP method.
    pub method: String,
    /// More headers, in order. `Host`, `User-Agent` and `Connection` may be among them and replace ours. `Authorization` and
    /// `Cookie` are held back, as `basic_auth` is, where the certificate has a fault.
    pub headers: Vec<(String, String)>,
    /// `basic_auth_file`.
    pub basic_auth: Option<BasicAuth>,
    /// `heartbeat.tls`.
    pub tls: Tls,
}

impl Settings {
    /// What heartbeats call themselves, unless `headers` says otherwise.
    pub const AGENT: &str = concat!("watchdog/", env!("CARGO_PKG_VERSION"));

    /// The User-Agent by which a server's log shows this heartbeat; `None` where it sends none.
    pub fn agent(&self) -> Option<&str> {
        let given = self.headers.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        match self.target {
            Target::Http { .. } => Some(given.map_or(Settings::AGENT, |(_, agent)| agent)),
            Target::Tcp { .. } | Target::Exec { .. } => None,
        }
    }
}

/// What a heartbeat asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `http://` or `https://`.
    Http {
        /// `https`.
        secure: bool,
        /// Host of the URL: the Host header and the name in TLS. An IPv6 address with or without its brackets.
        host: String,
        /// Port of the URL, or the scheme's own.
        port: u16,
        /// Path and query, from the first slash; never empty.
        path: String,
    },
    /// `tcp://host:port`: to connect is enough.
    Tcp {
        /// Host of the URL.
        host: String,
        /// Its port.
        port: u16,
    },
    /// `exec = ["argv"]`: exit code 0 is alive; runs as a transient unit of systemd.
    Exec {
        /// The program and its arguments; no shell.
        argv: Vec<String>,
        /// `heartbeat.user`.
        user: Option<String>,
    },
}

/// What must be in a body.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes, literally.
    Literal(String),
    /// This pattern, matched against bytes: a body may hold NULs and what is no UTF-8.
    Pattern(Regex),
}

/// What was looked for, as the configuration has it.
impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Body::Literal(text) => text,
            Body::Pattern(pattern) => pattern.as_str(),
        })
    }
}

/// A user and a password, read from `basic_auth_file` (one line, `user:password`) when the configuration is loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth(pub String);

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicAuth(…)") // a password is never printed
    }
}

/// `heartbeat.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `verify`: a certificate that does not verify is told; `false`: not even looked at.
    pub verify: bool,
    /// `ca`: PEM file with the issuers to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// `expires_within`: a certificate that ends sooner is told; zero switches it off.
    pub expires_within: Duration,
}
