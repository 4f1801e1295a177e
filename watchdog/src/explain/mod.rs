//! What would happen, and what happened; in words for someone who was just woken.
//!
//! Invariant: it says what the rooms below do, with their figures and after their rules, and nothing that they do not do.
//! Deliberately absent: reading files, asking systemd: whoever asks brings what is known.

mod check;
mod daemon;
mod doctor;
mod drill;
pub mod fix;
mod lint;
mod outlook;
mod page;
mod replay;
mod status;
#[cfg(test)]
mod tests;
mod unit;
mod why;

pub(crate) use check::telling;
pub use check::{Check, Given, HeartbeatCheck, ServiceCheck, check};
pub use daemon::{Granted, Lack, Running, granted};
pub use doctor::{Facts, Finding, Report, doctor};
pub use drill::{Drill, Measured, Watcher, patience};
pub use outlook::Outlook;
pub use page::page;
pub use replay::{Difference, Gap, Replay, replay};
pub use status::{rounded, status};
pub(crate) use unit::RIVALS;
pub use unit::{Known, rival};
pub use why::{Milestone, Moment, Why, earlier, in_a_line, why};
