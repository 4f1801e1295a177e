//! Looks up the facts that the policy orders.
//!
//! Invariant: what cannot be found out is left out, never guessed: a hold rests on these facts. Looking takes milliseconds
//! of the file system's time, so it belongs on a thread that may wait.
//! Deliberately absent: Unix sockets (a server removes a stale one and binds its own) and any decision.

mod disks;
mod holders;
mod own;
mod preflight;
mod pressure;
mod tasks;
#[cfg(test)]
mod tests;

pub use holders::{Sought, beside, holders};
pub use preflight::preflight;
pub use pressure::pressure;
