use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mono, Service, Wall};

/// What an operator asks of watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Hands off a service, until its end.
    Pause {
        /// The service.
        service: Service,
        /// The pause.
        pause: Pause,
    },
    /// Hands on again.
    Resume {
        /// The service.
        service: Service,
    },
    /// A restart, whatever it has cost already.
    Restart {
        /// The service.
        service: Service,
        /// Who asked for it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The configuration was read again.
    Reload {
        /// It has these faults, and the old one stays in force.
        faults: Option<String>,
    },
}

/// An operator's "hands off", with an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// When it ends.
    #[serde(rename = "until_us")]
    pub until: Mono,
    /// When it was asked for, for people.
    #[serde(rename = "since_wall_us")]
    pub since: Wall,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}
