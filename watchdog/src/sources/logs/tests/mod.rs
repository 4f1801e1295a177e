mod follow;
mod format;
mod window;

use std::time::Duration;

use super::{BadLine, Log};

/// A log of which half of 4 lines within 10 s must be 5xx.
fn log(path: impl Into<std::path::PathBuf>) -> Log {
    Log {
        path: path.into(),
        bad: BadLine::Status(500, 599),
        share: 0.5,
        minimum: 4,
        within: Duration::from_secs(10),
        own: vec![b"watchdog/1.2.3".to_vec()],
    }
}
