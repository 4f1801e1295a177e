//! A run that is told again from its records: from any state of it on, the same orders at the same moments.

use proptest::{collection::vec, prelude::*};

use super::{Event, World, event, plan, restart};
use crate::{
    model::{Mono, Order},
    policy::{Input, Policy},
};

/// What is written and read back; written again it must be the same text.
fn through_text<T: serde::Serialize + serde::de::DeserializeOwned>(word: &T) -> T {
    let text = serde_json::to_string(word).expect("it can be written");
    let read: T = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(serde_json::to_string(&read).expect("it can be written"), text);
    read
}

fn check(world: &mut World, first: &[Event], then: &[Event]) {
    first.iter().for_each(|event| world.event(*event));
    let mut again: Policy = through_text(&world.policy);
    world.told.clear();
    then.iter().for_each(|event| world.event(*event));
    let mut ordered: Vec<(Mono, Order)> = Vec::new();
    let mut expected: Vec<(Mono, Order)> = Vec::new();
    for (now, input, orders) in &world.told {
        expected.extend(orders.iter().map(|order| (*now, order.clone())));
        while let Some(at) = again.wake_at().filter(|at| at <= now) {
            ordered.extend(again.catch_up(at).into_iter().map(|order| (at, order)));
        }
        if *input != Input::Wake {
            let orders = again.step(through_text(now), through_text(input));
            ordered.extend(orders.into_iter().map(|order| (*now, order)));
        }
    }
    assert_eq!(ordered, expected);
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&world.policy).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_state_read_back_and_told_the_same_inputs_gives_the_same_orders_bit_for_bit(
        restarts in [restart(), restart()],
        kind in 0..4_u8,
        first in vec(event(), 0..100),
        then in vec(event(), 1..100),
    ) {
        check(&mut World::new(restarts, plan(kind, 20)), &first, &then);
    }
}
