use std::fmt;

use serde::{Deserialize, Serialize};

/// One program of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Ends of processes.
    Exit,
    /// Fatal signals, and who sent them.
    Signal,
    /// Kills for want of memory.
    Oom,
    /// Programs that may ask systemd for something.
    Command,
    /// Listeners, connections, stalls.
    State,
    /// Listeners that are older than watchdog.
    Seed,
    /// Answers that are errors.
    Egress,
}

impl Program {
    /// Every program.
    pub const ALL: [Program; 7] = [
        Program::Exit,
        Program::Signal,
        Program::Oom,
        Program::Command,
        Program::State,
        Program::Seed,
        Program::Egress,
    ];

    /// Its name in the object.
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::Exit => "exit",
            Program::Signal => "signal",
            Program::Oom => "oom",
            Program::Command => "command",
            Program::State => "state",
            Program::Seed => "seed",
            Program::Egress => "egress",
        }
    }
}

/// A program that does not run here; the others do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub program: Program,
    /// Why, for people.
    pub why: String,
    /// A classic tracepoint stands in, which sees less.
    #[serde(default)]
    pub classic: bool,
}

impl Missing {
    /// Nothing stands in.
    pub(super) fn new(program: Program, why: String) -> Missing {
        Missing { program, why, classic: false }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.program {
            Program::Exit if self.classic => {
                "ends of processes are seen by a classic tracepoint, without their causes"
            }
            Program::Signal if self.classic => {
                "senders of signals are seen by a classic tracepoint, for main processes"
            }
            Program::State if self.classic => {
                "listeners are seen by a classic tracepoint, and stalls are not"
            }
            Program::Exit => "ends of processes are not seen in the kernel",
            Program::Signal => "senders of signals are not seen",
            Program::Oom => "kills for want of memory are not seen in the kernel",
            Program::Command => "who asks systemd to stop a unit is not seen",
            Program::State => "listeners and stalls are not seen in the kernel",
            Program::Seed => "listeners that are older than watchdog are not looked at",
            Program::Egress => "answers of 500 and above are not seen in the kernel",
        };
        write!(f, "{what}: {}", self.why)
    }
}

/// A program that the kernel refused, and all its words on that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub program: &'static str,
    /// The verifier's.
    pub words: String,
}
