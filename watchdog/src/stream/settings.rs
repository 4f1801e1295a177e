use std::path::PathBuf;

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
}
