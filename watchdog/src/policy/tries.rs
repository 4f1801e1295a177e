use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::{seed::Seed, settings::Guard};
use crate::model::Mono;

/// The longest pause between two tries out of quarantine.
const QUARANTINE_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// An alert is easily missed at night: it is said again after this, and then each day.
const REMIND_FIRST: Duration = Duration::from_secs(60 * 60);
const REMIND_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What was tried for one service, and when the next try may come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tries {
    /// Restarts within the budget's time, the oldest first.
    spent: VecDeque<Mono>,
    /// Restarts since it was last stable.
    series: u32,
    /// No restart before this.
    not_before: Mono,
    /// Starts of the unit that were seen, ours and others', within systemd's start-limit interval.
    starts: VecDeque<Mono>,
    /// In quarantine: how often it was tried since.
    quarantined: Option<u32>,
    /// When someone is reminded that it is in quarantine, and since when it is.
    remind: Option<(Mono, Mono)>,
    /// Since when every heartbeat has been good.
    healthy_since: Option<Mono>,
    /// Requests that systemd refused one after the other.
    refused: u32,
    /// Restarts of systemd's own within the budget's time, at most `burst` of them.
    by_systemd: VecDeque<Mono>,
    /// When it is told again that systemd's own restarts do not help, while that goes on.
    loop_told: Option<Mono>,
}

/// May it be tried now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    /// The pause between two restarts is not over.
    Backoff(Mono),
    /// The budget is spent.
    Spent(Mono),
}

impl Tries {
    pub(super) fn room(&mut self, now: Mono, guard: &Guard) -> Room {
        self.expire(now, guard);
        let burst = guard.burst.max(1) as usize;
        if self.spent.len() >= burst {
            let oldest = self.spent[self.spent.len() - burst];
            return Room::Spent(self.not_before.max(oldest + guard.within));
        }
        if now >= self.not_before {
            return Room::Now;
        }
        if self.quarantined.is_some() { Room::Spent(self.not_before) } else { Room::Backoff(self.not_before) }
    }

