use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ActiveState, FileState, Hold, IncidentEnd, IncidentId, LoadState, Mono, Pause, Service, Serving, Source,
    Unit, Verdict,
};

/// What is true at one moment, for people and for programs that look; no input of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// This moment.
    #[serde(rename = "mono_us")]
    pub at: Mono,
    /// Watchdog's version.
    pub version: String,
    /// When this process began.
    #[serde(rename = "since_us")]
    pub since: Mono,
    /// `mode = "observe"`: everything is decided and nothing is done.
    pub observe: bool,
    /// There is no configuration: what listens is observed.
    #[serde(default)]
    pub discovered: bool,
    /// Restarts of the whole host.
    pub budget: Budget,
    /// Each service, in the order of their names.
    pub services: Vec<ServiceStatus>,
    /// By what each failure class is seen.
    pub rungs: Vec<Serving>,
    /// What wakes watchdog while all is well.
    pub ticks: Vec<Tick>,
    /// Each source that has said something of itself.
    pub sources: Vec<SourceStatus>,
    /// Each place that events are written to.
    pub events: Vec<SinkStatus>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// Its name.
    pub service: Service,
    /// Its unit.
    pub unit: Unit,
    /// Its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether systemd has such a unit; `None` while that is not known.
    pub load: Option<LoadState>,
    /// Whether it is enabled.
    pub file: Option<FileState>,
    /// Whether it is active.
    pub active: Option<ActiveState>,
    /// SubState.
    pub sub: String,
    /// Whether it is healthy.
    pub health: Health,
    /// Where it stands, in a word or two.
    pub stage: String,
    /// The worst last verdict of its heartbeats.
    pub verdict: Option<Verdict>,
    /// What came of its last heartbeat, where that could not tell whether it is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// When it answered well last.
    #[serde(rename = "alive_us")]
    pub alive: Option<Mono>,
    /// What is going on.
    pub incident: Option<OpenIncident>,
    /// What went on before.
    pub last: Option<LastIncident>,
    /// What waits.
    pub held: Option<Held>,
    /// An operator's "hands off".
    pub pause: Option<Pause>,
    /// Restarts that it may cost yet.
    pub budget: Budget,
    /// What was counted since this process began.
    pub counts: Counts,
}

/// How a service is; the better one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It answers, or is active where nothing can be asked, or waits for a client as it should.
    Well,
    /// Nobody can say, or nobody can say yet.
    Unsure,
    /// It is down, and is left alone: an operator's stop, a clean end, no such unit.
    Down,
    /// It is down or does not answer, and something is done about it, or waits to be.
    Failing,
    /// Its budget is spent.
    Quarantined,
}

impl Health {
    /// As records, metrics and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Health::Well => "well",
            Health::Unsure => "unsure",
            Health::Down => "down",
            Health::Failing => "failing",
            Health::Quarantined => "quarantined",
        }
    }
}

/// An incident that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenIncident {
    /// Which.
    pub id: IncidentId,
    /// Its first sign.
    #[serde(rename = "began_us")]
    pub began: Mono,
    /// Restarts so far.
    pub restarts: u32,
    /// What it began with.
    #[serde(default)]
    pub first_step: String,
    /// Its last step.
    pub last_step: String,
}

/// An incident that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastIncident {
    /// Which.
    pub id: Option<IncidentId>,
    /// How.
    pub end: IncidentEnd,
    /// When.
    #[serde(rename = "ended_us")]
    pub ended: Mono,
    /// From its first sign to its end.
    #[serde(rename = "took_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
    /// Restarts that it cost.
    pub restarts: u32,
    /// Its last step.
    #[serde(default)]
    pub last_step: String,
}

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// For what.
    pub hold: Hold,
    /// Since when.
    #[serde(rename = "since_us")]
    pub since: Mono,
    /// Until when at the latest; then it is looked at again.
    #[serde(rename = "until_us")]
    pub until: Mono,
}

/// Restarts that may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// So many are left now.
    pub left: u32,
    /// Of so many …
    pub of: u32,
    /// … within this.
    #[serde(rename = "within_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub within: Duration,
}

/// What was counted of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Restarts and starts that were requested.
    pub restarts: u64,
    /// Incidents that ended well.
    pub recovered: u64,
    /// Incidents that ended in quarantine.
    pub quarantined: u64,
    /// Incidents that ended otherwise.
    pub stood_down: u64,
    /// Heartbeats that were answered as they should.
    pub alive: u64,
    /// Heartbeats that were not.
    pub dead: u64,
    /// Heartbeats of which nobody can say.
    pub unknown: u64,
    /// How long all heartbeats took together.
    #[serde(rename = "asked_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub asked: Duration,
    /// Suspicions, by [`Why::name`](super::Why::name).
    pub suspicions: BTreeMap<String, u64>,
}

/// Something that happens again and again while all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// What.
    pub what: String,
    /// After how long each time.
    #[serde(rename = "every_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub every: Duration,
}

/// How a source fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Which.
    pub source: Source,
    /// It works; `None` where it has not said.
    pub works: Option<bool>,
    /// Why not, or by which way.
    pub why: String,
    /// How often something was lost since this process began.
    pub losses: u64,
    /// How many records, as far as that is known.
    pub lost: u64,
}

/// How a place that events are written to fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SinkStatus {
    /// Which.
    pub sink: String,
    /// Lines that wait to be written.
    pub queued: u64,
    /// Lines left out since this process began.
    pub lost: u64,
    /// What it suffers from now.
    pub fault: Option<String>,
}
