//! The two clocks, read in one place.
//!
//! Invariant: [`now`] is CLOCK_MONOTONIC, the clock of the kernel's events. The pure rooms may not read either: they are told.

use rustix::time::{ClockId, clock_gettime};

use crate::model::{Mono, Wall};

/// This moment on CLOCK_MONOTONIC, in whole microseconds.
pub fn now() -> Mono {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Mono(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)).whole()
}

/// This moment on the wall clock, for people.
pub fn wall() -> Wall {
    let time = clock_gettime(ClockId::Realtime);
    Wall(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000))
}
