//! Looks up the facts that the policy orders.
//!
//! Invariant: what cannot be found out is left out, never guessed: a hold rests on these facts, and so does the removal of a
//! file. Looking takes milliseconds of the file system's time, so it belongs on a thread that may wait.
//! Deliberately absent: Unix sockets (a server removes a stale one and binds its own) and any decision.

mod ailments;
mod crontabs;
mod disks;
mod holders;
mod homes;
mod host;
mod last_words;
mod others;
mod own;
mod owner;
mod pid_file;
mod preflight;
mod pressure;
mod program;
mod tasks;
#[cfg(test)]
mod tests;
mod witness;
mod zombie;

pub use ailments::ailments;
pub use crontabs::{Restarter, restarters};
pub use holders::{Sought, beside, ephemeral, holders};
pub use homes::{Home, homes};
pub use host::{Cgroups, Host, host};
pub use last_words::{Error as LastWordsError, last_words};
pub use others::others;
pub use owner::owner;
pub use pid_file::{Error as PidFileError, Lodging, pid_file};
pub use preflight::preflight;
pub use pressure::pressure;
pub use program::program;
pub use witness::{Sample, sample};
pub use zombie::unreaped;
