use super::Said;
use crate::model::{Decision, Incarnation, IncidentEnd, IncidentId, Known, Saw, Unit};

impl Said {
    /// The line's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Said::Sign(sign) => match sign.saw {
                Saw::Exit(_) => "watchdog.sign.exit",
                Saw::SignalSent(_) => "watchdog.sign.signal",
                Saw::ListenerUp(_) => "watchdog.sign.listener_up",
                Saw::ListenerDown { .. } => "watchdog.sign.listener_down",
                Saw::AcceptStall(_) => "watchdog.sign.accept_stall",
                Saw::AnswerStall(_) => "watchdog.sign.answer_stall",
                Saw::StallOver(_) => "watchdog.sign.stall_over",
                Saw::InUse(_) => "watchdog.sign.in_use",
                Saw::OomKill(_) => "watchdog.sign.oom_kill",
                Saw::ServerErrors(_) => "watchdog.sign.server_errors",
                Saw::LogErrors(_) => "watchdog.sign.log_errors",
                Saw::UnixStall(_) => "watchdog.sign.unix_stall",
                Saw::CommandRun(_) => "watchdog.sign.command_run",
                Saw::Serving(_) => "watchdog.sign.serving",
                Saw::Unit(_) => "watchdog.sign.unit",
                Saw::Job(_) => "watchdog.sign.job",
                Saw::Listeners(_) => "watchdog.sign.listeners",
                Saw::Loss(_) => "watchdog.sign.loss",
                Saw::Working { .. } => "watchdog.sign.working",
            },
            Said::Fact(_) => "watchdog.fact",
            Said::Command(_) | Said::Audit(_) => "watchdog.command",
            Said::Suspicion(_) => "watchdog.suspicion",
            Said::Heartbeat(_) => "watchdog.heartbeat",
            Said::Decision(tell) => match &tell.decision {
                Decision::Act { .. }
                | Decision::Hold { .. }
                | Decision::LeaveAlone { .. }
                | Decision::Alert { .. } => "watchdog.decision",
                Decision::End(story) => match story.end {
                    IncidentEnd::Recovered => "watchdog.recovered",
                    IncidentEnd::Quarantined => "watchdog.quarantined",
                    IncidentEnd::StoodDown | IncidentEnd::Superseded => "watchdog.decision",
                },
            },
            Said::Action(_) => "watchdog.action",
            Said::Outcome(_) => "watchdog.outcome",
            Said::Notified(_) => "watchdog.notified",
            Said::Loss(_) => "watchdog.loss",
            Said::State(_) => "watchdog.state",
        }
    }

    /// The incident, where there is one.
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Said::Heartbeat(answer) => answer.incident,
            Said::Decision(tell) => tell.incident,
            Said::Action(act) => Some(act.incident),
            Said::Outcome(outcome) => Some(outcome.incident),
            Said::Notified(notified) => notified.incident,
            Said::Sign(_)
            | Said::Fact(_)
            | Said::Command(_)
            | Said::Audit(_)
            | Said::Suspicion(_)
            | Said::Loss(_)
            | Said::State(_) => None,
        }
    }

    /// The unit, where it is named.
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Said::Sign(sign) => match &sign.saw {
                Saw::Unit(state) => Some(&state.unit),
                Saw::Job(job) => Some(&job.unit),
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
                | Saw::Listeners(_)
                | Saw::Loss(_)
                | Saw::Working { .. } => None,
            },
            Said::Fact(fact) => match &fact.known {
                Known::Unit(state) => Some(&state.unit),
                Known::Holders(_)
                | Known::Pressure(_)
                | Known::Preflight(_)
                | Known::Ourselves { .. }
                | Known::PidFile(_)
                | Known::Others(_)
                | Known::LastWords(_)
                | Known::MainProcess { .. }
                | Known::Recorded(_)
                | Known::Asked { .. }
                | Known::Fronts(_)
                | Known::Nothing { .. } => None,
            },
            Said::Decision(tell) => Some(&tell.unit),
            Said::Action(act) => Some(&act.unit),
            Said::Command(_)
            | Said::Audit(_)
            | Said::Suspicion(_)
            | Said::Heartbeat(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => None,
        }
    }

    /// The incarnation of the unit, where it is named.
    pub fn incarnation(&self) -> Option<Incarnation> {
        match self {
            Said::Sign(sign) => match &sign.saw {
                Saw::Unit(state) => state.incarnation,
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
                | Saw::Job(_)
                | Saw::Listeners(_)
                | Saw::Loss(_)
                | Saw::Working { .. } => None,
            },
            Said::Fact(fact) => match &fact.known {
                Known::Unit(state) => state.incarnation,
                Known::Holders(_)
                | Known::Pressure(_)
                | Known::Preflight(_)
                | Known::Ourselves { .. }
                | Known::PidFile(_)
                | Known::Others(_)
                | Known::LastWords(_)
                | Known::MainProcess { .. }
                | Known::Recorded(_)
                | Known::Asked { .. }
                | Known::Fronts(_)
                | Known::Nothing { .. } => None,
            },
            Said::Decision(tell) => tell.incarnation,
            Said::Action(act) => act.incarnation,
            Said::Command(_)
            | Said::Audit(_)
            | Said::Suspicion(_)
            | Said::Heartbeat(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => None,
        }
    }
}
