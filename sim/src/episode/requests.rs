//! What watchdog asks for: heartbeats of the programs, actions and looks at systemd; and how each comes back.

use std::time::Duration;

use watchdog::model::{
    Act, Action, Answer, Ask, Averages, Disk, End, Fact, Holder, Known, Look, OrderId, Outcome, OwnFault,
    Phase, PidFile, PidStamp, Preflight, Pressed, Pressure, Question, Result, Saw, Service, Tasks, Unit,
    Verdict,
};

use super::{Episode, Event};
use crate::host::{Health, Host, recorded};

/// watchdog waits no longer for a reply.
const SILENT: Duration = Duration::from_secs(25);

impl Episode {
    /// A heartbeat leaves; its end is decided by what it meets.
    pub(super) fn ask(&mut self, ask: &Ask) {
        let Some(pulse) =
            self.current.policy.services.get(&ask.service).and_then(|g| g.heartbeats.get(ask.heartbeat))
        else {
            return;
        };
        let timeout = pulse.timeout;
        let met = [self.current.fronts.get(&ask.service), self.current.homes.get(&ask.service)];
        let met: Vec<Health> = met.into_iter().flatten().map(|at| health(&self.host, *at)).collect();
        let own = self.now < self.trouble.unknown_until && self.dice.permille(700);
        if self.dice.permille(1) {
            return; // its answer is lost
        }
        let quick = self.dice.spread(Duration::from_micros(500), Duration::from_millis(30));
        let (verdict, end, took) = if own {
            let fault = OwnFault::Resources("EMFILE".to_owned());
            (Verdict::Unknown, End::Own(fault), quick)
        } else if met.contains(&Health::Hangs) {
            (Verdict::Dead, End::Late(timeout), timeout)
        } else if met.contains(&Health::Sick) {
            (Verdict::Dead, End::Status(503), quick)
        } else if met.contains(&Health::Slow) {
            let took = self.dice.between(timeout / 4, timeout * 19 / 20);
            (Verdict::Alive, End::Good { status: Some(200) }, took)
        } else {
            (Verdict::Alive, End::Good { status: Some(200) }, quick)
        };
        let answer = Answer {
            order: ask.id,
            service: ask.service.clone(),
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict,
            end,
            phase: Phase::Headers,
            asked: "127.0.0.1:80".to_owned(),
            began: self.now,
            took,
            body_bytes: 0,
            warnings: Vec::new(),
            evidence: None,
            ailments: None,
        };
        self.queue.push(self.now + took, Event::Answer(Box::new(answer)));
    }

    pub(super) fn request(&mut self, act: Act) {
        self.unanswered.push(act.clone());
        let at = self.way_to_systemd();
        if at.since(self.now) > SILENT {
            self.reply(&act, Result::NoReply { text: "silent".to_owned() }, SILENT);
            self.guesses = true;
        }
        self.queue.push(at, Event::Request(Box::new(act)));
    }

    pub(super) fn request_look(&mut self, look: Look) {
        let at = self.way_to_systemd();
        self.queue.push(at, Event::Look(Box::new(look)));
    }

    /// One after the other, as systemd takes them.
    pub(super) fn way_to_systemd(&mut self) -> watchdog::model::Mono {
        let slow = self.trouble.systemd_slow_until > self.now;
        let way = if slow {
            self.dice.spread(Duration::from_millis(10), Duration::from_secs(40))
        } else {
            self.dice.spread(Duration::from_micros(100), Duration::from_millis(3))
        };
        self.requests_due = self.requests_due.max(self.now + way);
        self.requests_due
    }

    /// systemd takes a request.
    pub(super) fn serve(&mut self, act: Act) {
        let silent = !self.unanswered.iter().any(|open| open.id == act.id);
        let lost = self.trouble.lossy && self.dice.permille(60);
        if lost && self.dice.coin() {
            self.guesses = true;
            return self.reply(
                &act,
                Result::NoReply { text: "broken before it was read".to_owned() },
                Duration::ZERO,
            );
        }
        let result = self.obey(&act);
        self.heed();
        if silent {
            return;
        }
        let result = if lost {
            self.guesses = true;
            Result::NoReply { text: "broken before it was answered".to_owned() }
        } else {
            result
        };
        let after = self.dice.spread(Duration::from_micros(50), Duration::from_millis(20));
        self.reply(&act, result, after);
    }

    /// What an act does to the host.
    pub(super) fn obey(&mut self, act: &Act) -> Result {
        let named =
            |unit: &crate::host::SimUnit| unit.name == act.unit || unit.alias.as_ref() == Some(&act.unit);
        let Some(at) = self.host.units.iter().position(named) else { return Result::Nothing };
        match act.action {
            Action::Reboot => return self.reboot(),
            Action::Restart { .. } => {
                // in a gap nobody can tell a stop that came before our restart from the stop of that restart
                self.guesses |= self.trouble.gap && !self.host.units[at].active.is_up();
            }
            Action::Start { .. }
            | Action::StartAfresh { .. }
            | Action::Undo
            | Action::Cancel { .. }
            | Action::Kill => {}
        }
        self.host.obey(self.now, at, act)
    }

