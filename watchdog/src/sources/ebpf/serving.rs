//! Which failures are seen by which programs, for the table of rungs.

use super::missing::{Missing, Program};
use crate::model::{FailureClass, Rung, Serving};

/// The programs without which a class is not seen in the kernel; none where no program sees it.
fn needs(class: FailureClass) -> &'static [Program] {
    match class {
        FailureClass::Exit | FailureClass::Zombie => &[Program::Exit],
        FailureClass::Sender | FailureClass::Stopped => &[Program::Signal],
        // without the seed, those are not seen that were there before
        FailureClass::ListenerLost | FailureClass::AcceptStall => &[Program::State, Program::Seed],
        FailureClass::AnswerStall => &[Program::State],
        FailureClass::StopRequest => &[Program::Command],
        FailureClass::OomKill => &[Program::Oom],
        // which tells it what is a heartbeat of ours
        FailureClass::ServerErrors => &[Program::Egress, Program::State],
    }
}

/// What the program stands on that sees a class.
fn rung(class: FailureClass) -> Rung {
    if class == FailureClass::ServerErrors { Rung::CgroupSkb } else { Rung::TpBtf }
}

/// The second rung sees no stalls.
fn is_seen_classic(class: FailureClass) -> bool {
    match class {
        FailureClass::Exit
        | FailureClass::Zombie
        | FailureClass::Sender
        | FailureClass::Stopped
        | FailureClass::ListenerLost => true,
        FailureClass::StopRequest
        | FailureClass::OomKill
        | FailureClass::AcceptStall
        | FailureClass::AnswerStall
        | FailureClass::ServerErrors => false,
    }
}

/// What the probes see where these programs are missing.
pub fn serving(missing: &[Missing]) -> Vec<Serving> {
    let each = seen().map(|class| {
        let lacking = || missing.iter().filter(|missing| needs(class).contains(&missing.program));
        match lacking().find(|missing| missing.classic && is_seen_classic(class)).or_else(|| lacking().next())
        {
            None => Serving { class, rung: rung(class), why: String::new() },
            Some(lacking) => {
                let classic = lacking.classic && is_seen_classic(class);
                let rung = if classic { Rung::Tracepoint } else { Rung::Heartbeat };
                Serving { class, rung, why: lacking.to_string() }
            }
        }
    });
    each.collect()
}

/// What they see where they do not run, for this reason.
pub fn serving_nothing(why: &str) -> Vec<Serving> {
    seen().map(|class| Serving { class, rung: Rung::Heartbeat, why: why.to_owned() }).collect()
}

/// Whether answers can be read in all cgroups that they are wanted of.
pub(super) fn serving_answers(why: &str) -> Serving {
    let class = FailureClass::ServerErrors;
    let rung = if why.is_empty() { rung(class) } else { Rung::Heartbeat };
    Serving { class, rung, why: why.to_owned() }
}

fn seen() -> impl Iterator<Item = FailureClass> {
    FailureClass::ALL.into_iter().filter(|class| !needs(*class).is_empty())
}
