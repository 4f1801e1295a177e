//! What must hold once nothing happens any more.

use super::{Event, World};
use crate::model::*;

impl World {
    /// The world comes to rest: all pauses end, systemd does what it is asked, and every heartbeat is answered well.
    pub(super) fn rest(&mut self) {
        let mut settings = self.settings.clone();
        settings.host.observe = false;
        // what needs something that stays down is held for good, and is not at rest
        settings.services.values_mut().for_each(|guard| guard.depends_on.clear());
        self.reload(settings);
        for at in 0..2 {
            self.event(Event::Resume(at));
        }
        for round in 0..600 {
            self.settle();
            for at in 0..2 {
                self.systemd.progress(at, true);
            }
            self.settle();
            while !self.asks.is_empty() {
                self.answer(0, Verdict::Alive);
            }
            self.sleep(if round < 100 { 100 } else { 20_000 });
        }
        self.settle();
    }

    pub(super) fn rested(&self) {
        let stages = self.policy.stages();
        for unit in &self.systemd.units {
            let stage = stages[&unit.service];
            let fits = match stage {
                "up" => unit.active == ActiveState::Active,
                "stopped" | "down" => unit.active.is_down(),
                _ => false,
            };
            assert!(fits, "{} is {:?} and kept as {stage}", unit.service, unit.active);
            if !self.lost {
                assert!(!unit.stopped || unit.active.is_down(), "{} runs against a stop", unit.service);
            }
        }
        assert!(self.rules.open.is_empty(), "incidents without an end: {:?}", self.rules.open);
        self.rules.budgets(&self.settings);
        let size = serde_json::to_string(&self.policy).expect("a state").len();
        assert!(size < 100_000, "the state of two services has {size} bytes");
    }
}
