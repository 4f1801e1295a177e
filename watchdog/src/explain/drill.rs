//! What a drill showed: the moments from the fault to the good answer, beside what was promised.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use serde::Serialize;

use super::check::say;
use crate::{
    model::{
        Action, Decision, IncidentEnd, IncidentId, Injury, Known, Mono, OnFailure, Saw, Service, Unit,
        Verdict,
    },
    policy::Guard,
    stream::{Record, Said, sentence},
};

/// A busy machine is a little late: so much is not held against a promise.
const TOLERANCE: Duration = Duration::from_millis(250);

/// What was measured, and what was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drill {
    /// The service.
    pub service: Service,
    /// Its unit.
    pub unit: Unit,
    /// What was done to it.
    pub fault: Injury,
    /// The same, for people.
    pub done: String,
    /// From the fault on, in their order: seen, verdict, request, answer.
    pub moments: Vec<Measured>,
    /// It answers again, or is up where nothing can be asked.
    pub recovered: bool,
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The evidence that was kept.
    pub evidence: Option<PathBuf>,
    /// How it ended, for people.
    pub end: String,
}

/// One moment of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Which.
    pub name: &'static str,
    /// Since the fault; `None`: it did not come.
    pub after_us: Option<u64>,
    /// What was told then.
    pub told: String,
    /// What is promised.
    pub promised: String,
    /// It came in time; `None` where no figure is promised, or it did not come.
    pub kept: Option<bool>,
}

/// Hears what the stream tells of one service from a fault on.
#[derive(Clone, Debug)]
pub struct Watcher {
    service: Service,
    fault: Injury,
    began: Mono,
    seen: Option<(Mono, String)>,
    dead: Option<(Mono, String)>,
    down: Option<(Mono, String)>,
    request: Option<(Mono, String)>,
    answer: Option<(Mono, String)>,
    incident: Option<IncidentId>,
    evidence: Option<PathBuf>,
    end: Option<(IncidentEnd, String)>,
}

impl Watcher {
    /// The fault came at this moment.
    pub fn new(service: Service, fault: Injury, began: Mono) -> Watcher {
        Watcher {
            service,
            fault,
            began,
            seen: None,
            dead: None,
            down: None,
            request: None,
            answer: None,
            incident: None,
            evidence: None,
            end: None,
        }
    }

