//! Everything that can happen in a small world, in every order.
#![allow(clippy::print_stdout, reason = "what was tried is the result")]

use sim::{Invariant, Mutation, Size, try_all};

const MOST: usize = 1_000_000;

#[test]
fn whatever_goes_wrong_in_a_small_world_no_order_of_events_breaks_an_invariant() {
    for services in [1, 2] {
        let tried = try_all(Size { services, faults: 1, states: MOST }, None);
        println!("services {services}, faults 1: {tried}");
        if let Some((violation, way)) = tried.broken {
            panic!("{violation:?}\n{}", way.join("\n"));
        }
        assert!(tried.whole && tried.rests > 10, "{tried:?}");
    }
}

#[test]
fn a_policy_that_is_broken_on_purpose_is_caught_in_a_small_world() {
    let caught: [(Mutation, usize, u32, &[Invariant]); 6] = [
        (Mutation::RequestsTwice, 1, 1, &[Invariant::OneJob]),
        (Mutation::NeverWakes, 1, 1, &[Invariant::NoDeadEnd, Invariant::Healed]),
        (Mutation::SwallowsEnds, 1, 1, &[Invariant::Healed]),
        (Mutation::OldIncarnation, 1, 2, &[Invariant::Incarnation]),
        (Mutation::DoubleBurst, 1, 2, &[Invariant::Budget]),
        (Mutation::ForgetsOverCrash, 1, 2, &[Invariant::Budget, Invariant::Healed]),
    ];
    let mut missed = Vec::new();
    for (mutation, services, faults, invariants) in caught {
        let tried = try_all(Size { services, faults, states: 5_000 }, Some(mutation));
        println!("{mutation:?}: {tried}");
        match tried.broken {
            Some((violation, _)) if invariants.contains(&violation.invariant) => {}
            other => missed.push(format!("{mutation:?}: {:?}", other.map(|(violation, _)| violation))),
        }
    }
    assert!(missed.is_empty(), "not caught as they should be:\n{}", missed.join("\n"));
}
