use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IncidentId, Service};

/// Who asks for something over the control socket, as the kernel noted it when the connection was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asker {
    /// The user.
    pub uid: u32,
    /// The process.
    pub pid: u32,
    /// The name of its program.
    pub comm: String,
    /// The user's name; where somebody logged in and became another, both.
    pub name: String,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (uid {}, by {}, pid {})", self.name, self.uid, self.comm, self.pid)
    }
}

/// What an operator wants of some services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Hands off.
    Pause {
        /// For so long; `None`: until it is resumed.
        lasts: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// Hands on again.
    Resume,
    /// A restart.
    Restart {
        /// Why.
        reason: String,
    },
    /// To do harm, and to see what comes of it.
    Drill {
        /// Which.
        fault: Injury,
    },
}

/// What a drill does to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Injury {
    /// Its main process is killed.
    Kill,
    /// All its processes are stopped: nothing is accepted any more.
    Stop,
    /// All but its main process are stopped: it looks alive.
    Hang,
}

/// A change that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub by: Asker,
    /// What, in the words of the request.
    pub asked: String,
    /// What.
    pub wish: Wish,
    /// Of which services.
    pub services: Vec<Service>,
}

/// What became of a change, for one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The service.
    pub service: Service,
    /// It is as it was asked for.
    pub done: bool,
    /// What is true now, or why it was refused; for people.
    pub said: String,
    /// The incident in whose name it is done, which tells its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
}

/// A request to change something, whoever made it, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Who.
    pub by: Asker,
    /// What was asked for.
    pub asked: String,
    /// All of it was done.
    pub done: bool,
    /// What was answered.
    pub answer: String,
    /// So many that were refused before it were not told one by one.
    #[serde(default, skip_serializing_if = "is_none")]
    pub untold: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
