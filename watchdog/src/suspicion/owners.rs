use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use super::settings::{Settings, Watched};
use crate::model::{CgroupId, Connect, Incarnation, Listener, Place, Port, Service, UnitState};

/// How many main processes of one unit are remembered: systemd forgets the PID of a dead one before or after we hear of it.
const MAINS_KEPT: usize = 4;

/// Who owns which cgroup and which listener.
#[derive(Debug, Default)]
pub(super) struct Owners {
    known: BTreeMap<Service, Known>,
    listeners: Vec<Listener>,
}

#[derive(Debug, Default)]
struct Known {
    incarnation: Option<Incarnation>,
    /// Of the present incarnation, or of the last one while the unit is down.
    cgroup: Option<CgroupId>,
    /// Its path below the cgroup2 mount, while the unit has one.
    path: String,
    /// The same, kept while it is down: it comes back there.
    last_path: String,
    /// Main processes, the latest last, each in its cgroup.
    mains: Vec<(CgroupId, u32)>,
    /// Those of them whose end was told: two sources may see it.
    ended: BTreeSet<(CgroupId, u32)>,
    /// Where the unit listens, or did when it was last up.
    places: BTreeSet<Place>,
}

/// What was not known of a unit.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Its cgroup, or a main process of it.
    pub(super) processes: bool,
    /// It is another run or it came up: the listeners must be read again.
    pub(super) listeners: bool,
}

impl Owners {
    pub(super) fn keep(&mut self, stays: impl Fn(&Service) -> bool) {
        self.known.retain(|service, _| stays(service));
    }

    /// Takes over from a watchdog before this one which cgroup was this service's, with its main processes.
    pub(super) fn inherit(&mut self, service: &Service, cgroup: CgroupId, mains: &[u32]) {
        let known = self.known.entry(service.clone()).or_default();
        known.cgroup = Some(cgroup);
        known.mains = mains.iter().map(|pid| (cgroup, *pid)).collect();
    }

    /// Takes what systemd says of a unit.
    pub(super) fn unit(&mut self, service: &Service, state: &UnitState) -> News {
        let known = match self.known.get_mut(service) {
            Some(known) => known,
            None => self.known.entry(service.clone()).or_default(),
        };
        let mut news = News::default();
        known.path.clone_from(&state.cgroup_path);
        if !known.path.is_empty() && known.path != known.last_path {
            known.last_path.clone_from(&known.path);
            news.processes = true;
        }
        if let Some(cgroup) = state.cgroup {
            news.processes |= known.cgroup != Some(cgroup);
            known.cgroup = Some(cgroup);
            if let Some(pid) = state.main_pid.filter(|pid| !known.mains.contains(&(cgroup, *pid))) {
                if known.mains.len() == MAINS_KEPT {
                    known.mains.remove(0);
                }
                known.mains.push((cgroup, pid));
                news.processes = true;
            }
        }
        let another_run = state.incarnation.is_some() && state.incarnation != known.incarnation;
        if another_run {
            known.incarnation = state.incarnation;
            known.ended.clear();
        }
        news.listeners = (news.processes || another_run) && !state.active.is_down();
        news
    }

    /// Takes the whole table of listeners. A unit that listens nowhere keeps its last places: a start will want them.
    pub(super) fn listeners(&mut self, listeners: &[Listener], settings: &Settings) {
        self.listeners = listeners.to_vec();
        for service in settings.services.keys() {
            let Some(known) = self.known.get_mut(service) else { continue };
            let own = listeners.iter().filter(|l| l.cgroup.is_some() && l.cgroup == known.cgroup);
            let places: BTreeSet<Place> = own.map(|l| l.place.clone()).collect();
            if !places.is_empty() {
                known.places = places;
            }
        }
    }

    pub(super) fn without_port(&self, listeners: &[Listener]) -> Vec<(CgroupId, String)> {
        let up = self.known.values().filter(|known| !known.path.is_empty());
        up.filter_map(|known| Some((known.cgroup?, known.path.clone())))
            .filter(|(cgroup, _)| listeners.iter().all(|listener| listener.cgroup != Some(*cgroup)))
            .collect()
    }

    pub(super) fn of_cgroup(&self, cgroup: CgroupId) -> Option<Service> {
        let owns = |known: &Known| known.cgroup == Some(cgroup);
        self.known.iter().find(|(_, known)| owns(known)).map(|(service, _)| service.clone())
    }

    pub(super) fn is_main(&self, service: &Service, cgroup: CgroupId, pid: u32) -> bool {
        pid != 0 && self.known.get(service).is_some_and(|known| known.mains.contains(&(cgroup, pid)))
    }

    /// Whether it is known which process of this cgroup is the main one.
    pub(super) fn knows_main(&self, service: &Service, cgroup: CgroupId) -> bool {
        self.known.get(service).is_some_and(|known| known.mains.iter().any(|(of, _)| *of == cgroup))
    }

    /// The end of a main process is told; `false` where it was told before.
    pub(super) fn ends(&mut self, service: &Service, cgroup: CgroupId, pid: u32) -> bool {
        let Some(known) = self.known.get_mut(service) else { return true };
        known.ended.retain(|main| known.mains.contains(main));
        known.ended.insert((cgroup, pid))
    }

