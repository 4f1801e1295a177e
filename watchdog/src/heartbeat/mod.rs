//! One check with a deadline; answers a verdict.
//!
//! What an end means, in full: `judge`. Certificates: `tls`. The one deadline and our own lateness: `deadline`.
//!
//! Invariant: every heartbeat ends by its time-out, with the phase it came to; its socket is closed at that moment.
//! Deliberately absent: proxy variables, redirects, cookies, keep-alive, TLS resumption, more than 64 KiB of a body, and DNS
//! unless `connect = "dns"`. Who runs programs is the caller's affair: they are transient units of systemd.

mod deadline;
mod error;
mod http;
mod judge;
mod reach;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

use std::{fmt, future::Future, net::SocketAddr, path::PathBuf, time::Duration};

pub use error::Error;
pub use reach::own_ends;
pub use settings::{BasicAuth, Body, Settings, Target, Tls};
pub use tls::Profiles;

use crate::{
    clock,
    model::{Answer, Ask, Cause, Connect, End, OwnFault, Phase, Place, Port, Warning},
};

/// One heartbeat, ready to be asked again and again.
#[derive(Debug)]
pub struct Heart {
    target: Ready,
    connect: Connect,
    timeout: Duration,
}

/// Where a heartbeat goes this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// This address; of the unspecified ones, `0.0.0.0` is asked over 127.0.0.1, and `[::]` over ::1, then 127.0.0.1.
    Tcp(SocketAddr),
    /// This Unix socket; an abstract one begins with a NUL.
    Unix(PathBuf),
    /// Whatever the name in the URL resolves to, address after address until one takes the connection.
    Dns,
    /// Nowhere: a program is run on this host.
    Here,
}

/// A program to be run as a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; no shell.
    pub argv: Vec<String>,
    /// Whom it runs as; `None` is root.
    pub user: Option<String>,
    /// It must be gone after this, also when nobody waits for it any more.
    pub timeout: Duration,
}

/// What became of a [`Program`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It ran and ended.
    Ended(Cause),
    /// It was ended at its time-out.
    Late,
    /// It was never run: not found, not executable, an unknown user, no systemd.
    NotRun(String),
}

#[derive(Debug)]
enum Ready {
    Http { question: Box<http::Question>, tls: Option<tls::Client>, host: String, port: Port },
    Tcp { host: String, port: Port },
    Exec { argv: Vec<String>, user: Option<String> },
}

/// What is known of an ask while it runs, and stays known when its deadline cuts it short.
#[derive(Debug)]
struct Way {
    phase: Phase,
    asked: String,
    body_bytes: u64,
    /// The certificate has a fault: whoever this is, no password is meant for it.
    stranger: bool,
    warnings: Vec<Warning>,
}

impl Way {
    fn new(spot: &Spot) -> Way {
        Way {
            phase: Phase::Connect,
            asked: spot.to_string(),
            body_bytes: 0,
            stranger: false,
            warnings: Vec::new(),
        }
    }
}

impl Heart {
    /// Prepares a heartbeat. `profiles` keeps what heartbeats of one TLS profile share, such as the system's issuers.
    ///
    /// Fails on what no ask could cure: a header that is none, a `ca` file that cannot be read.
    pub fn new(settings: &Settings, profiles: &mut Profiles) -> Result<Heart, Error> {
        if let Connect::Unix(path) = &settings.connect {
            reach::check_path(path)?;
        }
        let target = match &settings.target {
            Target::Http { secure, host, port, path } => Ready::Http {
                question: Box::new(http::Question::new(settings, *secure, host, *port, path)?),
                tls: secure.then(|| tls::Client::new(&settings.tls, host, profiles)).transpose()?,
                host: host.clone(),
                port: Port(*port),
            },
            Target::Tcp { host, port } => Ready::Tcp { host: host.clone(), port: Port(*port) },
            Target::Exec { argv, user } if argv.is_empty() => {
                return Err(Error::NoProgram { user: user.clone() });
            }
            Target::Exec { argv, user } => Ready::Exec { argv: argv.clone(), user: user.clone() },
        };
        Ok(Heart { target, connect: settings.connect.clone(), timeout: settings.timeout })
    }

