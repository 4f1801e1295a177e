//! What becomes of a reboot: refused, cancelled by somebody, or done.
//!
//! The host is one whose clock goes on over its reboot, and with it what watchdog stored: a container. Nothing is cured by it.

use std::time::Duration;

use watchdog::model::{Mono, Others, Result, SystemState};

use super::{Episode, crash::Point};

/// Whether the host is up, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Power {
    began: Mono,
    stopping_until: Mono,
}

impl Episode {
    pub(super) fn reboot(&mut self) -> Result {
        match self.dice.below(3) {
            0 => {
                self.tally.count("reboot", "refused");
                let (error, text) = ("org.freedesktop.systemd1.UnitMasked".to_owned(), "no".to_owned());
                return Result::Refused { error, text };
            }
            1 => {
                self.tally.count("reboot", "cancelled");
                let lasts = self.dice.spread(Duration::from_millis(10), Duration::from_secs(120));
                self.power.stopping_until = self.now + lasts;
            }
            _ => {
                self.tally.count("reboot", "done");
                self.power.began = self.now;
                self.judge.books.booted = self.now;
                self.crash = Some(Point::Requested);
            }
        }
        Result::Queued { job: u32::MAX } // a number of no unit's
    }

    pub(super) fn others(&self) -> Others {
        let stopping = self.now < self.power.stopping_until;
        let system = if stopping { SystemState::Stopping } else { SystemState::Running };
        Others { system, began: Some(self.power.began), ..Others::default() }
    }
}