    /// Whether the incident has ended.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// One record of the stream, of whatever.
    pub fn hear(&mut self, record: &Record) {
        if record.at < self.began || record.subject.as_ref() != Some(&self.service) {
            return;
        }
        let told = || Some((record.at, sentence(record)));
        match &record.said {
            Said::Sign(sign) => {
                if is_news(&sign.saw) {
                    self.sees(record);
                }
                if let Saw::Unit(state) = &sign.saw
                    && !state.active.is_up()
                    && self.down.is_none()
                {
                    self.down = told();
                }
            }
            Said::Suspicion(_) => self.sees(record),
            Said::Heartbeat(answer) => match answer.verdict {
                Verdict::Alive => {
                    let since = self.request.as_ref().or(self.down.as_ref()).map(|(at, _)| *at);
                    if self.answer.is_none() && since.is_some_and(|since| answer.began >= since) {
                        self.answer = told();
                    }
                }
                Verdict::Dead => {
                    self.sees(record);
                    if self.request.is_none() {
                        self.dead = told(); // the last one is the verdict
                    }
                }
                Verdict::Unknown => self.sees(record),
            },
            Said::Action(act) => match act.action {
                Action::Restart { .. } | Action::Start { .. } | Action::StartAfresh { .. } => {
                    self.incident.get_or_insert(act.incident);
                    if self.request.is_none() {
                        self.request = told();
                    }
                }
                Action::Kill | Action::Undo | Action::Reboot | Action::Cancel { .. } => {}
            },
            Said::Decision(tell) => match &tell.decision {
                Decision::End(story) => {
                    let ours = self.incident.is_none() || self.incident == tell.incident;
                    if ours && self.is_too_early(story.end) {
                        self.incident = None;
                    } else if ours && self.seen.is_some() {
                        self.incident = tell.incident;
                        self.end = Some((story.end, sentence(record)));
                    }
                }
                Decision::Act { .. } | Decision::Hold { .. } => {
                    self.incident = self.incident.or(tell.incident);
                }
                Decision::LeaveAlone { .. } | Decision::Alert { .. } => {}
            },
            Said::Fact(fact) => {
                if let Known::Recorded(recorded) = &fact.known {
                    self.evidence.get_or_insert_with(|| recorded.path.clone());
                }
            }
            Said::Command(_)
            | Said::Audit(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => {}
        }
    }

    /// Processes stop one after the other, and the last of them may well have answered: the fault is still there.
    fn is_too_early(&self, end: IncidentEnd) -> bool {
        let lasts = match self.fault {
            Injury::Stop | Injury::Hang => true,
            Injury::Kill => false,
        };
        lasts && end == IncidentEnd::StoodDown && self.request.is_none()
    }

    /// Sources tell of one moment out of order: the earliest counts.
    fn sees(&mut self, record: &Record) {
        if self.seen.as_ref().is_none_or(|(at, _)| record.at < *at) {
            self.seen = Some((record.at, sentence(record)));
        }
    }

    /// What came of it; `within` is `recorder.within`, where evidence is kept.
    pub fn told(&self, done: String, guard: &Guard, within: Option<Duration>) -> Drill {
        let promises = promises(self.fault, guard, within);
        let verdict = match self.fault {
            Injury::Kill => self.down.as_ref().or(self.dead.as_ref()),
            Injury::Stop | Injury::Hang => self.dead.as_ref().or(self.down.as_ref()),
        };
        let moments = [
            ("seen", self.seen.as_ref()),
            ("verdict", verdict),
            ("request", self.request.as_ref()),
            ("answer", self.answer.as_ref()),
        ];
        let mut before = Some(self.began);
        let mut all = Vec::new();
        for ((name, moment), (promised, limit)) in moments.into_iter().zip(promises) {
            let at = moment.map(|(at, _)| *at);
            let took = at.zip(before).map(|(at, before)| at.since(before));
            let told = moment.map_or_else(|| self.missing(name), |(_, told)| told.clone());
            all.push(Measured {
                name,
                after_us: at.map(|at| u64::try_from(at.since(self.began).as_micros()).unwrap_or(u64::MAX)),
                told,
                promised,
                kept: took.zip(limit).map(|(took, limit)| took <= limit + TOLERANCE),
            });
            before = at.or(before);
        }
        let recovered = matches!(&self.end, Some((IncidentEnd::Recovered | IncidentEnd::Superseded, _)));
        Drill {
            service: self.service.clone(),
            unit: guard.unit.clone(),
            fault: self.fault,
            done,
            moments: all,
            recovered,
            incident: self.incident,
            evidence: self.evidence.clone(),
            end: self
                .end
                .as_ref()
                .map_or_else(|| "it has not recovered".to_owned(), |(_, told)| told.clone()),
        }
    }

    fn missing(&self, name: &str) -> String {
        match name {
            "request" if self.answer.is_some() => {
                "watchdog asked for nothing: systemd restarted it by itself".into()
            }
            _ => "it did not come".into(),
        }
    }
}

/// It shows that something is wrong.
fn is_news(saw: &Saw) -> bool {
    match saw {
        Saw::Exit(_)
        | Saw::SignalSent(_)
        | Saw::ListenerDown { .. }
        | Saw::AcceptStall(_)
        | Saw::AnswerStall(_)
        | Saw::UnixStall(_) => true,
        Saw::Unit(state) => !state.active.is_up(),
        Saw::ListenerUp(_)
        | Saw::StallOver(_)
        | Saw::InUse(_)
        | Saw::OomKill(_)
        | Saw::ServerErrors(_)
        | Saw::LogErrors(_)
        | Saw::CommandRun(_)
        | Saw::Serving(_)
        | Saw::Job(_)
        | Saw::Listeners(_)
        | Saw::Loss(_)
        | Saw::Working { .. } => false,
    }
}

/// From one moment to the next: in words, and the longest that keeps the promise.
fn promises(fault: Injury, guard: &Guard, within: Option<Duration>) -> [(String, Option<Duration>); 4] {
    let asked = guard.heartbeats.iter().filter(|pulse| pulse.on_failure == OnFailure::Restart);
    let every = asked.clone().map(|pulse| pulse.every).min();
    let judged =
        asked.map(|pulse| pulse.timeout + pulse.retry_after * pulse.failures.saturating_sub(1)).max();
    let evidence =
        within.map_or(String::new(), |within| format!(" (at most {} where evidence hangs)", say(within)));
    let request = match &guard.preflight {
        None => (format!("milliseconds after it{evidence}"), Some(within.unwrap_or_default())),
        Some(_) => (format!("as long as the preflight takes{evidence}"), None),
    };
    let both = guard.stop_timeout.zip(guard.start_timeout).map(|(stop, start)| stop + start);
    let answer = match both {
        Some(both) => format!("as the unit stops and starts, at most {}", say(both)),
        None => "as the unit stops and starts".to_owned(),
    };
    let [seen, verdict] = match fault {
        Injury::Kill => [
            ("at once".to_owned(), Some(Duration::ZERO)),
            ("as soon as systemd says that it ended".to_owned(), None),
        ],
        Injury::Stop | Injury::Hang => [
            match every {
                Some(every) => (
                    format!(
                        "at once, by the signal or by the next client; by the backstop within {}",
                        say(every)
                    ),
                    Some(every),
                ),
                None => ("not at all: it has no heartbeat".to_owned(), None),
            },
            match judged {
                Some(judged) => (format!("within {} (timeout + retry_after)", say(judged)), Some(judged)),
                None => ("none: it has no heartbeat".to_owned(), None),
            },
        ],
    };
    [seen, verdict, request, (answer, both)]
}

/// How long a drill waits for the end at most: what is promised, and as much again for the looks and holds between.
pub fn patience(guard: &Guard, within: Option<Duration>) -> Duration {
    const LEAST: Duration = Duration::from_secs(30);
    const MOST: Duration = Duration::from_secs(900);
    let moments = promises(Injury::Stop, guard, within);
    let sum: Duration = moments.iter().filter_map(|(_, limit)| *limit).sum();
    (sum * 2 + guard.grace).clamp(LEAST, MOST)
}

impl std::fmt::Display for Drill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.service, self.done)?;
        for Measured { name, after_us, told, promised, kept } in &self.moments {
            let after = after_us.map_or("-".to_owned(), |us| say(rounded(Duration::from_micros(us))));
            let late = if *kept == Some(false) { "LATE: " } else { "" };
            writeln!(f, "  {name:<8} {after:>9}  {told}")?;
            writeln!(f, "  {:<8} {:>9}  {late}promised: {promised}", "", "")?;
        }
        writeln!(f, "{}", self.end)?;
        if let Some(evidence) = &self.evidence {
            writeln!(f, "evidence: {}", evidence.display())?;
        }
        f.write_char('\n').and_then(|()| write!(f, "watchdog why {} tells the whole story", self.service))
    }
}

/// Milliseconds with one more digit, below a second.
fn rounded(time: Duration) -> Duration {
    let digit = if time < Duration::from_secs(1) { 100 } else { 1_000 };
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / digit * digit)
}
