//! What others see of a service: other keepers, and people.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Beat, Keeper, Mono, Service, Stage, UnitState};
use crate::model::ActiveState;

/// What keepers know of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::policy) struct Brief {
    /// It is not up, or not known to be well.
    pub(in crate::policy) failing: bool,
    /// A round of heartbeats is on its way.
    pub(in crate::policy) asking: bool,
    /// When it last answered; `None` when it never did or has no heartbeat.
    pub(in crate::policy) alive_at: Option<Mono>,
    /// When it was last found well after it was not.
    pub(in crate::policy) well_since: Option<Mono>,
    /// It has heartbeats.
    pub(in crate::policy) asked: bool,
    /// A living unit is being stopped (counted for its first seconds, until this) or started.
    pub(in crate::policy) restarting_until: Option<Mono>,
    /// It is being restarted, or has not proved itself since: until this, it is waited for.
    pub(in crate::policy) verifying_until: Option<Mono>,
    /// It is down, and nothing is being done about it.
    pub(in crate::policy) rests: bool,
    /// A restart in this incident did not make it well, or it is in quarantine: another may be the cause.
    pub(in crate::policy) tried: bool,
    /// What it waits for, as it is failing.
    pub(in crate::policy) waits_for: Option<String>,
    /// The service beside which it stands, while it has a request on its way still.
    pub(in crate::policy) busy_beside: Option<Service>,
    /// Until when an operator wants hands off.
    pub(in crate::policy) paused_until: Option<Mono>,
}

impl Brief {
    /// It is asked, and has not answered well since then.
    pub(super) fn may_fail_since(&self, then: Mono) -> bool {
        self.asking && self.is_silent_since(then)
    }

    /// It has heartbeats, and none was answered well since then.
    pub(super) fn is_silent_since(&self, then: Mono) -> bool {
        self.asked && self.alive_at.is_none_or(|at| at < then)
    }
}

impl Keeper {
    /// `hold_for`: how long others are held at most by what is not known.
    pub(in crate::policy) fn brief(&self, now: Mono, hold_for: Duration) -> Brief {
        let failing = match &self.stage {
            Stage::New | Stage::Up => {
                self.incident.is_some() && self.beats.iter().any(|b| b.is_asking() && b.is_sick())
            }
            Stage::Proving { .. } => self.incident.is_some(),
            Stage::Down => !self.unit.as_ref().is_some_and(|u| u.socket_activated || is_done(u)),
            Stage::Ending { .. } | Stage::Checking(_) | Stage::Holding(_) | Stage::Acting(_) => true,
        };
        let restarting_until = match &self.stage {
            Stage::Acting(acting) => acting.counts_until(now),
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Proving { .. } => None,
        };
        let verifying_until = match &self.stage {
            Stage::Acting(acting) => Some(acting.longest()),
            Stage::Proving { until, .. } if self.incident.is_some() => Some(*until),
            Stage::New
            | Stage::Down
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Proving { .. } => None,
        };
        Brief {
            failing,
            asking: matches!(self.stage, Stage::Up) && self.beats.iter().any(Beat::is_asking),
            alive_at: self.beats.iter().filter_map(|beat| beat.alive_at).max(),
            well_since: self.well_since,
            asked: self.has_heartbeat(),
            restarting_until,
            verifying_until: verifying_until.map(|until| until + hold_for),
            rests: matches!(self.stage, Stage::Down),
            tried: self.in_vain || self.tries.in_quarantine(),
            waits_for: self.waits_for(),
            busy_beside: self.twin.clone().filter(|_| self.is_acting() || self.unanswered.is_some()),
            paused_until: self.pause.as_ref().map(|pause| pause.until),
        }
    }

    pub(in crate::policy) fn stage(&self) -> &'static str {
        match &self.stage {
            Stage::New => "not seen yet",
            Stage::Down => match &self.unit {
                Some(unit) if unit.socket_activated => "waits for a client",
                Some(_) if self.stopped => "stopped",
                Some(_) => "down",
                None => "absent",
            },
            Stage::Up => "up",
            Stage::Ending { .. } => "ending",
            Stage::Checking(_) => "checking",
            Stage::Holding(_) if self.tries.in_quarantine() => "quarantined",
            Stage::Holding(_) => "holding",
            Stage::Acting(_) => "restarting",
            Stage::Proving { .. } => "proving",
        }
    }
}

/// A unit whose end is its success, and which ended well.
pub(super) fn is_done(unit: &UnitState) -> bool {
    unit.oneshot && unit.active == ActiveState::Inactive
}
