use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the host may be short of, and how much of that is one unit's own doing. `None`: there is no such figure here.
/// Shares are hundredths of a percent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    /// Of memory.
    pub memory: Option<Pressed>,
    /// Of I/O.
    pub io: Option<Pressed>,
    /// Of the CPU.
    pub cpu: Option<Pressed>,
    /// File systems that the unit writes to, or probably does.
    pub disks: Vec<Disk>,
    /// Every limit of tasks that a new process of the unit falls under.
    pub tasks: Vec<Tasks>,
}

/// One file of `/proc/pressure`, and what was measured beside it where a gate is closed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pressed {
    /// Some tasks stalled.
    pub some: Averages,
    /// All of them did.
    pub full: Averages,
    /// Of the moment itself: the averages remember what is over.
    pub now: Option<u32>,
    /// How much of what is used is used by the unit itself.
    pub own: Option<u32>,
}

/// Shares of the last 10, 60 and 300 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Averages {
    /// `avg10`.
    pub avg10: u32,
    /// `avg60`.
    pub avg60: u32,
    /// `avg300`.
    pub avg300: u32,
}

/// How full a file system is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// Where it is mounted.
    pub place: String,
    /// Its share of free blocks, as a user without privileges has them.
    pub blocks: u32,
    /// Its share of free inodes, where it counts them.
    pub inodes: Option<u32>,
}

/// Processes and threads under one limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tasks {
    /// `the host`, or the path of the cgroup whose pids.max it is.
    pub place: String,
    /// Tasks there are.
    pub used: u64,
    /// Tasks there may be.
    pub limit: u64,
    /// The unit's own among them.
    pub own: u64,
}
