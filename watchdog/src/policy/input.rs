//! What the policy is told.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::model::{Answer, Command, Fact, Job, Outcome, Saw, Sign, Source, Suspicion, UnitState};

/// Everything that the policy is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// From the suspicion room.
    Suspicion(Suspicion),
    /// What systemd says of a unit.
    Unit(Box<UnitState>),
    /// A job of systemd's came or went.
    Job(Job),
    /// systemd's words were missed for a while.
    Gap,
    /// A heartbeat ended.
    Answer(Box<Answer>),
    /// What became of an action.
    Outcome(Outcome),
    /// What a look found.
    Fact(Fact),
    /// From an operator.
    Command(Command),
    /// Other settings are in force from now on; budgets, pauses and incidents live on.
    Settings(Box<Settings>),
    /// Watchdog died, or was restarted, and goes on from this state. Nothing that was due meanwhile is done before the units are
    /// read: told without [`Policy::catch_up`](super::Policy::catch_up).
    Back {
        /// Names the new run: an incident that was opened and not stored shares its number with none of it.
        seed: u64,
    },
    /// Watchdog itself was held up: what was due meanwhile is done as of now, for what is late must not pass for what is in
    /// time. Told without [`Policy::catch_up`](super::Policy::catch_up).
    HeldUp,
    /// It is [`Policy::wake_at`](super::Policy::wake_at).
    Wake,
}

impl Input {
    /// What the policy is told of a sign by itself; the rest of it comes as suspicions and facts.
    pub fn of(sign: &Sign) -> Option<Input> {
        match &sign.saw {
            Saw::Unit(state) => Some(Input::Unit(state.clone())),
            Saw::Job(job) => Some(Input::Job(job.clone())),
            Saw::Loss(_) if sign.source == Source::Units => Some(Input::Gap),
            Saw::Loss(_) if sign.source == Source::Engine => Some(Input::HeldUp),
            Saw::Loss(_)
            | Saw::Exit(_)
            | Saw::SignalSent(_)
            | Saw::ListenerUp(_)
            | Saw::ListenerDown { .. }
            | Saw::AcceptStall(_)
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
            | Saw::Working { .. } => None,
        }
    }
}
