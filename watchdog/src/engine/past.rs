//! The last incident of each service from before this process began, for `status` alone.
//!
//! It is read beside the engine, and nothing waits for it: until it is known, or where the disk is stuck, `status` says nothing
//! of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;

use super::tally;
use crate::{
    clock,
    model::{Decision, LastIncident, Mono, Service, Tell, Wall},
    stream::Kept,
};

/// An incident is of this boot where both clocks tell the same age of its end, but for this.
const SAME_BOOT: Duration = Duration::from_secs(60);

/// What was kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Past(Arc<OnceLock<BTreeMap<Service, LastIncident>>>);

impl Past {
    /// Begins to read it.
    pub(super) fn read(&self, kept: Kept, services: Vec<Service>) {
        let known = Arc::clone(&self.0);
        let read = move || known.get_or_init(|| all(&kept, services, clock::now(), clock::wall())).len();
        drop(tokio::task::spawn_blocking(read)); // it goes on by itself
    }

    pub(super) fn last(&self, service: &Service) -> Option<LastIncident> {
        self.0.get()?.get(service).cloned()
    }
}

fn all(kept: &Kept, services: Vec<Service>, now: Mono, wall: Wall) -> BTreeMap<Service, LastIncident> {
    let last = |service: Service| {
        let (time, tell) = kept.last_end(&service).ok().flatten()?; // `watchdog why` says why it cannot be read
        Some((service, of_this_boot(time, &tell, now, wall)?))
    };
    services.into_iter().filter_map(last).collect()
}

/// Moments of another boot mean nothing in this one.
fn of_this_boot(time: Timestamp, tell: &Tell, now: Mono, wall: Wall) -> Option<LastIncident> {
    let Decision::End(story) = &tell.decision else { return None };
    let by_wall =
        u64::try_from(wall.0.saturating_sub(time.as_microsecond())).ok().map(Duration::from_micros)?;
    let same = tell.at <= now && now.since(tell.at).abs_diff(by_wall) < SAME_BOOT;
    same.then(|| tally::ended(tell, story))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{IncidentEnd, Story},
        stream::{Record, Settings, Stream},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    fn kept_end(folder: &std::path::Path, service: &str, at: Mono, restarts: u32) {
        let story = Story {
            end: IncidentEnd::Recovered,
            took: Duration::from_millis(12),
            restarts,
            steps: Vec::new(),
        };
        let decision = Decision::End(Box::new(story));
        let unit = format!("{service}.service").parse().expect("a unit");
        let tell =
            Tell { service: Service::new(service), unit, incarnation: None, incident: None, at, decision };
        let stream = Stream::open(&Settings { sinks: Vec::new() }, folder).expect("a stream");
        stream.write(&Record::from(&tell));
        assert_eq!(stream.close(Duration::from_secs(10)), 0, "it was written");
    }

    #[test]
    fn the_last_incident_of_this_boot_comes_back_and_one_of_another_boot_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (now, wall) = (clock::now(), clock::wall());
        kept_end(folder.path(), "web", now, 1);
        kept_end(folder.path(), "web", now, 2);
        kept_end(folder.path(), "php", now, 3);
        let kept = Kept::new(folder.path());
        let services = || vec![Service::new("web"), Service::new("db")];

        let later = now + HOUR;
        let at = |wall: Wall, by: Duration| Wall(wall.0 + by.as_micros() as i64);
        let found = all(&kept, services(), later, at(wall, HOUR));
        assert_eq!(found.keys().map(Service::as_str).collect::<Vec<_>>(), ["web"]);
        let last = &found[&Service::new("web")];
        assert_eq!((last.restarts, last.end, last.ended), (2, IncidentEnd::Recovered, now));

        // the same moment of a clock that has begun anew: a day later, and an hour after the boot
        assert_eq!(all(&kept, services(), later, at(wall, 24 * HOUR)), BTreeMap::new());
        assert_eq!(all(&kept, services(), Mono(0), at(wall, HOUR)), BTreeMap::new(), "it is not yet over");
    }
}
