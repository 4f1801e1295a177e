use std::{io, path::PathBuf};

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no thread for it.
    #[error("cannot start the thread that records: {source} (is TasksMax= or a ulimit reached?)")]
    NoThread {
        /// Why.
        source: io::Error,
    },
    /// An earlier recording hangs in the kernel.
    #[error("cannot record: an earlier recording hangs at {what}")]
    Stuck {
        /// What it reads or writes.
        what: String,
    },
    /// More is recorded at once than anybody can read.
    #[error("cannot record: too many others wait for it")]
    Busy,
    /// There is no file yet, and the time is over.
    #[error("cannot record in time: {what}")]
    Late {
        /// What it was at.
        what: String,
    },
    /// The thread ended.
    #[error("cannot record: the thread that records ended, please report this")]
    Gone,
    /// The file cannot be written.
    #[error("cannot write the evidence {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
