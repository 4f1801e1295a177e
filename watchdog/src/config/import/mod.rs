//! Turns configurations of monit into one of watchdog that means the same.
//!
//! `source` reads the files; `lexer`, `statements` and `parse` make statements of them; `blocks` finds out which of the checks
//! are about one unit; `convert` and the rooms beside it say what becomes of each statement; `write` puts it down as TOML.
//!
//! Invariants: every statement of every file has exactly one fate, and none is dropped in silence; whatever the bytes, there is
//! no panic, and what is written loads without a fault. Deliberately absent: systemd. Which unit is behind a script only the
//! host knows: whoever asks it answers the `questions`.

mod blocks;
mod change;
mod check;
mod convert;
mod cursor;
mod depends;
mod draft;
mod global;
mod heartbeat;
mod host;
mod lexer;
mod mail;
mod model;
mod parse;
mod report;
mod rule;
mod source;
mod statements;
#[cfg(test)]
mod tests;
mod unit;
mod write;

use std::{collections::BTreeMap, path::PathBuf};

pub use report::{Account, Changed, Fate, Kept, Place, Report};
pub use source::{Error, Script, read};

use super::{fault::Source, files::Found};

/// Where monit's own configuration may be.
pub const USUAL: [&str; 3] = ["/etc/monit/monitrc", "/etc/monitrc", "/etc/monit.conf"];

/// Line of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    file: usize,
    line: usize,
}

/// A check whose commands name no unit, with what may help to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The check's name.
    pub check: String,
    /// Its PID file.
    pub pid_file: Option<PathBuf>,
}

/// Units by the names of checks, as whoever knows the host has found them.
pub type Answers = BTreeMap<String, String>;

/// Which units the commands do not tell.
pub fn questions(script: &Script) -> Vec<Question> {
    blocks::Blocks::new(script, &Answers::new()).questions()
}

/// What becomes of it; never fails. `cycle` is monit's cycle in seconds, where no `set daemon` says it.
pub fn convert(script: &Script, answers: &Answers, cycle: Option<u64>) -> Report {
    convert::convert(script, answers, cycle)
}

/// Whether a configuration loads; `None` where it does, else every fault. For what was just written: a fault here is ours.
pub fn faults(toml: &str) -> Option<String> {
    let source =
        Source { path: PathBuf::from("watchdog.toml"), text: toml.to_owned(), world_readable: false };
    let found = Found { sources: vec![source], ..Found::default() };
    super::understand(found, false).err().map(|faults| faults.render(false))
}
