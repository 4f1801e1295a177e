//! The services' own logs: a rate of errors among the answers that they tell of.
//!
//! Where TLS ends in the unit nothing else shows the status of an answer from outside. Each log is followed from its end on,
//! over rotation by a new file and by truncation, and is looked at when it is written to, four times a second at most: the
//! watch on a file goes off once and is set again by the next look, so that a storm of lines costs its writer and us nothing.
//!
//! Invariants: a log can raise a suspicion and nothing more. Only regular files are opened, and no link is followed. Files are
//! opened and read on threads that may wait, one look at a time for each log, a bounded number of bytes in each, and so neither
//! a disk that hangs nor a flood of lines holds up anything else. A deleted file is let go of as soon as it is read.
//! Deliberately absent: the time that a line states (it counts when it is read), logs that are no files, and lines that were
//! written and truncated away between two looks.

mod error;
mod format;
mod lines;
mod tail;
mod task;
#[cfg(test)]
mod tests;
mod watches;
mod window;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use regex::bytes::Regex;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::model::{Service, Sign};
use task::Task;

/// Whose logs are followed.
pub type Settings = BTreeMap<Service, Vec<Log>>;

/// `[service.NAME.log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// The file.
    pub path: PathBuf,
    /// What counts against the service.
    pub bad: BadLine,
    /// `share`: above 0, at most 1.
    pub share: f64,
    /// `minimum`, in lines.
    pub minimum: u32,
    /// `within`.
    pub within: Duration,
    /// The User-Agents of the service's own heartbeats, whose lines do not count.
    pub own: Vec<Vec<u8>>,
}

/// Which lines of a log count against a service.
#[derive(Clone, Debug)]
pub enum BadLine {
    /// Statuses from this to that, of the common or combined format.
    Status(u16, u16),
    /// Lines that match.
    Match(Regex),
}

impl PartialEq for BadLine {
    fn eq(&self, other: &BadLine) -> bool {
        match (self, other) {
            (BadLine::Status(from, to), BadLine::Status(other_from, other_to)) => {
                (from, to) == (other_from, other_to)
            }
            (BadLine::Match(one), BadLine::Match(other)) => one.as_str() == other.as_str(),
            (BadLine::Status(..), BadLine::Match(_)) | (BadLine::Match(_), BadLine::Status(..)) => false,
        }
    }
}

/// A handle to the task that follows logs.
#[derive(Clone, Debug)]
pub struct Logs {
    wanted: watch::Sender<Settings>,
}

impl Logs {
    /// Starts the task, inside the current runtime. It ends when the last handle or the receiver of signs is gone. Where no log
    /// is wanted it does nothing at all. Signs are sent with back pressure.
    pub fn start(logs: Settings, signs: mpsc::Sender<Sign>) -> (Logs, JoinHandle<()>) {
        let (wanted, settings) = watch::channel(logs);
        (Logs { wanted }, tokio::spawn(Task::new(settings, signs).run()))
    }

    /// From now on these are followed and no others; those that stay as they were are followed on.
    pub fn follow(&self, logs: Settings) {
        self.wanted.send_replace(logs);
    }
}
