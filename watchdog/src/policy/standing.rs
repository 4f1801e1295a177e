//! How all services stand, for people and for programs that look: nothing is decided by it.

use super::{Host, Policy};
use crate::model::{Budget, Mono, Service, ServiceStatus};

impl Policy {
    /// How each service stands at this moment, in the order of their names; what only the engine counts is left empty.
    pub fn standings(&self, now: Mono) -> Vec<ServiceStatus> {
        self.keepers.values().map(|keeper| keeper.standing(now)).collect()
    }

    /// It is in the configuration.
    pub fn keeps(&self, service: &Service) -> bool {
        self.keepers.contains_key(service)
    }

    /// An operator's pause of it is in force.
    pub fn is_paused(&self, service: &Service, now: Mono) -> bool {
        self.keepers.get(service).is_some_and(|keeper| keeper.is_paused(now))
    }

    /// Why a restart of it that an operator asks for now would not be taken up, where that is known at once.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn may_restart(&mut self, now: Mono, service: &Service) -> Result<(), String> {
        let mut orders = Vec::new();
        let (keepers, desk) = self.desk(now, &mut orders);
        let Some(keeper) = keepers.get(service) else {
            return Err("it is not in the configuration".to_owned());
        };
        keeper.refuses(&desk).map_or(Ok(()), Err)
    }

    /// How one service stands.
    pub fn standing(&self, now: Mono, service: &Service) -> Option<ServiceStatus> {
        self.keepers.get(service).map(|keeper| keeper.standing(now))
    }

    /// Restarts that the whole host may cost yet.
    pub fn host_budget(&self, now: Mono) -> Budget {
        let Host { restarts: of, within, .. } = self.host;
        Budget { left: self.host_tries.left(now, of, within), of, within }
    }

    /// Everything is decided, and nothing is done.
    pub fn observes(&self) -> bool {
        self.host.observe
    }
}
