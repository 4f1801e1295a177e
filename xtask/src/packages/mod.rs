//! The packages `service-watchdog`, for Debian and for RPM.
//!
//! Invariant: both hold the same files, gathered once: the program, what it prints of itself (man pages, completions, JSON Schemas), and
//! the unit of `contrib/`, which a source install uses as well. Their scripts share the one that decides about the name
//! `watchdog`. Deliberately absent: signatures, and a repository.

mod contents;
pub mod deb;
mod needs;
pub mod rpm;
mod unit;

pub use contents::{Contents, Entry, Kind};
pub use unit::{CAPABILITIES, UNIT, packaged};

/// The name of the package, its program and its unit.
pub const NAME: &str = "service-watchdog";
/// Where the project is at home, in one sentence each for people who look for it.
const SUMMARY: &str = "event-driven watchdog that keeps the services of a host answering";
const DESCRIPTION: &str =
    "Kernel events (a process of a service dies, a listener goes away, connections are not accepted or
not answered, errors leave the server) make it ask the service at once, over HTTP,
whether it is alive. Only a failed answer, or the end of the unit itself, leads to
action: one restart through systemd, with a deadline for the stop, a budget, and
pauses that grow. It is not the package `watchdog`, and can be installed beside it.";

/// How much time a package may take to become small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squeeze {
    /// For people to download.
    Well,
    /// For a test, which installs it and throws it away.
    Quickly,
}
