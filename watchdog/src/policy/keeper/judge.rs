//! What a state of the unit, or a job on it, means for the service.

use super::{
    Checking, Decision, Desk, Hold, Holding, IncidentEnd, Keeper, Kind, Loop, NO_HEARTBEAT, Plan, REAP,
    Stage, UNREAPED, UnitState, crossing::is_start, words,
};
use crate::{
    model::{ActiveState, Job, JobKind, JobStep, LoadState},
    policy::cause::{self, Class, Exception},
};

/// An end so soon after a reload may well be of that.
const PRECEDES: std::time::Duration = std::time::Duration::from_secs(60);
/// A unit may be on its way somewhere for this long beyond its own time-outs before someone is told.
const ENDING_TOLD_AFTER: std::time::Duration = std::time::Duration::from_secs(300);

/// So many jobs of others are remembered.
const FOREIGN: usize = 8;

impl Keeper {
    /// A state of the unit, from a signal, a reconciliation, or a look.
    pub(in crate::policy) fn unit(&mut self, desk: &mut Desk<'_>, state: UnitState) {
        let first = self.unit.is_none();
        // systemd counts its restart before the new run has a name; a reset begins at 0 again
        let restarted_by_systemd = state.restarts > self.restarts_before;
        let (active, load) = (state.active, state.load);
        if let Some(job) = state.job.filter(|job| !self.is_ours(job.id)) {
            self.foreign_job(job.id, job.kind);
        }
        let another_run = state.incarnation.is_some()
            && state.incarnation != self.incarnation
            && (active.is_up() || matches!(active, ActiveState::Activating));
        if first || another_run || !restarted_by_systemd {
            self.restarts_before = state.restarts;
        }
        let incarnation = state.incarnation;
        if active == ActiveState::Reloading {
            self.reloads(desk.now);
        }
        let missed_run = !another_run && incarnation.is_some() && incarnation != self.incarnation;
        // what came before this word is over: it runs
        self.gap &= !active.is_up();
        self.cgroup = state.cgroup.or(self.cgroup);
        self.unit = Some(state);
        if first {
            self.incarnation = incarnation;
            self.first_sight(desk, active, load);
            return;
        }
        if another_run {
            self.another_run(desk, incarnation, active, restarted_by_systemd);
        }
        if missed_run {
            self.missed_run(desk, incarnation);
        }
        self.acting_unit(desk);
        self.judge(desk);
    }

    /// The unit says that it reloads. A reload of what is well has its own time, and each further one of what is not has none.
    fn reloads(&mut self, now: super::Mono) {
        let before = self.unit.as_ref().map(|unit| unit.active);
        let another = before != Some(ActiveState::Reloading);
        if another && self.stage == Stage::Up && self.incident.is_none() {
            self.reloading = Some(now);
        }
        self.reloading.get_or_insert(now);
    }

    /// A job came or went.
    pub(in crate::policy) fn job(&mut self, desk: &mut Desk<'_>, job: &Job) {
        if self.acting_job(desk, job) {
            return;
        }
        match job.step {
            JobStep::New(kind) => self.foreign_job(job.id, kind),
            JobStep::Removed { result, active } => {
                let kind = self.foreign.remove(&job.id).flatten();
                if self.stops(kind, result, active) && !self.own_jobs.contains(&job.id) {
                    (self.last_stop, self.started_after) = (Some(job.id), None);
                    self.stopped_by_other(desk);
                } else if let Some(unit) = &mut self.unit {
                    unit.active = active;
                    unit.job = None;
                    self.judge(desk);
                }
            }
        }
    }

    /// A job that is not ours is on the unit. A unit has one job at a time, and one to be merged.
    fn foreign_job(&mut self, job: u32, kind: Option<JobKind>) {
        let known = self.foreign.entry(job).or_insert(kind);
        *known = known.or(kind);
        if is_start(kind) && self.last_stop.is_some_and(|stop| stop < job) {
            self.started_after.get_or_insert(job);
        }
        if self.foreign.len() > FOREIGN {
            self.foreign.pop_first();
        }
    }

