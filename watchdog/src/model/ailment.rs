use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What ails the processes of a unit that does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ailments {
    /// So many processes were looked at.
    pub looked: u32,
    /// Those that something ails, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailing: Vec<Ailing>,
    /// How many more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// A process, and what ails it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ailing {
    /// Its PID in watchdog's PID namespace.
    pub pid: u32,
    /// Its name, for people only.
    pub comm: String,
    /// What.
    pub what: Ailment,
}

/// What can ail a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ailment {
    /// It is dead, and its parent has not asked how it ended.
    Zombie,
    /// A signal has stopped it.
    Stopped,
    /// A debugger holds it.
    Traced,
    /// It waits in the kernel for what does not come.
    Stuck {
        /// The kernel's function; empty where that is not told.
        place: String,
    },
    /// It can open no more files and connections.
    Descriptors {
        /// So many are open.
        open: u64,
        /// So many may be (RLIMIT_NOFILE, soft).
        limit: u64,
    },
}

impl fmt::Display for Ailments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ailing) in self.ailing.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}process {} ({}) {}", ailing.pid, ailing.comm, ailing.what)?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ailment::Zombie => f.write_str("is dead, and nobody reaps it (Z)"),
            Ailment::Stopped => f.write_str("is stopped (T)"),
            Ailment::Traced => f.write_str("is held by a debugger (t)"),
            Ailment::Stuck { place } if place.is_empty() => {
                f.write_str("waits in the kernel and cannot be killed (D)")
            }
            Ailment::Stuck { place } => write!(f, "waits in the kernel and cannot be killed (D, in {place})"),
            Ailment::Descriptors { open, limit } => write!(f, "has {open} of {limit} descriptors open"),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