    /// After the words that were sent before it.
    pub(super) fn reply(&mut self, act: &Act, result: Result, after: Duration) {
        let at = self.words_due.max(self.now + after);
        let Act { id: order, service, incident, .. } = act.clone();
        let outcome = Outcome { order, service, incident, requested: self.now, at, result };
        self.queue.push(at, Event::Outcome(Box::new(outcome)));
    }

    pub(super) fn look(&mut self, look: Look) {
        let known = match look.question {
            Question::Unit => match self.state_of(&look.unit) {
                Some(_) if self.trouble.gap => Known::Nothing { why: "not connected".to_owned() },
                Some(state) => {
                    // the answer is told as a sign before it is one
                    self.systemd_says(Saw::Unit(Box::new(state.clone())));
                    Known::Unit(Box::new(state))
                }
                None => Known::Nothing { why: "no such unit".to_owned() },
            },
            Question::Holders => self.holders(&look),
            Question::Pressure => Known::Pressure(Box::new(self.pressure())),
            Question::Preflight => self.preflight(&look),
            Question::PidFile => self.pid_file(&look),
            Question::Ourselves => {
                let fault = self.now < self.trouble.unknown_until;
                Known::Ourselves { fault: fault.then(|| "EMFILE".to_owned()) }
            }
            Question::Others => Known::Others(Box::new(self.others())),
            Question::MainProcess => Known::MainProcess { unreaped: false },
            Question::Record { .. } if self.dice.permille(100) => return, // its answer never comes
            Question::Record { incident, moment } => recorded(incident, moment),
            Question::LastWords => Known::LastWords(Vec::new()),
        };
        let late = self.dice.permille(250);
        let after = self.dice.spread(Duration::from_micros(50), Duration::from_millis(700));
        let at = self.words_due.max(self.now);
        let at = if late { at.max(self.now + after) } else { at };
        let fact = Fact { order: look.id, service: look.service, at: self.now, known };
        self.queue.push(at, Event::Fact(Box::new(fact)));
    }

    /// A reading that nobody asked for in particular.
    pub(super) fn read(&mut self, unit: &Unit, service: Option<Service>) {
        let Some(state) = self.state_of(unit).filter(|_| !self.trouble.gap) else { return };
        self.systemd_says(Saw::Unit(Box::new(state.clone())));
        let Some(service) = service else { return };
        let fact = Fact { order: OrderId(0), service, at: self.now, known: Known::Unit(Box::new(state)) };
        self.queue.push(self.words_due, Event::Fact(Box::new(fact)));
    }

    /// Some hosts are short of something for a while.
    fn pressure(&mut self) -> Pressure {
        let averages = |avg10| Averages { avg10, avg60: 0, avg300: 0 };
        let pressed =
            |avg10, own| Pressed { some: averages(avg10), full: averages(0), now: None, own: Some(own) };
        let short = self.now < self.trouble.short_until;
        let of = self.trouble.short_of;
        let own = if self.dice.permille(200) { 6_000 } else { 500 };
        let memory = pressed(if short && of == 0 { 7_000 } else { 100 }, own);
        let io = pressed(if short && of == 1 { 9_000 } else { 100 }, own);
        let free = if short && of == 2 { 50 } else { 5_000 };
        let used = if short && of == 3 { 1_000 } else { 100 };
        Pressure {
            memory: Some(memory),
            io: Some(io),
            cpu: None,
            disks: vec![Disk { place: "/".to_owned(), blocks: free, inodes: None }],
            tasks: vec![Tasks { place: "/".to_owned(), used, limit: 1_000, own: 3 }],
        }
    }

    fn preflight(&mut self, look: &Look) -> Known {
        let home = self.current.homes.get(&look.service);
        let broken = home.is_some_and(|at| self.host.units[*at].broken);
        Known::Preflight(match broken {
            true => Preflight::Failed { how: "exit code 1".to_owned(), output: Vec::new() },
            false if self.dice.permille(50) => Preflight::NotRun { why: "no time".to_owned() },
            false => Preflight::Passed,
        })
    }

    fn pid_file(&mut self, look: &Look) -> Known {
        let home = self.current.homes.get(&look.service);
        let stale = home.is_some_and(|at| self.host.units[*at].stale_pid_file);
        let stamp = PidStamp { pid: 77, device: 1, inode: 2 };
        let file = PidFile { path: "/run/pid".into(), stamp, plain: true, holder: None, instance: None };
        Known::PidFile(stale.then(|| Box::new(file)))
    }

    fn holders(&mut self, look: &Look) -> Known {
        if self.trouble.lossy && self.dice.permille(50) {
            return Known::Nothing { why: "cannot be read".to_owned() };
        }
        let home = self.current.homes.get(&look.service);
        let taken = home.is_some_and(|at| self.host.units[*at].port_taken);
        let stranger = Holder {
            place: "0.0.0.0:80".to_owned(),
            pid: 99,
            comm: "stranger".to_owned(),
            cgroup: None,
            unit: String::new(),
        };
        Known::Holders(if taken { vec![stranger] } else { Vec::new() })
    }
}

/// What a connection to this unit meets.
fn health(host: &Host, at: usize) -> Health {
    let unit = &host.units[at];
    if unit.active.is_up() && unit.health == Health::Hangs {
        Health::Hangs
    } else if unit.serves() {
        unit.health
    } else {
        Health::Sick // refused: as quick as a bad answer
    }
}