    /// A job that is not ours left the unit down: an operator's stop, also of a unit that had failed ("leave it down").
    pub(super) fn stopped_by_other(&mut self, desk: &mut Desk<'_>) {
        if let Some(on) = self.failing_need(desk).filter(|_| self.stage != Stage::Down) {
            let unit = &self.guard.unit;
            self.alert(desk, format!("{unit} was stopped while {on}, which it needs, is failing: taken for an operator's stop, it stays down; where it was systemd for BindsTo= or Requires=, start it"));
        }
        self.stopped = true;
        self.exit = None;
        self.tries.sick(desk.now, &self.guard);
        let asked = self.asked_by.take().filter(|(job, _)| self.last_stop == Some(*job));
        let by = words::asked_by(&asked.map(|(_, by)| by).unwrap_or_default());
        let why = format!("stopped on request (a stop that watchdog did not order), {by}");
        self.stand_down(desk, why);
    }

    /// The incident ends without an action, and the unit is left as it is.
    pub(super) fn stand_down(&mut self, desk: &mut Desk<'_>, why: String) {
        self.quiet_beats();
        self.stage = Stage::Down;
        self.wanted = None;
        (self.owed, self.other_hand, self.unheard, self.unsure) = (false, false, None, None);
        (self.gap, self.in_vain, self.worker) = (false, false, None);
        (self.gated, self.unfit, self.at_work, self.listener_lost) = (None, None, None, false);
        desk.common.over(&self.service);
        (self.refused, self.came_to_nothing, self.pid_file_told) = (false, false, None);
        self.crash_loop = Loop::default();
        self.climb.afresh();
        let seen = self.exit.take();
        let cause = seen.as_ref().and_then(|(exit, _)| exit.cause);
        let sent = seen.and_then(|(_, sent)| sent);
        self.step(desk.now, format!("left alone: {why}"));
        let incident = self.incident.as_ref().map(|incident| incident.id);
        self.tell(desk, incident, Decision::LeaveAlone { why, cause, sent });
        self.end_incident(desk, IncidentEnd::StoodDown);
    }

    /// Decides anew from what is known of the unit, unless a job of ours is on its way.
    pub(super) fn judge(&mut self, desk: &mut Desk<'_>) {
        if self.is_acting() || self.unheard.is_some() {
            return;
        }
        let Some(unit) = &self.unit else { return };
        let (active, load, foreign) = (unit.active, unit.load, !self.foreign.is_empty());
        let auto_restart = unit.sub.starts_with("auto-restart");
        match active {
            ActiveState::Active | ActiveState::Reloading => self.judge_up(desk),
            ActiveState::Activating if auto_restart => {
                if !matches!(self.stage, Stage::Ending { .. }) {
                    self.open(desk, desk.now);
                    self.ending(desk.now);
                }
                self.told_of_auto_restart(desk);
                self.another_comes();
            }
            ActiveState::Activating => {
                self.ending(desk.now);
                self.another_comes();
            }
            ActiveState::Deactivating | ActiveState::Maintenance if foreign => self.ending(desk.now),
            ActiveState::Inactive | ActiveState::Failed if foreign => {
                if !matches!(self.stage, Stage::Down) {
                    self.ending(desk.now);
                }
            }
            ActiveState::Deactivating | ActiveState::Maintenance => self.judge_end(desk, true),
            ActiveState::Inactive | ActiveState::Failed if load == LoadState::NotFound => {
                if !matches!(self.stage, Stage::Down) {
                    self.alert(desk, format!("the unit {} is gone", self.guard.unit));
                    self.stand_down(desk, "the unit is not there any more".to_owned());
                }
            }
            ActiveState::Inactive | ActiveState::Failed => self.judge_end(desk, false),
        }
    }

    /// What is active next is another run, which has to prove itself.
    pub(super) fn another_comes(&mut self) {
        if let Stage::Ending { run, .. } = &mut self.stage {
            *run = None;
        }
    }

