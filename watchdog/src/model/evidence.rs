use std::{fmt, net::SocketAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was seen of a unit while a heartbeat of it waited: the difference of two samples, one at half of the time-out, one
/// at the heartbeat's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Between the samples.
    #[serde(rename = "window_us", with = "super::time::micros")]
    #[schemars(with = "u64")]
    pub window: Duration,
    /// The unit was runnable, and something of it was not run (`cpu.pressure`). `None`: not told here.
    #[serde(rename = "waited_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub waited: Option<Duration>,
    /// It was kept from running by its own `CPUQuota=`.
    #[serde(rename = "throttled_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub throttled: Option<Duration>,
    /// It ran for so long, on all CPUs together.
    #[serde(rename = "ran_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub ran: Option<Duration>,
    /// Everybody else did.
    #[serde(rename = "others_us", with = "super::time::micros_or_none")]
    #[schemars(with = "Option<u64>")]
    pub others: Option<Duration>,
    /// Connections that it accepted on its own ports, ours among them.
    pub accepted: u32,
    /// Connections of others, on its own ports, to which it sent something or which it ended.
    pub served: u32,
    /// What that means.
    pub meaning: Meaning,
}

/// What [`Evidence`] means for a heartbeat that was not answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Nothing excuses it.
    Dead,
    /// It had no chance: others had the CPU.
    Starved,
    /// It is slow, and serves others.
    Overloaded,
}

/// A TCP connection to a port of a unit, as the kernel's table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The unit's end.
    pub local: SocketAddr,
    /// The client's end.
    pub peer: SocketAddr,
    /// A process has accepted it.
    pub accepted: bool,
    /// The unit's side has ended it.
    pub ended: bool,
    /// Bytes sent to the client.
    pub sent: u64,
}

/// The figures, for people: `starved: runnable but not run for 1.4s of 1.5s, ran for 12ms, others for 2.9s; accepted 1, served 0`.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |f: &mut fmt::Formatter<'_>, before: &str, figure: Option<Duration>, after: &str| {
            figure.map_or(Ok(()), |figure| write!(f, "{before}{figure:.0?}{after}"))
        };
        f.write_str(match self.meaning {
            Meaning::Dead => "no excuse: ",
            Meaning::Starved => "starved: ",
            Meaning::Overloaded => "overloaded: ",
        })?;
        write!(f, "of the last {:.0?}", self.window)?;
        figure(f, " runnable but not run for ", self.waited, ",")?;
        figure(f, " throttled for ", self.throttled, ",")?;
        figure(f, " ran for ", self.ran, ",")?;
        figure(f, " others for ", self.others, "")?;
        write!(f, "; connections: {} accepted, {} of others served", self.accepted, self.served)
    }
}