    /// So many restarts are within the budget now.
    pub(super) fn left(&self, now: Mono, guard: &Guard) -> u32 {
        let spent = self.spent.iter().filter(|then| now.since(**then) < guard.within).count();
        guard.burst.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    /// Another restart before did not last.
    pub(super) fn again(&self) -> bool {
        self.series > 0
    }

    /// Counts a restart, and sets the pause before the next one.
    pub(super) fn charge(&mut self, now: Mono, guard: &Guard, seed: &mut Seed) {
        self.spent.push_back(now);
        self.series += 1;
        self.healthy_since = None;
        let pause = match &mut self.quarantined {
            None => doubled(guard.backoff, self.series - 1, guard.backoff_max),
            Some(tries) => {
                *tries += 1;
                let most = QUARANTINE_PAUSE_MAX.max(guard.backoff_max);
                doubled(guard.backoff_max, tries.saturating_sub(1), most)
            }
        };
        self.not_before = now + seed.upper_half(pause);
    }

    /// Takes back what was charged then: systemd refused, nothing was restarted. The next request waits all the same, each
    /// time longer, for what stands against it may stand for long.
    pub(super) fn refund(&mut self, charged: Mono, now: Mono, guard: &Guard, seed: &mut Seed) {
        if let Some(at) = self.spent.iter().rposition(|then| *then == charged) {
            self.spent.remove(at);
        }
        self.series = self.series.saturating_sub(1);
        if let Some(tries) = &mut self.quarantined {
            *tries = tries.saturating_sub(1);
        }
        self.not_before = now + seed.upper_half(doubled(guard.backoff, self.refused, guard.backoff_max));
        self.refused = self.refused.saturating_add(1);
    }

    /// Takes back what was charged then: the request never went out, and may go out now.
    pub(super) fn uncharge(&mut self, charged: Mono) {
        if let Some(at) = self.spent.iter().rposition(|then| *then == charged) {
            self.spent.remove(at);
        }
        self.series = self.series.saturating_sub(1);
        if let Some(tries) = &mut self.quarantined {
            *tries = tries.saturating_sub(1);
        }
        self.not_before = charged;
    }

    /// systemd took a request.
    pub(super) fn accepted(&mut self) {
        self.refused = 0;
    }

    /// Whether a restart of systemd's own is within what the service may cost.
    pub(super) fn has_room_for_systemd(&self, now: Mono, guard: &Guard) -> bool {
        let recent = self.by_systemd.iter().filter(|then| now.since(**then) < guard.within).count();
        recent < guard.burst as usize
    }

    /// systemd restarted it by itself, which costs the same budget; true when that did not help so often that someone must hear of
    /// it, at first, after an hour and then each day.
    pub(super) fn restarted_by_systemd(&mut self, now: Mono, guard: &Guard) -> bool {
        self.by_systemd.retain(|then| now.since(*then) < guard.within);
        self.loop_told = self.loop_told.filter(|_| !self.by_systemd.is_empty());
        self.by_systemd.push_back(now);
        self.spent.push_back(now);
        if self.spent.len() > guard.burst.max(1) as usize {
            self.spent.pop_front(); // older ones decide nothing, and it may go on for ever
        }
        if self.by_systemd.len() <= guard.burst as usize {
            return false;
        }
        self.by_systemd.pop_front();
        let (tell, again) = match self.loop_told {
            None => (true, now + REMIND_FIRST),
            Some(at) => (at <= now, now + REMIND_AGAIN),
        };
        if tell {
            self.loop_told = Some(again);
        }
        tell
    }

    pub(super) fn started(&mut self, now: Mono) {
        self.starts.push_back(now);
        if self.starts.len() > 256 {
            self.starts.pop_front();
        }
    }

    /// Whether one more start would reach systemd's start limit: it shows its constants, never how much of it is used.
    pub(super) fn start_limit_near(&self, now: Mono, burst: u32, interval: Duration) -> bool {
        if burst == 0 || interval.is_zero() {
            return false;
        }
        let recent = self.starts.iter().filter(|then| now.since(**then) <= interval).count();
        recent + 1 >= burst as usize
    }

    /// Enters quarantine; false when it is in it already.
    pub(super) fn quarantine(&mut self, now: Mono) -> bool {
        let new = self.quarantined.is_none();
        self.quarantined.get_or_insert(0);
        if new {
            self.remind = Some((now + REMIND_FIRST, now));
        }
        new
    }

    /// When it is time to remind someone that it is in quarantine.
    pub(super) fn remind_at(&self) -> Option<Mono> {
        self.quarantined.and(self.remind).map(|(at, _)| at)
    }

    /// For how long it has been in quarantine, and how often it was tried since, when it is time to say so again. What is up and
    /// has no heartbeat to prove it is left to become stable, which nothing else may tell.
    pub(super) fn remind(&mut self, now: Mono, guard: &Guard) -> Option<(Duration, u32)> {
        let tried = self.quarantined?;
        let (_, since) = self.remind.filter(|(at, _)| *at <= now)?;
        if let Some(healthy) = self.healthy_since {
            let stable = healthy + guard.stable;
            match stable <= now {
                true => self.afresh(),
                false => self.remind = Some((stable, since)),
            }
            return None;
        }
        self.remind = Some((now + REMIND_AGAIN, since));
        Some((now.since(since), tried))
    }

    pub(super) fn in_quarantine(&self) -> bool {
        self.quarantined.is_some()
    }

    /// It is well: by a good heartbeat (`proven`), which ends quarantine at once, or for it is active and has none. Counters
    /// start afresh after `stable`. True when that ended its quarantine.
    pub(super) fn healthy(&mut self, now: Mono, guard: &Guard, proven: bool) -> bool {
        let left = proven && self.quarantined.take().is_some();
        let since = *self.healthy_since.get_or_insert(now);
        if now.since(since) >= guard.stable {
            self.afresh();
        }
        left
    }

    /// Not healthy any more: the time to `stable` starts over.
    pub(super) fn sick(&mut self, now: Mono, guard: &Guard) {
        if self.healthy_since.is_some_and(|since| now.since(since) >= guard.stable) {
            self.afresh();
        }
        self.healthy_since = None;
    }

    fn afresh(&mut self) {
        self.quarantined = None;
        self.series = 0;
        self.not_before = Mono(0);
    }

    fn expire(&mut self, now: Mono, guard: &Guard) {
        while self.spent.front().is_some_and(|then| now.since(*then) >= guard.within) {
            self.spent.pop_front();
        }
    }
}

/// `first`, doubled `times` times, at most `most`.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(most)
}

/// Restarts of the whole host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostTries {
    spent: VecDeque<Mono>,
    /// When someone heard last that there is no room.
    told: Option<Mono>,
}

impl HostTries {
    /// `None`: now; else when there is room again.
    pub(super) fn room(&mut self, now: Mono, most: u32, within: Duration) -> Option<Mono> {
        while self.spent.front().is_some_and(|then| now.since(*then) >= within) {
            self.spent.pop_front();
        }
        let over = self.spent.len().checked_sub(most as usize)?;
        Some(self.spent.get(over).map_or(now + within, |then| *then + within))
    }

    /// So many restarts are within the budget now.
    pub(super) fn left(&self, now: Mono, most: u32, within: Duration) -> u32 {
        let spent = self.spent.iter().filter(|then| now.since(**then) < within).count();
        most.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    /// There has been no room for long: true where that is news, for all services together.
    pub(super) fn tell(&mut self, now: Mono, within: Duration) -> bool {
        let news = self.told.is_none_or(|at| now.since(at) >= within);
        if news {
            self.told = Some(now);
        }
        news
    }

    pub(super) fn charge(&mut self, now: Mono) {
        self.spent.push_back(now);
    }

    /// What nobody asks for room for may go on for ever: what is past decides nothing.
    pub(super) fn charge_unasked(&mut self, now: Mono, within: Duration) {
        self.spent.retain(|then| now.since(*then) < within);
        self.spent.push_back(now);
    }

    pub(super) fn refund(&mut self, charged: Mono) {
        if let Some(at) = self.spent.iter().rposition(|then| *then == charged) {
            self.spent.remove(at);
        }
    }
}
