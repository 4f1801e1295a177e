//! Watchdog died and is back: what was on its way is found out before anything is decided.

use serde::{Deserialize, Serialize};

use super::{Desk, Incarnation, Keeper, Mono, OrderId, Question, Stage, UnitState};

/// A request that may or may not have gone out before watchdog died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unsure {
    charged: Mono,
    old: Option<Incarnation>,
}

impl Keeper {
    /// Questions and looks of the dead process are not answered any more, and its last request may not be told. The unit is
    /// read first: whatever happened meanwhile shows there.
    pub(in crate::policy) fn back(&mut self, desk: &mut Desk<'_>) {
        self.missed_words();
        self.quiet_beats();
        if self.wanted.take().is_some() {
            self.step(
                desk.now,
                "watchdog died before it requested the restart that was asked for: ask again",
            );
        }
        match &self.stage {
            Stage::New | Stage::Down => return,
            Stage::Acting(acting) if acting.job.is_some() => {
                // its job is known by its number, and its deadlines go on
                self.look(desk, Question::Unit);
                return;
            }
            Stage::Acting(acting) => {
                let (charged, old, undone) = (acting.since, acting.old, acting.undone);
                self.unsure = (!undone).then_some(Unsure { charged, old });
                self.stopped |= undone;
                self.step(desk.now, "watchdog died before it knew what became of its request");
                self.lost_touch(desk);
                return;
            }
            Stage::Proving { .. } => {
                self.ending(desk.now);
                self.another_comes(); // it proves itself from the beginning
            }
            Stage::Up | Stage::Checking(_) | Stage::Holding(_) => self.ending(desk.now),
            Stage::Ending { .. } => {}
        }
        self.unheard = Some(desk.ids.last());
        self.look(desk, Question::Unit);
    }

    /// A request that is on its way, or may be.
    pub(in crate::policy) fn unanswered(&self) -> Option<OrderId> {
        self.unanswered
    }

    /// systemd has come to that request.
    pub(in crate::policy) fn come_to(&mut self) {
        self.unanswered = None;
    }

    /// Its unit may have a request of ours on the way, of a service that left the configuration: the unit is read behind that.
    pub(in crate::policy) fn resume_unsure(&mut self, desk: &mut Desk<'_>) {
        if !matches!(self.stage, Stage::New | Stage::Down) {
            self.ending(desk.now);
        }
        self.unheard = Some(desk.ids.last());
        self.unanswered = self.unheard;
        self.look(desk, Question::Unit);
    }

    /// The unit was read after that. It is the same run without a job: the request never went out, and cost nothing.
    pub(super) fn made_sure(&mut self, desk: &mut Desk<'_>, unit: &UnitState) {
        let Some(Unsure { charged, old }) = &self.unsure else { return };
        if self.unheard.is_some() || unit.job.is_some() || unit.incarnation != *old {
            return;
        }
        let charged = *charged;
        (self.unsure, self.abandoned) = (None, None);
        self.step(desk.now, "the request had not gone out");
        self.tries.uncharge(charged);
        self.climb.untries();
        desk.host_tries.refund(charged);
        if let Some(incident) = &mut self.incident {
            incident.restarts = incident.restarts.saturating_sub(1);
        }
    }
}
