//! An operator's stop that crosses a job of ours: the operator wins.

use super::{
    Desk, JobKind, Keeper, Plan, Stage,
    acting::{Acting, Seen},
};
use crate::model::{Action, ActiveState, Job, JobResult, JobStep};

impl Keeper {
    /// A job came or went while ours is on its way; true when that is all there is to it.
    pub(super) fn acting_job(&mut self, desk: &mut Desk<'_>, job: &Job) -> bool {
        let Stage::Acting(acting) = &mut self.stage else { return false };
        match (acting.job, job.step) {
            (None, JobStep::New(kind)) => {
                acting.see(Seen { id: job.id, kind, over: None });
                true
            }
            (None, JobStep::Removed { result, active }) => {
                let over = Some((result, active));
                match acting.unsorted.iter_mut().find(|seen| seen.id == job.id) {
                    Some(seen) => seen.over = over,
                    None => {
                        let kind = self.foreign.remove(&job.id).flatten();
                        acting.see(Seen { id: job.id, kind, over });
                    }
                }
                true
            }
            (Some(ours), JobStep::Removed { result, active }) if ours == job.id => {
                self.finished(desk, result, active);
                true
            }
            (Some(ours), JobStep::New(_)) => ours == job.id,
            (Some(ours), JobStep::Removed { result, active }) => {
                let kind = self.foreign.get(&job.id).copied().flatten();
                let seen = Seen { id: job.id, kind, over: Some((result, active)) };
                let crossed = job.id < ours && self.is_stop(&seen);
                if crossed {
                    self.foreign.remove(&job.id);
                    self.crossed(desk);
                }
                crossed
            }
        }
    }

    /// Our job's number is known: everything else that came meanwhile was another's.
    pub(super) fn sort(&mut self, desk: &mut Desk<'_>, ours: u32, unsorted: &[Seen]) {
        let others = unsorted.iter().filter(|seen| seen.id != ours && !self.own_jobs.contains(&seen.id));
        let others: Vec<&Seen> = others.collect();
        self.foreign
            .extend(others.iter().filter(|seen| seen.over.is_none()).map(|seen| (seen.id, seen.kind)));
        if others.iter().any(|seen| seen.id > ours && self.is_stop(seen)) {
            self.stopped_by_other(desk); // it ended our job, whatever the word on that says
            return;
        }
        // numbers grow: a stop that was over before our start was queued came before it, and the operator wins, whose last word counts
        let before = others.iter().filter(|seen| seen.id < ours);
        let last_stop = before.clone().filter(|seen| self.is_stop(seen)).map(|seen| seen.id).max();
        let last_start = before.filter(|seen| is_start(seen.kind)).map(|seen| seen.id).max();
        if last_stop.is_some() && last_stop > last_start {
            self.crossed(desk);
        }
        let over = unsorted.iter().find(|seen| seen.id == ours).and_then(|seen| seen.over);
        if let Some((result, then)) = over {
            // the unit may have gone on since
            let active = self.unit.as_ref().map_or(then, |unit| unit.active);
            self.finished(desk, result, active);
        }
    }

    /// An operator's stop was done before our job began: a start is taken back, a restart does nothing by itself.
    pub(super) fn crossed(&mut self, desk: &mut Desk<'_>) {
        let Stage::Acting(acting) = &self.stage else { return };
        let (plan, undone) = (acting.plan, acting.undone);
        self.stopped = true;
        if !undone && plan == Plan::Start {
            self.take_back(desk);
        }
    }

    /// Orders what ends our start. It is a stop, whose own end is waited for.
    pub(super) fn take_back(&mut self, desk: &mut Desk<'_>) {
        let incident = self.open(desk, desk.now);
        let rule = "an operator's stop crossed this start: it is taken back";
        self.step(desk.now, rule);
        let order = self.order(desk, incident, Action::Undo);
        let mut acting =
            Acting::new(desk.now, order, Plan::Start, rule.to_owned(), self.unit.as_ref(), &self.guard);
        acting.undone = true;
        self.quiet_beats();
        self.stage = Stage::Acting(acting);
    }

    /// A job that was not ours and left the unit down. A unit of Type=oneshot is down after its start too.
    pub(super) fn is_stop(&self, seen: &Seen) -> bool {
        seen.over.is_some_and(|(result, active)| self.stops(seen.kind, result, active))
    }

    pub(super) fn stops(&self, kind: Option<JobKind>, result: JobResult, active: ActiveState) -> bool {
        let may_stop = match kind {
            Some(JobKind::Stop) => true,
            None => self.unit.as_ref().is_some_and(|unit| !unit.oneshot),
            Some(JobKind::Start | JobKind::Restart | JobKind::Reload) => false,
        };
        may_stop && result == JobResult::Done && active.is_down()
    }
}

/// Whoever asks for this wants the unit up, also where it comes to nothing.
pub(super) fn is_start(kind: Option<JobKind>) -> bool {
    match kind {
        Some(JobKind::Start | JobKind::Restart) => true,
        Some(JobKind::Stop | JobKind::Reload) | None => false,
    }
}
