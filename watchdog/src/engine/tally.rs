//! What was told since this process began, counted where it is told: for `status` and the metrics.

use std::collections::BTreeMap;

use crate::{
    model::{
        Action, Counts, Decision, IncidentEnd, LastIncident, Saw, Service, Sign, Source, SourceStatus, Story,
        Tell, Verdict,
    },
    stream::{Record, Said, sentence},
};

#[derive(Debug, Default)]
pub(super) struct Tally {
    services: BTreeMap<Service, Counts>,
    last: BTreeMap<Service, LastIncident>,
    unknown: BTreeMap<Service, String>,
    sources: BTreeMap<Source, SourceStatus>,
}

impl Tally {
    /// A record was written.
    pub(super) fn record(&mut self, record: &Record) {
        match &record.said {
            Said::Sign(sign) => self.sign(sign),
            Said::Suspicion(suspicion) => {
                let suspicions = &mut self.of(&suspicion.service).suspicions;
                *suspicions.entry(suspicion.why.name().to_owned()).or_default() += 1;
            }
            Said::Heartbeat(answer) => {
                let counts = self.of(&answer.service);
                counts.asked += answer.took;
                *match answer.verdict {
                    Verdict::Alive => &mut counts.alive,
                    Verdict::Dead => &mut counts.dead,
                    Verdict::Unknown => &mut counts.unknown,
                } += 1;
                match answer.verdict {
                    Verdict::Alive | Verdict::Dead => self.unknown.remove(&answer.service),
                    Verdict::Unknown => self.unknown.insert(answer.service.clone(), sentence(record)),
                };
            }
            Said::Action(act) => match act.action {
                Action::Restart { .. } | Action::Start { .. } | Action::StartAfresh { .. } => {
                    self.of(&act.service).restarts += 1;
                }
                Action::Kill | Action::Undo | Action::Reboot | Action::Cancel { .. } => {}
            },
            Said::Decision(tell) => {
                let Decision::End(story) = &tell.decision else { return };
                let counts = self.of(&tell.service);
                *match story.end {
                    IncidentEnd::Recovered => &mut counts.recovered,
                    IncidentEnd::Quarantined => &mut counts.quarantined,
                    IncidentEnd::StoodDown | IncidentEnd::Superseded => &mut counts.stood_down,
                } += 1;
                self.last.insert(tell.service.clone(), ended(tell, story));
            }
            Said::Fact(_)
            | Said::Command(_)
            | Said::Audit(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => {}
        }
    }

    /// Services that are kept no longer are forgotten.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&Service) -> bool) {
        self.services.retain(|service, _| is_kept(service));
        self.last.retain(|service, _| is_kept(service));
        self.unknown.retain(|service, _| is_kept(service));
    }

    pub(super) fn counts(&self, service: &Service) -> Counts {
        self.services.get(service).cloned().unwrap_or_default()
    }

    pub(super) fn last(&self, service: &Service) -> Option<LastIncident> {
        self.last.get(service).cloned()
    }

    /// What came of the last heartbeat, where that could not tell.
    pub(super) fn unknown(&self, service: &Service) -> Option<String> {
        self.unknown.get(service).cloned()
    }

    pub(super) fn sources(&self) -> Vec<SourceStatus> {
        self.sources.values().cloned().collect()
    }

    fn of(&mut self, service: &Service) -> &mut Counts {
        self.services.entry(service.clone()).or_default()
    }

    fn sign(&mut self, sign: &Sign) {
        let nothing =
            SourceStatus { source: sign.source, works: None, why: String::new(), losses: 0, lost: 0 };
        match &sign.saw {
            Saw::Loss(loss) => {
                let of = self.sources.entry(sign.source).or_insert(nothing);
                of.losses += 1;
                of.lost += loss.lost;
            }
            Saw::Working { works, why } => {
                let of = self.sources.entry(sign.source).or_insert(nothing);
                (of.works, of.why) = (Some(*works), why.clone());
            }
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
            | Saw::Unit(_)
            | Saw::Job(_)
            | Saw::Listeners(_) => {}
        }
    }
}

/// An incident that has ended, in short.
pub(super) fn ended(tell: &Tell, story: &Story) -> LastIncident {
    let last_step = story.steps.last().map(|step| step.what.clone()).unwrap_or_default();
    let (end, took, restarts) = (story.end, story.took, story.restarts);
    LastIncident { id: tell.incident, end, ended: tell.at, took, restarts, last_step }
}
