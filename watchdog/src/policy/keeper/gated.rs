//! A plan that waits for the host: a restart would not help while it is short of something.

use serde::{Deserialize, Serialize};

use super::{Desk, Hold, Keeper, Plan};
use crate::{
    model::{Gate, Mono, Pressure},
    policy::gates,
};

/// What the host is short of, and since when it has been short of this or that: gates that take turns do not hold for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gated {
    gate: Gate,
    since: Mono,
    /// Someone heard that it lasts.
    told: bool,
    /// It was told as a hold; from the second look on it is nothing new.
    held: bool,
}

impl Keeper {
    /// What a look found. `None`: no gate stands against the plan, or none any more.
    pub(super) fn gate(&mut self, desk: &mut Desk<'_>, plan: Plan, pressure: &Pressure) -> Option<Hold> {
        for gate in gates::blind(&desk.host.gates, pressure) {
            if desk.blind.insert(gate) {
                let name = gates::gate_name(gate);
                self.alert(
                    desk,
                    format!("this host tells no figure for the {name} gate: it holds nothing back"),
                );
            }
        }
        let Some(closed) = gates::closed(&desk.host.gates, plan == Plan::Restart, pressure) else {
            if self.gated.take().is_some() {
                self.step(desk.now, "the host is no longer short of anything");
            }
            return None;
        };
        let new = Gated { gate: closed.gate, since: desk.now, told: false, held: false };
        let mut gated = self.gated.take().unwrap_or(new);
        gated.held &= gated.gate == closed.gate;
        gated.gate = closed.gate;
        let lasts = desk.now.since(gated.since);
        let long = lasts >= desk.host.gates.hold_for;
        if long && !gated.told {
            gated.told = true;
            let then = match closed.gate {
                Gate::Disk => "it waits until there is room",
                Gate::Tasks | Gate::Memory | Gate::Io | Gate::Cpu => "it is tried once in spite of that",
            };
            self.alert(
                desk,
                format!("nothing has been done for {lasts:?}, though it is needed: {}; {then}", closed.why),
            );
        }
        self.gated = Some(gated);
        if long && closed.gate != Gate::Disk {
            return None;
        }
        Some(Hold::Gate { gate: closed.gate, why: closed.why })
    }

    /// When a plan that a gate holds is looked at again: at the latest when it has waited for long enough.
    pub(super) fn gate_until(&self, desk: &Desk<'_>, later: Mono) -> Mono {
        let enough = self.gated.as_ref().map(|gated| gated.since + desk.host.gates.hold_for);
        enough.filter(|enough| *enough > desk.now).map_or(later, |enough| later.min(enough))
    }

    /// Whether this hold is an old one, of the same gate, and was told.
    pub(super) fn is_gated_still(&mut self, hold: &Hold) -> bool {
        match (&mut self.gated, hold) {
            (Some(gated), Hold::Gate { gate, .. }) if gated.gate == *gate => {
                std::mem::replace(&mut gated.held, true)
            }
            (Some(_) | None, _) => false,
        }
    }
}
