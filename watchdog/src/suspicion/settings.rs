use std::{collections::BTreeMap, time::Duration};

use crate::model::{Connect, Service, Unit};

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Every service.
    pub services: BTreeMap<Service, Watched>,
}

/// One service, as far as signs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its unit.
    pub unit: Unit,
    /// Where its heartbeats connect, and the port of their URL (0 where there is none).
    pub connects: Vec<(Connect, u16)>,
    /// `stall.accept_after`.
    pub accept_after: Duration,
    /// `stall.answer_after`.
    pub answer_after: Duration,
}
