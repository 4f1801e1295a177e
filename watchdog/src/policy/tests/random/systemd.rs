//! A small model of systemd: units, their jobs with growing numbers, and the words in which it tells of them.

use std::{collections::VecDeque, time::Duration};

use super::super::super::Input;
use crate::model::*;

/// What systemd was asked to do by the policy.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Act(Act),
    Look(Look),
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    Stop,
    Start,
    Restart,
}

#[derive(Clone, Debug)]
pub(super) struct SimUnit {
    pub(super) service: Service,
    pub(super) name: Unit,
    pub(super) active: ActiveState,
    pub(super) job: Option<(u32, JobKind)>,
    /// The last word of an operator was a stop.
    pub(super) stopped: bool,
    /// Its main process is dead, and systemd has not reaped it.
    pub(super) unreaped: Option<Cause>,
    sub: &'static str,
    run: u32,
    ended: Option<Cause>,
    result: &'static str,
    restart: RestartOn,
    restarts: u32,
}

pub(super) struct Systemd {
    pub(super) units: Vec<SimUnit>,
    /// Signals on their way, in the order of the connection.
    pub(super) signs: VecDeque<Input>,
    /// Replies on their way: each comes after the signals that were sent before it.
    pub(super) results: Vec<(u64, Input)>,
    pub(super) requests: VecDeque<Request>,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    jobs: u32,
    runs: u32,
}

impl Systemd {
    pub(super) fn new(restarts: [RestartOn; 2]) -> Systemd {
        let units =
            ["web", "app"].into_iter().zip(restarts).enumerate().map(|(at, (name, restart))| SimUnit {
                service: Service::new(name),
                name: format!("{name}.service").parse().unwrap(),
                active: ActiveState::Active,
                job: None,
                stopped: false,
                unreaped: None,
                sub: "running",
                run: u32::try_from(at).unwrap(),
                ended: None,
                result: "success",
                restart,
                restarts: 0,
            });
        let units: Vec<SimUnit> = units.collect();
        let runs = 2;
        let (signs, requests) = (VecDeque::new(), VecDeque::new());
        let mut systemd =
            Systemd { units, signs, results: vec![], requests, sent: 0, delivered: 0, jobs: 0, runs };
        systemd.tell(0);
        systemd.tell(1);
        systemd
    }

    /// The next signal, for the policy.
    pub(super) fn next_sign(&mut self) -> Option<Input> {
        let sign = self.signs.pop_front()?;
        self.delivered += 1;
        Some(sign)
    }

    /// One of the replies that may come now.
    pub(super) fn next_result(&mut self, which: usize) -> Option<Input> {
        let ready: Vec<usize> =
            (0..self.results.len()).filter(|at| self.results[*at].0 <= self.delivered).collect();
        let at = *ready.get(which % ready.len().max(1))?;
        Some(self.results.remove(at).1)
    }

    /// The main process ends; systemd will see it at its next move.
    pub(super) fn main_ends(&mut self, now: Mono, at: usize, cause: Cause) {
        let unit = &mut self.units[at];
        if unit.active != ActiveState::Active || unit.unreaped.is_some() {
            return;
        }
        unit.unreaped = Some(cause);
        let (cgroup, pid) = (CgroupId(u64::from(unit.run)), unit.run + 100);
        let exit = Exit { cgroup, pid, cause: Some(cause), comm: "web".into(), more: 0 };
        let service = unit.service.clone();
        let why = Why::MainExit { exit, sent: None };
        self.signs.push_back(Input::Suspicion(Suspicion { service, at: now, why }));
        self.sent += 1;
    }

    /// The unit goes on to its next state, where it is on its way somewhere.
    pub(super) fn progress(&mut self, at: usize, well: bool) {
        let unit = &mut self.units[at];
        if let Some(cause) = unit.unreaped.take() {
            unit.ended = Some(cause);
            unit.result = if clean(cause) { "success" } else { "signal" };
            self.set(at, ActiveState::Deactivating, "stop-post");
            return;
        }
        match (unit.active, unit.job) {
            (ActiveState::Activating, _) if unit.sub == "auto-restart" => {
                unit.restarts += 1;
                if unit.job.is_none() {
                    self.install(at, JobKind::Restart);
                }
                self.begin(at);
            }
            (ActiveState::Activating, _) if well => {
                self.set(at, ActiveState::Active, "running");
                self.over(at, JobResult::Done);
            }
            (ActiveState::Activating, _) => {
                unit.ended = Some(Cause::Code(1));
                unit.result = "exit-code";
                let rests = unit.restart == RestartOn::No;
                let (active, sub) = match rests {
                    true => (ActiveState::Failed, "failed"),
                    false => (ActiveState::Activating, "auto-restart"),
                };
                self.set(at, active, sub);
                self.over(at, JobResult::Failed);
            }
            (ActiveState::Deactivating, Some((_, JobKind::Start | JobKind::Restart))) => {
                self.set(at, ActiveState::Inactive, "dead");
                self.begin(at);
            }
            (ActiveState::Deactivating, Some((_, JobKind::Stop))) => {
                self.set(at, ActiveState::Inactive, "dead");
                self.over(at, JobResult::Done);
            }
            (ActiveState::Deactivating, Some((_, JobKind::Reload)) | None) => {
                let dirty = unit.result != "success";
                let again = unit.restart == RestartOn::Always || (unit.restart != RestartOn::No && dirty);
                let (active, sub) = match (again, dirty) {
                    (true, _) => (ActiveState::Activating, "auto-restart"),
                    (false, true) => (ActiveState::Failed, "failed"),
                    (false, false) => (ActiveState::Inactive, "dead"),
                };
                self.set(at, active, sub);
            }
            (
                ActiveState::Active
                | ActiveState::Reloading
                | ActiveState::Inactive
                | ActiveState::Failed
                | ActiveState::Maintenance,
                _,
            ) => {}
        }
    }

