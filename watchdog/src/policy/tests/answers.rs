//! What a script's world tells the policy: of itself, and in answer to what was ordered.

use std::time::Duration;

use super::World;
use crate::{model::*, policy::Input};

impl World {
    pub(super) fn exit(&mut self, service: Service, cause: Cause) {
        let exit = Exit { cgroup: CgroupId(1), pid: 10, cause: Some(cause), comm: "web".into(), more: 0 };
        let suspicion = Suspicion { service, at: self.now, why: Why::MainExit { exit, sent: None } };
        self.put(Input::Suspicion(suspicion));
    }

    pub(super) fn answer(&mut self, service: &Service, verdict: Verdict) {
        let at = self.asks.iter().position(|ask| ask.service == *service).expect("nothing was asked");
        let ask = self.asks.remove(at).unwrap();
        let end = match verdict {
            Verdict::Alive => End::Good { status: Some(200) },
            Verdict::Dead => End::Status(503),
            Verdict::Unknown => End::Own(OwnFault::Resources("EMFILE".into())),
        };
        self.put(Input::Answer(Box::new(Answer {
            order: ask.id,
            service: ask.service,
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict,
            end,
            phase: Phase::Headers,
            asked: "127.0.0.1:80".into(),
            began: self.now,
            took: Duration::from_millis(1),
            body_bytes: 0,
            warnings: vec![],
            evidence: None,
            ailments: None,
        })));
    }

    pub(super) fn reply(&mut self, service: &Service, result: Result) {
        let at = self.acts.iter().position(|act| act.service == *service).expect("nothing was ordered");
        let act = self.acts.remove(at).unwrap();
        let (service, incident) = (act.service, act.incident);
        self.put(Input::Outcome(Outcome {
            order: act.id,
            service,
            incident,
            requested: self.now,
            at: self.now,
            result,
        }));
    }

    pub(super) fn job(&mut self, service: &str, id: &str, step: JobStep) {
        let unit = format!("{service}.service").parse().unwrap();
        self.put(Input::Job(Job { unit, id: id.parse().unwrap(), step }));
    }

    pub(super) fn recorded(&mut self, service: &Service) {
        let ours = self.looks.iter().filter(|look| look.service == *service);
        let ordered = ours.map(|look| look.question).find(|it| matches!(it, Question::Record { .. }));
        let Some(Question::Record { incident, moment }) = ordered else {
            panic!("nothing is to be recorded")
        };
        let (path, took) = ("/evidence".into(), Duration::from_millis(1));
        let recorded = Recorded { incident, moment, path, took, missing: None };
        self.fact(service, Known::Recorded(Box::new(recorded)));
    }

    pub(super) fn fact(&mut self, service: &Service, known: Known) {
        let fits = |look: &&Look| {
            look.service == *service
                && match &known {
                    Known::Unit(_) => look.question == Question::Unit,
                    Known::Holders(_) => look.question == Question::Holders,
                    Known::Ourselves { .. } => look.question == Question::Ourselves,
                    Known::Preflight(_) => look.question == Question::Preflight,
                    Known::Pressure(_) => look.question == Question::Pressure,
                    Known::LastWords(_) => look.question == Question::LastWords,
                    Known::PidFile(_) => look.question == Question::PidFile,
                    Known::MainProcess { .. } => look.question == Question::MainProcess,
                    Known::Recorded(_) => matches!(look.question, Question::Record { .. }),
                    Known::Others(_) => false,                       // known at once
                    Known::Fronts(_) | Known::Asked { .. } => false, // told without being asked
                    Known::Nothing { .. } => true,
                }
        };
        let look = self.looks.iter().find(fits).expect("nothing was looked for").clone();
        self.looks.retain(|other| other.id != look.id);
        let (order, service, at) = (look.id, look.service, self.now);
        self.put(Input::Fact(Fact { order, service, at, known }));
    }
}