    pub(super) fn owns(&self, service: &Service, port: Port) -> bool {
        self.ports(service).any(|p| p == port)
    }

    pub(super) fn ports(&self, service: &Service) -> impl Iterator<Item = Port> {
        let places = self.known.get(service).into_iter().flat_map(|known| &known.places);
        places.filter_map(|place| match place {
            Place::Tcp(address) => Some(Port(address.port())),
            Place::Unix(_) => None,
        })
    }

    pub(super) fn paths(&self, service: &Service) -> impl Iterator<Item = &PathBuf> {
        let places = self.known.get(service).into_iter().flat_map(|known| &known.places);
        places.filter_map(|place| match place {
            Place::Tcp(_) => None,
            Place::Unix(path) => Some(path),
        })
    }

    /// Each cgroup with its main processes, the latest last.
    pub(super) fn cgroups(&self) -> BTreeMap<CgroupId, Vec<u32>> {
        let of = |known: &Known, cgroup| {
            let mains = known.mains.iter().filter(|(own, _)| *own == cgroup);
            (cgroup, mains.map(|(_, pid)| *pid).collect())
        };
        self.known.values().filter_map(|known| Some(of(known, known.cgroup?))).collect()
    }

    /// Each cgroup with its service.
    pub(super) fn services(&self) -> impl Iterator<Item = (CgroupId, &Service)> {
        self.known.iter().filter_map(|(service, known)| Some((known.cgroup?, service)))
    }

    /// The path of the cgroup of this service's unit, also while it is down; `None` until it was first seen.
    pub(super) fn last_path(&self, service: &Service) -> Option<&str> {
        self.known.get(service).map(|known| known.last_path.as_str()).filter(|path| !path.is_empty())
    }

    /// An address that reaches the unit's listener for this port: its own, with loopback for "all addresses".
    pub(super) fn address(&self, service: &Service, port: Port) -> SocketAddr {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port.0));
        let places = self.known.get(service).into_iter().flat_map(|known| &known.places);
        let own: Vec<SocketAddr> = places
            .filter_map(|place| match place {
                Place::Tcp(address) if address.port() == port.0 => Some(*address),
                Place::Tcp(_) | Place::Unix(_) => None,
            })
            .map(reachable)
            .collect();
        let best = own.iter().find(|a| a.is_ipv4() && a.ip().is_loopback()).or_else(|| own.first());
        best.copied().unwrap_or(loopback)
    }

    /// Where a start of the unit will want to listen: where it did last, else the ports of its own heartbeats.
    pub(super) fn places(&self, service: &Service, settings: &Settings) -> Vec<Place> {
        let known = self.known.get(service).map(|known| &known.places).filter(|places| !places.is_empty());
        if let Some(places) = known {
            return places.iter().cloned().collect();
        }
        let connects = settings.services.get(service).into_iter().flat_map(|watched| &watched.connects);
        let own = connects.filter(|(connect, port)| *connect == Connect::Own && *port != 0);
        own.map(|(_, port)| Place::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port)))).collect()
    }

    /// The services whose listeners the heartbeats of this one connect to. Where nothing listens, those that last did: a front
    /// end that is down is what is sick then, and not what stands behind it.
    pub(super) fn fronts(&self, service: &Service, watched: &Watched) -> BTreeSet<Service> {
        let asked = watched.connects.iter().filter_map(|(connect, port)| match connect {
            Connect::Own => Some(Place::Tcp(self.address(service, Port(*port)))),
            Connect::Address(address) => Some(Place::Tcp(*address)),
            Connect::Unix(path) => Some(Place::Unix(path.clone())),
            Connect::Dns => None,
        });
        asked.flat_map(|place| self.in_front(&place)).filter(|owner| owner != service).collect()
    }

    fn in_front(&self, asked: &Place) -> BTreeSet<Service> {
        let serving: Vec<&Listener> = self.listeners.iter().filter(|l| serves(&l.place, asked)).collect();
        if serving.is_empty() {
            let served = |known: &Known| known.places.iter().any(|place| serves(place, asked));
            return self
                .known
                .iter()
                .filter(|(_, k)| served(k))
                .map(|(service, _)| service.clone())
                .collect();
        }
        // the kernel prefers the listener of just this address to one of all addresses
        let exact = serving.iter().any(|l| l.place == *asked);
        let taken = serving.into_iter().filter(|l| !exact || l.place == *asked);
        taken.filter_map(|l| self.of_cgroup(l.cgroup?)).collect()
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether a connection to `asked` ends at `listener`.
fn serves(listener: &Place, asked: &Place) -> bool {
    match (listener, asked) {
        (Place::Tcp(l), Place::Tcp(a)) => {
            l.port() == a.port()
                && (l.ip() == a.ip()
                    || (l.ip().is_unspecified() && (l.is_ipv4() == a.is_ipv4() || l.is_ipv6())))
        }
        (Place::Unix(l), Place::Unix(a)) => l == a,
        (Place::Tcp(_), Place::Unix(_)) | (Place::Unix(_), Place::Tcp(_)) => false,
    }
}
