//! What the daemon has on this host: root on a command line has more than a unit with a bounding set.

use std::fmt;

use serde::Serialize;

use crate::{
    model::{Serving, Unit},
    systemd::Traits,
};

/// What a watchdog that runs says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its version.
    pub version: String,
    /// By what it sees each class.
    pub rungs: Vec<Serving>,
}

/// What its unit may on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The unit.
    pub unit: Unit,
    /// Of what watchdog can use.
    pub has: Vec<&'static str>,
    /// The rest of that.
    pub lacks: Vec<Lack>,
}

/// A capability that a unit has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Its name.
    pub capability: &'static str,
    /// What that costs.
    pub costs: &'static str,
}

/// capabilities(7), with what its want costs.
const USEFUL: [(u32, &str, &str); 6] = [
    (39, "CAP_BPF", "no probe is loaded: failures are seen later, by looks, or only by heartbeats"),
    (38, "CAP_PERFMON", "no probe is loaded: failures are seen later, by looks, or only by heartbeats"),
    (12, "CAP_NET_ADMIN", "clients' 5xx answers are not seen as they leave"),
    (19, "CAP_SYS_PTRACE", "who holds a port, and what ails processes of other users, is not seen"),
    (2, "CAP_DAC_READ_SEARCH", "logs that only others may read are not followed"),
    (1, "CAP_DAC_OVERRIDE", "Unix sockets of others are not asked; stale PID files in their folders stay"),
];
const SYS_ADMIN: u32 = 21;

/// What a unit of watchdog may by its bounding set: as root it has all of that.
pub fn granted(unit: &Unit, traits: &Traits) -> Granted {
    let is_set = |number: u32| traits.capabilities & (1 << number) != 0;
    let has = |name: &str, number: u32| {
        let by_another = match name {
            "CAP_BPF" | "CAP_PERFMON" => is_set(SYS_ADMIN), // which held both before Linux 5.8, and does still
            "CAP_DAC_READ_SEARCH" => is_set(1),             // who overrides every mode reads everything too
            _ => false,
        };
        is_set(number) || by_another
    };
    let (mut there, mut lacks) = (Vec::new(), Vec::new());
    for (number, capability, costs) in USEFUL {
        match has(capability, number) {
            true => there.push(capability),
            false => lacks.push(Lack { capability, costs }),
        }
    }
    Granted { unit: unit.clone(), has: there, lacks }
}

impl Running {
    pub(super) fn sees_best(&self) -> bool {
        self.rungs.iter().all(|serving| serving.why.is_empty())
    }

    /// For people, where root on the command line would see by `tried`.
    pub(super) fn say(&self, tried: &[Serving], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = |it: &&Serving| tried.iter().all(|own| own.class != it.class || own.rung != it.rung);
        let others: Vec<&Serving> = self.rungs.iter().filter(other).collect();
        if others.is_empty() {
            return writeln!(f, "\nThe watchdog that runs ({}) sees them by the same.", self.version);
        }
        writeln!(f, "\nThe watchdog that runs ({}) sees otherwise", self.version)?;
        others.into_iter().try_for_each(|serving| row(serving, f))
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = match self.has.is_empty() {
            true => "nothing that it could use".to_owned(),
            false => self.has.join(", "),
        };
        if self.lacks.is_empty() {
            return writeln!(f, "\n{} may all that it can use: {has}", self.unit);
        }
        writeln!(f, "\n{} may {has}, and lacks", self.unit)?;
        for Lack { capability, costs } in &self.lacks {
            writeln!(f, "  {capability:<20} {costs}")?;
        }
        writeln!(
            f,
            "    do     what you need of it, in a drop-in (`systemctl edit {}`): [Service], CapabilityBoundingSet=NAME …; then restart it",
            self.unit
        )
    }
}

/// One class, and by what it is seen.
pub(super) fn row(Serving { class, rung, why }: &Serving, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match why.is_empty() {
        true => writeln!(f, "  {:<14} {}", class.name(), rung.name()),
        false => writeln!(f, "  {:<14} {:<14} nothing better: {why}", class.name(), rung.name()),
    }
}
