//! The maps that user space writes: what is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray},
};
use watchdog_common::{
    AnswerState, CgroupState, ErrorState, KINDS, Lost, MAINS, MAX_CGROUPS, MAX_PORTS, Mains, NAME_BYTES,
    PortState, Settings,
};

use super::{error::Error, found::Found};
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
value!(LostValue, Lost);
value!(ErrorValue, ErrorState);

/// Insert only where there is none: what the kernel noted is kept.
const BPF_NOEXIST: u64 = 1;

/// The cgroup of each main process, and what of it was written there.
type MainPids = (HashMap<MapData, u32, u64>, BTreeMap<u32, u64>);

/// The maps of the probes, and what is in them.
pub(super) struct Maps {
    services: HashMap<MapData, u64, MainsValue>,
    added: Array<MapData, u64>,
    cgroups: HashMap<MapData, u64, CgroupValue>,
    settings: HashMap<MapData, u32, SettingsValue>,
    ports: HashMap<MapData, u32, PortValue>,
    answers: HashMap<MapData, u32, AnswerValue>,
    errors: HashMap<MapData, u32, ErrorValue>,
    lost: PerCpuArray<MapData, LostValue>,
    /// For the second rung only: whose each main process is, and what we wrote there.
    main_pids: Option<MainPids>,
    names: HashMap<MapData, u64, [u8; NAME_BYTES]>,
    watched: Watch,
    seed_owed: bool,
}

impl Maps {
    /// Takes the maps; nothing is watched yet.
    pub(super) fn new(found: &mut Found) -> Result<Maps, Error> {
        Ok(Maps {
            services: found.take("SERVICES")?,
            added: found.take("ADDED")?,
            cgroups: found.take("CGROUPS")?,
            settings: found.take("SETTINGS")?,
            ports: found.take("PORTS")?,
            answers: found.take("ANSWERS")?,
            errors: found.take("ERRORS")?,
            lost: found.take("LOST")?,
            main_pids: None,
            names: found.take("NAMES")?,
            watched: Watch::default(),
            seed_owed: false,
        })
    }

    /// Has main processes known by their numbers, and ourselves by ours: the second rung wants both.
    pub(super) fn for_classic(&mut self, bpf: &mut Ebpf) -> Result<(), Error> {
        let mut take = |name| bpf.take_map(name).ok_or(Error::NoMap { name });
        let main_pids = HashMap::try_from(take("MAIN_PIDS")?);
        self.main_pids =
            Some((main_pids.map_err(|source| Error::Map { name: "MAIN_PIDS", source })?, BTreeMap::new()));
        let own = |source| Error::Map { name: "OWN", source };
        let mut map = Array::<_, u32>::try_from(take("OWN")?).map_err(own)?;
        map.set(0, std::process::id(), 0).map_err(own)
    }

    /// Tells the second rung which main processes there are, one that is watched for a moment among them.
    fn tell_mains(&mut self, lent: Option<(u32, u64)>) -> Result<(), Error> {
        let Some((map, known)) = &mut self.main_pids else { return Ok(()) };
        let each =
            self.watched.cgroups.iter().flat_map(|(cgroup, pids)| pids.iter().map(|pid| (*pid, cgroup.0)));
        let wanted: BTreeMap<u32, u64> = each.chain(lent).collect();
        let gone: Vec<u32> = known.keys().filter(|pid| !wanted.contains_key(pid)).copied().collect();
        for pid in gone {
            forget("MAIN_PIDS", map.remove(&pid))?;
            known.remove(&pid);
        }
        for (pid, cgroup) in wanted {
            if known.get(&pid) != Some(&cgroup) {
                map.insert(pid, cgroup, 0).map_err(|source| Error::Map { name: "MAIN_PIDS", source })?;
                known.insert(pid, cgroup);
            }
        }
        Ok(())
    }

