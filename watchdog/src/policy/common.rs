//! Whether many services fail for one reason: then watchdog asks itself first, and restarts one at a time.
//!
//! Deaths are no part of it, and neither is what a failing dependency explains. It is over when every service that failed
//! with the others is well again or left alone.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{Mono, Service};

/// So many services at least …
const SERVICES: usize = 3;
/// … that fail within this.
const WITHIN: Duration = Duration::from_secs(10);
/// A service that has not been well for so long after that has a trouble of its own.
const LASTS: Duration = Duration::from_secs(10 * 60);

/// Services that failed by heartbeat alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Common {
    failed: BTreeMap<Service, Failure>,
    /// Since when they are held to have one cause.
    since: Option<Mono>,
    told: Option<Told>,
}

/// The last failure of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    at: Mono,
    /// It is well again: the failure counts all the same for as long as it is fresh.
    over: bool,
}

/// What someone heard of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// watchdog cannot ask itself either: nothing is done.
    Ourselves,
    /// They are restarted one by one.
    OneByOne,
}

impl Common {
    /// A service failed; of all that are `watched`, how many would be too many?
    pub(super) fn failed(&mut self, now: Mono, service: &Service, watched: usize) {
        self.failed.retain(|_, failure| now.since(failure.at) <= if failure.over { WITHIN } else { LASTS });
        if self.failed.values().all(|failure| failure.over) {
            (self.since, self.told) = (None, None);
        }
        self.failed.insert(service.clone(), Failure { at: now, over: false });
        let together = self.failed.values().filter(|failure| now.since(failure.at) <= WITHIN).count();
        if together >= SERVICES && together * 2 > watched {
            self.since.get_or_insert(now);
        }
    }

    /// It is well again, or nobody's concern.
    pub(super) fn over(&mut self, service: &Service) {
        if let Some(failure) = self.failed.get_mut(service) {
            failure.over = true;
        }
        if self.failed.values().all(|failure| failure.over) {
            (self.since, self.told) = (None, None);
        }
    }

    /// It goes on under another name.
    pub(super) fn rename(&mut self, old: &Service, new: &Service) {
        if let Some(failure) = self.failed.remove(old) {
            self.failed.insert(new.clone(), failure);
        }
    }

    /// Whether this service fails together with others.
    pub(super) fn is_on(&self, service: &Service) -> bool {
        self.since.is_some() && self.failed.get(service).is_some_and(|failure| !failure.over)
    }

    /// The names of those that failed.
    pub(super) fn names(&self) -> String {
        self.failed.keys().map(Service::as_str).collect::<Vec<_>>().join(", ")
    }

    /// True when this is news.
    pub(super) fn tell(&mut self, told: Told) -> bool {
        self.told.replace(told) != Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which services `a`, `b`, … fail.
    fn check(failures: &[u64], watched: usize, is_on: bool) {
        let mut common = Common::default();
        let names: Vec<Service> = ('a'..='z').map(|name| Service::new(&name.to_string())).collect();
        for (at, service) in failures.iter().zip(&names) {
            common.failed(Mono(at * 1_000_000_000), service, watched);
        }
        assert_eq!(common.is_on(&names[0]), is_on, "{failures:?} of {watched}");
    }

    #[test]
    fn g9_three_services_and_over_half_of_all_within_ten_seconds_have_one_cause() {
        check(&[1, 2, 3], 5, true);
        check(&[1, 2, 3], 6, false);
        check(&[1, 2], 2, false);
        check(&[1, 2, 12], 3, false);
        check(&[1, 2, 11], 3, true);
        check(&[1, 1, 1, 1], 7, true);
    }

    #[test]
    fn g9_what_was_restarted_and_is_well_counts_for_as_long_as_its_failure_is_fresh() {
        let [a, b, c] = ["a", "b", "c"].map(Service::new);
        let mut common = Common::default();
        let second = |at: u64| Mono(at * 1_000_000_000);
        for (at, service) in [(1, &a), (2, &b)] {
            common.failed(second(at), service, 3);
            common.over(service);
        }
        let mut later = common.clone();
        common.failed(second(3), &c, 3);
        assert!(common.is_on(&c) && !common.is_on(&a));
        later.failed(second(13), &c, 3);
        assert!(!later.is_on(&c));
    }

    #[test]
    fn it_is_over_when_all_of_them_are() {
        let [a, b, c] = ["a", "b", "c"].map(Service::new);
        let mut common = Common::default();
        [&a, &b, &c].into_iter().for_each(|service| common.failed(Mono(0), service, 3));
        common.over(&a);
        assert!(!common.is_on(&a) && common.is_on(&b) && common.tell(Told::OneByOne));
        assert!(!common.tell(Told::OneByOne) && common.tell(Told::Ourselves));
        common.over(&b);
        common.over(&c);
        assert!(!common.is_on(&c) && common.tell(Told::Ourselves));
    }
}
