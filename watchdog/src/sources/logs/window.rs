//! How many of the latest lines are errors, and when that is worth a word. Pure.
//!
//! Time is cut into slices, so that a storm of lines costs no memory: what is counted is never older than `within`, and lacks at
//! most one slice of it. Told once when both the number of lines and the share of errors are reached; again only after it was
//! below that, or after a whole `within` above it.

use std::time::Duration;

use crate::model::Mono;

const SLICES: usize = 32;
/// One that swings about its limit is not told more often than this.
const SELDOM: Duration = Duration::from_secs(1);

/// The latest lines of one log.
#[derive(Debug)]
pub(super) struct Window {
    share: f64,
    minimum: u32,
    within: Duration,
    slices: [Count; SLICES],
    /// The number of the youngest slice, counted from the clock's zero.
    youngest: u64,
    /// It was below the limits after it was last told.
    below: bool,
    told: Option<Mono>,
}

/// Lines, and how many of them are errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) lines: u64,
    pub(super) errors: u64,
}

impl Window {
    pub(super) fn new(share: f64, minimum: u32, within: Duration) -> Window {
        let slices = [Count::default(); SLICES];
        Window { share, minimum, within, slices, youngest: 0, below: true, told: None }
    }

    /// These lines were read now. Answers what is to be told, if anything is.
    pub(super) fn step(&mut self, now: Mono, read: Count) -> Option<Count> {
        self.advance(now);
        let slice = &mut self.slices[place(self.youngest)];
        slice.lines += read.lines;
        slice.errors += read.errors;
        let all = self.slices.iter().fold(Count::default(), |sum, slice| Count {
            lines: sum.lines + slice.lines,
            errors: sum.errors + slice.errors,
        });
        if !self.above(all) {
            self.below = true;
            return None;
        }
        let since = self.told.map_or(Duration::MAX, |told| now.since(told));
        if since >= self.within || (self.below && since >= SELDOM) {
            self.told = Some(now);
            self.below = false;
            return Some(all);
        }
        None
    }

    fn above(&self, all: Count) -> bool {
        all.errors > 0
            && all.lines >= u64::from(self.minimum)
            && all.errors as f64 / all.lines as f64 >= self.share
    }

    /// Empties the slices that are too old by now.
    fn advance(&mut self, now: Mono) {
        let length = u64::try_from(self.within.as_nanos()).unwrap_or(u64::MAX) / SLICES as u64;
        let youngest = now.0 / length.max(1);
        let gone = youngest.saturating_sub(self.youngest).min(SLICES as u64);
        for number in 1..=gone {
            self.slices[place(self.youngest + number)] = Count::default();
        }
        self.youngest = self.youngest.max(youngest);
    }
}

fn place(slice: u64) -> usize {
    (slice % SLICES as u64) as usize
}
