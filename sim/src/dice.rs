//! Chance from a seed (SplitMix64): the same seed gives the same host, the same faults, the same run.

use std::time::Duration;

/// A stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed ^ 0x5851_f42d_4c95_7f2d);
        dice.next(); // neighbouring seeds part at once
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    /// True `share` times in a thousand.
    pub(crate) fn permille(&mut self, share: usize) -> bool {
        self.below(1000) < share
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Between the two, in whole microseconds.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_micros(self.micros_between(micros(least), micros(most)))
    }

    fn micros_between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most.saturating_sub(least) + 1)
    }

    /// Between the two, each power of two as likely as the next: short times come as often as long ones.
    pub(crate) fn spread(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (micros(least), micros(most));
        let doublings = (most / least.max(1)).max(1).ilog2();
        let from = (least << self.below(doublings as usize + 1)).min(most);
        Duration::from_micros(self.micros_between(from, (from * 2).min(most)))
    }
}

fn micros(d: Duration) -> u64 {
    d.as_secs() * 1_000_000 + u64::from(d.subsec_micros())
}
