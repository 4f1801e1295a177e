//! What a run has seen: the mix of steps, and whatever the policy did, so that nobody takes idle wakings for proof.

use std::{collections::BTreeMap, fmt, ptr};

use watchdog::model::{Action, Decision, Hold, IncidentEnd, Order, Question, Result};

use crate::books::Told;

/// Counts by kind and word.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Inputs of the engine.
    pub steps: u64,
    /// Hosts that were simulated to their end.
    pub episodes: u64,
    /// The kind, the word, and how often: few enough to be searched through.
    counts: Vec<(&'static str, &'static str, u64)>,
}

impl Tally {
    pub(crate) fn count(&mut self, kind: &'static str, word: &'static str) {
        self.count_times(kind, word, 1);
    }

    fn count_times(&mut self, kind: &'static str, word: &'static str, times: u64) {
        // texts at one address are equal; one that is at two is counted twice, and the two are added where they are told
        let same =
            |(k, w, _): &&mut (&'static str, &'static str, u64)| ptr::eq(*w, word) && ptr::eq(*k, kind);
        match self.counts.iter_mut().find(same) {
            Some((_, _, count)) => *count += times,
            None => self.counts.push((kind, word, times)),
        }
    }

    /// Adds what another thread has seen.
    pub fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.episodes += other.episodes;
        for (kind, word, count) in &other.counts {
            self.count_times(kind, word, *count);
        }
    }

    /// How often this was seen.
    pub fn of(&self, kind: &str, word: &str) -> u64 {
        self.counts.iter().filter(|(k, w, _)| *k == kind && *w == word).map(|(_, _, count)| *count).sum()
    }

    pub(crate) fn told(&mut self, told: &Told<'_>) {
        self.steps += 1;
        let word = match told {
            Told::Sign(sign) => sign_word(&sign.saw),
            Told::Answer(answer) => match answer.verdict {
                watchdog::model::Verdict::Alive => "answer alive",
                watchdog::model::Verdict::Dead => "answer dead",
                watchdog::model::Verdict::Unknown => "answer unknown",
            },
            Told::Outcome(_) => "outcome",
            Told::Fact(_) => "fact",
            Told::Command(_) => "command",
            Told::Settings(_) => "settings",
            Told::Wake => "wake",
        };
        self.count("step", word);
        if let Told::Outcome(outcome) = told {
            let word = match &outcome.result {
                Result::Queued { .. } => "queued",
                Result::Done => "done",
                Result::Nothing => "nothing",
                Result::Refused { .. } => "refused",
                Result::NoReply { .. } => "no reply",
            };
            self.count("outcome", word);
        }
    }

    pub(crate) fn ordered(&mut self, order: &Order) {
        match order {
            Order::Ask(_) => self.count("order", "ask"),
            Order::Act(act) => {
                let word = match act.action {
                    Action::Restart { .. } => "restart",
                    Action::Start { .. } => "start",
                    Action::StartAfresh { .. } => "start afresh",
                    Action::Kill => "kill",
                    Action::Undo => "undo",
                    Action::Reboot => "reboot",
                    Action::Cancel { .. } => "cancel",
                };
                self.count("order", word);
            }
            Order::Look(look) => {
                let word = match look.question {
                    Question::Unit => "look at the unit",
                    Question::Holders => "look for holders",
                    Question::Pressure => "look at the pressure",
                    Question::Preflight => "preflight",
                    Question::PidFile => "look at the PID file",
                    Question::Ourselves => "ask ourselves",
                    Question::Others => "look at others",
                    Question::LastWords => "last words",
                    Question::MainProcess => "look at the main process",
                    Question::Record { .. } => "record",
                };
                self.count("order", word);
            }
            Order::Tell(tell) => match &tell.decision {
                Decision::Act { observed_only, .. } => {
                    self.count("decision", if *observed_only { "act, observed only" } else { "act" });
                }
                Decision::Hold { hold, .. } => self.count("hold", hold_word(hold)),
                Decision::LeaveAlone { .. } => self.count("decision", "leave alone"),
                Decision::Alert { .. } => self.count("decision", "alert"),
                Decision::End(story) => {
                    let word = match story.end {
                        IncidentEnd::Recovered => "recovered",
                        IncidentEnd::Quarantined => "quarantined",
                        IncidentEnd::StoodDown => "stood down",
                        IncidentEnd::Superseded => "superseded",
                    };
                    self.count("incident", word);
                }
            },
        }
    }
}

fn hold_word(hold: &Hold) -> &'static str {
    match hold {
        Hold::Backoff => "backoff",
        Hold::Quarantine => "quarantine",
        Hold::HostBudget => "host budget",
        Hold::Concurrency => "concurrency",
        Hold::Dependency { .. } => "dependency",
        Hold::ForeignJob { .. } => "foreign job",
        Hold::Request => "request",
        Hold::PortHeld { .. } => "port held",
        Hold::Gate { .. } => "gate",
        Hold::Preflight { .. } => "preflight",
        Hold::Unstartable { .. } => "unstartable",
        Hold::Instance { .. } => "instance",
        Hold::Ourselves { .. } => "ourselves",
        Hold::Together { .. } => "together",
        Hold::Package { .. } => "package",
        Hold::Boot => "boot",
        Hold::Shutdown => "shutdown",
        Hold::Reboot { .. } => "a reboot",
        Hold::Frozen => "frozen",
        Hold::Debugger { .. } => "debugger",
        Hold::Systemd => "systemd",
        Hold::Twin { .. } => "twin",
        Hold::Pause => "pause",
        Hold::Disabled => "disabled",
        Hold::Observe => "observe",
    }
}

fn sign_word(saw: &watchdog::model::Saw) -> &'static str {
    use watchdog::model::Saw;
    match saw {
        Saw::Exit(_) => "sign exit",
        Saw::SignalSent(_) => "sign signal",
        Saw::ListenerUp(_) | Saw::ListenerDown { .. } | Saw::Listeners(_) => "sign listeners",
        Saw::AcceptStall(_) | Saw::AnswerStall(_) | Saw::StallOver(_) | Saw::UnixStall(_) => "sign stall",
        Saw::OomKill(_) | Saw::CommandRun(_) => "sign process",
        Saw::ServerErrors(_) | Saw::LogErrors(_) => "sign errors",
        Saw::Serving(_) => "sign serving",
        Saw::InUse(_) => "sign in use",
        Saw::Unit(_) => "sign unit",
        Saw::Job(_) => "sign job",
        Saw::Loss(_) => "sign loss",
        Saw::Working { .. } => "sign working",
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps of {} hosts", self.steps, self.episodes)?;
        let mut kind = "";
        let mut sorted = BTreeMap::new();
        for (of, word, count) in &self.counts {
            *sorted.entry((*of, *word)).or_insert(0) += count;
        }
        for ((of, word), count) in sorted {
            if of != kind {
                kind = of;
                write!(f, "\n  {kind:<9}")?;
            } else {
                write!(f, " ·")?;
            }
            write!(f, " {word} {count}")?;
        }
        Ok(())
    }
}
