//! What is heard of a service besides its unit's states and jobs: suspicions, facts, ends of processes, and silence.

use std::time::Duration;

use super::{
    Checking, Desk, Exit, Fact, Holding, JobKind, Keeper, Known, Mono, Plan, Question, SignalSent, Stage,
    Storm, Suspicion, UNSEEN, Why, words,
};

/// A storm of deaths that goes on is told again after this.
const STORM_AGAIN: Duration = Duration::from_secs(60 * 60);

impl Keeper {
    pub(in crate::policy) fn suspicion(&mut self, desk: &mut Desk<'_>, suspicion: Suspicion) {
        match suspicion.why {
            Why::InUse => self.in_use(desk.now),
            Why::MainExit { exit, sent } => self.main_exit(desk, suspicion.at, exit, sent),
            Why::WorkerStorm(storm) => self.workers_die(desk, suspicion.at, &storm),
            Why::WorkerExit { .. }
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::UnixStall(_)
            | Why::ListenerLost(_)
            | Why::OomKill(_)
            | Why::Stopped(_)
            | Why::ServerErrors(_)
            | Why::LogErrors(_)
            | Why::Loss => {
                self.remember_worker(&suspicion.why);
                self.listener_lost |= matches!(suspicion.why, Why::ListenerLost(_));
                match &self.stage {
                    Stage::Up if self.has_heartbeat() => {
                        self.open(desk, suspicion.at);
                        self.step(suspicion.at, words::suspicion(&suspicion.why));
                        self.doubt(desk.now, suspicion.at);
                        desk.ask.extend(self.leans_on());
                    }
                    Stage::Ending { .. } | Stage::Holding(_) | Stage::Acting(_)
                        if suspicion.why == Why::Loss =>
                    {
                        // what is waited for may be over, and the word of it lost
                        self.step(suspicion.at, words::suspicion(&suspicion.why));
                        self.look(desk, Question::Unit);
                    }
                    Stage::New
                    | Stage::Down
                    | Stage::Up
                    | Stage::Ending { .. }
                    | Stage::Checking(_)
                    | Stage::Holding(_)
                    | Stage::Acting(_)
                    | Stage::Proving { .. } => self.step(suspicion.at, words::suspicion(&suspicion.why)),
                }
            }
        }
    }

    /// Its workers die one after the other, and it goes on: somebody hears of it, and nothing is done to it.
    fn workers_die(&mut self, desk: &mut Desk<'_>, at: Mono, storm: &Storm) {
        let told = words::storm(storm);
        self.step(at, told.clone());
        let lives = self.unit.as_ref().is_some_and(|unit| unit.active.is_up()) && self.foreign.is_empty();
        let lately = self.storm_told.is_some_and(|told| desk.now.since(told) < STORM_AGAIN);
        if lives && !lately && !self.is_acting() {
            self.storm_told = Some(desk.now);
            self.alert(desk, format!("{told}; it is not restarted for that: see its log"));
        }
    }

    /// systemd's words were missed for a while.
    pub(in crate::policy) fn missed_words(&mut self) {
        self.gap = true;
    }

    /// Where systemd names no main process (Type=forking without PIDFile=), the last process that ended says how the unit did.
    fn remember_worker(&mut self, why: &Why) {
        let no_main =
            self.unit.as_ref().is_some_and(|unit| unit.main_pid.is_none() && unit.main_ended.is_none());
        if let (Why::WorkerExit { exit, sent }, true) = (why, no_main) {
            self.worker = Some((exit.clone(), sent.clone()));
        }
    }

    pub(in crate::policy) fn fact(&mut self, desk: &mut Desk<'_>, fact: Fact) {
        match fact.known {
            Known::Unit(state) => {
                // read after every signal before it: a job that is not there is over, though the word of it was lost
                let job = state.job.map(|job| job.id);
                let down = state.active.is_down();
                let may_stop = |kind: &Option<JobKind>| matches!(kind, None | Some(JobKind::Stop));
                let lost_stop = self
                    .foreign
                    .iter()
                    .find(|(id, kind)| Some(**id) != job && may_stop(kind))
                    .map(|(id, _)| *id);
                self.foreign.retain(|foreign, _| Some(*foreign) == job);
                self.acting_read(desk, fact.order, job);
                self.unheard = self.unheard.filter(|request| *request > fact.order);
                self.made_sure(desk, &state);
                if let Some(stop) = lost_stop.filter(|_| down && !self.is_acting()) {
                    // a job of another that may have been a stop is over, and the unit is down: the operator wins
                    (self.last_stop, self.started_after) = (Some(stop), None);
                    self.stopped = true;
                }
                self.unit(desk, *state);
            }
            Known::Others(ref others) => {
                self.reboot_looked_after(desk, fact.order, others);
                self.checked(desk, fact.order, &fact.known);
            }
            Known::Holders(_)
            | Known::Pressure(_)
            | Known::Preflight(_)
            | Known::Ourselves { .. }
            | Known::PidFile(_) => {
                self.checked(desk, fact.order, &fact.known);
            }
            Known::Recorded(ref recorded) => {
                self.is_recorded(fact.at, recorded);
                self.checked(desk, fact.order, &fact.known);
            }
            Known::MainProcess { unreaped } => self.main_process(desk, fact.order, unreaped),
            Known::Asked { job, by } => {
                if self.foreign.contains_key(&job) {
                    self.asked_by = Some((job, by));
                }
            }
            Known::LastWords(lines) => self.last_words(desk, fact.order, &lines),
            Known::Fronts(fronts) => self.fronts = fronts,
            Known::Nothing { ref why } => {
                self.step(desk.now, format!("cannot look it up: {why}"));
                self.last_words(desk, fact.order, &[]);
                self.main_process(desk, fact.order, false);
                self.checked(desk, fact.order, &fact.known);
            }
        }
    }

    pub(super) fn unseen_for_long(&mut self, desk: &mut Desk<'_>) {
        if self.stage == Stage::New && self.unseen.is_some_and(|at| at <= desk.now) {
            self.unseen = None;
            let unit = &self.guard.unit;
            self.alert(
                desk,
                format!(
                    "systemd says nothing of {unit} since {UNSEEN:?}: it is not guarded; see watchdog's log"
                ),
            );
        }
    }

    fn main_exit(&mut self, desk: &mut Desk<'_>, at: Mono, exit: Exit, sent: Option<SignalSent>) {
        let told = words::main_exit(&exit, sent.as_ref());
        match &self.stage {
            Stage::New => {
                // told by probes that are older than this process; what it means shows when the unit is seen
                self.exit = Some((exit, sent));
                return;
            }
            Stage::Down => return,
            Stage::Acting(acting) => {
                if acting.is_starting() {
                    self.exit = Some((exit, sent));
                }
                self.step(at, told);
                return;
            }
            Stage::Checking(Checking { plan: Plan::Start, .. })
            | Stage::Holding(Holding { plan: Plan::Start, .. }) => {
                self.step(at, told);
                return;
            }
            Stage::Up
            | Stage::Ending { .. }
            | Stage::Proving { .. }
            | Stage::Checking(Checking { plan: Plan::Restart, .. })
            | Stage::Holding(Holding { plan: Plan::Restart, .. }) => {}
        }
        if self.foreign.is_empty() {
            self.open(desk, at);
        }
        self.step(at, told);
        self.exit = Some((exit, sent));
        // systemd reaps and tells by itself; to ask it now would cost it milliseconds before that
        self.ending(desk.now);
    }
}
