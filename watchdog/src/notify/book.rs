//! Who was told what, and who is to be told what next.
//!
//! Pure: it is told the time, and kept over a restart of watchdog as it stands. What happens within `gather` is one message, as is
//! what waits for a channel that does not work or has told enough for now; so a storm is a few messages, however large. A message
//! is delivered at least once: one that was on its way when watchdog died goes out again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Channel, Rules,
    lane::{Lane, records},
    notice::{self, Moment, Notice},
};
use crate::model::{
    Action, Decision, Fate, IncidentEnd, IncidentId, Mono, NoticeKind, Notified, Service, Story, Tell,
};

/// So many different alerts of one service are remembered.
const GISTS: usize = 64;

/// Who was told what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    #[serde(skip)]
    rules: Rules,
    lanes: Vec<Lane>,
    cases: BTreeMap<Service, Case>,
}

/// What is known of a service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Case {
    /// The last incident in which something was done, and how often.
    acts: Option<(IncidentId, u32)>,
    /// The last end: one that is told again after a restart of watchdog is known.
    end: Option<(IncidentId, IncidentEnd)>,
    /// When restarts helped.
    helped: VecDeque<Mono>,
    /// Alerts without their figures, and when each was told last.
    alerts: BTreeMap<String, Mono>,
    quarantined: bool,
}

/// What is to be sent now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) channel: String,
    pub(super) notices: Vec<Notice>,
    /// So many more are left out.
    pub(super) dropped: u64,
}

impl Book {
    /// Goes by other settings from now on. What waits for a channel that is there no more is given up.
    pub(super) fn replace(&mut self, now: Mono, rules: Rules, channels: &[Channel]) -> Vec<Notified> {
        self.rules = rules;
        let mut old = std::mem::take(&mut self.lanes);
        for channel in channels {
            let known = old.iter().position(|lane| lane.name == channel.name).map(|at| old.swap_remove(at));
            let lane = known.unwrap_or_else(|| Lane::new(channel.name.clone()));
            self.lanes.push(Lane { wants: channel.on.clone(), ..lane });
        }
        let why = "it is taken out of the configuration";
        let given_up = |lane: Lane| {
            let left: Vec<Notice> = lane.sending.into_iter().chain(lane.waiting).collect();
            records(now, &lane.name, &left, &Fate::GivenUp { why: why.into() })
        };
        old.into_iter().flat_map(given_up).collect()
    }

    /// Goes on with what a process before this one has kept. Moments of another boot mean nothing in this one, and what was failing
    /// then begins afresh with it.
    pub(super) fn resume(&mut self, now: Moment, kept: Book, same_boot: bool) {
        for mut lane in kept.lanes {
            lane.waiting.splice(0..0, std::mem::take(&mut lane.sending));
            if !same_boot {
                let owed = std::mem::take(&mut lane.owed);
                lane.waiting.retain(|notice| notice.kind != NoticeKind::Recovered);
                lane.waiting.extend(owed.into_keys().map(|service| notice::rebooted(now, service)));
                lane.waiting.iter_mut().for_each(|notice| notice.tried = None);
                (lane.taken, lane.failures, lane.failed_at) = (VecDeque::new(), 0, Mono(0));
            }
            lane.gathers_since = (!lane.waiting.is_empty()).then_some(now.mono);
            self.lanes.retain(|it| it.name != lane.name);
            self.lanes.push(lane);
        }
        if same_boot {
            self.cases = kept.cases;
        }
    }

    /// The policy has said something; true when the book has changed.
    pub(super) fn hear(&mut self, now: Moment, tell: &Tell) -> bool {
        if self.lanes.is_empty() {
            return false;
        }
        let case = self.cases.entry(tell.service.clone()).or_default();
        match &tell.decision {
            Decision::Act { action, rule, observed_only: false } => {
                if !is_restart(*action) {
                    return false;
                }
                let Some(incident) = tell.incident else { return false };
                let times = case.acts.filter(|(of, _)| *of == incident).map_or(0, |(_, times)| times) + 1;
                case.acts = Some((incident, times));
                if times == 2 {
                    self.put(now.mono, notice::failed(now, tell, rule), Whom::All);
                }
                true
            }
            Decision::Act { observed_only: true, .. }
            | Decision::Hold { .. }
            | Decision::LeaveAlone { .. } => false,
            Decision::Alert { what } => {
                let again = self.rules.repeat_after;
                let new = case.is_new(now.mono, what, again);
                if new {
                    self.put(now.mono, notice::alert(now, tell, what), Whom::All);
                }
                new
            }
            Decision::End(story) => self.end(now, tell, story),
        }
    }

