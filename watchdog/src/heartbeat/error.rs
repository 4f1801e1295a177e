use std::{io, path::PathBuf};

/// Why a heartbeat cannot be prepared. Each is a fault of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host of the URL can be no name in TLS.
    #[error("cannot ask {host:?} over https: give a host name or an IP address in `url`")]
    Host {
        /// As in the URL.
        host: String,
    },
    /// The path of the URL holds what no request may hold.
    #[error("cannot ask for the path {path:?}: percent-encode it in `url`")]
    Path {
        /// As in the URL.
        path: String,
    },
    /// Not a method, or one that this kind of check cannot use.
    #[error("cannot use the method {method:?}: use GET, HEAD, OPTIONS or POST")]
    Method {
        /// As in the configuration.
        method: String,
    },
    /// A body is asked for where none can come.
    #[error("cannot look for a `body` in the answer to HEAD: use GET, or drop `body`")]
    BodyOfHead,
    /// A name or value that no header may have, or a header that speaks of a request body: heartbeats have none.
    #[error(
        "cannot send the header {name:?}: check its name and value, and leave out what describes a request body"
    )]
    Header {
        /// Its name.
        name: String,
    },
    /// `basic_auth_file` holds what no header may hold.
    #[error("cannot use `basic_auth_file`: write one line, user:password")]
    BasicAuth,
    /// The path of a Unix socket is longer than the kernel allows, or holds a NUL.
    #[error("cannot connect to unix:{}: {source}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `ca` cannot be read.
    #[error("cannot read the issuers to trust from {}: {source}; check `tls.ca`", path.display())]
    Issuers {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// `ca` holds no certificate, or none that can be an issuer.
    #[error("cannot find a certificate in {}: `tls.ca` is a PEM file", path.display())]
    NoIssuers {
        /// The file.
        path: PathBuf,
    },
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS: {0}; report this as a bug")]
    Tls(#[from] rustls::Error),
    /// `exec` is empty.
    #[error("cannot run an empty `exec`: name a program")]
    NoProgram {
        /// Whom it would have run as.
        user: Option<String>,
    },
}
