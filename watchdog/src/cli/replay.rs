use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::{Exit, complain, say};
use crate::explain;

/// `watchdog replay`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "It begins at each record of a state, and ends where a record was lost: what comes after that is told from the next state on.

Exit code:
  0   each decision is the one that was recorded
  1   some are not: the report says which
  65  there is no state to begin at
  66  the file cannot be read"
)]
pub(super) struct Replay {
    /// A file that `events` names, or one of its rotations; `-` is standard input
    #[arg(value_name = "EVENTS")]
    events: PathBuf,
    /// Begin at the first state at or after this line
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from: u64,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn main(self) -> Exit {
        let replay = self.open().and_then(|events| explain::replay(events, self.from));
        let replay = match replay {
            Ok(replay) => replay,
            Err(fault) => {
                complain(format_args!("cannot read the events of {}: {fault}", self.events.display()));
                return Exit::NoInput;
            }
        };
        let said = match self.json {
            true => say::json(&replay),
            false => say::text(&format!("{replay}\n")),
        };
        match said {
            Ok(()) if replay.is_same() => Exit::Ok,
            Ok(()) if replay.stretches == 0 => Exit::Data,
            Ok(()) => Exit::Different,
            Err(exit) => exit,
        }
    }

    fn open(&self) -> io::Result<Box<dyn BufRead>> {
        if self.events == Path::new("-") {
            return Ok(Box::new(io::stdin().lock()));
        }
        Ok(Box::new(BufReader::new(File::open(&self.events)?)))
    }
}
