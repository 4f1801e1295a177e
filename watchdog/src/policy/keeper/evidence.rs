//! The evidence of an incident, before it is gone. A restart of what lives waits for it, so long as the settings say and no
//! longer; nothing else does: a death is past, and a stop that takes too long is recorded ahead of its deadline.

use super::{Desk, Keeper, Mono, OrderId, Question, Stage};
use crate::model::{Moment, Recorded};

impl Keeper {
    /// Orders it, once for each run in an incident; what it is asked, and until when a restart waits for it.
    pub(super) fn record(
        &mut self,
        desk: &mut Desk<'_>,
        moment: Moment,
    ) -> Option<(OrderId, (Question, Mono))> {
        let patience = desk.host.record?;
        let incident = self.open(desk, desk.now);
        let about = Some((incident, self.incarnation));
        match moment {
            Moment::Restart | Moment::Death if self.recorded == about => return None,
            Moment::Restart | Moment::Death => self.recorded = about,
            Moment::Kill => {} // it shows what hangs in the stop: another thing than what hung before it
        }
        let question = Question::Record { incident, moment };
        Some((self.look(desk, question), (question, desk.now + patience)))
    }

    /// Its stop comes close to its deadline: what hangs in it is recorded, if it is a stop of ours still.
    pub(super) fn record_slow_stop(&mut self, desk: &mut Desk<'_>, stops: bool) {
        let Stage::Acting(acting) = &mut self.stage else { return };
        let due = !acting.is_starting() && acting.record_at.take_if(|at| *at <= desk.now).is_some();
        if due && stops && acting.job.is_some() {
            self.record(desk, Moment::Kill);
        }
    }

    /// It is kept, or as much of it as came in time.
    pub(super) fn is_recorded(&mut self, at: Mono, recorded: &Recorded) {
        if self.incident.as_ref().is_some_and(|incident| incident.id == recorded.incident) {
            let missing = recorded.missing.as_ref().map(|what| format!(" (not whole: {what})"));
            let file = recorded.path.display();
            self.step(at, format!("evidence kept in {file}{}", missing.unwrap_or_default()));
        }
    }
}
