use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// The NAME of one `[service.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Service(Arc<str>);

impl Service {
    /// Takes the name as it stands in the configuration, which has checked it.
    pub fn new(name: &str) -> Service {
        Service(name.into())
    }

    /// The name as it stands in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A valid name of a systemd unit, such as `nginx.service`. We check it ourselves: PID 1 is never shown a name that we did not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Unit(Arc<str>);

/// Why a text is no unit name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    /// No text, or more than the 255 bytes that systemd allows.
    #[error("a unit name has 1 to 255 bytes")]
    Length,
    /// A byte outside `A-Za-z0-9:-_.\@`.
    #[error("a unit name holds only letters, digits and :-_.\\@")]
    Byte,
    /// Not a kind of unit that can be watched.
    #[error(
        "a unit name ends in .service, .socket, .target, .mount, .timer, .path, .slice, .scope, .swap, .device or .automount"
    )]
    Suffix,
    /// `foo@.service` is a template, which cannot run.
    #[error("this is a template; name an instance of it, such as foo@bar.service")]
    Template,
}

const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "mount",
    "timer",
    "path",
    "slice",
    "scope",
    "swap",
    "device",
    "automount",
];

impl FromStr for Unit {
    type Err = InvalidUnit;
    fn from_str(s: &str) -> Result<Unit, InvalidUnit> {
        if s.is_empty() || s.len() > 255 {
            return Err(InvalidUnit::Length);
        }
        if !s.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b)) {
            return Err(InvalidUnit::Byte);
        }
        let (stem, suffix) = s.rsplit_once('.').ok_or(InvalidUnit::Suffix)?;
        if stem.is_empty() || !SUFFIXES.contains(&suffix) {
            return Err(InvalidUnit::Suffix);
        }
        if stem.ends_with('@') {
            return Err(InvalidUnit::Template);
        }
        Ok(Unit(s.into()))
    }
}

impl Unit {
    /// The name, such as `nginx.service`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of a unit: systemd's InvocationID, new at each start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for Incarnation {
    fn schema_name() -> Cow<'static, str> {
        "Incarnation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl Serialize for Incarnation {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Incarnation, D::Error> {
        let text = String::deserialize(d)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Incarnation(number.to_be_bytes()))
    }
}

/// The kernel's number of a cgroup: the inode of its directory, systemd's ControlGroupId. New at each start of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CgroupId(pub u64);

/// A TCP port, in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Port(pub u16);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One order of the policy; unique within a run of watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct OrderId(pub u64);

/// One incident: the same from its first sign to its end. `run` differs from run to run of watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    /// Drawn from the policy's seed.
    pub run: u32,
    /// Counts from 1.
    pub number: u32,
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.run, self.number)
    }
}

impl JsonSchema for IncidentId {
    fn schema_name() -> Cow<'static, str> {
        "IncidentId".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<IncidentId, D::Error> {
        let text = String::deserialize(d)?;
        let parts = text.split_once('-').and_then(|(run, number)| {
            Some(IncidentId { run: u32::from_str_radix(run, 16).ok()?, number: number.parse().ok()? })
        });
        parts.ok_or_else(|| serde::de::Error::custom("an incident id is RUN-NUMBER"))
    }
}
