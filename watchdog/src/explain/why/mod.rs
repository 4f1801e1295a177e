//! One incident as a short story: what happened, the evidence, the rule, the action, the result, and the time between them.

mod text;

pub use text::earlier;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    model::{Decision, IncidentEnd, IncidentId, Mono, Service, Story, Unit, Verdict, Why as Because},
    stream::{Incident, Line, Record, Said, sentence, span},
};

/// So many of the things that began it are told at the top.
const BEGINNINGS: usize = 3;

/// What an incident came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The service.
    pub service: Service,
    /// Its unit.
    pub unit: Option<Unit>,
    /// Which incident; `None`: a decision that belongs to none.
    pub incident: Option<IncidentId>,
    /// When its first sign was.
    pub began: Timestamp,
    /// How it ended; `None`: it has not, as far as is known. To be left alone outside of any incident is an end, too.
    pub end: Option<IncidentEnd>,
    /// From its first sign to its end, or to the last that is known of it.
    pub took_us: u64,
    /// Restarts that it cost.
    pub restarts: u32,
    /// How it began.
    pub happened: Vec<String>,
    /// What was found when it was asked, before the first decision: the last of each heartbeat.
    pub evidence: Vec<String>,
    /// What was decided and by which rule, the last word first where it was decided again and again.
    pub rules: Vec<String>,
    /// What was done.
    pub actions: Vec<String>,
    /// What became of it.
    pub result: String,
    /// The milestones, and how long after the one before each came.
    pub times: Vec<Milestone>,
    /// Everything, in its order.
    pub steps: Vec<Moment>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub time: Timestamp,
    /// After the first sign.
    pub after_us: u64,
    /// What.
    pub what: String,
}

/// A point on the way from the first sign to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Milestone {
    /// Which.
    pub what: &'static str,
    /// After the one before it.
    pub after_us: u64,
}

/// The story of an incident.
pub fn why(service: &Service, incident: &Incident) -> Option<Why> {
    let first = incident.lines.first()?;
    let last = incident.lines.last()?;
    let began = beginning(incident).unwrap_or(first.record.at);
    let clock = Clock { line: first, began };
    let took_us = incident.end().map_or_else(|| micros(last.record.at, began), |story| whole(story.took));
    let lines = || incident.lines.iter();
    let decided = lines().position(|line| act(&line.record).is_some()).unwrap_or(incident.lines.len());
    let mut result = lines().filter_map(|line| outcome(service, line)).next_back().unwrap_or_default();
    if let Some(story) = incident.end() {
        result = if result.is_empty() { ended(story) } else { format!("{result}; {}", ended(story)) };
    }
    let stays_down = lines().rev().find_map(left_alone).unwrap_or(false);
    if incident.end().is_none() && stays_down {
        result = "left as it is, without a restart".to_owned();
    }
    Some(Why {
        service: service.clone(),
        unit: incident.unit().cloned(),
        incident: incident.id(),
        began: clock.time(began),
        end: incident.end().map(|story| story.end).or(stays_down.then_some(IncidentEnd::StoodDown)),
        took_us,
        restarts: incident.end().map_or_else(|| requested(incident), |story| story.restarts),
        happened: happened(service, incident),
        evidence: evidence(service, &incident.lines[..decided]),
        rules: last_of_each(lines().filter_map(|line| rule(service, line)), 3),
        actions: last_of_each(lines().filter_map(|line| action(service, line)), 3),
        result,
        times: times(incident, began),
        steps: steps(service, incident, &clock),
    })
}

/// In one line, for a list.
pub fn in_a_line(service: &Service, incident: &Incident) -> Option<Moment> {
    let why = why(service, incident)?;
    let id = why.incident.map(|id| format!("{id}: ")).unwrap_or_default();
    let how = match &why.end {
        Some(_) => why.result.rsplit("; ").next().unwrap_or_default().to_owned(),
        None => why.rules.last().cloned().unwrap_or_default(),
    };
    let began = why.happened.first().cloned().unwrap_or_default();
    let what = if began.is_empty() || how == began { how } else { format!("{began}; {how}") };
    Some(Moment { time: why.began, after_us: 0, what: format!("{id}{what}") })
}

