//! A plan that waits for the host: a restart would not help while it is short of something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Desk, Hold, Keeper, Plan};
use crate::{
    model::{Gate, Mono, Pressure},
    policy::gates,
};

/// The longest pause between two tries in spite of a full disk, and between two alarms of one.
const SELDOM: Duration = Duration::from_secs(60 * 60);

/// What the host is short of, and since when it has been short of this or that: gates that take turns do not hold for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gated {
    gate: Gate,
    plan: Plan,
    /// When it began to wait, or was last tried in spite of it.
    since: Mono,
    /// When it has waited for long enough.
    due: Mono,
    /// How often it had.
    times: u32,
    /// Someone heard that it lasts.
    told: bool,
    /// It was told as a hold; from the second look on it is nothing new.
    held: bool,
}

impl Gated {
    /// It waits on, each time for longer.
    fn put_off(&mut self, now: Mono, hold_for: Duration) {
        self.times = self.times.saturating_add(1);
        let wait = hold_for.saturating_mul(1_u32.checked_shl(self.times).unwrap_or(u32::MAX));
        self.due = now + wait.min(SELDOM.max(hold_for));
        self.told = false;
    }
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
        let (now, hold_for) = (desk.now, desk.host.gates.hold_for);
        let new = Gated {
            gate: closed.gate,
            plan,
            since: now,
            due: now + hold_for,
            times: 0,
            told: false,
            held: false,
        };
        // how long a living unit waited for room says nothing of when a dead one is tried
        let same = |gated: &Gated| gated.plan == plan || gated.gate != Gate::Disk;
        let mut gated = self.gated.take().filter(same).unwrap_or(new);
        gated.held &= gated.gate == closed.gate;
        (gated.gate, gated.plan) = (closed.gate, plan);
        let long = gated.due <= now;
        // what lives is not stopped for a start that would fail; what is dead has nothing to lose
        let waits_on = closed.gate == Gate::Disk && plan == Plan::Restart;
        if long && !gated.told {
            gated.told = true;
            let lasts = now.since(gated.since);
            let then =
                if waits_on { "it waits until there is room" } else { "it is tried once in spite of that" };
            self.alert(
                desk,
                format!("nothing has been done for {lasts:?}, though it is needed: {}; {then}", closed.why),
            );
        }
        if long && waits_on {
            gated.put_off(now, hold_for);
        }
        self.gated = Some(gated);
        if long && !waits_on {
            return None;
        }
        Some(Hold::Gate { gate: closed.gate, why: closed.why })
    }

    /// When a plan that a gate holds is looked at again: at the latest when it has waited for long enough.
    pub(super) fn gate_until(&self, desk: &Desk<'_>, later: Mono) -> Mono {
        let enough = self.gated.as_ref().map(|gated| gated.due);
        enough.filter(|enough| *enough > desk.now).map_or(later, |enough| later.min(enough))
    }

    /// It is tried now. A disk that is still full afterwards is waited for longer than before.
    pub(super) fn tried_in_spite(&mut self, desk: &Desk<'_>) {
        self.gated = self.gated.take().filter(|gated| gated.gate == Gate::Disk && gated.told);
        if let Some(gated) = &mut self.gated {
            (gated.since, gated.held) = (desk.now, false);
            gated.put_off(desk.now, desk.host.gates.hold_for);
        }
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
