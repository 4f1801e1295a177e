//! The maps that user space writes: what is watched.

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use watchdog_common::{AnswerState, MAX_CGROUPS, MAX_PORTS, PortState, Settings};

use super::error::Error;
use crate::model::{CgroupId, Port, Watch, WatchedPort};

/// Values of maps: plain bytes, by the size assertions of `watchdog-common`.
macro_rules! value {
    ($name:ident, $of:ty) => {
        #[repr(transparent)]
        #[derive(Clone, Copy)]
        struct $name($of);
        #[allow(unsafe_code, reason = "aya asks for the promise that a value is plain bytes")]
        // SAFETY: repr(C), integers only, no padding.
        unsafe impl aya::Pod for $name {}
    };
}

value!(SettingsValue, Settings);
value!(PortValue, PortState);
value!(AnswerValue, AnswerState);

/// Insert only where there is none: what the kernel noted is kept.
const BPF_NOEXIST: u64 = 1;

/// The maps of a loaded object, and what is in them.
pub(super) struct Maps {
    services: HashMap<MapData, u64, u32>,
    settings: HashMap<MapData, u32, SettingsValue>,
    ports: HashMap<MapData, u32, PortValue>,
    answers: HashMap<MapData, u32, AnswerValue>,
    lost: PerCpuArray<MapData, u64>,
    watched: Watch,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Maps, Error> {
        Ok(Maps {
            services: take(bpf, "SERVICES")?,
            settings: take(bpf, "SETTINGS")?,
            ports: take(bpf, "PORTS")?,
            answers: take(bpf, "ANSWERS")?,
            lost: take(bpf, "LOST")?,
            watched: Watch::default(),
        })
    }

    /// Records that the kernel could not tell, since the load.
    pub(super) fn lost(&self) -> Result<u64, Error> {
        let values = self.lost.get(&0, 0).map_err(|source| Error::Map { name: "LOST", source })?;
        Ok(values.iter().sum())
    }

    /// Makes the maps hold this and nothing else; `true` when there are new ports, whose listeners must be looked for. What
    /// stays keeps the kernel's notes. After an error, what was done is known, and the rest is tried again the next time.
    pub(super) fn watch(&mut self, wanted: &Watch) -> Result<bool, Error> {
        if wanted.cgroups.len() > MAX_CGROUPS {
            return Err(Error::TooMany { what: "cgroups", limit: MAX_CGROUPS });
        }
        if wanted.ports.len() > MAX_PORTS {
            return Err(Error::TooMany { what: "ports", limit: MAX_PORTS });
        }
        let gone: Vec<CgroupId> = self.watched.cgroups.difference(&wanted.cgroups).copied().collect();
        for cgroup in gone {
            forget("SERVICES", self.services.remove(&cgroup.0))?;
            self.watched.cgroups.remove(&cgroup);
        }
        let new: Vec<CgroupId> = wanted.cgroups.difference(&self.watched.cgroups).copied().collect();
        for cgroup in new {
            let inserted = self.services.insert(cgroup.0, 1, 0);
            inserted.map_err(|source| Error::Map { name: "SERVICES", source })?;
            self.watched.cgroups.insert(cgroup);
        }
        let gone: Vec<Port> =
            self.watched.ports.keys().filter(|port| !wanted.ports.contains_key(port)).copied().collect();
        for port in gone {
            self.remove_port(port)?;
        }
        let mut new_ports = false;
        for (port, settings) in &wanted.ports {
            match self.watched.ports.get(port) {
                Some(known) if known == settings => {}
                Some(_) => self.set(*port, settings)?,
                None => {
                    self.add_port(*port, settings)?;
                    new_ports = true;
                }
            }
        }
        Ok(new_ports)
    }

    fn add_port(&mut self, port: Port, settings: &WatchedPort) -> Result<(), Error> {
        let key = u32::from(port.0);
        let inserted = self.ports.insert(key, PortValue(PortState::EMPTY), BPF_NOEXIST);
        exists("PORTS", inserted)?;
        let inserted = self.answers.insert(key, AnswerValue(AnswerState::EMPTY), BPF_NOEXIST);
        exists("ANSWERS", inserted)?;
        self.set(port, settings)
    }

    fn set(&mut self, port: Port, settings: &WatchedPort) -> Result<(), Error> {
        let value = SettingsValue(Settings {
            accept_after_ns: nanos(settings.accept_after),
            answer_after_ns: nanos(settings.answer_after),
        });
        let inserted = self.settings.insert(u32::from(port.0), value, 0);
        inserted.map_err(|source| Error::Map { name: "SETTINGS", source })?;
        self.watched.ports.insert(port, *settings);
        Ok(())
    }

    /// The removal of a value ends its timer.
    fn remove_port(&mut self, port: Port) -> Result<(), Error> {
        let key = u32::from(port.0);
        forget("PORTS", self.ports.remove(&key))?;
        forget("ANSWERS", self.answers.remove(&key))?;
        forget("SETTINGS", self.settings.remove(&key))?;
        self.watched.ports.remove(&port);
        Ok(())
    }
}

/// The ring buffer.
pub(super) fn events(bpf: &mut Ebpf) -> Result<RingBuf<MapData>, Error> {
    take(bpf, "EVENTS")
}

fn take<T: TryFrom<Map, Error = MapError>>(bpf: &mut Ebpf, name: &'static str) -> Result<T, Error> {
    let map = bpf.take_map(name).ok_or(Error::NoMap { name })?;
    T::try_from(map).map_err(|source| Error::Map { name, source })
}

/// What is not there any more need not be removed.
fn forget(name: &'static str, removed: Result<(), MapError>) -> Result<(), Error> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if is(&error, rustix::io::Errno::NOENT) => Ok(()),
        other => other.map_err(|source| Error::Map { name, source }),
    }
}

/// What is there already need not be added.
fn exists(name: &'static str, inserted: Result<(), MapError>) -> Result<(), Error> {
    match inserted {
        Err(MapError::SyscallError(error)) if is(&error, rustix::io::Errno::EXIST) => Ok(()),
        other => other.map_err(|source| Error::Map { name, source }),
    }
}

fn is(error: &aya::sys::SyscallError, errno: rustix::io::Errno) -> bool {
    error.io_error.raw_os_error() == Some(errno.raw_os_error())
}

/// Never 0: a timer must not run at once, for ever.
fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).clamp(1_000_000, 3_600_000_000_000)
}