/// Turns moments into times of day, by a record that knows both.
struct Clock<'a> {
    line: &'a Line,
    began: Mono,
}

impl Clock<'_> {
    fn time(&self, at: Mono) -> Timestamp {
        let to = i64::try_from(at.micros()).unwrap_or(i64::MAX);
        let from = i64::try_from(self.line.record.at.micros()).unwrap_or(i64::MAX);
        let known = self.line.time;
        known.checked_add(SignedDuration::from_micros(to.saturating_sub(from))).unwrap_or(known)
    }

    fn moment(&self, at: Mono, what: String) -> Moment {
        Moment { time: self.time(at), after_us: micros(at, self.began), what }
    }
}

/// The first sign: of the story where it is told, else the first record that belongs to the incident.
fn beginning(incident: &Incident) -> Option<Mono> {
    let told = incident.end().and_then(|story| Some(story.steps.first()?.mono_us));
    told.or_else(|| incident.lines.iter().map(|line| line.record.at).min())
}

fn happened(service: &Service, incident: &Incident) -> Vec<String> {
    let mut happened: Vec<String> = Vec::new();
    for line in &incident.lines {
        match &line.record.said {
            Said::Suspicion(suspicion) => match suspicion.why {
                Because::InUse | Because::Loss => continue,
                Because::MainExit { .. }
                | Because::WorkerExit { .. }
                | Because::WorkerStorm(_)
                | Because::AcceptStall(_)
                | Because::AnswerStall(_)
                | Because::UnixStall(_)
                | Because::ListenerLost(_)
                | Because::OomKill(_)
                | Because::Stopped(_)
                | Because::ServerErrors(_)
                | Because::LogErrors(_) => {}
            },
            Said::Action(_) => break,
            Said::Sign(_)
            | Said::Fact(_)
            | Said::Command(_)
            | Said::Audit(_)
            | Said::Heartbeat(_)
            | Said::Decision(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => continue,
        }
        let what = said(service, &line.record);
        if happened.len() < BEGINNINGS && !happened.contains(&what) {
            happened.push(what);
        }
    }
    if happened.is_empty() {
        let told = incident.end().and_then(|story| Some(story.steps.first()?.what.clone()));
        happened.extend(told.filter(|what| !what.starts_with("left alone")));
    }
    happened
}

/// The last bad answer of each heartbeat.
fn evidence(service: &Service, lines: &[Line]) -> Vec<String> {
    let mut bad: Vec<(usize, String)> = Vec::new();
    for line in lines {
        if let Said::Heartbeat(answer) = &line.record.said {
            bad.retain(|(heartbeat, _)| *heartbeat != answer.heartbeat);
            if answer.verdict != Verdict::Alive {
                bad.push((answer.heartbeat, said(service, &line.record)));
            }
        }
    }
    bad.into_iter().map(|(_, what)| what).collect()
}

fn rule(service: &Service, line: &Line) -> Option<String> {
    let Said::Decision(tell) = &line.record.said else { return None };
    match &tell.decision {
        Decision::Act { .. }
        | Decision::Hold { .. }
        | Decision::LeaveAlone { .. }
        | Decision::Alert { .. } => Some(said(service, &line.record)),
        Decision::End(_) => None,
    }
}

/// Whether this decision is to leave it alone; `None`: it is no decision.
fn left_alone(line: &Line) -> Option<bool> {
    let Said::Decision(tell) = &line.record.said else { return None };
    match &tell.decision {
        Decision::LeaveAlone { .. } => Some(true),
        Decision::Act { .. } | Decision::Hold { .. } | Decision::Alert { .. } | Decision::End(_) => {
            Some(false)
        }
    }
}

fn act(record: &Record) -> Option<Mono> {
    let Said::Decision(tell) = &record.said else { return None };
    match &tell.decision {
        Decision::Act { .. } => Some(record.at),
        Decision::Hold { .. } | Decision::LeaveAlone { .. } | Decision::Alert { .. } | Decision::End(_) => {
            None
        }
    }
}

fn action(service: &Service, line: &Line) -> Option<String> {
    matches!(line.record.said, Said::Action(_)).then(|| said(service, &line.record))
}

fn outcome(service: &Service, line: &Line) -> Option<String> {
    matches!(line.record.said, Said::Outcome(_)).then(|| said(service, &line.record))
}

fn requested(incident: &Incident) -> u32 {
    let actions = incident.lines.iter().filter(|line| matches!(line.record.said, Said::Action(_)));
    u32::try_from(actions.count()).unwrap_or(u32::MAX)
}

/// What is told again and again is told once.
fn last_of_each(all: impl Iterator<Item = String>, most: usize) -> Vec<String> {
    let mut last: Vec<String> = Vec::new();
    for what in all {
        last.retain(|known| *known != what);
        last.push(what);
    }
    last.split_off(last.len().saturating_sub(most))
}

fn times(incident: &Incident, began: Mono) -> Vec<Milestone> {
    let at = |found: &dyn Fn(&Said) -> bool| {
        incident.lines.iter().find(|line| found(&line.record.said)).map(|line| line.record.at)
    };
    let dead = |said: &Said| matches!(said, Said::Heartbeat(answer) if answer.verdict == Verdict::Dead);
    let decided = incident.lines.iter().find_map(|line| act(&line.record));
    let verdict = at(&dead).filter(|verdict| decided.is_some_and(|decided| *verdict <= decided));
    let end = incident.end().map(|story| began + story.took);
    let points = [
        ("first bad answer", verdict),
        ("decision", decided),
        ("request", at(&|said| matches!(said, Said::Action(_)))),
        ("systemd's word", at(&|said| matches!(said, Said::Outcome(_)))),
        ("end", end),
    ];
    let mut before = began;
    let mut times = Vec::new();
    for (what, at) in points {
        let Some(at) = at else { continue };
        times.push(Milestone { what, after_us: micros(at, before) });
        before = before.max(at);
    }
    if decided.is_some() { times } else { Vec::new() }
}

fn steps(service: &Service, incident: &Incident, clock: &Clock<'_>) -> Vec<Moment> {
    if let Some(story) = incident.end() {
        let mut steps: Vec<_> = story.steps.iter().collect();
        steps.sort_by_key(|step| step.mono_us); // what systemd told while a request was on its way is told behind it
        return steps.iter().map(|step| clock.moment(step.mono_us, step.what.clone())).collect();
    }
    let mut lines: Vec<&Line> = incident.lines.iter().collect();
    lines.sort_by_key(|line| line.record.at);
    lines.into_iter().map(|line| clock.moment(line.record.at, said(service, &line.record))).collect()
}

fn ended(story: &Story) -> String {
    let took = span(story.took);
    let restarts = match story.restarts {
        0 => "without a restart".to_owned(),
        1 => "with 1 restart".to_owned(),
        many => format!("with {many} restarts"),
    };
    match story.end {
        IncidentEnd::Recovered => format!("recovered {took} after the first sign, {restarts}"),
        IncidentEnd::Quarantined => format!(
            "quarantined {took} after the first sign, {restarts}: its budget is spent; it is still watched, and tried again slowly"
        ),
        IncidentEnd::StoodDown => format!("left as it is, {restarts}"),
        IncidentEnd::Superseded => format!("somebody else brought it back, {took} after the first sign"),
    }
}

/// Its sentence, without the name of the service that stands above all of them.
fn said(service: &Service, record: &Record) -> String {
    let sentence = sentence(record);
    match sentence.strip_prefix(&format!("{service}: ")) {
        Some(rest) => rest.to_owned(),
        None => sentence,
    }
}

fn micros(at: Mono, since: Mono) -> u64 {
    whole(at.since(since))
}

fn whole(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
