//! Other settings come into force, and the state that says so.

use super::{Engine, Prepared};
use crate::{
    clock,
    crash::{self, Point},
    model::{Act, Action, Command},
    policy::Input,
    stream::Record,
};

impl Engine {
    /// Why it is not in force, where it is not.
    pub(super) fn reload(&mut self, prepared: Prepared) -> Result<(), String> {
        let Prepared { settings, hearts, sinks, channels } = prepared;
        if let Err(fault) = self.stream.replace(sinks) {
            self.kept_old(fault.to_string());
            tracing::warn!(%fault, "the new configuration is not in force");
            return Err(fault.to_string());
        }
        self.hands.replace(&settings, hearts);
        self.notify.replace(channels);
        let now = self.caught_up();
        let effects = self.core.suspect_by(now, settings.suspicion);
        self.carry_out(now, effects);
        // in the order of the decisions, and before what follows from it; the state after it says what is in force
        self.write(&Record::command(now, &Command::Reload { faults: None }).taken(now));
        self.memory.input(now, &Input::Settings(Box::new(settings.policy.clone())));
        let keeps = &settings.policy;
        let hands_off = |act: &Act| match keeps.services.get(&act.service) {
            Some(guard) => keeps.host.observe || (act.action == Action::Reboot && !guard.ladder.reboot),
            None => true,
        };
        let withdrawn = self.memory.withdraw(now, hands_off);
        let effects = self.core.decide_by(now, settings.policy);
        crash::at(Point::Reloaded);
        self.carry_out(now, effects);
        self.withdrawn(withdrawn);
        let kept = self.core.policy().settings().services;
        self.tally.keep(|service| kept.contains_key(service));
        self.name_units();
        self.hands.watch_units(self.core.policy().units());
        self.tell_state();
        self.discovered = settings.discovered;
        tracing::info!("the new configuration is in force");
        Ok(())
    }

    pub(super) fn kept_old(&mut self, faults: String) {
        self.write(&Record::command(clock::now(), &Command::Reload { faults: Some(faults) }));
    }

    pub(super) fn tell_state(&mut self) {
        self.memory.state(clock::now(), self.core.policy());
        match serde_json::to_value(self.core.policy()) {
            Ok(state) => self.write(&Record::state(clock::now(), state)),
            Err(fault) => tracing::warn!(%fault, "cannot write the state of the policy"),
        }
    }
}
