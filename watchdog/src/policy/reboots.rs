use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Mono;

/// systemd begins to shut down within milliseconds, and says so; until then nothing new is begun.
pub(super) const GOES_DOWN: Duration = Duration::from_secs(30);

/// The reboot that was asked for last, by any service. It outlives no reboot and need not: the limit is the time that the host
/// has been up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reboots {
    asked: Option<Mono>,
    /// It is known that it did not come.
    over: bool,
}

impl Reboots {
    pub(super) fn ask(&mut self, now: Mono) {
        (self.asked, self.over) = (Some(now), false);
    }

    pub(super) fn not_come(&mut self) {
        self.over = true;
    }

    /// Until when nothing is begun for its sake.
    pub(super) fn on_its_way_until(&self, now: Mono) -> Option<Mono> {
        let until = self.asked.filter(|_| !self.over)? + GOES_DOWN;
        (until > now).then_some(until)
    }

    /// When the next one may be asked for; `None`: as far as the last one goes, now.
    pub(super) fn next(&self, now: Mono, after: Duration) -> Option<Mono> {
        let next = self.asked? + after.max(GOES_DOWN);
        (next > now).then_some(next)
    }
}
