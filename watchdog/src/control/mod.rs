//! The API of a running watchdog: HTTP over a Unix socket, for its own commands and for `curl --unix-socket`.
//!
//! Invariants: it decides nothing and never holds the engine up: what is asked goes over a bounded channel, and whoever asks
//! waits. Who may ask is judged by the kernel's word on the process behind each connection, not by the file's mode alone. A
//! request has at most 8 KiB and two seconds, and sixteen are served at once.
//! Deliberately absent: TCP; knowledge of the engine, which is behind a channel.

mod client;
mod metrics;
mod peer;
mod serve;
mod socket;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf};

use tokio::sync::{mpsc, oneshot};

pub use client::get;
pub use serve::serve;
pub use socket::{Place, Socket};

use crate::model::Status;

/// The path of the status, which is JSON; its version changes with the meaning of its fields.
pub const STATUS: &str = "/v1/status";
/// The path of the metrics, in OpenMetrics' text.
pub const METRICS: &str = "/metrics";
/// The group whose members may read.
pub const GROUP: &str = "watchdog";

/// Where the engine is asked for what is true now.
pub type Asks = mpsc::Sender<oneshot::Sender<Box<Status>>>;

/// Why the API does not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process listens there.
    #[error("another process listens on {}: is that a watchdog too? (see [watchdog] control_socket)", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is no socket, and is left alone: remove it, or see [watchdog] control_socket", path.display())]
    NoSocket {
        /// What was found.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("cannot listen on {}: {source} (see [watchdog] control_socket)", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("no watchdog runs: nobody listens on {} (start it with `systemctl start watchdog`, or see --socket)", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// Not for this user.
    #[error("cannot ask the watchdog on {}: only root and members of the group {GROUP} may (try `sudo`)", path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// It listens, and does not answer as it should.
    #[error("the watchdog on {} does not answer: {why}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// Why.
        why: String,
    },
}
