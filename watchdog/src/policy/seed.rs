use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Jitter from a recorded seed (SplitMix64), so that a replay decides the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A pause between half of `most` and `most`: never none, so that a jitter is no missing pause.
    pub(super) fn upper_half(&mut self, most: Duration) -> Duration {
        most / 2 + self.below(most / 2)
    }

    /// Somewhere in `0..most`.
    pub(super) fn below(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next() % micros.max(1))
    }

    /// Names this run of watchdog.
    pub(super) fn run(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}
