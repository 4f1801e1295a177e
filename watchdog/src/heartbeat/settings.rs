use std::{fmt, ops::RangeInclusive, path::PathBuf, time::Duration};

use regex::Regex;

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
    /// What the body of a 2xx or 3xx must hold.
    pub body: Option<Body>,
    /// For the whole answer, from connect to the last byte.
    pub timeout: Duration,
    /// HTTP method.
    pub method: String,
    /// More headers, in order. `Host`, `User-Agent` and `Connection` may be among them and replace ours.
    pub headers: Vec<(String, String)>,
    /// `basic_auth_file`.
    pub basic_auth: Option<BasicAuth>,
    /// `heartbeat.tls`.
    pub tls: Tls,
}

/// What a heartbeat asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `http://` or `https://`.
    Http {
        /// `https`.
        secure: bool,
        /// Host of the URL: the Host header and the name in TLS.
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
    /// This text, literally.
    Literal(String),
    /// This pattern.
    Pattern(Regex),
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
    /// `expires_within`: a certificate that ends sooner is told.
    pub expires_within: Duration,
}
