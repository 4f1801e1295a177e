//! The maps that both sides know, by their names: of an object that was loaded here, or from another process.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, RingBuf},
};

use super::error::Error;

/// The names of all maps that user space needs.
pub(super) const NAMES: [&str; 10] =
    ["EVENTS", "SERVICES", "ADDED", "CGROUPS", "SETTINGS", "PORTS", "ANSWERS", "ERRORS", "LOST", "NAMES"];

/// Maps by their names.
pub(super) struct Found(BTreeMap<&'static str, Map>);

impl Found {
    /// Takes the maps out of a loaded object.
    pub(super) fn in_object(bpf: &mut Ebpf) -> Result<Found, Error> {
        let take = |name| Ok((name, bpf.take_map(name).ok_or(Error::NoMap { name })?));
        Ok(Found(NAMES.into_iter().map(take).collect::<Result<_, Error>>()?))
    }

    /// Takes maps that another process made, each if the kernel says that it bears this name.
    pub(super) fn among(left: Vec<(&'static str, MapData)>) -> Result<Found, Error> {
        let mut found = BTreeMap::new();
        for (name, data) in left {
            let fault = |source| Error::Map { name, source };
            if data.info().map_err(fault)?.name_as_str() != Some(name) {
                return Err(Error::NoMap { name });
            }
            found.insert(name, Map::from_map_data(data).map_err(fault)?);
        }
        Ok(Found(found))
    }

    /// Their descriptors.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.0.iter().filter_map(|(name, map)| {
            let (Map::HashMap(data)
            | Map::LruHashMap(data)
            | Map::Array(data)
            | Map::PerCpuArray(data)
            | Map::RingBuf(data)) = map
            else {
                return None;
            };
            Some((*name, data.fd().as_fd()))
        })
    }

    /// The ring buffer.
    pub(super) fn events(&mut self) -> Result<RingBuf<MapData>, Error> {
        self.take("EVENTS")
    }

    /// Each once.
    pub(super) fn take<T: TryFrom<Map, Error = MapError>>(&mut self, name: &'static str) -> Result<T, Error> {
        let map = self.0.remove(name).ok_or(Error::NoMap { name })?;
        T::try_from(map).map_err(|source| Error::Map { name, source })
    }
}
