use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{seed::Seed, settings::Pulse};
use crate::model::{Mono, OnFailure, OrderId, Verdict};

/// Between two probes of a unit that was just started; doubled up to the longest.
const PROBE_FIRST: Duration = Duration::from_millis(10);
const PROBE_LONGEST: Duration = Duration::from_millis(500);
/// Asked again after an unknown verdict: `retry_after`, doubled up to this.
const UNKNOWN_LONGEST: Duration = Duration::from_secs(10);
/// So many unknowns in a row, or so long, raise an alert.
const UNKNOWN_ALERT: u32 = 5;
const UNKNOWN_ALERT_AFTER: Duration = Duration::from_secs(120);
/// An answer that is so much later than the time-out does not come any more.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// Of so many rounds in a row, as many as this that stumbled and went on are worth an alert, though none led to action.
const ROUNDS: u32 = 10;
const STUMBLES: u32 = 5;

/// One heartbeat of a service: when it is asked, and what its answers add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) pulse: Pulse,
    /// The next backstop.
    due: Mono,
    round: Option<Round>,
    /// The last time it answered as it should.
    pub(super) alive_at: Option<Mono>,
    /// The last round's verdict.
    pub(super) verdict: Option<Verdict>,
    unknowns: u32,
    unknown_since: Option<Mono>,
    unknown_told: bool,
    /// The last rounds that ended well, one bit each, the newest lowest: 1 where an ask failed first.
    rounds: u32,
    stumbles_told: bool,
}

/// A question that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    kind: Kind,
    /// Asks on their way, and when each left.
    asked: BTreeMap<OrderId, Mono>,
    /// Something happened then: a good answer to an older ask says nothing of it.
    doubted: Mono,
    /// A failure of an ask that left before says nothing of it: what it needs was not well yet.
    since: Mono,
    dead: u32,
    next: Option<Mono>,
    pause: Duration,
}

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Is it dead? `failures` in a row say so; each is asked `retry_after` the one before, though that still waits.
    Confirm,
    /// Is it back? One after the other, faster at first, until one is good.
    Probe,
    /// Is it well again by itself? Asked at `every_in_use` while a restart waits.
    Linger,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing is decided yet, or it was an answer to an old question.
    Open,
    /// It answers as it should.
    Alive,
    /// `failures` in a row.
    Dead,
    /// Unknown for so long that someone must hear of it.
    UnknownForLong,
}

impl Beat {
    pub(super) fn new(pulse: Pulse, now: Mono, seed: &mut Seed) -> Beat {
        let due = now + seed.below(pulse.every);
        Beat {
            pulse,
            due,
            round: None,
            alive_at: None,
            verdict: None,
            unknowns: 0,
            unknown_since: None,
            unknown_told: false,
            rounds: 0,
            stumbles_told: false,
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.pulse.on_failure == OnFailure::Off
    }

    pub(super) fn is_asking(&self) -> bool {
        self.round.is_some()
    }

    /// The round on its way, or the last one, says that it is not well.
    pub(super) fn is_sick(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.dead > 0) || self.verdict == Some(Verdict::Dead)
    }

