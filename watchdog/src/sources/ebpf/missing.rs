use std::fmt;

/// One program of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ends of processes.
    Exit,
    /// Fatal signals, and who sent them.
    Signal,
    /// Listeners, connections, stalls.
    State,
    /// Listeners that are older than watchdog.
    Seed,
}

impl Program {
    /// Every program.
    pub const ALL: [Program; 4] = [Program::Exit, Program::Signal, Program::State, Program::Seed];

    /// Its name in the object.
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::Exit => "exit",
            Program::Signal => "signal",
            Program::State => "state",
            Program::Seed => "seed",
        }
    }
}

/// A program that does not run here; the others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub program: Program,
    /// Why, for people.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.program {
            Program::Exit => "ends of processes are not seen in the kernel",
            Program::Signal => "senders of signals are not seen",
            Program::State => "listeners and stalls are not seen in the kernel",
            Program::Seed => "listeners that are older than watchdog are not looked at",
        };
        write!(f, "{what}: {}", self.why)
    }
}
