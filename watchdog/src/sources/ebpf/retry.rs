//! When to try again what could not be watched: after a second, then after pauses that double up to a minute.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Error;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A timer that exists only while something is owed.
#[derive(Debug, Default)]
pub(super) struct Retry {
    next: Option<(Instant, Duration)>,
}

impl Retry {
    /// It was tried just now. What is too much stays too much until something else is wanted.
    pub(super) fn after(&mut self, done: &Result<(), Error>) {
        self.next = match done {
            Ok(()) | Err(Error::TooMany { .. }) => None,
            Err(_) => {
                let pause = self.next.map_or(FIRST, |(_, pause)| (pause * 2).min(LONGEST));
                Some((Instant::now() + pause, pause))
            }
        };
    }

    /// Waits until it is to be tried again: for ever where nothing is owed. May be dropped at any await.
    pub(super) async fn due(&self) {
        match self.next {
            Some((at, _)) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use expect_test::{Expect, expect};

    use super::Retry;
    use crate::sources::ebpf::Error;

    /// Tries so often; each time this is what comes of it. Tells the pauses.
    fn check(times: usize, done: impl Fn() -> Result<(), Error>, expected: Expect) {
        let mut retry = Retry::default();
        let pauses = (0..times).map(|_| {
            retry.after(&done());
            retry.next.map_or("never".to_owned(), |(_, pause)| format!("{pause:?}"))
        });
        expected.assert_eq(&pauses.collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn what_failed_is_tried_again_after_growing_pauses() {
        let failed = || Err(Error::Seed { source: Box::new(io::Error::other("no memory")) });
        check(8, failed, expect!["1s 2s 4s 8s 16s 32s 60s 60s"]);
    }

    #[test]
    fn what_is_done_and_what_is_too_much_are_not_tried_again() {
        check(1, || Ok(()), expect!["never"]);
        check(
            1,
            || Err(Error::TooMany { what: "ports", limit: 256, left_out: "257".into() }),
            expect!["never"],
        );
    }
}
