//! What must hold, whatever happens: the whole list, each with its sentence. Who judges by it is `judge`.

use std::fmt;

/// One of the things that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// See its sentence.
    Budget,
    /// See its sentence.
    HostBudget,
    /// See its sentence.
    Pauses,
    /// See its sentence.
    OneJob,
    /// See its sentence.
    OneRestart,
    /// See its sentence.
    Evidence,
    /// See its sentence.
    Fresh,
    /// See its sentence.
    WarmUp,
    /// See its sentence.
    Intent,
    /// See its sentence.
    HandsOff,
    /// See its sentence.
    Incarnation,
    /// See its sentence.
    CanStart,
    /// See its sentence.
    Needs,
    /// See its sentence.
    Gates,
    /// See its sentence.
    Reboot,
    /// See its sentence.
    NoDeadEnd,
    /// See its sentence.
    IncidentEnds,
    /// See its sentence.
    StopEnds,
    /// See its sentence.
    SameOrders,
    /// See its sentence.
    Healed,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::Budget => {
                "no more restarts of a service than its budget in any window, over crashes too"
            }
            Invariant::HostBudget => {
                "no more restarts on the host than its budget in any window, over crashes too"
            }
            Invariant::Pauses => "no restart before the pause after the last one is over",
            Invariant::OneJob => "never two jobs of ours on a unit",
            Invariant::OneRestart => "no more living units restarted at a time than concurrent_restarts",
            Invariant::Evidence => {
                "no action without a failed heartbeat or the end of the unit in the same incident"
            }
            Invariant::Fresh => "no restart on a verdict that is old",
            Invariant::WarmUp => "no restart for failures within the grace after a start",
            Invariant::Intent => {
                "no action against an operator's intent: a stop, or a disabled or masked unit"
            }
            Invariant::HandsOff => "no action in a pause or in observe mode",
            Invariant::Incarnation => "no action on another incarnation than the one that was judged",
            Invariant::CanStart => {
                "never stop what could not be started, nor start where a stranger holds the port"
            }
            Invariant::Needs => {
                "no restart while a unit that it needs is failing, but for one try after an alarm"
            }
            Invariant::Gates => {
                "no restart while a disk that the unit writes to is full, but for one try of a dead unit after an alarm"
            }
            Invariant::Reboot => {
                "no reboot but in a quarantine that lasts, upon a failure in it, and long after the last one; nothing else is begun beside it"
            }
            Invariant::NoDeadEnd => {
                "always a deadline to come or an event that is listened for, and no waking in a circle"
            }
            Invariant::IncidentEnds => {
                "every incident ends once: recovered, quarantined, stood down or superseded"
            }
            Invariant::StopEnds => "a job of ours that began its stop ends in a start or in an alarm",
            Invariant::SameOrders => "the same inputs give the same orders",
            Invariant::Healed => "once the world is well, every service is up or left alone for a reason",
        })
    }
}

/// A broken invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}
