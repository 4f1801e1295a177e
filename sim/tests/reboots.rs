//! Hosts that are rebooted, refuse to be, or are not after all.

use sim::{REBOOTS, Tally};

#[test]
fn b16_no_host_is_rebooted_too_soon_or_without_a_failure_in_a_quarantine() {
    let mut tally = Tally::default();
    for seed in REBOOTS..REBOOTS + 200 {
        if let Err(broken) = sim::episode(seed, None, &mut tally) {
            panic!("seed {seed}: {:?}\n{}", broken.violation, sim::log(seed, None, 100).join("\n"));
        }
    }
    let seen = [("order", "reboot"), ("hold", "a reboot"), ("hold", "shutdown")];
    let ends = ["refused", "cancelled", "done"].map(|word| ("reboot", word));
    let missed: Vec<_> = seen.iter().chain(&ends).filter(|(kind, word)| tally.of(kind, word) == 0).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}\n{tally}");
}
