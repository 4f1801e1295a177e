//! The log of a run that broke an invariant, short enough to be read.

use watchdog::{
    engine::Effect,
    model::{Decision, Known, Order, Saw, UnitState},
};

use crate::books::Told;

pub(crate) fn told(told: &Told<'_>) -> String {
    match told {
        Told::Sign(sign) => match &sign.saw {
            Saw::Unit(state) => format!("sign {}", unit(state)),
            Saw::Job(job) => format!("sign {} job {} {:?}", job.unit, job.id, job.step),
            Saw::Listeners(listeners) => format!("sign {} listeners", listeners.len()),
            Saw::Exit(_)
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
            | Saw::Loss(_)
            | Saw::Working { .. } => format!("sign {:?}", sign.saw),
        },
        Told::Answer(answer) => {
            format!(
                "answer {} {} of {}: {:?}",
                answer.order.0, answer.heartbeat, answer.service, answer.verdict
            )
        }
        Told::Outcome(outcome) => {
            format!("outcome {} of {}: {:?}", outcome.order.0, outcome.service, outcome.result)
        }
        Told::Fact(fact) => match &fact.known {
            Known::Unit(state) => format!("fact {} of {}: {}", fact.order.0, fact.service, unit(state)),
            Known::Holders(_)
            | Known::Pressure(_)
            | Known::Preflight(_)
            | Known::PidFile(_)
            | Known::Ourselves { .. }
            | Known::Others(_)
            | Known::LastWords(_)
            | Known::MainProcess { .. }
            | Known::Recorded(_)
            | Known::Asked { .. }
            | Known::Fronts(_)
            | Known::Nothing { .. } => {
                format!("fact {} of {}: {:?}", fact.order.0, fact.service, fact.known)
            }
        },
        Told::Command(command) => format!("{command:?}"),
        Told::Settings(settings) => format!("{settings:?}"),
        Told::Wake => "wake".to_owned(),
    }
}

pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Order(Order::Ask(ask)) => format!("ask {} {} of {}", ask.id.0, ask.heartbeat, ask.service),
        Effect::Order(Order::Act(act)) => format!("ACT {} {:?} of {}", act.id.0, act.action, act.service),
        Effect::Order(Order::Look(look)) => {
            format!("look {} {:?} of {}", look.id.0, look.question, look.service)
        }
        Effect::Order(Order::Tell(tell)) => match &tell.decision {
            Decision::End(story) => format!("{}: incident {:?} {:?}", tell.service, tell.incident, story.end),
            Decision::Act { .. }
            | Decision::Hold { .. }
            | Decision::LeaveAlone { .. }
            | Decision::Alert { .. } => format!("{}: {:?}", tell.service, tell.decision),
        },
        Effect::Suspicion(suspicion) => format!("{} is suspect: {:?}", suspicion.service, suspicion.why),
        Effect::Watch(_) => "other filters".to_owned(),
        Effect::HeldUp(_) => "held up".to_owned(),
        Effect::Found(_) | Effect::ReadListeners | Effect::Reconcile | Effect::TellState => {
            format!("{effect:?}")
        }
    }
}

fn unit(state: &UnitState) -> String {
    let run = state.incarnation.map_or(0, |run| u128::from_be_bytes(run.0));
    let UnitState { unit, active, sub, result, load, file, .. } = state;
    let job = state.job.map_or(0, |job| job.id);
    let (main, ended) = (state.main_pid.is_some(), state.main_ended);
    format!(
        "{unit} {active:?} {sub} run {run} job {job} {result} {load:?} {file:?} main {main} {ended:?}, stopped first {}, came up {}",
        state.stopped_first, state.came_up
    )
}
