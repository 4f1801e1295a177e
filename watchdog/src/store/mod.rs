//! Keeps records and states over a crash; recovery is replay from the last state.
//!
//! One SQLite file in the state directory, written by one thread of its own: a disk that is stuck, full or read-only holds up
//! that thread and nobody else. What it holds is the last state and every input since, as texts whose meaning is the engine's;
//! each row bears a sum over itself and all before it, so that a hole or a flipped bit is found.
//! Invariant: what cannot be trusted (damaged, another program's, a newer version's, another boot's) is never handed out; the
//! first three are set aside under another name. Nothing here is fatal: without a store one begins afresh.
//! A commit is in the page cache, not on the disk: it outlives the process, and what must outlive the boot (pauses) is soon
//! written by the checkpoint that follows each state.
//! Deliberately absent: what the texts mean, and when it is time for a state; that is the engine's.

mod file;
#[cfg(test)]
mod tests;
mod thread;

use std::{io, path::PathBuf, sync::mpsc, time::Duration};

use tokio::sync::watch;

pub use file::{open, open_afresh};

use self::thread::Message;
use crate::model::{Mono, Service, Wall};

/// The name of the file in the state directory.
pub const FILE: &str = "state.sqlite";

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The last state of this boot.
    pub state: Option<String>,
    /// Every input since it, and when it was taken.
    pub inputs: Vec<(Mono, String)>,
    /// Operators' pauses, of this boot and others.
    pub pauses: Vec<KeptPause>,
    /// Why what was there is not handed out; the file was set aside.
    pub distrusted: Option<String>,
}

/// An operator's pause, by the wall clock: it outlives a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPause {
    /// Of which service.
    pub service: Service,
    /// When it was asked for.
    pub since: Wall,
    /// When it ends.
    pub ends: Wall,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How far the thread has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Everything up to this number is stored, or never will be.
    pub number: u64,
    /// What it suffers from, until the next state that is stored; no input is stored before it.
    pub fault: Option<String>,
}

/// Why something cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite says so.
    #[error("cannot use {}: {source} (is the disk full, or read-only?)", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It holds something else.
    #[error("{} holds no state that can be trusted: {why}", path.display())]
    Distrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be set aside.
    #[error("cannot set {} aside: {source}", path.display())]
    Aside {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No thread.
    #[error("cannot start the thread of the store: {0} (is TasksMax= or a ulimit reached?)")]
    Thread(#[source] io::Error),
}

/// A store that is open. Dropped without [`Store::close`], it writes on in the background what it was given.
#[derive(Debug)]
pub struct Store {
    messages: mpsc::SyncSender<Message>,
    stored: watch::Receiver<Stored>,
    ended: mpsc::Receiver<()>,
    last: u64,
}

/// So much may wait for the disk.
const WAITING: usize = 1024;

impl Store {
    /// An input that the policy took, as a text. The number is told by [`Store::stored`] once it is stored; `None`: too much
    /// waits already, and nothing is stored before the next state.
    pub fn input(&mut self, taken: Mono, text: String) -> Option<u64> {
        self.send(|number| Message::Input { number, taken, text })
    }

    /// A state, which stands for everything before it, and the pauses in force with it: one that was begun or ended while the
    /// disk was full is made good.
    pub fn state(&mut self, boot: &str, text: String, pauses: Vec<KeptPause>) -> Option<u64> {
        let boot = boot.to_owned();
        self.send(|number| Message::State { number, boot, text, pauses })
    }

    /// An operator's pause began.
    pub fn pause(&mut self, pause: KeptPause) -> Option<u64> {
        self.send(|number| Message::Pause { number, pause })
    }

    /// It is over.
    pub fn resume(&mut self, service: Service) -> Option<u64> {
        self.send(|number| Message::Resume { number, service })
    }

    /// How far the thread has come; changes when it goes on.
    pub fn stored(&mut self) -> &mut watch::Receiver<Stored> {
        &mut self.stored
    }

    /// Waits for what is on its way, at most this long; false when it was not enough.
    pub fn close(self, within: Duration) -> bool {
        drop(self.messages);
        self.ended.recv_timeout(within) != Err(mpsc::RecvTimeoutError::Timeout)
    }

    fn send(&mut self, message: impl FnOnce(u64) -> Message) -> Option<u64> {
        self.messages.try_send(message(self.last + 1)).ok()?;
        self.last += 1;
        Some(self.last)
    }
}
