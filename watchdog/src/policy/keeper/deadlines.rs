//! The deadlines of a job of ours: one for the stop, one for the start.

use std::time::Duration;

use super::{
    Desk, Keeper, Stage,
    acting::{Phase, REPLY, START_UNLIMITED, starting},
};
use crate::model::{Action, ActiveState, Question};

/// After a kill: the next stop phase is given this long.
const KILL_AGAIN: Duration = Duration::from_secs(2);
/// So many kills without an end: it cannot be killed, and someone must come.
const KILLS_TOLD: u32 = 3;
/// The longest pause between two kills.
const KILL_PAUSE: Duration = Duration::from_secs(60);

impl Keeper {
    /// The unit moved while our job is on its way.
    pub(super) fn acting_unit(&mut self, desk: &mut Desk<'_>) {
        let Some(unit) = &self.unit else { return };
        let (active, sub, incarnation) = (unit.active, unit.sub.clone(), unit.incarnation);
        let Stage::Acting(acting) = &mut self.stage else { return };
        let start_timeout = acting.start_timeout;
        // a restart of another hand was merged into our start, or the start failed: what stops now has a deadline as well
        if acting.is_starting() && acting.job.is_some() && active == ActiveState::Deactivating {
            acting.old = incarnation;
            acting.phase = Phase::Stopping { deadline: desk.now + acting.stop_timeout, kills: 0, sub };
            acting.records_stop(desk.now, desk.host.record);
            return;
        }
        let Phase::Stopping { deadline, kills, sub: before } = &mut acting.phase else { return };
        let new_run = incarnation.is_some() && incarnation != acting.old;
        if active == ActiveState::Activating || new_run {
            let took = desk.now.since(acting.since);
            acting.phase = starting(desk.now, start_timeout);
            self.step(desk.now, format!("stopped after {took:?}; starting"));
            return;
        }
        let further = *before != sub;
        before.clone_from(&sub);
        // each stop phase that begins after the deadline gets its own kill, for it gets its own time-out too
        if further && *kills > 0 && active == ActiveState::Deactivating {
            *deadline = desk.now;
            *kills = (*kills).min(1);
        }
    }

    pub(super) fn acting_wake(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        let deactivating = self.unit.as_ref().is_some_and(|unit| unit.active == ActiveState::Deactivating);
        let hands_off = self.hands_off(desk);
        self.record_slow_stop(desk, deactivating && !hands_off);
        let Stage::Acting(acting) = &mut self.stage else { return };
        if acting.job.is_none() && acting.since + REPLY <= now {
            self.step(now, "systemd did not answer in time");
            self.lost_touch(desk);
            return;
        }
        let (job, stop_timeout, start_timeout) = (acting.job, acting.stop_timeout, acting.start_timeout);
        match &mut acting.phase {
            Phase::Stopping { deadline, kills, .. } if *deadline <= now => {
                if hands_off || !deactivating || job.is_none() {
                    *deadline = now + REPLY;
                    self.look(desk, Question::Unit); // nothing is being stopped by us: what is it then?
                    return;
                }
                *deadline = now + (KILL_AGAIN * 2_u32.saturating_pow(*kills)).min(KILL_PAUSE);
                *kills = kills.saturating_add(1);
                let times = *kills;
                self.kill(desk, times, stop_timeout);
            }
            Phase::Starting { deadline, told } if *deadline <= now => {
                *deadline = now + REPLY;
                let first = !*told && !hands_off && job.is_some();
                *told |= first;
                if first {
                    self.give_up(desk, start_timeout);
                } else {
                    self.look(desk, Question::Unit);
                }
            }
            Phase::Stopping { .. } | Phase::Starting { .. } => {}
        }
    }

    fn kill(&mut self, desk: &mut Desk<'_>, times: u32, stop_timeout: Duration) {
        let incident = self.open(desk, desk.now);
        if times == 1 {
            let what = format!(
                "the stop took longer than {stop_timeout:?}: what is left of the old incarnation is killed"
            );
            self.step(desk.now, what.clone());
            self.alert(desk, what);
        }
        if times == KILLS_TOLD {
            let what = "it cannot be killed (a process waits in the kernel, see `ps -o stat,wchan`): no second copy is started, someone must look";
            self.step(desk.now, what);
            self.alert(desk, what.to_owned());
        }
        self.order(desk, incident, Action::Kill);
        self.look(desk, Question::Unit); // it may have stopped, and the word of it may be lost
    }

    /// A start takes too long. Where nobody set a limit, it is only told.
    fn give_up(&mut self, desk: &mut Desk<'_>, limit: Option<Duration>) {
        let incident = self.open(desk, desk.now);
        let what = match limit {
            Some(limit) => {
                format!("the start took longer than {limit:?}: it is given up, and tried again after a pause")
            }
            None => format!("the start takes longer than {START_UNLIMITED:?}, and has no limit of its own"),
        };
        self.step(desk.now, what.clone());
        self.alert(desk, what);
        let Stage::Acting(acting) = &mut self.stage else { return };
        if let (Some(_), Some(job)) = (limit, acting.job) {
            acting.given_up = true;
            self.order(desk, incident, Action::Cancel { job });
        }
    }
}
