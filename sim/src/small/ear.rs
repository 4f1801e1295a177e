//! What the policy is told.

use watchdog::{
    engine::Effect,
    model::{Saw, Suspicion, Why},
    policy::Input,
};

use super::world::{FIRST_PORT, World, service};
use crate::books::Told;

impl World {
    pub(super) fn tell(&mut self, told: Told<'_>) {
        let due = self.wake_at().is_some_and(|at| at <= self.now);
        if due && !matches!(told, Told::Wake) {
            self.tell(Told::Wake);
        }
        self.line(|now| format!("{now} < {}", crate::words::told(&told)));
        self.judge.books.told(self.now, told);
        let (now, known) = (self.now, &self.known);
        let policy = &mut self.policy;
        let mut step = |told: Told<'_>| -> Vec<Effect> {
            let ordered = match told {
                Told::Wake => policy.catch_up(now),
                Told::Sign(_)
                | Told::Answer(_)
                | Told::Outcome(_)
                | Told::Fact(_)
                | Told::Command(_)
                | Told::Settings(_) => {
                    input(told, known).map_or_else(Vec::new, |input| policy.step(now, input))
                }
            };
            ordered.into_iter().map(Effect::Order).collect()
        };
        let effects = match &mut self.tricks {
            Some(tricks) => {
                let mut effects = tricks.tell(told, step);
                tricks.edit(&mut effects);
                effects
            }
            None => step(told),
        };
        self.carry_out(effects);
    }
}

/// What the policy is told of it; a record of a run that watchdog does not know is nobody's.
fn input(told: Told<'_>, known: &[u32]) -> Option<Input> {
    match told {
        Told::Sign(sign) => match &sign.saw {
            Saw::Exit(exit) => {
                let at = known.iter().position(|run| u64::from(*run) == exit.cgroup.0)?;
                let why = Why::MainExit { exit: exit.clone(), sent: None };
                Some(Input::Suspicion(Suspicion { service: service(at), at: sign.at, why }))
            }
            Saw::AcceptStall(stall) => {
                let service = service(usize::from(stall.port.0.checked_sub(FIRST_PORT)?));
                let why = Why::AcceptStall(*stall);
                Some(Input::Suspicion(Suspicion { service, at: sign.at, why }))
            }
            Saw::Unit(_)
            | Saw::Job(_)
            | Saw::Loss(_)
            | Saw::SignalSent(_)
            | Saw::ListenerUp(_)
            | Saw::ListenerDown { .. }
            | Saw::AnswerStall(_)
            | Saw::StallOver(_)
            | Saw::InUse(_)
            | Saw::OomKill(_)
            | Saw::ServerErrors(_)
            | Saw::LogErrors(_)
            | Saw::UnixStall(_)
            | Saw::CommandRun(_)
            | Saw::Serving(_)
            | Saw::Listeners(_)
            | Saw::Working { .. } => Input::of(sign),
        },
        Told::Answer(answer) => Some(Input::Answer(Box::new(answer.clone()))),
        Told::Outcome(outcome) => Some(Input::Outcome(outcome.clone())),
        Told::Fact(fact) => Some(Input::Fact(fact.clone())),
        Told::Command(command) => Some(Input::Command(command.clone())),
        Told::Settings(settings) => Some(Input::Settings(Box::new(settings.clone()))),
        Told::Wake => Some(Input::Wake),
    }
}
