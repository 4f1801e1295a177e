//! Policies that are broken on purpose, each as a real fault would break it: the simulation must catch them all.
//!
//! Invariant: a mutation lies to the policy or changes what it orders; the books of the judge know nothing of it.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a mutation is about one word, and passes on all others as they are"
)]

use watchdog::{
    engine::Effect,
    model::{
        Action, Command, Decision, FileState, Incarnation, JobStep, Known, Mono, Order, OrderId, Saw, Sign,
        Verdict,
    },
    policy::{Policy, Settings},
};

use crate::{books::Told, invariants::Invariant};

/// One way to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The subscription misses jobs: an operator's stop is never heard of.
    DeafToJobs,
    /// A pause is accepted and not kept.
    ForgetsPauses,
    /// `mode = "observe"` does not reach the policy.
    ActsInObserve,
    /// A disabled or masked unit counts as any other.
    IgnoresDisabled,
    /// The budget is counted up to twice the burst.
    DoubleBurst,
    /// The host's budget is not asked.
    NoHostBudget,
    /// No pause between two restarts.
    NoBackoff,
    /// After a crash everything is forgotten.
    ForgetsOverCrash,
    /// Each restart is requested twice, such as by a retry without its reply.
    RequestsTwice,
    /// Orders name the run before the present one.
    OldIncarnation,
    /// A kill past the stop's deadline never leaves, and no alarm does.
    SwallowsKills,
    /// Incidents are not told to their end.
    SwallowsEnds,
    /// Unknown verdicts count as dead.
    UnknownIsDead,
    /// One failed heartbeat is enough.
    OneFailureIsEnough,
    /// Failures count from the first moment of a start.
    NoGrace,
    /// Strangers on the port are not looked at.
    IgnoresHolders,
    /// What a service needs is not asked.
    IgnoresNeeds,
    /// Any number of living units at a time.
    NoConcurrencyLimit,
    /// Deadlines are not woken for.
    NeverWakes,
    /// Losses of signs are not told.
    IgnoresLoss,
    /// Jitter that is no part of the state.
    FreeJitter,
    /// A container counts as long up as its kernel.
    OldContainer,
    /// The last rung comes ten times too soon.
    ClimbsTooSoon,
}

impl Mutation {
    /// All of them, each with the invariants of which one must catch it.
    pub const ALL: [(Mutation, &'static [Invariant]); 23] = [
        (Mutation::DeafToJobs, &[Invariant::Intent, Invariant::OneJob, Invariant::Healed]),
        (Mutation::ForgetsPauses, &[Invariant::HandsOff]),
        (Mutation::ActsInObserve, &[Invariant::HandsOff]),
        (Mutation::IgnoresDisabled, &[Invariant::Intent]),
        (Mutation::DoubleBurst, &[Invariant::Budget]),
        (Mutation::NoHostBudget, &[Invariant::HostBudget]),
        (Mutation::NoBackoff, &[Invariant::Pauses]),
        (
            Mutation::ForgetsOverCrash,
            &[
                Invariant::Budget,
                Invariant::Pauses,
                Invariant::HandsOff,
                Invariant::IncidentEnds,
                Invariant::Intent,
            ],
        ),
        (Mutation::RequestsTwice, &[Invariant::OneJob]),
        (Mutation::OldIncarnation, &[Invariant::Incarnation]),
        (Mutation::SwallowsKills, &[Invariant::StopEnds]),
        (Mutation::SwallowsEnds, &[Invariant::IncidentEnds, Invariant::Healed]),
        (Mutation::UnknownIsDead, &[Invariant::Evidence]),
        (Mutation::OneFailureIsEnough, &[Invariant::Evidence]),
        (Mutation::NoGrace, &[Invariant::WarmUp]),
        (Mutation::IgnoresHolders, &[Invariant::CanStart]),
        (Mutation::IgnoresNeeds, &[Invariant::Needs]),
        (Mutation::NoConcurrencyLimit, &[Invariant::OneRestart]),
        (
            Mutation::NeverWakes,
            &[Invariant::Healed, Invariant::NoDeadEnd, Invariant::HandsOff, Invariant::Incarnation],
        ),
        (Mutation::IgnoresLoss, &[Invariant::Healed, Invariant::Intent]),
        (Mutation::FreeJitter, &[Invariant::SameOrders]),
        (Mutation::OldContainer, &[Invariant::Reboot]),
        (Mutation::ClimbsTooSoon, &[Invariant::Reboot]),
    ];
}

/// A mutation at work, and what it keeps in mind.
#[derive(Clone, Debug)]
pub(crate) struct Tricks {
    mutation: Mutation,
    before: Vec<(watchdog::model::Unit, Incarnation, Incarnation)>,
    orders: u64,
}

impl Tricks {
    pub(crate) fn new(mutation: Mutation) -> Tricks {
        Tricks { mutation, before: Vec::new(), orders: 0 }
    }

