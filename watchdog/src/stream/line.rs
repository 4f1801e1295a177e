//! One line: a record in its CloudEvents envelope.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Error, Record, data};
use crate::{
    clock,
    model::{Mono, Service, Unit},
};

/// In every line; grows when an old reader would misread a new line.
pub const SCHEMA_VERSION: u64 = 1;

/// A record as it is written: by whom and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Unique for its source: the run and a number that counts the run's lines.
    pub id: String,
    /// `watchdog/HOST`.
    pub source: String,
    /// When the record's event happened, by the wall clock of the moment it was written.
    pub time: Timestamp,
    /// The unit that it is about, named or not.
    pub unit: Option<Unit>,
    /// What happened.
    pub record: Record,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Service>,
    time: String,
    schemaversion: u64,
    data: Map<String, Value>,
}

impl Line {
    /// The line, without the newline that ends it.
    pub fn to_json(&self) -> Vec<u8> {
        let envelope = Envelope {
            specversion: "1.0".into(),
            id: self.id.clone(),
            source: self.source.clone(),
            kind: self.record.said.kind().into(),
            subject: self.record.subject.clone(),
            time: format!("{:.6}", self.time),
            schemaversion: SCHEMA_VERSION,
            data: data::write(&self.record, self.unit.as_ref()),
        };
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}

/// Reads a line back.
pub fn read(line: &str) -> Result<Line, Error> {
    let envelope: Envelope = serde_json::from_str(line).map_err(Error::Unreadable)?;
    if envelope.schemaversion != SCHEMA_VERSION {
        return Err(Error::Version { got: envelope.schemaversion });
    }
    let time = envelope
        .time
        .parse()
        .map_err(|error| Error::Unreadable(serde::de::Error::custom::<jiff::Error>(error)))?;
    let unit = envelope.data.get("unit").and_then(|unit| unit.as_str()?.parse().ok());
    let record = data::read(&envelope.kind, envelope.subject, envelope.data)?;
    Ok(Line { id: envelope.id, source: envelope.source, time, unit, record })
}

/// Puts records into lines.
pub(super) struct Stamp {
    pub(super) run: String,
    pub(super) source: String,
    pub(super) lines: AtomicU64,
    pub(super) units: RwLock<BTreeMap<Service, Unit>>,
}

impl Stamp {
    /// A new run: told from all others of this host by when it began and its PID.
    pub(super) fn new() -> Stamp {
        let began = Timestamp::now().as_microsecond();
        let name = rustix::system::uname();
        let host: String = name.nodename().to_string_lossy().chars().map(in_uri).collect();
        Stamp {
            run: format!("{began:x}-{}", std::process::id()),
            source: format!("watchdog/{host}"),
            lines: AtomicU64::new(0),
            units: RwLock::default(),
        }
    }

    pub(super) fn know(&self, units: BTreeMap<Service, Unit>) {
        *self.units.write().unwrap_or_else(PoisonError::into_inner) = units;
    }

    fn unit(&self, service: &Service) -> Option<Unit> {
        self.units.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    pub(super) fn line(&self, record: &Record) -> Line {
        let number = self.lines.fetch_add(1, Ordering::Relaxed) + 1;
        Line {
            id: format!("{}-{number}", self.run),
            source: self.source.clone(),
            time: wall(record.at),
            unit: record.said.unit().cloned().or_else(|| self.unit(record.subject.as_ref()?)),
            record: record.clone(),
        }
    }
}

fn wall(at: Mono) -> Timestamp {
    let (now, wall) = (clock::now(), Timestamp::now());
    let ago =
        i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(i64::try_from(at.0).unwrap_or(i64::MAX));
    wall.checked_sub(SignedDuration::from_nanos(ago)).unwrap_or(wall)
}

fn in_uri(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "-._".contains(letter) { letter } else { '-' }
}
