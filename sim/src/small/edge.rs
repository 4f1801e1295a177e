//! systemd and the looks: how an order meets the simulated host.

use std::time::Duration;

use watchdog::model::{
    Act, Answer, Ask, End, Fact, Known, Look, OrderId, Outcome, Phase, Question, Result, Saw, Verdict,
};

use super::world::{Request, Said, World, service};
use crate::host::{Health, recorded};

impl World {
    /// A heartbeat's end is decided by what it meets when it leaves.
    pub(super) fn ask(&mut self, ask: &Ask) {
        let Some(at) = self.unit_of(&ask.service) else { return };
        let unit = &self.host.units[at];
        let timeout = self.judge.books.settings.services[&ask.service].heartbeats[ask.heartbeat].timeout;
        let (verdict, end, took) = if unit.active.is_up() && unit.health == Health::Hangs {
            (Verdict::Dead, End::Late(timeout), timeout)
        } else if unit.serves() {
            (Verdict::Alive, End::Good { status: Some(200) }, Duration::ZERO)
        } else {
            (Verdict::Dead, End::Status(503), Duration::ZERO)
        };
        let answer = Answer {
            order: ask.id,
            service: ask.service.clone(),
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict,
            end,
            phase: Phase::Headers,
            asked: String::new(),
            began: self.now,
            took,
            body_bytes: 0,
            warnings: Vec::new(),
            evidence: None,
            ailments: None,
        };
        self.beats.push((self.now + took, answer));
    }

    pub(super) fn look(&mut self, look: &Look) {
        let known = match look.question {
            Question::Unit => return self.requests.push_back(Request::Look(Box::new(look.clone()))),
            Question::Holders => Known::Holders(Vec::new()),
            Question::Ourselves => Known::Ourselves { fault: None },
            Question::Others => Known::Others(Box::default()),
            Question::LastWords => Known::LastWords(Vec::new()),
            Question::MainProcess => Known::MainProcess { unreaped: false },
            Question::Record { incident, moment } => recorded(incident, moment),
            Question::PidFile => Known::PidFile(None),
            Question::Pressure | Question::Preflight => Known::Nothing { why: "not here".to_owned() },
        };
        self.found.push_back(Fact { order: look.id, service: look.service.clone(), at: self.now, known });
    }

    pub(super) fn serve(&mut self) {
        match self.requests.pop_front() {
            Some(Request::Act(act)) => {
                let result = self.obey(&act);
                self.heed();
                let Act { id: order, service, incident, .. } = *act;
                let outcome = Outcome { order, service, incident, requested: self.now, at: self.now, result };
                self.words.push_back(Said::Outcome(Box::new(outcome)));
            }
            Some(Request::Look(look)) => {
                let Some(at) = self.unit_of(&look.service) else { return };
                self.read(at, look.id);
            }
            Some(Request::Read(at)) => self.read(at, OrderId(0)),
            None => {}
        }
    }

    fn read(&mut self, at: usize, order: OrderId) {
        let state = self.host.units[at].state(&self.host.units[at].name);
        let service = service(at);
        self.say(Saw::Unit(Box::new(state.clone())));
        let fact = Fact { order, service, at: self.now, known: Known::Unit(Box::new(state)) };
        self.words.push_back(Said::Fact(Box::new(fact)));
    }

    fn obey(&mut self, act: &Act) -> Result {
        let Some(at) = self.unit_of(&act.service) else { return Result::Nothing };
        self.host.obey(self.now, at, act)
    }
}
