//! The API of a running watchdog: HTTP over a Unix socket, for its own commands and for `curl --unix-socket`.
//!
//! Invariants: it decides nothing and never holds the engine up: what is asked goes over a bounded channel, and whoever asks
//! waits. Who may ask is judged by the kernel's word on the process behind each connection, not by the file's mode alone:
//! root may read and write, members of the group may read. Whatever is asked to be changed is on record, with who asked and
//! what was answered. A request has at most 8 KiB of headers, 64 KiB of body and two seconds; sixteen of others are served
//! at once, and beside them eight of root, whom a flood of others does not keep out. Eight more, and four of root, may look on at the events for
//! as long as they like.
//! Deliberately absent: TCP; knowledge of the engine, which is behind a channel.

mod choose;
mod client;
mod events;
mod follow;
mod metrics;
mod peer;
mod reply;
mod serve;
mod socket;
#[cfg(test)]
mod tests;
mod write;

use std::{io, path::PathBuf};

use tokio::sync::{mpsc, oneshot};

pub use choose::{Unknown, choose};
pub use client::{get, post};
pub use follow::{Onlooker, look_on};
pub use reply::{Fault, Reloaded, Report};
pub use serve::serve;
pub use socket::{Place, Socket};

use crate::{
    model::{Audit, Change, Changed, Status},
    systemd::own_unit,
};

/// The path of the status, which is JSON; its version changes with the meaning of its fields.
pub const STATUS: &str = "/v1/status";
/// The path of the metrics, in OpenMetrics' text.
pub const METRICS: &str = "/metrics";
/// The path of the event stream, from now on: JSON Lines without an end.
pub const EVENTS: &str = "/v1/events";
/// Hands off some services: `{"services": ["web*"], "for": "10m", "reason": "…"}`.
pub const PAUSE: &str = "/v1/pause";
/// Hands on again: `{"services": ["web*"]}`.
pub const RESUME: &str = "/v1/resume";
/// Restarts, through the policy: `{"services": ["web"], "reason": "…"}`.
pub const RESTART: &str = "/v1/restart";
/// Whether harm may be done to a service, by whoever asks, and then is: `{"services": ["web"], "fault": "kill"}`.
pub const DRILL: &str = "/v1/drill";
/// The configuration is read again.
pub const RELOAD: &str = "/v1/reload";
/// The group whose members may read.
pub const GROUP: &str = "watchdog";

/// Where requests go.
pub type Asks = mpsc::Sender<Ask>;

/// What is asked of the rest of watchdog.
#[derive(Debug)]
pub enum Ask {
    /// What is true now.
    Status(oneshot::Sender<Box<Status>>),
    /// To change something, and to have it on record.
    Change(Box<Change>, oneshot::Sender<Vec<Changed>>),
    /// To read the configuration again; the faults that keep the old one in force.
    Reload(oneshot::Sender<Result<(), String>>),
    /// To have on record what was asked for and answered here.
    Audit(Box<Audit>),
}

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
    #[error("no watchdog runs: nobody listens on {} (start it with `systemctl start {}`, or see --socket)", path.display(), own_unit())]
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
    /// It answers no.
    #[error("{}{}{}", fault.error, match fault.help.as_str() { "" => "", help if help.contains('\n') => "\n", _ => ": " }, fault.help)]
    Refused {
        /// Of HTTP.
        status: u16,
        /// Why, and what to do.
        fault: Fault,
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
