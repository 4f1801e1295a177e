//! Proves the engine: simulated hosts on which everything goes wrong, and invariants that are checked after each step.
//!
//! The engine's pure core is told the time, so a day of a host passes in milliseconds, and the same seed gives the same run. Around
//! it: `host` (a model of systemd and of programs that die, hang, slow down, refuse to stop), `episode` (what is on its way,
//! faults, operators, deaths of watchdog), `books`, `judge` and `invariants` (from the outside), `mutations` (broken on
//! purpose: the judge must catch them). `small` leaves nothing to chance: a world so small that every order of events is tried.
//!
//! Invariant: nothing here reads a clock, a file or the environment but the program's own command line.

mod book;
mod books;
mod dice;
mod episode;
mod host;
mod invariants;
mod judge;
mod mutations;
mod scenario;
mod small;
mod subject;
mod tally;
mod words;

pub use invariants::{Invariant, Violation};
pub use mutations::Mutation;
pub use small::{Size, Tried, try_all};
pub use tally::Tally;

use episode::Episode;

/// A host on which an invariant broke.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Replays it.
    pub seed: u64,
    /// The step at which it broke.
    pub step: u64,
    /// What broke.
    pub violation: Violation,
}

/// From this seed on, services may have their host rebooted: the hosts before it stay what they were.
pub const REBOOTS: u64 = 1 << 63;

/// Simulates the host of this seed to its end.
///
/// # Errors
/// The first broken invariant.
pub fn episode(seed: u64, mutation: Option<Mutation>, tally: &mut Tally) -> Result<(), Box<Broken>> {
    let mut episode = Episode::new(seed, mutation, None);
    let broken = episode.run();
    let step = episode.tally.steps;
    tally.add(&episode.tally);
    match broken {
        None => Ok(()),
        Some(violation) => Err(Box::new(Broken { seed, step, violation })),
    }
}

/// The last lines of the host of this seed, up to what broke.
pub fn log(seed: u64, mutation: Option<Mutation>, lines: usize) -> Vec<String> {
    let mut episode = Episode::new(seed, mutation, Some(lines));
    episode.run();
    episode.log.into()
}