    fn end(&mut self, now: Moment, tell: &Tell, story: &Story) -> bool {
        let case = self.cases.entry(tell.service.clone()).or_default();
        let this = tell.incident.map(|incident| (incident, story.end));
        if this.is_some() && case.end == this {
            return false;
        }
        case.end = this.or(case.end);
        match story.end {
            IncidentEnd::Quarantined => {
                if !std::mem::replace(&mut case.quarantined, true) {
                    self.put(now.mono, notice::quarantined(now, tell, story), Whom::All);
                }
            }
            // a false alarm of a service that is quarantined still
            IncidentEnd::StoodDown if case.quarantined => {}
            IncidentEnd::StoodDown => {
                self.put(now.mono, notice::over(now, tell, story), Whom::OwedFor(tell.incident));
            }
            IncidentEnd::Recovered | IncidentEnd::Superseded => {
                case.quarantined = false;
                self.put(now.mono, notice::over(now, tell, story), Whom::Owed);
                self.helped(now, tell, story);
            }
        }
        true
    }

    /// Restarts helped, again.
    fn helped(&mut self, now: Moment, tell: &Tell, story: &Story) {
        if story.restarts == 0 {
            return;
        }
        let (within, incidents) = (self.rules.within, self.rules.incidents);
        let case = self.cases.entry(tell.service.clone()).or_default();
        case.helped.retain(|at| now.mono.since(*at) < within);
        case.helped.push_back(now.mono);
        if case.helped.len() >= incidents as usize {
            case.helped.clear();
            self.put(now.mono, notice::repeated(now, tell, story, incidents, within), Whom::All);
        }
        self.put(now.mono, notice::restarted(now, tell, story), Whom::NotOwed);
    }

    fn put(&mut self, now: Mono, notice: Notice, whom: Whom) {
        for lane in &mut self.lanes {
            if whom.is(lane, &notice) {
                lane.put(now, notice.clone());
            }
        }
    }

    /// What is to be sent now, at most one message of each channel at a time.
    pub(super) fn due(&mut self, now: Mono) -> Vec<Message> {
        let rules = &self.rules;
        let due = self.lanes.iter_mut().filter(|lane| lane.ready_at(rules).is_some_and(|at| at <= now));
        let message = |lane: &mut Lane| {
            lane.sending = std::mem::take(&mut lane.waiting);
            lane.gathers_since = None;
            let (channel, notices) = (lane.name.clone(), lane.sending.clone());
            lane.said = lane.dropped;
            Message { channel, notices, dropped: lane.said }
        };
        due.map(message).collect()
    }

    /// When something may be due.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.lanes.iter().filter_map(|lane| lane.ready_at(&self.rules)).min()
    }

    /// What became of the message that a channel was sending.
    pub(super) fn done(&mut self, now: Mono, channel: &str, ended: Result<(), String>) -> Vec<Notified> {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.name == channel) else { return Vec::new() };
        let sent = std::mem::take(&mut lane.sending);
        match ended {
            Ok(()) => {
                lane.failures = 0;
                lane.taken.push_back(now);
                lane.taken.drain(..lane.taken.len().saturating_sub(self.rules.burst as usize));
                sent.iter().for_each(|notice| lane.told(notice));
                let mut said = records(now, channel, &sent, &Fate::Told);
                said.extend(lane.dropped(now));
                said
            }
            Err(why) => lane.failed(now, &self.rules, sent, why),
        }
    }
}

/// Who is told.
#[derive(Clone, Copy)]
enum Whom {
    All,
    /// Whoever was told of the failure.
    Owed,
    /// Whoever was told of this incident.
    OwedFor(Option<IncidentId>),
    NotOwed,
}

impl Whom {
    fn is(self, lane: &Lane, notice: &Notice) -> bool {
        let wants = lane.wants.contains(&notice.kind);
        let owed = lane.owes(&notice.service);
        match self {
            Whom::All => wants,
            Whom::Owed => wants && owed.is_some(),
            Whom::OwedFor(incident) => wants && owed.is_some_and(|of| of == incident),
            Whom::NotOwed => wants && owed.is_none() && !lane.tells_of_its_end(&notice.service),
        }
    }
}

impl Case {
    /// Whether an alert was not told lately, whatever its figures were.
    fn is_new(&mut self, now: Mono, what: &str, again: Duration) -> bool {
        let mut gist: String =
            what.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }).collect();
        while gist.contains("##") {
            gist = gist.replace("##", "#");
        }
        if self.alerts.get(&gist).is_some_and(|at| now.since(*at) < again) {
            return false;
        }
        self.alerts.retain(|_, at| now.since(*at) < again);
        if self.alerts.len() >= GISTS
            && let Some(oldest) = self.alerts.iter().min_by_key(|(_, at)| **at).map(|(gist, _)| gist.clone())
        {
            self.alerts.remove(&oldest);
        }
        self.alerts.insert(gist, now);
        true
    }
}

fn is_restart(action: Action) -> bool {
    match action {
        Action::Restart { .. } | Action::Start { .. } | Action::StartAfresh { .. } => true,
        Action::Kill | Action::Undo | Action::Reboot | Action::Cancel { .. } => false,
    }
}
