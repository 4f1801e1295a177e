//! Policies that are broken on purpose: the simulation must catch each of them soon, by the invariant that it breaks.
#![allow(clippy::print_stdout, reason = "the table of what was caught when is the result")]

use sim::{Invariant, Mutation, REBOOTS, Tally};

/// Within so many steps of the engine.
const SOON: u64 = 1_000_000;

#[test]
fn every_policy_that_is_broken_on_purpose_is_caught_within_a_million_steps() {
    let mut missed = Vec::new();
    for (mutation, invariants) in Mutation::ALL {
        let mut tally = Tally::default();
        let mut seed = if invariants.contains(&Invariant::Reboot) { REBOOTS } else { 1 };
        let caught = loop {
            if tally.steps > SOON {
                break None;
            }
            if let Err(broken) = sim::episode(seed, Some(mutation), &mut tally) {
                break Some(broken);
            }
            seed += 1;
        };
        match caught {
            Some(broken) if invariants.contains(&broken.violation.invariant) => {
                println!("{mutation:?}: after {} steps: {}", tally.steps, broken.violation.invariant);
            }
            Some(broken) => missed.push(format!("{mutation:?}: seed {seed}: {:?}", broken.violation)),
            None => missed.push(format!("{mutation:?}: nothing broke")),
        }
    }
    assert!(missed.is_empty(), "not caught as they should be:\n{}", missed.join("\n"));
}
