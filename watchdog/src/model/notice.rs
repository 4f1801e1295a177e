use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IncidentId, Mono, Service};

/// Why people are told of a service; from the least to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It is well again, or its incident is over in another way; told to whoever was told of the failure, and to nobody else.
    Recovered,
    /// A restart helped: nothing is left to be done.
    Restarted,
    /// Restarts help each time, and are needed again and again.
    Repeated,
    /// What the stream calls an alert.
    Alert,
    /// A restart did not help.
    Failed,
    /// Its budget is spent.
    Quarantined,
}

impl NoticeKind {
    /// All of them, as the configuration writes them.
    pub const ALL: [NoticeKind; 6] = [
        NoticeKind::Quarantined,
        NoticeKind::Failed,
        NoticeKind::Alert,
        NoticeKind::Repeated,
        NoticeKind::Restarted,
        NoticeKind::Recovered,
    ];

    /// As the configuration and the stream write it.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Recovered => "recovered",
            NoticeKind::Restarted => "restarted",
            NoticeKind::Repeated => "repeated",
            NoticeKind::Alert => "alert",
            NoticeKind::Failed => "failed",
            NoticeKind::Quarantined => "quarantined",
        }
    }
}

/// What became of telling people something; one record for each service that a message speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    /// When.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// The service; `None` where it is not known any more.
    pub service: Option<Service>,
    /// The last incident that the message tells of.
    pub incident: Option<IncidentId>,
    /// By which way; `None`: by none of them, it was dropped before.
    pub channel: Option<String>,
    /// What the message tells.
    pub about: Vec<NoticeKind>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of telling people something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The channel has taken it.
    Told,
    /// It did not work.
    Failed {
        /// Why, for people; no secret is in it.
        why: String,
        /// When it is tried again.
        #[serde(rename = "again_us")]
        again: Mono,
    },
    /// It is not tried any more.
    GivenUp {
        /// Why, for people.
        why: String,
    },
    /// There was no room for it: more came than can be told.
    Dropped {
        /// How much.
        count: u64,
    },
}