    fn judge_up(&mut self, desk: &mut Desk<'_>) {
        match &self.stage {
            Stage::Ending { run, .. } if run.is_none() || *run != self.incarnation => self.prove(desk),
            Stage::Ending { since, proving, .. } if desk.now.since(*since) >= UNREAPED => {
                let proving = *proving;
                if self.seeks_corpse(desk) {
                    return;
                }
                // systemd holds it for alive: then a heartbeat says what it is
                let proving = proving.map(|since| (since, since + self.guard.grace));
                self.exit = None;
                let proving = proving.filter(|(_, until)| *until > desk.now && self.has_heartbeat());
                if let Some((since, until)) = proving {
                    self.stage = Stage::Proving { since, until };
                    self.begin(desk.now, Kind::Probe);
                    return;
                }
                self.stage = Stage::Up;
                self.begin(desk.now, Kind::Confirm);
                self.calm(desk, NO_HEARTBEAT.to_owned());
            }
            Stage::Down
            | Stage::Checking(Checking { plan: Plan::Start, .. })
            | Stage::Holding(Holding { plan: Plan::Start, .. }) => self.prove(desk),
            Stage::New
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(Checking { plan: Plan::Restart, .. })
            | Stage::Holding(Holding { plan: Plan::Restart, .. })
            | Stage::Acting(_)
            | Stage::Proving { .. } => {}
        }
    }

    /// The unit has ended, or is ending by itself.
    fn judge_end(&mut self, desk: &mut Desk<'_>, on_its_way: bool) {
        match &self.stage {
            Stage::Down
            | Stage::New
            | Stage::Acting(_)
            | Stage::Checking(Checking { plan: Plan::Start, .. })
            | Stage::Holding(Holding { plan: Plan::Start, .. }) => return,
            Stage::Up
            | Stage::Ending { .. }
            | Stage::Proving { .. }
            | Stage::Checking(Checking { plan: Plan::Restart, .. })
            | Stage::Holding(Holding { plan: Plan::Restart, .. }) => {}
        }
        if self.stopped {
            self.stand_down(desk, "stopped on request".to_owned());
            return;
        }
        self.ended(desk, on_its_way);
    }

    /// The end of the unit, with no job behind it: `restart.on` decides, after systemd's own Restart=.
    fn ended(&mut self, desk: &mut Desk<'_>, on_its_way: bool) {
        self.ended_while_wanted();
        let Some(unit) = &self.unit else { return };
        // what we began has come up: another's stop ended that
        let owed = self.owed && !(unit.came_up && unit.incarnation != self.owed_after);
        if self.gap && !owed && asked_for(unit) && !on_its_way {
            // its job was among what was missed
            let unit = &self.guard.unit;
            self.alert(desk, format!("{unit} was stopped while systemd's words were missed: taken for an operator's stop, it stays down"));
            self.stopped_by_other(desk);
            return;
        }
        if self.exit.is_none() && unit.main_ended.is_none() && unit.main_pid.is_none() {
            self.exit = self.worker.take();
        }
        let seen = self.exit.as_ref().and_then(|(exit, _)| exit.cause);
        let class = cause::class(unit, seen);
        let exception = cause::exception(unit, class, seen);
        let systemd_acts = cause::systemd_acts(unit, class, exception);
        let told = words::ended(unit, class, self.exit.as_ref());
        let starts_by_socket = unit.socket_activated && class == Class::Clean;
        let refused = self.may_have_refused(desk.now, unit, class);
        let owed = self.owed || (refused && self.came_to_nothing);
        let oneshot = unit.oneshot;
        let cause_unknown = seen.is_none() && unit.main_ended.is_none();
        let (waits, since) = match &self.stage {
            Stage::Ending { since, .. } => (true, *since),
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => (false, desk.now),
        };
        self.open(desk, desk.now);
        self.tries.sick(desk.now, &self.guard);
        let acts = cause::acts_on(self.guard.on, class, exception);
        // it may become a time-out on its way down, which is another row of the table
        let sure = owed || (acts && cause::acts_on(self.guard.on, Class::Timeout, exception));
        if on_its_way && (systemd_acts || cause_unknown || !sure) {
            self.ending(desk.now);
            return;
        }
        if systemd_acts && desk.now.since(since) < REAP {
            // it says that it will, though it rests: it is given a moment, then it is our turn
            if !waits {
                self.step(desk.now, format!("{told}; its own Restart= acts first"));
            }
            self.ending(desk.now);
            return;
        }
        if let Some(began) = self.reloading.filter(|began| desk.now.since(*began) < PRECEDES) {
            let before = desk.now.since(began).as_millis();
            self.step(desk.now, format!("a reload of the unit began {before} ms before"));
        }
        self.step(desk.now, told.clone());
        self.run_ended(desk, &told);
        self.refused = refused;
        if !refused {
            self.pid_file_told = None;
        }
        if owed {
            self.decide(desk, Plan::Start, format!("{told}; its start is owed"));
            return;
        }
        if starts_by_socket {
            self.stand_down(desk, "it ended cleanly and waits for a client at its socket".to_owned());
            return;
        }
        if oneshot && class == Class::Clean {
            self.stand_down(desk, "it has done its work (Type=oneshot)".to_owned());
            return;
        }
        if !acts {
            let on = match exception {
                Some(Exception::Prevented) => "the unit's RestartPreventExitStatus=".to_owned(),
                Some(Exception::Forced) | None => {
                    format!("restart.on = \"{}\"", words::restart_on(self.guard.on))
                }
            };
            self.alert(desk, format!("{told}; {on} does not act on that, so it stays down"));
            self.stand_down(desk, format!("{told}; {on}"));
            return;
        }
        let forced = match exception {
            Some(Exception::Forced) => "; the unit's RestartForceExitStatus= asks for a start",
            Some(Exception::Prevented) | None => "",
        };
        self.quiet_beats();
        self.decide(desk, Plan::Start, format!("{told}{forced}"));
    }

