use serde_json::Value;

use crate::model::{
    Act, Answer, Audit, Command, Fact, Loss, Mono, Notified, Outcome, Service, Sign, Suspicion, Tell,
};

/// One thing that happened, as it is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened.
    pub at: Mono,
    /// When the policy took it, where it is one of its inputs: a replay tells it at this moment.
    pub taken: Option<Mono>,
    /// The service; `None` for what concerns the host, or nobody's service.
    pub subject: Option<Service>,
    /// What.
    pub said: Said,
}

/// What a record can say: an input of the engine, an output, or its state.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// `watchdog.sign.*`.
    Sign(Sign),
    /// `watchdog.fact`.
    Fact(Fact),
    /// `watchdog.command`, what an operator wants and the policy is told.
    Command(Command),
    /// `watchdog.command` too: who asked for what over the control socket, and the answer. The policy is not told.
    Audit(Audit),
    /// `watchdog.suspicion`.
    Suspicion(Suspicion),
    /// `watchdog.heartbeat`.
    Heartbeat(Answer),
    /// `watchdog.decision`, `watchdog.recovered`, `watchdog.quarantined`.
    Decision(Tell),
    /// `watchdog.action`.
    Action(Act),
    /// `watchdog.outcome`.
    Outcome(Outcome),
    /// `watchdog.notified`.
    Notified(Notified),
    /// `watchdog.loss`: records are missing here. What a source lost is a sign (`watchdog.sign.loss`).
    Loss(Loss),
    /// `watchdog.state`: the whole state of the policy, with its settings.
    State(Value),
}

impl Record {
    /// A sign, with the service that it concerns where that is known.
    pub fn sign(sign: &Sign, service: Option<&Service>) -> Record {
        Record { at: sign.at, taken: None, subject: service.cloned(), said: Said::Sign(sign.clone()) }
    }

    /// A command of an operator.
    pub fn command(at: Mono, command: &Command) -> Record {
        let service = match command {
            Command::Pause { service, .. }
            | Command::Resume { service }
            | Command::Restart { service, .. } => Some(service),
            Command::Reload { .. } => None,
        };
        Record { at, taken: None, subject: service.cloned(), said: Said::Command(command.clone()) }
    }

    /// A request over the control socket, and its answer.
    pub fn audit(at: Mono, audit: Audit) -> Record {
        Record { at, taken: None, subject: None, said: Said::Audit(audit) }
    }

    /// This record, as an input that the policy took at this moment.
    #[must_use]
    pub fn taken(self, now: Mono) -> Record {
        Record { taken: Some(now), ..self }
    }

    /// An order to act, at the moment it is carried out.
    pub fn action(at: Mono, act: &Act) -> Record {
        Record { at, taken: None, subject: Some(act.service.clone()), said: Said::Action(act.clone()) }
    }

    /// Records that are missing.
    pub fn loss(at: Mono, loss: &Loss) -> Record {
        Record { at, taken: None, subject: None, said: Said::Loss(loss.clone()) }
    }

    /// The whole state of the policy.
    pub fn state(at: Mono, state: Value) -> Record {
        Record { at, taken: None, subject: None, said: Said::State(state) }
    }
}

impl From<&Sign> for Record {
    fn from(sign: &Sign) -> Record {
        Record::sign(sign, None)
    }
}

impl From<&Fact> for Record {
    fn from(fact: &Fact) -> Record {
        Record {
            at: fact.at,
            taken: None,
            subject: Some(fact.service.clone()),
            said: Said::Fact(fact.clone()),
        }
    }
}

impl From<&Suspicion> for Record {
    fn from(suspicion: &Suspicion) -> Record {
        Record {
            at: suspicion.at,
            taken: None,
            subject: Some(suspicion.service.clone()),
            said: Said::Suspicion(suspicion.clone()),
        }
    }
}

/// A heartbeat is told when it has ended.
impl From<&Answer> for Record {
    fn from(answer: &Answer) -> Record {
        Record {
            at: answer.began + answer.took,
            taken: None,
            subject: Some(answer.service.clone()),
            said: Said::Heartbeat(answer.clone()),
        }
    }
}

impl From<&Tell> for Record {
    fn from(tell: &Tell) -> Record {
        Record {
            at: tell.at,
            taken: None,
            subject: Some(tell.service.clone()),
            said: Said::Decision(tell.clone()),
        }
    }
}

impl From<&Notified> for Record {
    fn from(notified: &Notified) -> Record {
        Record {
            at: notified.at,
            taken: None,
            subject: notified.service.clone(),
            said: Said::Notified(notified.clone()),
        }
    }
}

impl From<&Outcome> for Record {
    fn from(outcome: &Outcome) -> Record {
        Record {
            at: outcome.at,
            taken: None,
            subject: Some(outcome.service.clone()),
            said: Said::Outcome(outcome.clone()),
        }
    }
}
