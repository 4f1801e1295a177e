use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::model::{Connect, Port, Service, Unit};

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
    /// A heartbeat of it can be asked. Where none can, only its end is worth telling.
    pub asked: bool,
    /// `stall.accept_after`.
    pub accept_after: Duration,
    /// `stall.answer_after`.
    pub answer_after: Duration,
    /// `stall.status_5xx`.
    pub status_5xx: bool,
}

impl Watched {
    /// The TCP ports on this host that its heartbeats connect to.
    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.connects.iter().filter_map(|(connect, port)| match connect {
            Connect::Own | Connect::Dns => (*port != 0).then_some(Port(*port)),
            Connect::Address(address) => Some(Port(address.port())),
            Connect::Unix(_) => None,
        })
    }

    /// The Unix sockets that its heartbeats connect to.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.connects.iter().filter_map(|(connect, _)| match connect {
            Connect::Unix(path) => Some(path),
            Connect::Own | Connect::Dns | Connect::Address(_) => None,
        })
    }
}
