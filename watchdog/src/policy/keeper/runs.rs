//! Runs of the unit: their end, who started the next one, and that it has to prove itself.

use super::{
    Desk, Keeper, Kind, Mono, NO_HEARTBEAT, REAP, Stage, UNREAPED, UnitState, judge::asked_for, words,
};
use crate::model::ActiveState;

impl Keeper {
    /// On its way somewhere: looked at again soon, then more seldom.
    pub(super) fn ending(&mut self, now: Mono) {
        self.quiet_beats();
        let (run, proving) = match &self.stage {
            Stage::Ending { .. } => return,
            Stage::Acting(acting) => (acting.old, None), // a later one has to prove itself
            Stage::Proving { since, .. } => (self.incarnation, Some(*since)),
            Stage::New | Stage::Down | Stage::Up | Stage::Checking(_) | Stage::Holding(_) => {
                (self.incarnation, None)
            }
        };
        let dead_yet_up = self.exit.is_some() && self.unit.as_ref().is_some_and(|unit| unit.active.is_up());
        let look_at = now + if dead_yet_up { UNREAPED } else { REAP };
        self.stage = Stage::Ending { since: now, look_at, pause: REAP, told: false, run, proving };
    }

    /// Another incarnation runs: what was known of the last one is over.
    pub(super) fn another_run(
        &mut self,
        desk: &mut Desk<'_>,
        incarnation: Option<super::Incarnation>,
        active: ActiveState,
        by_systemd: bool,
    ) {
        self.incarnation = incarnation;
        self.began = Some(desk.now); // it may be over before our own job is known to be
        self.tries.started(desk.now);
        self.exit = None;
        if self.is_acting() {
            return;
        }
        let ours = self.unsure.take().is_some() && !by_systemd;
        if !ours && !by_systemd && !self.stopped && self.stage != Stage::Down {
            self.started_by_others(desk);
        }
        (self.stopped, self.owed, self.came_to_nothing) = (false, false, false);
        self.other_hand = !by_systemd && !ours && self.incident.is_some();
        if by_systemd {
            self.restarted_by_systemd(desk);
        }
        let by = match (by_systemd, ours) {
            (true, _) => "by its own Restart=",
            (false, true) => "upon the request that went out before watchdog died",
            (false, false) => "by another hand",
        };
        let asked =
            self.asked_by.take().map(|(_, by)| format!(", {}", words::asked_by(&by))).unwrap_or_default();
        self.step(desk.now, format!("started again {by}{asked}"));
        if active.is_up() {
            self.prove(desk);
        } else {
            self.ending(desk.now);
        }
    }

    /// Another hand started it, and it ended or is ending before anyone heard of that: its end is judged like any other.
    pub(super) fn missed_run(&mut self, desk: &mut Desk<'_>, incarnation: Option<super::Incarnation>) {
        self.incarnation = incarnation;
        self.began = (!self.gap).then_some(desk.now);
        if self.is_acting() {
            return;
        }
        self.exit = None;
        let by_itself = |unit: &UnitState| unit.came_up && !asked_for(unit);
        if self.unit.as_ref().is_some_and(|unit| unit.active == ActiveState::Inactive && !by_itself(unit)) {
            return; // it came and may have been stopped again: an operator's stop still stands
        }
        self.stopped = false;
        self.ending(desk.now);
    }

    /// It runs; a good heartbeat proves it.
    pub(super) fn prove(&mut self, desk: &mut Desk<'_>) {
        (self.stopped, self.owed, self.wanted) = (false, false, None);
        (self.exit, self.worker, self.unheard, self.unsure) = (None, None, None, None);
        (self.gap, self.waived) = (false, false);
        (self.began, self.came_to_nothing) = (Some(desk.now), false);
        self.stage = Stage::Proving { since: desk.now, until: desk.now + self.guard.grace };
        self.quiet_beats();
        if self.has_heartbeat() {
            self.begin(desk.now, Kind::Probe);
        } else {
            self.recovered(desk, NO_HEARTBEAT.to_owned());
        }
    }
}
