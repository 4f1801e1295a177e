use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A PID file as it was found, and who has its PID now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PidFile {
    /// Where.
    pub path: PathBuf,
    /// What makes it this file and no other: what is removed later must be the one that was looked at.
    pub stamp: PidStamp,
    /// It holds a PID and nothing else.
    pub plain: bool,
    /// The process that has this PID now; `None`: none that lives (a zombie does nothing any more).
    pub holder: Option<Lodger>,
    /// Another living process, outside the unit, that may be one of the service.
    pub instance: Option<Lodger>,
}

/// One PID file and its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PidStamp {
    /// The PID in it.
    pub pid: u32,
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
}

/// A living process, as far as it bears on a PID file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lodger {
    /// Its PID.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its program; `None` where that cannot be read.
    pub program: Option<PathBuf>,
    /// Its unit or scope; empty when unknown.
    pub unit: String,
    /// It is of the unit itself.
    pub own: bool,
    /// By its program, its name or its arguments it may be one of the service.
    pub alike: bool,
    /// It was started after the file was written last, so it is not the one that wrote it.
    pub later: bool,
}

impl PidFile {
    /// It is proved that the file speaks of nobody: its PID is free, or another program's that came later, and no process lives
    /// that may be one of the service.
    pub fn is_stale(&self) -> bool {
        let stranger = |it: &Lodger| !it.own && !it.alike && it.later && it.program.is_some();
        self.plain && self.instance.is_none() && self.holder.as_ref().is_none_or(stranger)
    }
}
