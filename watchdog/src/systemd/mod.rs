//! The connection to PID 1, over its private socket or the bus: typed calls and raw signals, in the order that systemd sent them.
//!
//! Invariant: systemd is single-threaded and a connection is ordered, so whoever reads [`Opened::messages`] from one end to
//! the other meets each reply after every signal that systemd sent before it. Every call has a deadline. No name is
//! shown to PID 1 that [`Unit`](crate::model::Unit) has not checked.
//! Deliberately absent: property caches, typed signal streams (they ask who sent a signal, which the private socket does
//! not tell), lists of all units, and GetUnitByControlGroup (a malformed path crashed PID 1, CVE-2026-29111).

mod calls;
pub mod cgroup;
mod connection;
mod error;
mod link;
mod names;
mod private;
mod said;
mod signal;
mod socket;
mod traits;
mod transient;

pub use traits::Traits;

pub use calls::Queued;
pub use connection::{Connection, Opened, Sockets, Way, open};
pub use error::Error;
pub use link::{Link, Publisher, link};
pub use names::{own_unit, path_of, unit_of};
pub use said::{Said, cause};
pub use signal::{Reply, Signal, job_kind, system_state};
pub use transient::{Program, Ran, run_transient};
