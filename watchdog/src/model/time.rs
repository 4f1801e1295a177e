use std::{borrow::Cow, fmt, ops, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A moment: nanoseconds of CLOCK_MONOTONIC, the clock of the kernel's events, so that kernel and user times subtract
/// exactly. Serialised as microseconds, for nanoseconds outgrow JSON numbers; so whoever reads a clock rounds to them
/// ([`Mono::whole`]), and a recorded stream replays as a test, bit for bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to here; zero where `earlier` is later (clocks of two CPUs may differ by microseconds).
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment as the event stream can tell it.
    pub fn whole(self) -> Mono {
        Mono(self.0 / 1_000 * 1_000)
    }

    /// Microseconds, the unit of the event stream.
    pub fn micros(self) -> u64 {
        self.0 / 1_000
    }
}

impl ops::Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))).whole()
    }
}

impl fmt::Display for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

impl JsonSchema for Mono {
    fn schema_name() -> Cow<'static, str> {
        "Mono".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        u64::json_schema(generator)
    }
}

impl Serialize for Mono {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.micros())
    }
}

impl<'de> Deserialize<'de> for Mono {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Mono, D::Error> {
        Ok(Mono(u64::deserialize(d)?.saturating_mul(1_000)))
    }
}

/// Wall-clock time in microseconds since 1970, for people and for pauses that outlive a boot; never compared with [`Mono`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// Durations as the event stream writes them: whole microseconds, the unit of [`Mono`].
pub(super) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::model) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_micros(u64::deserialize(d)?))
    }
}

/// The same where there may be none.
pub(super) mod micros_or_none {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::model) fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match d {
            Some(d) => super::micros::serialize(d, s),
            None => s.serialize_none(),
        }
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_micros))
    }
}
