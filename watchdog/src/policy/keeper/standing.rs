//! How a service stands, for people and for programs that look.

use super::{Keeper, Mono, Stage, brief::is_done};
use crate::{
    model::{Budget, Counts, Health, Held, LoadState, OpenIncident, ServiceStatus, Verdict},
    policy::beat::Beat,
};

impl Keeper {
    /// As of this moment; what only the engine counts is left empty.
    pub(in crate::policy) fn standing(&self, now: Mono) -> ServiceStatus {
        let unit = self.unit.as_ref();
        let incident = self.incident.as_ref().map(|incident| OpenIncident {
            id: incident.id,
            began: incident.began,
            restarts: incident.restarts,
            first_step: incident.first_step().to_owned(),
            last_step: incident.last_step().to_owned(),
        });
        ServiceStatus {
            service: self.service.clone(),
            unit: self.guard.unit.clone(),
            group: self.guard.group.clone(),
            load: unit.map(|unit| unit.load),
            file: unit.map(|unit| unit.file),
            active: unit.map(|unit| unit.active),
            sub: unit.map_or_else(String::new, |unit| unit.sub.clone()),
            health: self.health(),
            stage: self.standing_at(),
            verdict: self.worst_verdict(),
            unknown: None,
            alive: self.beats.iter().filter_map(|beat| beat.alive_at).max(),
            incident,
            last: None,
            held: self.what_waits(),
            pause: self.pause.clone().filter(|pause| pause.until > now),
            budget: Budget {
                left: self.tries.left(now, &self.guard),
                of: self.guard.burst,
                within: self.guard.within,
            },
            counts: Counts::default(),
        }
    }

    fn standing_at(&self) -> String {
        match (&self.twin, self.unit.as_ref().map(|unit| unit.load)) {
            (Some(twin), _) => format!("kept by {twin}"),
            (None, Some(LoadState::NotFound)) => "absent".to_owned(),
            (None, Some(LoadState::Loaded | LoadState::Masked | LoadState::Error) | None) => {
                self.stage().to_owned()
            }
        }
    }

    fn health(&self) -> Health {
        if self.tries.in_quarantine() {
            return Health::Quarantined;
        }
        match &self.stage {
            Stage::New => Health::Unsure,
            Stage::Down => {
                let rests = self.unit.as_ref().is_some_and(|unit| unit.socket_activated || is_done(unit));
                if rests { Health::Well } else { Health::Down }
            }
            Stage::Up => match self.worst_verdict() {
                Some(Verdict::Dead) => Health::Failing,
                Some(Verdict::Alive) => Health::Well,
                None if !self.has_heartbeat() => Health::Well,
                Some(Verdict::Unknown) | None => Health::Unsure,
            },
            Stage::Proving { .. } if self.incident.is_none() => Health::Unsure,
            Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => Health::Failing,
        }
    }

    /// `None` where nothing is asked, or one of those that are has not answered yet and none is dead.
    fn worst_verdict(&self) -> Option<Verdict> {
        let asked: Vec<&Beat> = self.beats.iter().filter(|beat| !beat.is_off()).collect();
        let any = |verdict| asked.iter().any(|beat| beat.verdict == Some(verdict));
        if any(Verdict::Dead) {
            return Some(Verdict::Dead);
        }
        if any(Verdict::Unknown) {
            return Some(Verdict::Unknown);
        }
        let all = !asked.is_empty() && asked.iter().all(|beat| beat.verdict == Some(Verdict::Alive));
        all.then_some(Verdict::Alive)
    }

    fn what_waits(&self) -> Option<Held> {
        match &self.stage {
            Stage::Holding(holding) => {
                Some(Held { hold: holding.hold.clone(), since: holding.since, until: holding.until })
            }
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Acting(_)
            | Stage::Proving { .. } => None,
        }
    }
}