    /// An operator's word, in mode `replace`.
    pub(super) fn hand(&mut self, at: usize, hand: Hand) {
        self.units[at].stopped = hand == Hand::Stop;
        let kind = match hand {
            Hand::Stop => JobKind::Stop,
            Hand::Start => JobKind::Start,
            Hand::Restart => JobKind::Restart,
        };
        self.ask_job(at, kind);
    }

    /// Takes the next request of the policy; `lost`: its reply does not come.
    pub(super) fn serve(&mut self, now: Mono, refuse: bool, lost: bool) {
        match self.requests.pop_front() {
            None => {}
            Some(Request::Look(look)) => self.look(now, look, lost),
            Some(Request::Act(act)) => {
                let result = if refuse {
                    Result::Refused { error: "org.freedesktop.systemd1.NoSuchUnit".into(), text: "no".into() }
                } else {
                    self.act(&act)
                };
                let result = if lost { Result::NoReply { text: "gone".into() } } else { result };
                let Act { id: order, service, incident, .. } = act;
                let outcome = Outcome { order, service, incident, requested: now, at: now, result };
                self.results.push((self.sent, Input::Outcome(outcome)));
            }
        }
    }

    fn look(&mut self, now: Mono, look: Look, lost: bool) {
        let at = self.at(&look.unit);
        let known = match look.question {
            _ if lost => Known::Nothing { why: "gone".into() },
            Question::Unit => Known::Unit(Box::new(self.state(at))),
            Question::Holders => Known::Holders(vec![]),
            Question::Ourselves => Known::Ourselves { fault: None },
            Question::Preflight => Known::Preflight(Preflight::Passed),
            Question::Pressure => Known::Pressure(Box::default()),
            Question::PidFile => Known::PidFile(None),
            Question::Others => Known::Others(Box::new(Others { began: Some(Mono(0)), ..Others::default() })),
            Question::MainProcess => Known::MainProcess { unreaped: false },
            Question::Record { incident, moment } => recorded(incident, moment),
            Question::LastWords => Known::LastWords(vec!["cannot go on".into()]),
        };
        let fact = Input::Fact(Fact { order: look.id, service: look.service, at: now, known });
        match look.question {
            // over the one connection, in order
            Question::Unit => {
                self.signs.push_back(fact);
                self.sent += 1;
            }
            Question::Holders
            | Question::Pressure
            | Question::Preflight
            | Question::Ourselves
            | Question::PidFile
            | Question::Others
            | Question::LastWords
            | Question::MainProcess
            | Question::Record { .. } => self.results.push((self.sent, fact)),
        }
    }

    fn act(&mut self, act: &Act) -> Result {
        let at = self.at(&act.unit);
        let unit = &self.units[at];
        let refused = || Result::Refused {
            error: "org.freedesktop.systemd1.TransactionIsDestructive".into(),
            text: "another job".into(),
        };
        match act.action {
            Action::Restart { .. } | Action::Start { .. } | Action::StartAfresh { .. }
                if matches!(unit.job, Some((_, JobKind::Stop))) =>
            {
                refused()
            }
            Action::Restart { .. } if unit.active.is_down() && unit.job.is_none() => {
                let job = self.fleeting(at); // nothing to restart
                Result::Queued { job }
            }
            Action::Restart { .. } => Result::Queued { job: self.ask_job(at, JobKind::Restart) },
            Action::Start { .. } | Action::StartAfresh { .. } => {
                Result::Queued { job: self.ask_job(at, JobKind::Start) }
            }
            Action::Undo => Result::Queued { job: self.ask_job(at, JobKind::Stop) },
            Action::Reboot => Result::Queued { job: self.fleeting(at) }, // and somebody cancels it
            Action::Kill => {
                let alive = !unit.active.is_down() && Some(incarnation(unit.run)) == act.incarnation;
                if !alive {
                    return Result::Nothing;
                }
                self.progress(at, false);
                Result::Done
            }
            Action::Cancel { job } => match unit.job {
                Some((id, _)) if id == job => {
                    self.over(at, JobResult::Canceled);
                    Result::Done
                }
                Some(_) | None => Result::Nothing,
            },
        }
    }

