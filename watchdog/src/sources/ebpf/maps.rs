//! The maps that user space writes: what is watched.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use watchdog_common::{AnswerState, CgroupState, MAINS, MAX_CGROUPS, MAX_PORTS, Mains, PortState, Settings};

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

value!(MainsValue, Mains);
value!(CgroupValue, CgroupState);
value!(SettingsValue, Settings);
value!(PortValue, PortState);
value!(AnswerValue, AnswerState);

/// Insert only where there is none: what the kernel noted is kept.
const BPF_NOEXIST: u64 = 1;

/// The maps of a loaded object, and what is in them.
pub(super) struct Maps {
    services: HashMap<MapData, u64, MainsValue>,
    cgroups: HashMap<MapData, u64, CgroupValue>,
    settings: HashMap<MapData, u32, SettingsValue>,
    ports: HashMap<MapData, u32, PortValue>,
    answers: HashMap<MapData, u32, AnswerValue>,
    lost: PerCpuArray<MapData, u64>,
    watched: Watch,
    seed_owed: bool,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Maps, Error> {
        Ok(Maps {
            services: take(bpf, "SERVICES")?,
            cgroups: take(bpf, "CGROUPS")?,
            settings: take(bpf, "SETTINGS")?,
            ports: take(bpf, "PORTS")?,
            answers: take(bpf, "ANSWERS")?,
            lost: take(bpf, "LOST")?,
            watched: Watch::default(),
            seed_owed: false,
        })
    }

    /// Records that the kernel could not tell, since the load.
    pub(super) fn lost(&self) -> Result<u64, Error> {
        let values = self.lost.get(&0, 0).map_err(|source| Error::Map { name: "LOST", source })?;
        Ok(values.iter().sum())
    }

    /// Makes the maps hold this and nothing else. What stays keeps the kernel's notes. Where there is too much, the last
    /// ones are left out and named by the error. After any other error, what was done is known, and the rest is tried again
    /// the next time.
    pub(super) fn watch(&mut self, wanted: &Watch) -> Result<(), Error> {
        let (cgroups, cgroups_fit) = fitting(&wanted.cgroups, MAX_CGROUPS, "cgroups", |cgroup| cgroup.0);
        let (ports, ports_fit) = fitting(&wanted.ports, MAX_PORTS, "ports", |port| port.0);
        let (cgroups, ports) = (self.watch_cgroups(&cgroups), self.watch_ports(&ports));
        cgroups.and(ports).and(cgroups_fit).and(ports_fit)
    }

    /// There are ports whose listeners must be looked for still.
    pub(super) fn seed_owed(&self) -> bool {
        self.seed_owed
    }

    /// The listeners were looked for, or cannot be.
    pub(super) fn seeded(&mut self) {
        self.seed_owed = false;
    }

    fn watch_cgroups(&mut self, wanted: &BTreeMap<CgroupId, &Vec<u32>>) -> Result<(), Error> {
        let known = self.watched.cgroups.keys();
        let gone: Vec<CgroupId> = known.filter(|cgroup| !wanted.contains_key(cgroup)).copied().collect();
        for cgroup in gone {
            forget("SERVICES", self.services.remove(&cgroup.0))?;
            forget("CGROUPS", self.cgroups.remove(&cgroup.0))?;
            self.watched.cgroups.remove(&cgroup);
        }
        for (cgroup, mains) in wanted {
            if self.watched.cgroups.get(cgroup) == Some(mains) {
                continue;
            }
            let inserted = self.cgroups.insert(cgroup.0, CgroupValue(CgroupState::default()), BPF_NOEXIST);
            exists("CGROUPS", inserted)?;
            let inserted = self.services.insert(cgroup.0, MainsValue(latest(mains)), 0);
            inserted.map_err(|source| Error::Map { name: "SERVICES", source })?;
            self.watched.cgroups.insert(*cgroup, mains.to_vec());
        }
        Ok(())
    }

    fn watch_ports(&mut self, wanted: &BTreeMap<Port, &WatchedPort>) -> Result<(), Error> {
        let known = self.watched.ports.keys();
        let gone: Vec<Port> = known.filter(|port| !wanted.contains_key(port)).copied().collect();
        for port in gone {
            self.remove_port(port)?;
        }
        for (port, settings) in wanted {
            match self.watched.ports.get(port) {
                Some(known) if known == *settings => {}
                Some(_) => self.set(*port, settings)?,
                None => self.add_port(*port, settings)?,
            }
        }
        Ok(())
    }

    fn add_port(&mut self, port: Port, settings: &WatchedPort) -> Result<(), Error> {
        let key = u32::from(port.0);
        // remembered before anything can fail: a port that is watched already is never new again
        self.seed_owed = true;
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

/// The first ones, as many as the map holds, and which are left out.
fn fitting<'a, K: Ord + Copy, V, N: ToString>(
    wanted: &'a BTreeMap<K, V>,
    limit: usize,
    what: &'static str,
    name: impl Fn(&K) -> N,
) -> (BTreeMap<K, &'a V>, Result<(), Error>) {
    let first = wanted.iter().take(limit).map(|(key, value)| (*key, value)).collect();
    let left_out: Vec<String> = wanted.keys().skip(limit).map(|key| name(key).to_string()).collect();
    let fits = match left_out.is_empty() {
        true => Ok(()),
        false => Err(Error::TooMany { what, limit, left_out: left_out.join(", ") }),
    };
    (first, fits)
}

/// The main processes that the kernel is to know: those of the present come last.
fn latest(mains: &[u32]) -> Mains {
    let mut pids = [0; MAINS];
    pids.iter_mut().zip(mains.iter().rev()).for_each(|(slot, pid)| *slot = *pid);
    Mains { pids }
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
