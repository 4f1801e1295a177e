use std::{error::Error as _, fmt, io, net::SocketAddr, path::PathBuf, time::Duration};

use hyper::StatusCode;

/// Why a channel cannot be used (a fault of the configuration), or a message was not taken. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host of the URL, or the server's name, can be no name in TLS.
    #[error("cannot speak TLS to {host:?}: give a host name or an IP address")]
    Host {
        /// As configured.
        host: String,
    },
    /// The path of the URL holds what no request may hold.
    #[error("cannot ask {host} for the path of this URL: percent-encode it")]
    Path {
        /// The host of the URL.
        host: String,
    },
    /// A name or value that no header may have.
    #[error("cannot send the header {name:?}: check its name and value")]
    Header {
        /// Its name.
        name: String,
    },
    /// `ca` cannot be read.
    #[error("cannot read the issuers to trust from {}: {source}; check `ca`", path.display())]
    Issuers {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// There is nobody to trust.
    #[error("cannot find an issuer to trust in {}: `ca` is a PEM file", path.display())]
    NoIssuers {
        /// The file, or where the system keeps its own.
        path: PathBuf,
    },
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS: {0}; report this as a bug")]
    Tls(#[from] rustls::Error),
    /// No mail address.
    #[error("cannot use the mail address {address:?}: {source}")]
    Address {
        /// As configured.
        address: String,
        /// Why.
        source: lettre::address::AddressError,
    },
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody listens, or nobody is reached.
    #[error("cannot connect to {address} ({host}): {source}")]
    Connect {
        /// The host.
        host: String,
        /// The last of its addresses.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The handshake failed; an unknown issuer, another name, an expired certificate.
    #[error("cannot speak TLS to {host}: {source}")]
    Handshake {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("cannot speak HTTP to {host}: {}", Chain(source))]
    Http {
        /// The host.
        host: String,
        /// Why.
        source: hyper::Error,
    },
    /// An answer that is no 2xx.
    #[error("{host} answered {status}{}", in_its_words(.said))]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: StatusCode,
        /// The beginning of its body.
        said: String,
    },
    /// A redirection, which is not followed.
    #[error("{host} answered {status}: it redirects to {to}, which is not followed; name the final URL")]
    Redirect {
        /// The host.
        host: String,
        /// The status.
        status: StatusCode,
        /// Scheme and host of where it leads.
        to: String,
    },
    /// The mail server refused, or the connection broke.
    #[error("{server} did not take the mail: {source}")]
    Smtp {
        /// The server.
        server: String,
        /// Why.
        source: lettre::transport::smtp::Error,
    },
    /// The mail cannot be written.
    #[error("cannot write the mail: {0}")]
    Mail(#[from] lettre::error::Error),
    /// The program was not run.
    #[error(transparent)]
    Systemd(#[from] crate::systemd::Error),
    /// The program ended badly.
    #[error("{program} {how}{}", in_its_words(.said))]
    Program {
        /// Its path.
        program: String,
        /// How it ended.
        how: String,
        /// The end of its output.
        said: String,
    },
    /// It took too long.
    #[error("{who} was not done within {after:?}")]
    Late {
        /// The host or program.
        who: String,
        /// The channel's `timeout`.
        after: Duration,
    },
    /// What is kept over a restart cannot be read or written.
    #[error("cannot keep who was told in {}: {source}", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A task of ours ended by itself.
    #[error("cannot go on: {0}; report this as a bug")]
    Died(#[from] tokio::task::JoinError),
}

fn in_its_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

/// An error with all that caused it.
struct Chain<'a>(&'a hyper::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(source) = cause {
            write!(f, ": {source}")?;
            cause = source.source();
        }
        Ok(())
    }
}
