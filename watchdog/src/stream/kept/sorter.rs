//! Which records of a service make an incident, and which of those are worth keeping.

use std::collections::VecDeque;

use super::super::{Line, Record, Said, line};
use crate::model::{Decision, IncidentEnd, IncidentId, Mono, Service, Story, Unit};

/// So many records may turn out to be the beginning of an incident …
const BEFORE: usize = 16;
/// … when they are no older than this: microseconds.
const RECENT_US: u64 = 60_000_000;

/// Takes the records of one service in their order. What was suspected and came to nothing is no incident; once something is
/// decided, what came before belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Sorter<T> {
    before: VecDeque<(Mono, T)>,
    open: Option<IncidentId>,
}

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sorted<T> {
    /// Nothing yet, or nothing at all.
    Nothing,
    /// With these an incident begins.
    Begins(Vec<T>),
    /// It belongs to the incident that is open.
    GoesOn(T),
}

impl<T> Default for Sorter<T> {
    fn default() -> Sorter<T> {
        Sorter { before: VecDeque::new(), open: None }
    }
}

impl<T> Sorter<T> {
    pub(super) fn take(&mut self, record: &Record, it: T) -> Sorted<T> {
        let incident = record.said.incident();
        if let Some(open) = self.open
            && incident.is_none_or(|incident| incident == open)
        {
            if end(&record.said).is_some() {
                self.open = None;
            }
            return Sorted::GoesOn(it);
        }
        match &record.said {
            Said::Decision(tell) => match &tell.decision {
                // a false alarm
                Decision::End(story) if story.end == IncidentEnd::StoodDown => {
                    self.before.clear();
                    return Sorted::Nothing;
                }
                Decision::End(_) => self.open = None,
                Decision::Act { .. }
                | Decision::Hold { .. }
                | Decision::LeaveAlone { .. }
                | Decision::Alert { .. } => self.open = incident,
            },
            // of an incident that is over
            Said::Notified(_) => return Sorted::Nothing,
            Said::Sign(_)
            | Said::Fact(_)
            | Said::Command(_)
            | Said::Audit(_)
            | Said::Suspicion(_)
            | Said::Heartbeat(_)
            | Said::Action(_)
            | Said::Outcome(_)
            | Said::Loss(_)
            | Said::State(_) => {
                if self.before.len() == BEFORE {
                    self.before.pop_front();
                }
                self.before.push_back((record.at, it));
                return Sorted::Nothing;
            }
        }
        let oldest = record.at.micros().saturating_sub(RECENT_US);
        let before = self.before.drain(..).filter(|(at, _)| at.micros() >= oldest).map(|(_, it)| it);
        Sorted::Begins(before.chain([it]).collect())
    }
}

fn end(said: &Said) -> Option<&Story> {
    match said {
        Said::Decision(tell) => match &tell.decision {
            Decision::End(story) => Some(story),
            Decision::Act { .. }
            | Decision::Hold { .. }
            | Decision::LeaveAlone { .. }
            | Decision::Alert { .. } => None,
        },
        Said::Sign(_)
        | Said::Fact(_)
        | Said::Command(_)
        | Said::Audit(_)
        | Said::Suspicion(_)
        | Said::Heartbeat(_)
        | Said::Action(_)
        | Said::Outcome(_)
        | Said::Notified(_)
        | Said::Loss(_)
        | Said::State(_) => None,
    }
}

/// One incident of a service as its records tell it, or a decision that belongs to none.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its records, in their order; one at least.
    pub lines: Vec<Line>,
}

impl Incident {
    /// Which; `None`: a decision outside of any.
    pub fn id(&self) -> Option<IncidentId> {
        self.lines.iter().find_map(|line| line.record.said.incident())
    }

    /// The unit, as far as a record names it.
    pub fn unit(&self) -> Option<&Unit> {
        self.lines.iter().find_map(|line| line.unit.as_ref())
    }

    /// How it ended; `None`: it has not, or nobody could tell any more.
    pub fn end(&self) -> Option<&Story> {
        self.lines.iter().find_map(|line| end(&line.record.said))
    }
}

/// The incidents of a service in a recorded stream, the oldest first. What is no record is left out.
pub fn incidents_of(service: &Service, text: &str) -> Vec<Incident> {
    let mut sorter = Sorter::default();
    let mut incidents: Vec<Incident> = Vec::new();
    let subject = format!("\"subject\":\"{service}\"");
    for line in text.lines().filter(|line| line.contains(&subject)).filter_map(|text| line::read(text).ok()) {
        if line.record.subject.as_ref() != Some(service) || !super::is_kept(&line.record) {
            continue;
        }
        match sorter.take(&line.record.clone(), line) {
            Sorted::Nothing => {}
            Sorted::Begins(lines) => incidents.push(Incident { lines }),
            Sorted::GoesOn(line) => match incidents.last_mut() {
                Some(last) => last.lines.push(line),
                None => incidents.push(Incident { lines: vec![line] }),
            },
        }
    }
    incidents
}
