use std::{fmt, path::PathBuf};

use super::{Line, journal, lines};

/// `[watchdog] events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the records go.
    pub sinks: Vec<Sink>,
}

/// One of `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// The journal.
    Journald,
    /// A file, appended to.
    File(PathBuf),
    /// What is kept for `events` and `why`, in this state directory: always, and not to be set.
    Kept(PathBuf),
}

impl Sink {
    /// In a word, for the name of a thread.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Sink::Stdout => "stdout",
            Sink::Journald => "journald",
            Sink::File(_) => "file",
            Sink::Kept(_) => "kept",
        }
    }

    /// A line as this sink wants it.
    pub(super) fn encode(&self, line: &Line) -> Vec<u8> {
        let json = line.to_json();
        match self {
            Sink::Stdout | Sink::File(_) | Sink::Kept(_) => lines::terminated(&json),
            Sink::Journald => journal::datagram(line, &json),
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sink::Stdout | Sink::Journald => f.write_str(self.word()),
            Sink::File(path) => write!(f, "{}", path.display()),
            Sink::Kept(folder) => write!(f, "what is kept in {}", folder.display()),
        }
    }
}
