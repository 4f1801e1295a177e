//! Between the engine and its memory: what is stored of an event, and what may be done once it is.

use super::{Engine, Event};
use crate::{
    clock,
    crash::{self, Point},
    model::{Act, Mono, Saw, Sign, Source, Verdict},
    policy::Input,
    stream::Record,
};

impl Engine {
    /// Hands an event to the store, before the policy takes it.
    pub(super) fn remember(&mut self, now: Mono, event: &Event) {
        let input = match event {
            Event::Answer(answer) => {
                if answer.verdict == Verdict::Alive && answer.incident.is_some() {
                    crash::at(Point::Answered);
                }
                Input::Answer(answer.clone())
            }
            Event::Outcome(outcome) => {
                crash::at(Point::Replied);
                Input::Outcome(outcome.clone())
            }
            Event::Fact(fact) => Input::Fact(self.hands.newest(fact.clone())),
            Event::Command(command) => Input::Command(command.clone()),
            Event::Listeners(_) => return, // what it comes to is found, and told then
        };
        self.memory.input(now, &input);
    }

    /// The store has gone on, or has not for long.
    pub(super) fn remembered(&mut self) {
        let now = clock::now();
        let news = self.memory.news(now);
        for act in news.acts {
            self.act(act);
        }
        if let Some(works) = news.works {
            let (works, why) = match works {
                Ok(()) => (true, String::new()),
                Err(why) => {
                    tracing::warn!(%why, "budgets and pauses would not outlive this process");
                    (false, why)
                }
            };
            let sign = Sign { at: now, source: Source::Store, saw: Saw::Working { works, why } };
            self.write(&Record::sign(&sign, None));
        }
        if self.memory.wants_state(now) {
            self.memory.state(now, self.core.policy());
        }
    }

    /// Requested first: the record of it can wait, the service cannot.
    pub(super) fn act(&mut self, act: Act) {
        crash::at(Point::Stored);
        let record = Record::action(clock::now(), &act);
        self.hands.act(act);
        self.write(&record);
    }
}
