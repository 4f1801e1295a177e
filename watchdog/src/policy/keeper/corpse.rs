//! A main process that is dead while systemd holds the unit for alive: its parent never reaps it. A heartbeat says what that
//! means; a unit that nobody asks is looked at.

use std::time::Duration;

use super::{Desk, Keeper, OnFailure, OrderId, Plan, Question, Stage, words};
use crate::policy::cause;

/// One look at one process.
const QUICK: Duration = Duration::from_millis(500);

impl Keeper {
    /// The process that systemd names as the main one has ended, the kernel said, and no heartbeat will tell what that means.
    pub(super) fn may_be_corpse(&self) -> bool {
        let asked =
            self.beats.iter().any(|beat| !beat.is_off() && beat.pulse.on_failure == OnFailure::Restart);
        let named = self.unit.as_ref().and_then(|unit| unit.main_pid);
        let ended = self.exit.as_ref().map(|(exit, _)| exit.pid);
        !asked && named.is_some() && named == ended
    }

    /// Looks whether it is; true while the answer is waited for.
    pub(super) fn seeks_corpse(&mut self, desk: &mut Desk<'_>) -> bool {
        if !self.may_be_corpse() {
            self.corpse = None;
            return false;
        }
        match self.corpse {
            Some((_, until)) if until > desk.now => true,
            Some(_) => {
                self.corpse = None; // what does not answer says nothing
                false
            }
            None => {
                let look = self.look(desk, Question::MainProcess);
                self.corpse = Some((look, desk.now + QUICK));
                true
            }
        }
    }

    /// What it is.
    pub(super) fn main_process(&mut self, desk: &mut Desk<'_>, look: OrderId, unreaped: bool) {
        if self.corpse.take_if(|(sought, _)| *sought == look).is_none()
            || !matches!(self.stage, Stage::Ending { .. })
        {
            return;
        }
        let named = self.unit.as_ref().filter(|unit| unit.active.is_up() && self.may_be_corpse());
        let Some((unit, (exit, sent))) = named.zip(self.exit.as_ref()).filter(|_| unreaped) else {
            // reaped by another than systemd, which may start it again: then it is not for us to do
            self.exit = None;
            self.judge(desk);
            return;
        };
        let class = cause::class(unit, exit.cause);
        let exception = cause::exception(unit, class, exit.cause);
        let acts = cause::acts_on(self.guard.on, class, exception);
        let told = format!(
            "{}, nobody reaps it, and systemd holds the unit for active",
            words::main_exit(exit, sent.as_ref())
        );
        self.open(desk, desk.now);
        self.step(desk.now, told.clone());
        self.tries.sick(desk.now, &self.guard);
        if acts {
            self.dead_at = desk.now;
            self.stage = Stage::Up;
            self.decide(desk, Plan::Restart, told);
            return;
        }
        let on = words::restart_on(self.guard.on);
        self.alert(
            desk,
            format!("{told}; restart.on = \"{on}\" does not act on that, so it is left as it is"),
        );
        self.exit = None;
        self.judge(desk);
    }
}
