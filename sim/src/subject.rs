//! The engine's core under test, as it is or broken on purpose.

use watchdog::{
    engine::{Core, Effect},
    model::{Mono, Order},
    policy::{self, Input, Policy},
    suspicion,
};

use crate::{
    books::Told,
    mutations::{Mutation, Tricks},
};

#[derive(Debug)]
pub(crate) struct Subject {
    core: Core,
    tricks: Option<Tricks>,
}

impl Subject {
    pub(crate) fn new(
        now: Mono,
        policy: policy::Settings,
        suspicion: suspicion::Settings,
        seed: u64,
        mutation: Option<Mutation>,
    ) -> Subject {
        let tricks = mutation.map(Tricks::new);
        let policy = tricks.as_ref().map_or(policy.clone(), |tricks| tricks.settings(policy));
        Subject { core: Core::new(now, policy, suspicion, seed), tricks }
    }

    /// A successor goes on with what was stored, as the engine does; gives back what the policy orders upon that.
    pub(crate) fn resume(
        &mut self,
        now: Mono,
        mut stored: Policy,
        settings: &policy::Settings,
        suspicion: suspicion::Settings,
        seed: u64,
    ) -> Vec<Order> {
        let settings =
            self.tricks.as_ref().map_or(settings.clone(), |tricks| tricks.settings(settings.clone()));
        let orders = back(now, &mut stored, settings, seed);
        self.core = Core::with(stored, suspicion);
        orders
    }

    /// After a death of watchdog: everything that was kept, but for what a mutation forgets.
    pub(crate) fn stored(&self, now: Mono, settings: &policy::Settings) -> Policy {
        match &self.tricks {
            Some(tricks) => tricks.stored(now, self.core.policy(), settings),
            None => self.core.policy().clone(),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        self.core.policy()
    }

    pub(crate) fn wake_at(&self) -> Option<Mono> {
        let at = self.core.wake_at();
        match &self.tricks {
            Some(tricks) => tricks.wake_at(at),
            None => at,
        }
    }

    pub(crate) fn tell(&mut self, now: Mono, told: Told<'_>, suspicion: &suspicion::Settings) -> Vec<Effect> {
        let Some(mut tricks) = self.tricks.take() else { return tell(&mut self.core, now, told, suspicion) };
        let mut effects = tricks.tell(told, |told| tell(&mut self.core, now, told, suspicion));
        tricks.edit(&mut effects);
        self.tricks = Some(tricks);
        effects
    }
}

/// What a policy is told first when it goes on after a death of watchdog.
pub(crate) fn back(now: Mono, stored: &mut Policy, settings: policy::Settings, seed: u64) -> Vec<Order> {
    let mut orders = stored.step(now, Input::Back { seed });
    if stored.settings() != settings {
        orders.extend(stored.step(now, Input::Settings(Box::new(settings))));
    }
    orders
}

pub(crate) fn tell(
    core: &mut Core,
    now: Mono,
    told: Told<'_>,
    suspicion: &suspicion::Settings,
) -> Vec<Effect> {
    match told {
        Told::Sign(sign) => core.sign(now, sign),
        Told::Answer(answer) => core.answer(now, Box::new(answer.clone())),
        Told::Outcome(outcome) => core.outcome(now, outcome.clone()),
        Told::Fact(fact) => core.fact(now, fact.clone()),
        Told::Command(command) => core.command(now, command.clone()),
        Told::Settings(settings) => core.replace(now, settings.clone(), suspicion.clone()),
        Told::Wake => core.wake(now),
    }
}

pub(crate) fn orders(effects: &[Effect]) -> impl Iterator<Item = &Order> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Order(order) => Some(order),
        Effect::Suspicion(_)
        | Effect::Found(_)
        | Effect::HeldUp(_)
        | Effect::Watch(_)
        | Effect::ReadListeners
        | Effect::Reconcile
        | Effect::TellState => None,
    })
}