    /// A job on the unit, as systemd merges and replaces them.
    fn ask_job(&mut self, at: usize, kind: JobKind) -> u32 {
        match self.units[at].job {
            Some((id, JobKind::Stop)) if kind == JobKind::Stop => return id,
            Some((id, before)) if before != JobKind::Stop && kind != JobKind::Stop => {
                if self.units[at].job == Some((id, JobKind::Start)) {
                    self.units[at].job = Some((id, kind));
                }
                return id;
            }
            Some(_) => self.over(at, JobResult::Canceled),
            None => {}
        }
        let (active, sub) = (self.units[at].active, self.units[at].sub);
        let nothing_to_do = match kind {
            JobKind::Stop => active.is_down(),
            JobKind::Start => active == ActiveState::Active,
            JobKind::Restart | JobKind::Reload => false,
        };
        if nothing_to_do {
            return self.fleeting(at);
        }
        let id = self.install(at, kind);
        match (kind, active) {
            (JobKind::Stop, ActiveState::Activating) if sub == "auto-restart" => {
                self.set(at, ActiveState::Inactive, "dead");
                self.over(at, JobResult::Done);
            }
            (JobKind::Stop | JobKind::Restart, ActiveState::Active | ActiveState::Activating) => {
                self.units[at].unreaped = None;
                self.set(at, ActiveState::Deactivating, "stop-sigterm");
            }
            (JobKind::Start | JobKind::Restart, ActiveState::Inactive | ActiveState::Failed) => {
                self.begin(at)
            }
            (JobKind::Start, ActiveState::Activating) if sub == "auto-restart" => self.begin(at),
            _ => {} // it waits
        }
        id
    }

    /// A job that is over as soon as it is there.
    fn fleeting(&mut self, at: usize) -> u32 {
        self.jobs += 1;
        let (unit, id) = (self.units[at].name.clone(), self.jobs);
        let active = self.units[at].active;
        self.push(Input::Job(Job { unit: unit.clone(), id, step: JobStep::New(None) }));
        let step = JobStep::Removed { result: JobResult::Done, active };
        self.push(Input::Job(Job { unit, id, step }));
        id
    }

    fn install(&mut self, at: usize, kind: JobKind) -> u32 {
        self.jobs += 1;
        let unit = &mut self.units[at];
        unit.job = Some((self.jobs, kind));
        let job = Job { unit: unit.name.clone(), id: self.jobs, step: JobStep::New(Some(kind)) };
        self.push(Input::Job(job));
        self.jobs
    }

    fn over(&mut self, at: usize, result: JobResult) {
        let unit = &mut self.units[at];
        let Some((id, _)) = unit.job.take() else { return };
        let step = JobStep::Removed { result, active: unit.active };
        let job = Job { unit: unit.name.clone(), id, step };
        self.push(Input::Job(job));
    }

    fn begin(&mut self, at: usize) {
        self.runs += 1;
        let unit = &mut self.units[at];
        (unit.run, unit.ended, unit.result) = (self.runs, None, "success");
        self.set(at, ActiveState::Activating, "start");
    }

    fn set(&mut self, at: usize, active: ActiveState, sub: &'static str) {
        (self.units[at].active, self.units[at].sub) = (active, sub);
        self.tell(at);
    }

    fn tell(&mut self, at: usize) {
        let state = self.state(at);
        self.push(Input::Unit(Box::new(state)));
    }

    fn push(&mut self, input: Input) {
        self.signs.push_back(input);
        self.sent += 1;
    }

    fn at(&self, unit: &Unit) -> usize {
        self.units.iter().position(|known| known.name == *unit).expect("a unit of this host")
    }

    pub(super) fn state(&self, at: usize) -> UnitState {
        let unit = &self.units[at];
        let mut state = super::super::unit(unit.service.as_str(), "active", &[]);
        state.active = unit.active;
        state.sub = unit.sub.into();
        state.incarnation = Some(incarnation(unit.run));
        state.main_pid = Some(unit.run + 100);
        state.cgroup = (!unit.active.is_down()).then_some(CgroupId(u64::from(unit.run)));
        state.job = unit.job.map(|(id, kind)| PendingJob { id, kind: Some(kind) });
        state.main_ended = unit.ended;
        state.result = unit.result.into();
        state.restart = unit.restart;
        state.restart_pause = Duration::from_millis(100);
        state.restarts = unit.restarts;
        state
    }
}

pub(super) fn incarnation(run: u32) -> Incarnation {
    Incarnation(u128::from(run).to_be_bytes())
}

fn clean(cause: Cause) -> bool {
    matches!(cause, Cause::Code(0) | Cause::Signal { signal: 15, .. })
}

fn recorded(incident: IncidentId, moment: Moment) -> Known {
    let (path, took) = ("/evidence".into(), Duration::from_millis(20));
    Known::Recorded(Box::new(Recorded { incident, moment, path, took, missing: None }))
}
