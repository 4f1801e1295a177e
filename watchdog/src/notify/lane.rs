//! What waits for one channel, and when it may go out: gathered, limited, tried again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Rules, notice::Notice};
use crate::model::{Fate, IncidentId, Mono, NoticeKind, Notified, Service};

/// The longest pause before a next try.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// So many notices wait for one channel; more are counted.
const WAITING: usize = 200;

/// One channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) wants: BTreeSet<NoticeKind>,
    pub(super) waiting: Vec<Notice>,
    /// On its way.
    pub(super) sending: Vec<Notice>,
    /// Notices for which there was no room, and how many of them the message on its way says.
    pub(super) dropped: u64,
    pub(super) said: u64,
    /// Services whose failure was told, and whose end was not; by the incident of the failure.
    pub(super) owed: BTreeMap<Service, Option<IncidentId>>,
    /// When messages were taken.
    pub(super) taken: VecDeque<Mono>,
    /// When nothing waited before.
    pub(super) gathers_since: Option<Mono>,
    /// How often in a row it did not work, and when last.
    pub(super) failures: u32,
    pub(super) failed_at: Mono,
}

impl Lane {
    pub(super) fn new(name: String) -> Lane {
        Lane {
            name,
            wants: BTreeSet::new(),
            waiting: Vec::new(),
            sending: Vec::new(),
            dropped: 0,
            said: 0,
            owed: BTreeMap::new(),
            taken: VecDeque::new(),
            gathers_since: None,
            failures: 0,
            failed_at: Mono(0),
        }
    }

    pub(super) fn put(&mut self, now: Mono, mut notice: Notice) {
        if notice.kind == NoticeKind::Recovered {
            self.owed.remove(&notice.service);
        }
        if self.waiting.last().is_some_and(|last| notice.absorbs(last)) {
            self.waiting.pop(); // the alert that says that it is quarantined, and the story of it, are one
        }
        self.gathers_since.get_or_insert(now);
        if self.waiting.len() == WAITING {
            self.dropped += 1;
            let least = self.waiting.iter().enumerate().min_by_key(|(_, it)| it.kind);
            match least.map(|(at, it)| (at, it.kind)) {
                Some((at, kind)) if kind < notice.kind => self.waiting.remove(at),
                Some(_) | None => return,
            };
        }
        self.waiting.push(notice);
    }

    /// The incident of a failure whose end this channel was not told yet; also of one that is still to be told.
    pub(super) fn owes(&self, service: &Service) -> Option<Option<IncidentId>> {
        let mut owed = self.owed.get(service).copied();
        for notice in self.sending.iter().chain(&self.waiting).filter(|notice| notice.service == *service) {
            match notice.is_failure() {
                _ if notice.kind == NoticeKind::Recovered => owed = None,
                true => owed = Some(notice.incident),
                false => {}
            }
        }
        owed
    }

    /// What there was no room for, once it is told.
    pub(super) fn dropped(&mut self, now: Mono) -> Option<Notified> {
        let count = std::mem::take(&mut self.said);
        self.dropped -= count;
        (count > 0).then(|| Notified {
            at: now,
            service: None,
            incident: None,
            channel: Some(self.name.clone()),
            about: Vec::new(),
            fate: Fate::Dropped { count },
        })
    }

    /// Its end is among what waits: whoever reads that needs not be told that it was restarted.
    pub(super) fn tells_of_its_end(&self, service: &Service) -> bool {
        let waits = |it: &Notice| it.service == *service && it.kind == NoticeKind::Recovered;
        self.waiting.iter().any(waits)
    }

    pub(super) fn told(&mut self, notice: &Notice) {
        let over =
            self.waiting.iter().any(|it| it.service == notice.service && it.kind == NoticeKind::Recovered);
        if notice.kind == NoticeKind::Recovered {
            self.owed.remove(&notice.service);
        } else if notice.is_failure() && !over {
            self.owed.insert(notice.service.clone(), notice.incident);
        }
    }

    /// When what waits may go out; `None` while nothing waits, or something is on its way.
    pub(super) fn ready_at(&self, rules: &Rules) -> Option<Mono> {
        let since = self.gathers_since.filter(|_| self.sending.is_empty())?;
        let fresh = since + rules.gather;
        let pause = match self.failures {
            0 => Mono(0),
            // what is new tries at once, and what was tried waits
            _ if self.waiting.iter().any(|notice| notice.tried.is_none()) => {
                self.failed_at + rules.retry_after
            }
            failures => self.failed_at + pause(rules, failures),
        };
        let burst = rules.burst as usize;
        let early = self.taken.len().checked_sub(burst).and_then(|at| self.taken.get(at));
        let room = early.map_or(Mono(0), |at| *at + rules.per);
        let tried = self.waiting.iter().all(|notice| notice.tried.is_some());
        Some(if tried { pause.max(room) } else { fresh.max(pause).max(room) })
    }

    pub(super) fn failed(
        &mut self,
        now: Mono,
        rules: &Rules,
        sent: Vec<Notice>,
        why: String,
    ) -> Vec<Notified> {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        let again = now + pause(rules, self.failures);
        let tried = sent.into_iter().map(|mut notice| {
            notice.tried.get_or_insert(now);
            notice
        });
        let is_over = |it: &Notice| again.since(it.tried.unwrap_or(now)) > rules.give_up_after;
        let (over, left): (Vec<Notice>, Vec<Notice>) = tried.partition(is_over);
        let mut said = records(now, &self.name, &left, &Fate::Failed { why: why.clone(), again });
        said.extend(records(now, &self.name, &over, &Fate::GivenUp { why }));
        self.waiting.splice(0..0, left);
        if !self.waiting.is_empty() {
            self.gathers_since.get_or_insert(now);
        }
        said
    }
}

fn pause(rules: &Rules, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    rules.retry_after.saturating_mul(doubled).min(LONGEST_PAUSE.max(rules.retry_after))
}

/// One record for each service, in the order in which the message names them.
pub(super) fn records(now: Mono, channel: &str, notices: &[Notice], fate: &Fate) -> Vec<Notified> {
    let mut records: Vec<Notified> = Vec::new();
    for notice in notices {
        let known = records.iter_mut().find(|it| it.service.as_ref() == Some(&notice.service));
        match known {
            Some(record) => {
                record.incident = notice.incident.or(record.incident);
                if !record.about.contains(&notice.kind) {
                    record.about.push(notice.kind);
                }
            }
            None => records.push(Notified {
                at: now,
                service: Some(notice.service.clone()),
                incident: notice.incident,
                channel: Some(channel.to_owned()),
                about: vec![notice.kind],
                fate: fate.clone(),
            }),
        }
    }
    records
}
