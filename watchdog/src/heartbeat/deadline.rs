//! The one deadline of an ask, and how much of its time we lost ourselves.
//!
//! We are *late* by what passes between the moment a timer was due and the moment our task is woken: another task of the loop
//! held it, or the host did not run us at all. While an answer is outstanding a timer is due eight times within the
//! time-out, so that a loop that was held early and let go again before the deadline is found too; an answer that comes at
//! once costs none of them. What we lost is the sum; above half of the time-out, silence proves nothing.

use std::{future::Future, pin::pin, time::Duration};

use tokio::{
    select,
    time::{Instant, sleep_until},
};

use crate::{clock::now, model::Mono};

const LOOKS: u32 = 8;

/// Does the work until it ends, or until `limit` is over (`None`: it is dropped, its sockets closed). Beside it: our own lateness.
pub(super) async fn keep<T>(limit: Duration, work: impl Future<Output = T>) -> (Option<T>, Duration) {
    let mut work = pin!(work);
    let mut lateness = Lateness::new(now(), limit);
    let deadline = Instant::now() + limit;
    let mut look = Instant::now() + lateness.step;
    loop {
        select! {
            biased; // an end that is here counts, though the deadline has come as well
            end = &mut work => {
                lateness.end(now());
                return (Some(end), lateness.lost);
            }
            () = sleep_until(look.min(deadline)) => {
                lateness.woken(now());
                if Instant::now() >= deadline {
                    return (None, lateness.lost);
                }
                look = Instant::now() + lateness.step;
            }
        }
    }
}

/// The sum of what our own wake-ups were late by.
#[derive(Debug)]
pub(super) struct Lateness {
    step: Duration,
    deadline: Mono,
    due: Mono,
    pub(super) lost: Duration,
}

impl Lateness {
    pub(super) fn new(began: Mono, limit: Duration) -> Lateness {
        let step = limit / LOOKS;
        Lateness { step, deadline: began + limit, due: began + step, lost: Duration::ZERO }
    }

    /// The timer that was due has woken us.
    pub(super) fn woken(&mut self, now: Mono) {
        self.lost += now.since(self.due);
        self.due = (now + self.step).min(self.deadline.max(now));
    }

    /// The work ended, perhaps in the same wake-up as a timer that was overdue.
    pub(super) fn end(&mut self, now: Mono) {
        self.lost += now.since(self.due);
    }
}
