//! Whether harm may be done to a service on request: only to one that is well, and that will be brought back.

use super::Engine;
use crate::model::{ActiveState, Health, Injury, Service};

impl Engine {
    /// What stands against it; the harm itself is done by whoever asks, for its signals bear the sender's name.
    pub(super) fn drill(&self, service: &Service, fault: Injury) -> Result<String, String> {
        let status = self.status();
        let Some(it) = status.services.iter().find(|it| it.service == *service) else {
            return Err("is not in the configuration any more".to_owned());
        };
        let refused = if status.observe {
            Some("mode = \"observe\": nothing would be done about it".to_owned())
        } else if let Some(pause) = &it.pause {
            Some(format!("it is paused by {}: nothing would be done about it", pause.by))
        } else if it.health == Health::Quarantined {
            Some("it is in quarantine: nothing would be done about it at once".to_owned())
        } else if it.budget.left == 0 {
            Some("its restarts are used up, see `watchdog status`".to_owned())
        } else if status.budget.left == 0 {
            Some("the host's restarts are used up, see `watchdog status`".to_owned())
        } else if it.active != Some(ActiveState::Active) {
            Some(format!("{} is not active", it.unit))
        } else if it.health != Health::Well || it.incident.is_some() {
            Some("it is not well as it is, see `watchdog status`".to_owned())
        } else {
            None
        };
        match (refused, fault) {
            (Some(why), _) => Err(format!("no drill: {why}")),
            (None, Injury::Kill) => Ok("a drill may kill it now".to_owned()),
            (None, Injury::Stop) => Ok("a drill may stop its processes now".to_owned()),
            (None, Injury::Hang) => Ok("a drill may stop its workers now".to_owned()),
        }
    }
}