    pub(crate) fn settings(&self, mut settings: Settings) -> Settings {
        let services = settings.services.values_mut();
        match self.mutation {
            Mutation::ActsInObserve => settings.host.observe = false,
            Mutation::IgnoresDisabled => services.for_each(|guard| guard.only_if_enabled = false),
            Mutation::DoubleBurst => services.for_each(|guard| guard.burst *= 2),
            Mutation::NoHostBudget => settings.host.restarts = 1_000,
            Mutation::NoBackoff => services.for_each(|guard| guard.backoff = std::time::Duration::ZERO),
            Mutation::OneFailureIsEnough => {
                services.flat_map(|guard| &mut guard.heartbeats).for_each(|pulse| pulse.failures = 1);
            }
            Mutation::NoGrace => services.for_each(|guard| guard.grace = std::time::Duration::ZERO),
            Mutation::IgnoresNeeds => services.for_each(|guard| guard.depends_on.clear()),
            Mutation::ClimbsTooSoon => {
                services.for_each(|guard| guard.ladder.reboot_after /= 10);
            }
            Mutation::NoConcurrencyLimit => settings.host.concurrent_restarts = 1_000,
            Mutation::DeafToJobs
            | Mutation::ForgetsPauses
            | Mutation::ForgetsOverCrash
            | Mutation::RequestsTwice
            | Mutation::OldIncarnation
            | Mutation::SwallowsKills
            | Mutation::SwallowsEnds
            | Mutation::UnknownIsDead
            | Mutation::IgnoresHolders
            | Mutation::NeverWakes
            | Mutation::IgnoresLoss
            | Mutation::FreeJitter
            | Mutation::OldContainer => {}
        }
        settings
    }

    pub(crate) fn stored(&self, now: Mono, policy: &Policy, settings: &Settings) -> Policy {
        match self.mutation {
            Mutation::ForgetsOverCrash => Policy::new(now, settings.clone(), 99),
            _ => policy.clone(),
        }
    }

    pub(crate) fn wake_at(&self, at: Option<Mono>) -> Option<Mono> {
        at.filter(|_| self.mutation != Mutation::NeverWakes)
    }

    pub(crate) fn tell(
        &mut self,
        told: Told<'_>,
        mut tell: impl FnMut(Told<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        match (self.mutation, told) {
            (Mutation::DeafToJobs, Told::Sign(Sign { saw: Saw::Job(job), .. }))
                if !matches!(job.step, JobStep::Removed { .. }) || job.id % 2 == 0 =>
            {
                Vec::new()
            }
            (Mutation::ForgetsPauses, Told::Command(Command::Pause { .. })) => Vec::new(),
            (Mutation::IgnoresLoss, Told::Sign(Sign { saw: Saw::Loss(_), .. })) => Vec::new(),
            (Mutation::IgnoresDisabled, Told::Sign(sign)) => {
                let mut sign = sign.clone();
                if let Saw::Unit(state) = &mut sign.saw {
                    state.file = FileState::Other;
                }
                tell(Told::Sign(&sign))
            }
            (Mutation::UnknownIsDead, Told::Answer(answer)) if answer.verdict == Verdict::Unknown => {
                let mut answer = answer.clone();
                answer.verdict = Verdict::Dead;
                tell(Told::Answer(&answer))
            }
            (Mutation::IgnoresHolders, Told::Fact(fact)) => {
                let mut fact = fact.clone();
                if let Known::Holders(holders) = &mut fact.known {
                    holders.clear();
                }
                tell(Told::Fact(&fact))
            }
            (Mutation::OldContainer, Told::Fact(fact)) => {
                let mut fact = fact.clone();
                if let Known::Others(others) = &mut fact.known {
                    others.began = Some(Mono(0));
                }
                tell(Told::Fact(&fact))
            }
            (_, Told::Settings(settings)) => {
                let settings = self.settings(settings.clone());
                tell(Told::Settings(&settings))
            }
            (Mutation::OldIncarnation, Told::Sign(Sign { saw: Saw::Unit(state), .. })) => {
                if let Some(run) = state.incarnation {
                    match self.before.iter_mut().find(|(unit, _, _)| *unit == state.unit) {
                        Some((_, before, last)) if *last != run => (*before, *last) = (*last, run),
                        Some(_) => {}
                        None => self.before.push((state.unit.clone(), run, run)),
                    }
                }
                tell(told)
            }
            _ => tell(told),
        }
    }

    pub(crate) fn edit(&mut self, effects: &mut Vec<Effect>) {
        match self.mutation {
            Mutation::RequestsTwice => {
                let again = effects.iter().find_map(|effect| match effect {
                    Effect::Order(Order::Act(act)) => Some(act.clone()),
                    _ => None,
                });
                if let Some(mut act) = again {
                    self.orders += 1;
                    act.id = OrderId(1_000_000 + self.orders);
                    effects.push(Effect::Order(Order::Act(act)));
                }
            }
            Mutation::OldIncarnation => {
                for effect in effects {
                    let Effect::Order(Order::Act(act)) = effect else { continue };
                    let before = self.before.iter().find(|(unit, _, _)| *unit == act.unit);
                    act.incarnation = before.map(|(_, before, _)| *before).or(act.incarnation);
                }
            }
            Mutation::SwallowsKills => {
                let kills = |effect: &Effect| matches!(effect, Effect::Order(Order::Act(act)) if act.action == Action::Kill);
                if effects.iter().any(kills) {
                    effects.retain(|effect| !kills(effect) && !is_alert(effect));
                }
            }
            Mutation::SwallowsEnds => effects.retain(|effect| match effect {
                Effect::Order(Order::Tell(tell)) => !matches!(tell.decision, Decision::End(_)),
                _ => true,
            }),
            _ => {}
        }
    }
}

fn is_alert(effect: &Effect) -> bool {
    matches!(effect, Effect::Order(Order::Tell(tell)) if matches!(tell.decision, Decision::Alert { .. }))
}
