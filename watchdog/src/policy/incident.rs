use serde::{Deserialize, Serialize};

use crate::model::{IncidentEnd, IncidentId, Mono, Step, Story};

/// The longest story: more steps than this are counted, not told.
const STEPS: usize = 200;

/// Everything from the first sign to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: IncidentId,
    pub(super) began: Mono,
    pub(super) restarts: u32,
    /// Something was decided in its name: then its end is told too.
    pub(super) told: bool,
    steps: Vec<Step>,
    left_out: u32,
}

impl Incident {
    pub(super) fn new(id: IncidentId, began: Mono) -> Incident {
        Incident { id, began, restarts: 0, told: false, steps: Vec::new(), left_out: 0 }
    }

    pub(super) fn step(&mut self, at: Mono, what: impl Into<String>) {
        if self.steps.len() == STEPS {
            self.left_out += 1;
            return;
        }
        let after_us = u64::try_from(at.since(self.began).as_micros()).unwrap_or(u64::MAX);
        self.steps.push(Step { mono_us: at, after_us, what: what.into() });
    }

    /// A step that is told only once in a row; true when it is new.
    pub(super) fn once(&mut self, at: Mono, what: String) -> bool {
        let new = self.steps.last().is_none_or(|step| step.what != what);
        if new {
            self.step(at, what);
        }
        new
    }

    /// What it began with.
    pub(super) fn first_step(&self) -> &str {
        self.steps.first().map_or("", |step| &step.what)
    }

    /// What happened last.
    pub(super) fn last_step(&self) -> &str {
        self.steps.last().map_or("", |step| &step.what)
    }

    pub(super) fn end(mut self, now: Mono, end: IncidentEnd) -> Story {
        if self.left_out > 0 {
            let what = format!("{} more steps are left out", self.left_out);
            let after_us = u64::try_from(now.since(self.began).as_micros()).unwrap_or(u64::MAX);
            self.steps.push(Step { mono_us: now, after_us, what });
        }
        Story { end, took: now.since(self.began), restarts: self.restarts, steps: self.steps }
    }
}