    /// Reads from maps that others wrote what is watched, and clears away what they did not write whole.
    pub(super) fn read(&mut self) -> Result<(), Error> {
        // whoever wrote them may have died before it counted the last one
        self.count_added()?;
        let services: BTreeMap<u64, MainsValue> = all("SERVICES", self.services.iter())?;
        let cgroups: BTreeSet<u64> = all("CGROUPS", self.cgroups.keys())?;
        for cgroup in cgroups.iter().filter(|cgroup| !services.contains_key(cgroup)) {
            forget("CGROUPS", self.cgroups.remove(cgroup))?;
        }
        for (cgroup, MainsValue(mains)) in services {
            if cgroups.contains(&cgroup) {
                let pids = mains.pids.into_iter().rev().filter(|pid| *pid != 0).collect();
                self.watched.cgroups.insert(CgroupId(cgroup), pids);
            } else {
                forget("SERVICES", self.services.remove(&cgroup))?;
            }
        }
        let settings: BTreeMap<u32, SettingsValue> = all("SETTINGS", self.settings.iter())?;
        let ports: BTreeSet<u32> = all("PORTS", self.ports.keys())?;
        let answers: BTreeSet<u32> = all("ANSWERS", self.answers.keys())?;
        let errors: BTreeSet<u32> = all("ERRORS", self.errors.keys())?;
        let states = [&ports, &answers, &errors];
        let known = states.into_iter().flatten().chain(settings.keys()).copied().collect::<BTreeSet<u32>>();
        for key in known {
            match (settings.get(&key), u16::try_from(key)) {
                (Some(SettingsValue(settings)), Ok(port))
                    if states.iter().all(|state| state.contains(&key)) =>
                {
                    let accept_after = Duration::from_nanos(settings.accept_after_ns);
                    let answer_after = Duration::from_nanos(settings.answer_after_ns);
                    self.watched.ports.insert(Port(port), WatchedPort { accept_after, answer_after });
                }
                (Some(_) | None, _) => self.forget_port(key)?,
            }
        }
        Ok(())
    }

    /// The last part of a cgroup's path, where a probe has noted it.
    pub(super) fn name(&self, cgroup: CgroupId) -> Option<String> {
        let name = self.names.get(&cgroup.0, 0).ok()?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// What is watched.
    pub(super) fn watched(&self) -> &Watch {
        &self.watched
    }

    /// Records of each kind that the kernel could not tell, since the load.
    pub(super) fn lost(&self) -> Result<[u64; KINDS], Error> {
        let values = self.lost.get(&0, 0).map_err(|source| Error::Map { name: "LOST", source })?;
        let mut all = [0; KINDS];
        for LostValue(lost) in values.iter() {
            all.iter_mut().zip(lost.of).for_each(|(all, lost)| *all += lost);
        }
        Ok(all)
    }

    /// Has our own cgroup watched for a while, with one main process: an error where it is watched as a service's.
    pub(super) fn lend(&mut self, cgroup: CgroupId, main: u32) -> Result<(), Error> {
        let inserted = self.cgroups.insert(cgroup.0, CgroupValue(CgroupState::default()), BPF_NOEXIST);
        inserted.map_err(|source| Error::Map { name: "CGROUPS", source })?;
        let inserted = self.services.insert(cgroup.0, MainsValue(latest(&[main])), BPF_NOEXIST);
        inserted.map_err(|source| Error::Map { name: "SERVICES", source })?;
        self.count_added()?;
        self.tell_mains(Some((main, cgroup.0)))
    }

    /// Ends that, unless it is watched as a service's by now.
    pub(super) fn take_back(&mut self, cgroup: CgroupId) -> Result<(), Error> {
        self.tell_mains(None)?;
        if self.watched.cgroups.contains_key(&cgroup) {
            return Ok(());
        }
        forget("SERVICES", self.services.remove(&cgroup.0))?;
        forget("CGROUPS", self.cgroups.remove(&cgroup.0))
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
            // before it is known here: what fails now is done again the next time
            self.count_added()?;
            self.watched.cgroups.insert(*cgroup, mains.to_vec());
        }
        self.tell_mains(None)
    }

    /// Has the programs forget which cgroups are no service's. After each that was added, never before it.
    fn count_added(&mut self) -> Result<(), Error> {
        let fault = |source| Error::Map { name: "ADDED", source };
        let so_far = self.added.get(&0, 0).map_err(fault)?;
        self.added.set(0, so_far.wrapping_add(1), 0).map_err(fault)
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
        let inserted = self.errors.insert(key, ErrorValue(ErrorState::default()), BPF_NOEXIST);
        exists("ERRORS", inserted)?;
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
        self.forget_port(u32::from(port.0))?;
        self.watched.ports.remove(&port);
        Ok(())
    }

    fn forget_port(&mut self, key: u32) -> Result<(), Error> {
        forget("PORTS", self.ports.remove(&key))?;
        forget("ANSWERS", self.answers.remove(&key))?;
        forget("ERRORS", self.errors.remove(&key))?;
        forget("SETTINGS", self.settings.remove(&key))
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

/// Everything that a map holds.
fn all<T, All: FromIterator<T>>(
    name: &'static str,
    each: impl Iterator<Item = Result<T, MapError>>,
) -> Result<All, Error> {
    each.collect::<Result<_, _>>().map_err(|source| Error::Map { name, source })
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
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).clamp(1_000_000, 3_600_000_000_000)
}