    pub(super) fn is_probing(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.kind == Kind::Probe)
    }

    /// Begins a round, unless one of this kind is on its way.
    pub(super) fn begin(&mut self, now: Mono, kind: Kind) {
        if self.is_off() || self.round.as_ref().is_some_and(|round| round.kind == kind) {
            return;
        }
        let pause = match kind {
            Kind::Confirm => self.pulse.retry_after,
            Kind::Probe => PROBE_FIRST,
            Kind::Linger => self.pulse.every_in_use,
        };
        let first = match kind {
            Kind::Confirm | Kind::Probe => now,
            Kind::Linger => now + pause,
        };
        let asked = BTreeMap::new();
        self.round =
            Some(Round { kind, asked, doubted: Mono(0), since: now, dead: 0, next: Some(first), pause });
    }

    /// Something happened at `at` that only an answer to an ask after it can clear up.
    pub(super) fn doubt(&mut self, now: Mono, at: Mono) {
        self.begin(now, Kind::Confirm);
        let Some(round) = &mut self.round else { return };
        round.doubted = round.doubted.max(at.min(now));
        if !round.asked.values().any(|asked| *asked >= round.doubted) {
            round.next = Some(now);
        }
    }

    /// Nothing is asked any more; answers on their way are dropped.
    pub(super) fn stop(&mut self) {
        self.round = None;
    }

    pub(super) fn wake_at(&self, backstop: bool) -> Option<Mono> {
        match &self.round {
            Some(round) => round.next.into_iter().chain(self.first_lost()).min(),
            None => (backstop && !self.is_off()).then_some(self.due),
        }
    }

    /// When the first of the asks on their way counts as lost.
    fn first_lost(&self) -> Option<Mono> {
        let first = self.round.as_ref()?.asked.values().min()?;
        Some(*first + self.pulse.timeout + LOST_AFTER)
    }

    /// An ask whose answer does not come any more.
    pub(super) fn lost(&self, now: Mono) -> Option<OrderId> {
        let first = self.first_lost().filter(|at| *at <= now);
        let asked = &self.round.as_ref().filter(|_| first.is_some())?.asked;
        asked.iter().min_by_key(|(_, asked)| **asked).map(|(id, _)| *id)
    }

    /// Whether it is to be asked now, under this number.
    pub(super) fn ask(&mut self, now: Mono, backstop: bool, seed: &mut Seed, id: OrderId) -> bool {
        if backstop && self.round.is_none() && !self.is_off() && now >= self.due {
            self.begin(now, Kind::Confirm);
        }
        let Some(round) = &mut self.round else { return false };
        if round.next.is_none_or(|next| now < next) {
            return false;
        }
        round.asked.insert(id, now);
        let waiting = u32::try_from(round.asked.len()).unwrap_or(u32::MAX);
        let more = round.kind == Kind::Confirm && round.dead + waiting < self.pulse.failures;
        round.next = more.then(|| now + self.pulse.retry_after);
        // spread over time: hosts that boot together do not ask together for ever
        self.due = now + self.pulse.every * 9 / 10 + seed.below(self.pulse.every / 5);
        true
    }

    /// Takes an answer to one of its asks. What it needs was not well before `well`.
    pub(super) fn answer(&mut self, now: Mono, id: OrderId, verdict: Verdict, well: Option<Mono>) -> Told {
        let Some(round) = &mut self.round else { return Told::Open };
        let Some(asked) = round.asked.remove(&id) else { return Told::Open };
        if let Some(well) = well.filter(|well| *well > round.since) {
            (round.since, round.dead) = (well, 0);
        }
        match verdict {
            Verdict::Alive if asked < round.doubted => {
                // those on their way may be too few now to say that it is dead
                round.next = round.next.or(round.asked.is_empty().then_some(now));
                Told::Open
            }
            Verdict::Alive => {
                if round.kind == Kind::Confirm {
                    self.rounds = (self.rounds << 1 | u32::from(round.dead > 0)) & ((1 << ROUNDS) - 1);
                }
                self.round = None;
                self.alive_at = Some(now);
                self.known(Verdict::Alive);
                Told::Alive
            }
            Verdict::Dead if round.kind == Kind::Confirm && asked < round.since => {
                round.next = round.next.or(round.asked.is_empty().then_some(now + self.pulse.retry_after));
                Told::Open
            }
            Verdict::Dead => {
                round.dead += 1;
                match round.kind {
                    Kind::Probe => {
                        round.next = Some(now + round.pause);
                        round.pause = (round.pause * 2).min(PROBE_LONGEST);
                        self.unknowns = 0;
                        Told::Open
                    }
                    Kind::Linger => {
                        round.next = Some(now + round.pause);
                        self.unknowns = 0;
                        Told::Open
                    }
                    Kind::Confirm if round.dead >= self.pulse.failures => {
                        self.round = None;
                        self.rounds = 0;
                        self.known(Verdict::Dead);
                        Told::Dead
                    }
                    Kind::Confirm => {
                        // else the next one is on its way, or has its time
                        let next = round.asked.is_empty().then_some(now + self.pulse.retry_after);
                        round.next = round.next.or(next);
                        Told::Open
                    }
                }
            }
            Verdict::Unknown => {
                self.unknowns += 1;
                let since = *self.unknown_since.get_or_insert(now);
                let pause = round.pause.max(self.pulse.retry_after);
                // one more at once was to be asked only while this one was silent
                if round.asked.is_empty() {
                    round.next = Some(now + pause);
                }
                round.pause = (pause * 2).min(UNKNOWN_LONGEST);
                let long = self.unknowns >= UNKNOWN_ALERT || now.since(since) >= UNKNOWN_ALERT_AFTER;
                if long && !self.unknown_told {
                    self.unknown_told = true;
                    self.verdict = Some(Verdict::Unknown);
                    return Told::UnknownForLong;
                }
                Told::Open
            }
        }
    }

    /// It fails and recovers again and again, without `failures` in a row; true once, until that is over.
    pub(super) fn stumbles(&mut self) -> bool {
        let stumbles = self.rounds.count_ones();
        if stumbles == 0 {
            self.stumbles_told = false;
        }
        let told = stumbles < STUMBLES || std::mem::replace(&mut self.stumbles_told, true);
        !told
    }

    fn known(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
        self.unknowns = 0;
        self.unknown_since = None;
        self.unknown_told = false;
    }
}