    /// Watchdog (or this service's configuration) is new: what is there is taken as it is.
    fn first_sight(&mut self, desk: &mut Desk<'_>, active: ActiveState, load: LoadState) {
        match active {
            ActiveState::Active | ActiveState::Reloading => {
                self.exit = None; // of a run before this one
                self.prove(desk);
                self.began = Some(super::Mono(0)); // before it was seen
            }
            ActiveState::Activating => {
                self.stopped = false; // a stop that was heard of before it was seen came before this start
                self.ending(desk.now);
                self.another_comes();
            }
            ActiveState::Deactivating | ActiveState::Maintenance => {
                self.ending(desk.now);
                self.another_comes();
            }
            ActiveState::Failed if self.unit.as_ref().is_some_and(asked_for) => self.stopped_by_other(desk),
            ActiveState::Failed if load != LoadState::NotFound => {
                self.ending(desk.now);
                self.judge(desk);
            }
            ActiveState::Inactive | ActiveState::Failed => {
                self.stage = Stage::Down;
                let seen = self.exit.take();
                let cause = seen.as_ref().and_then(|(exit, _)| exit.cause);
                let sent = seen.and_then(|(_, sent)| sent);
                let unit = &self.guard.unit;
                if load == LoadState::NotFound {
                    self.alert(desk, format!("there is no unit {unit}: it is watched as soon as it appears"));
                } else if !self.unit.as_ref().is_some_and(|unit| unit.socket_activated) {
                    let why = format!("{unit} is not running, and was not when watchdog first saw it");
                    self.tell(desk, None, Decision::LeaveAlone { why, cause, sent });
                }
            }
        }
    }

    /// A unit that is on its way for very long is told once.
    pub(super) fn still_ending(&mut self, desk: &mut Desk<'_>) {
        let Stage::Ending { since, told, .. } = &mut self.stage else { return };
        let unit = self.unit.as_ref();
        let allowed = ENDING_TOLD_AFTER + unit.and_then(|u| u.stop_timeout).unwrap_or_default();
        if *told || desk.now.since(*since) < allowed {
            return;
        }
        *told = true;
        let state = unit.map_or_else(String::new, |u| format!("{:?} ({})", u.active, u.sub));
        self.alert(desk, format!("the unit has been {state} for {:?}: look at `systemctl status`", allowed));
    }

    fn is_ours(&self, job: u32) -> bool {
        self.own_jobs.contains(&job) || matches!(&self.stage, Stage::Acting(acting) if acting.job.is_none())
    }

    /// What holds a plan because of the unit itself.
    pub(super) fn held_by_unit(&self, desk: &Desk<'_>) -> Option<Hold> {
        let request = (desk.parted || self.unanswered.is_some()).then_some(Hold::Request);
        request.or_else(|| self.foreign.keys().next().map(|job| Hold::ForeignJob { job: *job }))
    }
}

/// What an operator's stop leaves behind where its job was not seen: the unit left `active` before its main process ended.
/// systemd stops by itself only for its watchdog and the OOM killer, and says so.
pub(super) fn asked_for(unit: &UnitState) -> bool {
    unit.stopped_first && !matches!(unit.result.as_str(), "watchdog" | "oom-kill" | "start-limit-hit")
}
