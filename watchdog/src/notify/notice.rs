//! One thing that people are told: what happened, what was done, what comes next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::span;
use crate::model::{IncidentEnd, IncidentId, Mono, NoticeKind, Service, Story, Tell, Unit, Wall};

/// Of a long story so many of its first steps are told …
const FIRST: usize = 4;
/// … and so many of its last.
const LAST: usize = 6;
/// The longest text of one step, in characters.
const LENGTH: usize = 500;

/// Now, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) mono: Mono,
    pub(super) wall: Wall,
}

impl Moment {
    /// What the wall clock showed then.
    fn wall_of(self, then: Mono) -> Wall {
        let ago = i64::try_from(self.mono.since(then).as_micros()).unwrap_or(i64::MAX);
        Wall(self.wall.0.saturating_sub(ago))
    }
}

/// One thing that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The same whenever and to whomever it is told.
    pub(super) id: String,
    pub(super) kind: NoticeKind,
    pub(super) service: Service,
    /// `None` where it is not known any more.
    pub(super) unit: Option<Unit>,
    pub(super) incident: Option<IncidentId>,
    pub(super) at: Mono,
    pub(super) wall: Wall,
    /// What it is now, behind the name of the service: `is in quarantine`.
    pub(super) state: String,
    pub(super) happened: Vec<Happened>,
    /// What was done about it; may be empty.
    pub(super) done: String,
    /// What comes next; may be empty.
    pub(super) next: String,
    /// When it was first tried to be told.
    pub(super) tried: Option<Mono>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) wall: Wall,
    pub(super) what: String,
}

impl Notice {
    /// A failure, whose end is told too.
    pub(super) fn is_failure(&self) -> bool {
        match self.kind {
            NoticeKind::Quarantined | NoticeKind::Failed => true,
            NoticeKind::Alert => self.incident.is_some(),
            NoticeKind::Repeated | NoticeKind::Restarted | NoticeKind::Recovered => false,
        }
    }

    /// Whether this one says what an alert of the same moment has said, with its words from then on.
    pub(super) fn absorbs(&mut self, alert: &Notice) -> bool {
        let alike = self.kind == NoticeKind::Quarantined
            && alert.kind == NoticeKind::Alert
            && (&alert.service, alert.incident, alert.at) == (&self.service, self.incident, self.at);
        if let (true, Some(said)) = (alike, alert.happened.first()) {
            self.happened.push(said.clone());
        }
        alike
    }
}

/// Its budget is spent.
pub(super) fn quarantined(now: Moment, tell: &Tell, story: &Story) -> Notice {
    let next = "it is still watched and tried again, more and more seldom; it leaves quarantine by itself when it answers";
    Notice {
        happened: steps(now, story),
        done: restarts(story) + ", none of them helped",
        next: next.into(),
        ..of(now, tell, NoticeKind::Quarantined, "is in quarantine")
    }
}

/// What the stream calls an alert.
pub(super) fn alert(now: Moment, tell: &Tell, what: &str) -> Notice {
    Notice {
        happened: vec![happened(now, tell.at, what)],
        ..of(now, tell, NoticeKind::Alert, "needs a look")
    }
}

/// A restart did not help.
pub(super) fn failed(now: Moment, tell: &Tell, rule: &str) -> Notice {
    Notice {
        happened: vec![happened(now, tell.at, rule)],
        done: "it was restarted, which did not help; it is restarted again".into(),
        next: "when its budget of restarts is spent it is put into quarantine".into(),
        ..of(now, tell, NoticeKind::Failed, "fails again after a restart")
    }
}

/// Restarts help each time, and are needed again and again.
pub(super) fn repeated(now: Moment, tell: &Tell, story: &Story, times: u32, within: Duration) -> Notice {
    Notice {
        happened: steps(now, story),
        done: format!("{}; it is well for now", restarts(story)),
        next: "more failures are met in the same way; what causes them is not cured by that".into(),
        ..of(
            now,
            tell,
            NoticeKind::Repeated,
            &format!("needed a restart {times} times within {}", span(within)),
        )
    }
}

/// A restart helped.
pub(super) fn restarted(now: Moment, tell: &Tell, story: &Story) -> Notice {
    Notice {
        happened: steps(now, story),
        done: restarts(story),
        ..of(now, tell, NoticeKind::Restarted, "was restarted and is well again")
    }
}

/// What was told before is over.
pub(super) fn over(now: Moment, tell: &Tell, story: &Story) -> Notice {
    let (state, done) = match story.end {
        IncidentEnd::Recovered => ("is well again", restarts(story)),
        IncidentEnd::Superseded => ("is well again", "somebody else has started it anew".into()),
        IncidentEnd::StoodDown => ("is left alone now", restarts(story)),
        IncidentEnd::Quarantined => ("is in quarantine", restarts(story)),
    };
    Notice { happened: steps(now, story), done, ..of(now, tell, NoticeKind::Recovered, state) }
}

/// What was told before a reboot of the host begins afresh.
pub(super) fn rebooted(now: Moment, service: Service) -> Notice {
    Notice {
        id: format!("{service}/rebooted/{}", now.wall.0),
        kind: NoticeKind::Recovered,
        service,
        unit: None,
        incident: None,
        at: now.mono,
        wall: now.wall,
        state: "begins afresh with the host".into(),
        happened: vec![Happened { wall: now.wall, what: "the host was booted anew".into() }],
        done: String::new(),
        next: "it is watched; if it still fails, you are told again".into(),
        tried: None,
    }
}

fn of(now: Moment, tell: &Tell, kind: NoticeKind, state: &str) -> Notice {
    let incident = tell.incident.map_or_else(|| "-".to_owned(), |incident| incident.to_string());
    Notice {
        id: format!("{incident}/{}/{}", kind.name(), tell.at.micros()),
        kind,
        service: tell.service.clone(),
        unit: Some(tell.unit.clone()),
        incident: tell.incident,
        at: tell.at,
        wall: now.wall_of(tell.at),
        state: state.to_owned(),
        happened: Vec::new(),
        done: String::new(),
        next: String::new(),
        tried: None,
    }
}

fn happened(now: Moment, at: Mono, what: &str) -> Happened {
    let plain = what.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut what: String = plain.take(LENGTH + 1).collect();
    if what.chars().count() > LENGTH {
        what = what.chars().take(LENGTH).chain(['…']).collect();
    }
    Happened { wall: now.wall_of(at), what }
}

fn steps(now: Moment, story: &Story) -> Vec<Happened> {
    let all = &story.steps;
    let step = |step: &crate::model::Step| happened(now, step.mono_us, &step.what);
    if all.len() <= FIRST + LAST {
        return all.iter().map(step).collect();
    }
    let (first, rest) = all.split_at(FIRST);
    let (between, last) = rest.split_at(rest.len() - LAST);
    let left_out =
        between.first().map(|it| happened(now, it.mono_us, &format!("… {} more steps …", between.len())));
    first.iter().map(step).chain(left_out).chain(last.iter().map(step)).collect()
}

fn restarts(story: &Story) -> String {
    let took = span(story.took);
    match story.restarts {
        0 => format!("no restart within {took}"),
        1 => format!("1 restart within {took}"),
        many => format!("{many} restarts within {took}"),
    }
}