    /// How long an ask may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Where to ask it now. `own` is called for `Connect::Own` only, and says where the unit itself listens for the URL's
    /// port; where it says nothing, loopback is asked.
    pub fn spot(&self, own: impl FnOnce(Port) -> Option<Place>) -> Spot {
        let port = match &self.target {
            Ready::Http { port, .. } | Ready::Tcp { port, .. } => *port,
            Ready::Exec { .. } => return Spot::Here,
        };
        match &self.connect {
            Connect::Own => match own(port) {
                Some(Place::Tcp(address)) => Spot::Tcp(address),
                Some(Place::Unix(path)) => Spot::Unix(path),
                None => Spot::Tcp(reach::loopback(port)),
            },
            Connect::Address(address) => Spot::Tcp(*address),
            Connect::Unix(path) => Spot::Unix(path.clone()),
            Connect::Dns => Spot::Dns,
        }
    }

    /// Asks once; ends by the time-out, whatever comes. `run` runs a program for a heartbeat that is one, and is dropped
    /// at the deadline.
    pub async fn ask<R>(&self, ask: &Ask, spot: &Spot, run: impl FnOnce(Program) -> R) -> Answer
    where
        R: Future<Output = Ran>,
    {
        let mut way = Way::new(spot);
        let began = clock::now();
        let (end, lost) = deadline::keep(self.timeout, self.steps(spot, run, &mut way)).await;
        let end = judge::whose_fault(end, way.phase, self.timeout, lost);
        Answer {
            order: ask.id,
            service: ask.service.clone(),
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict: judge::verdict(&end),
            end,
            phase: way.phase,
            asked: way.asked,
            began,
            took: clock::now().since(began),
            body_bytes: way.body_bytes,
            warnings: way.warnings,
            evidence: None,
            ailments: None,
        }
    }

    async fn steps<R>(&self, spot: &Spot, run: impl FnOnce(Program) -> R, way: &mut Way) -> End
    where
        R: Future<Output = Ran>,
    {
        let end = match &self.target {
            Ready::Http { question, tls, host, port } => {
                async {
                    let mut stream = reach::connect(spot, host, *port, way).await?;
                    if let Some(client) = tls {
                        way.phase = Phase::Tls;
                        stream = client.secure(stream, way).await?;
                    }
                    way.phase = Phase::Headers;
                    question.put(stream, way).await
                }
                .await
            }
            Ready::Tcp { host, port } => {
                reach::connect(spot, host, *port, way).await.map(|_| End::Good { status: None })
            }
            Ready::Exec { argv, user } => {
                way.phase = Phase::Exec;
                way.asked = argv.join(" ");
                let program = Program { argv: argv.clone(), user: user.clone(), timeout: self.timeout };
                Ok(judge::ran(run(program).await, self.timeout))
            }
        };
        end.unwrap_or_else(|fault| judge::end(fault, way.phase))
    }
}

/// `127.0.0.1:80`, `unix:/run/app.sock`, `unix:@abstract`, `dns`, or nothing for a program.
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spot::Tcp(address) => write!(f, "{address}"),
            Spot::Unix(path) => write!(f, "unix:{}", path.to_string_lossy().replace('\0', "@")),
            Spot::Dns => f.write_str("dns"),
            Spot::Here => Ok(()),
        }
    }
}

/// Why an ask could not go on.
#[derive(Debug)]
enum Fault {
    Io(std::io::Error),
    Hyper(hyper::Error),
    Own(OwnFault),
}

impl From<std::io::Error> for Fault {
    fn from(fault: std::io::Error) -> Fault {
        Fault::Io(fault)
    }
}

impl From<hyper::Error> for Fault {
    fn from(fault: hyper::Error) -> Fault {
        Fault::Hyper(fault)
    }
}
