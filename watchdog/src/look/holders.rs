use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
};

use procfs::{
    net::{TcpNetEntry, TcpState},
    process::{FDTarget, Process},
};

use crate::{
    model::{CgroupId, Holder, Listener, Place, UnitState},
    systemd::{Error, cgroup},
};

/// What a unit that is down will want to have when it is started.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Where it listened when it was up.
    pub places: Vec<Place>,
    /// The ports that the service's heartbeats ask.
    pub asked: BTreeSet<u16>,
    /// Units that have listened on the same places while it was up (SO_REUSEPORT): they do so beside it, not in its way.
    pub beside: BTreeSet<String>,
}

/// Who listens where the unit wants to, and is no process of the unit and no socket that systemd holds for it.
/// `listeners` is the kernel's table of this moment. One whose cgroup the kernel does not tell is left out.
///
/// # Errors
/// [`Error::NoCgroup2`], and [`Error::Cgroup`] when /proc cannot be read.
pub fn holders(unit: &UnitState, sought: &Sought, listeners: &[Listener]) -> Result<Vec<Holder>, Error> {
    let rivals = rivals(&wanted(sought, &ephemeral()), listeners);
    if rivals.is_empty() {
        return Ok(Vec::new());
    }
    let mount = cgroup::mount()?;
    let found = rivals.into_iter().filter_map(|(address, id)| {
        let directory = cgroup::directory(&mount, id);
        let path = directory.as_deref().and_then(|it| it.strip_prefix(&mount).ok()).unwrap_or(Path::new(""));
        if is_own(unit, id, path) || sought.beside.contains(&unit_in(path)) {
            return None;
        }
        let (pid, comm) = directory.as_deref().and_then(|it| process(it, address)).unwrap_or_default();
        Some(Holder { place: address.to_string(), pid, comm, cgroup: Some(id), unit: unit_in(path) })
    });
    Ok(found.collect())
}

/// The units that listen on the same places as this cgroup, which is that of a unit that is up. By name: a unit that was
/// restarted has another cgroup.
///
/// # Errors
/// As [`holders`].
pub fn beside(cgroup: CgroupId, listeners: &[Listener]) -> Result<BTreeSet<String>, Error> {
    let others = others(cgroup, listeners);
    if others.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mount = cgroup::mount()?;
    let name = |id| {
        let directory = cgroup::directory(&mount, id)?;
        let path = directory.strip_prefix(&mount).ok()?;
        Some(unit_in(path)).filter(|name| !name.is_empty())
    };
    Ok(others.into_iter().filter_map(name).collect())
}

fn others(own: CgroupId, listeners: &[Listener]) -> BTreeSet<CgroupId> {
    let is_own = |listener: &&Listener| listener.cgroup == Some(own);
    let places: Vec<Place> = listeners.iter().filter(is_own).map(|listener| listener.place.clone()).collect();
    rivals(&places, listeners).into_iter().map(|(_, id)| id).filter(|id| *id != own).collect()
}

/// Without the ports that the kernel gave it, unless a heartbeat asks them: the next start gets others.
fn wanted(sought: &Sought, ephemeral: &RangeInclusive<u16>) -> Vec<Place> {
    let fixed = |place: &&Place| match place {
        Place::Tcp(address) => !ephemeral.contains(&address.port()) || sought.asked.contains(&address.port()),
        Place::Unix(_) => true,
    };
    sought.places.iter().filter(fixed).cloned().collect()
}

/// The ports that the kernel gives to who asks for any; none where it does not tell.
pub fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range(&text).unwrap_or(RangeInclusive::new(1, 0))
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

/// Listeners that stand in the way, each once, also where it has many sockets (SO_REUSEPORT).
fn rivals(wanted: &[Place], listeners: &[Listener]) -> BTreeSet<(SocketAddr, CgroupId)> {
    let stands_in_the_way = |listener: &&Listener| wanted.iter().any(|place| overlap(place, &listener.place));
    let rival = |listener: &Listener| match (&listener.place, listener.cgroup) {
        (Place::Tcp(address), Some(cgroup)) => Some((*address, cgroup)),
        (Place::Tcp(_) | Place::Unix(_), _) => None,
    };
    listeners.iter().filter(stands_in_the_way).filter_map(rival).collect()
}

/// Whether both cannot be listened on by two programs: `[::]` usually means all IPv4 addresses too.
fn overlap(one: &Place, other: &Place) -> bool {
    let (Place::Tcp(one), Place::Tcp(other)) = (one, other) else { return false };
    let (first, second) = (one.ip().to_canonical(), other.ip().to_canonical());
    let takes_in = |all: IpAddr, part: IpAddr| all.is_unspecified() && (all.is_ipv6() || part.is_ipv4());
    one.port() == other.port() && (first == second || takes_in(first, second) || takes_in(second, first))
}

/// Whether a listener's cgroup is the unit's own, PID 1's, or that of a socket unit that starts the unit.
fn is_own(unit: &UnitState, id: CgroupId, path: &Path) -> bool {
    let names = || path.iter().filter_map(|name| name.to_str());
    let own = unit.unit.as_str();
    let socket = |name: &str| {
        name.strip_suffix(".socket")
            .is_some_and(|stem| unit.socket_activated || own.strip_suffix(".service") == Some(stem))
    };
    let holds_for_it = names().next_back().is_some_and(|last| last == "init.scope" || socket(last));
    unit.cgroup == Some(id) || names().any(|name| name == own) || holds_for_it
}

/// The innermost unit of a cgroup's path, else its last part.
pub(super) fn unit_in(path: &Path) -> String {
    let is_unit = |name: &&str| [".service", ".scope", ".socket"].iter().any(|kind| name.ends_with(kind));
    let mut names = path.iter().rev().filter_map(|name| name.to_str());
    let last = names.clone().next();
    names.find(is_unit).or(last).unwrap_or_default().to_owned()
}

/// The process of a cgroup that holds the listener of this address, and its name.
fn process(directory: &Path, address: SocketAddr) -> Option<(u32, String)> {
    let procs = fs::read_to_string(directory.join("cgroup.procs")).ok()?;
    let pids: Vec<i32> = procs.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect();
    let pid = match pids.as_slice() {
        [only] => *only,
        many => {
            let inodes = inodes(address);
            *many.iter().find(|pid| holds(**pid, &inodes))?
        }
    };
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((u32::try_from(pid).ok()?, comm.trim_end().to_owned()))
}

fn holds(pid: i32, inodes: &BTreeSet<u64>) -> bool {
    let descriptors = Process::new(pid).and_then(|process| process.fd());
    let of_listener = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
    descriptors.into_iter().flatten().flatten().any(|it| of_listener(&it.target))
}

/// The sockets that listen on an address. The table lists all connections too: read only when a cgroup has many processes.
fn inodes(address: SocketAddr) -> BTreeSet<u64> {
    let table = if address.is_ipv4() { procfs::net::tcp() } else { procfs::net::tcp6() };
    let listens = |entry: &TcpNetEntry| entry.state == TcpState::Listen && entry.local_address == address;
    table.into_iter().flatten().filter(listens).map(|entry| entry.inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, held: &str, is_rival: bool) {
        let place = |text: &str| Place::Tcp(text.parse().expect("an address"));
        let listener = Listener { place: place(held), cgroup: Some(CgroupId(7)), queue: 0, limit: 0 };
        assert_eq!(!rivals(&[place(wanted)], &[listener]).is_empty(), is_rival, "{wanted} and {held}");
    }

    #[test]
    fn two_programs_cannot_listen_on_addresses_that_overlap() {
        check("0.0.0.0:80", "0.0.0.0:80", true);
        check("0.0.0.0:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("0.0.0.0:80", "[::]:80", true);
        check("[::1]:80", "[::]:80", true);
        check("[::ffff:10.0.0.1]:80", "10.0.0.1:80", true);
        check("0.0.0.0:80", "[::1]:80", false);
        check("10.0.0.1:80", "10.0.0.2:80", false);
        check("0.0.0.0:80", "0.0.0.0:8080", false);
    }

    #[test]
    fn who_listens_on_the_same_places_as_a_unit_that_is_up_stands_beside_it() {
        let listener = |text: &str, cgroup| Listener {
            place: Place::Tcp(text.parse().expect("an address")),
            cgroup,
            queue: 0,
            limit: 0,
        };
        let app = |port: u16, number| listener(&format!("0.0.0.0:{port}"), Some(CgroupId(number)));
        let table = [app(80, 1), app(80, 2), app(80, 2), app(81, 3), listener("[::]:80", None)];
        assert_eq!(others(CgroupId(1), &table), [CgroupId(2)].into());
        assert_eq!(others(CgroupId(2), &table), [CgroupId(1)].into());
        assert_eq!(others(CgroupId(3), &table), [].into());
        assert_eq!(others(CgroupId(4), &table), [].into(), "it listens nowhere");
    }

    #[test]
    fn a_port_that_the_kernel_chose_is_not_wanted_again_unless_a_heartbeat_asks_it() {
        let places: Vec<Place> =
            [80, 32768, 40000, 60999].map(|port| Place::Tcp(SocketAddr::from(([0, 0, 0, 0], port)))).into();
        let sought = Sought { places: places.clone(), asked: [40000].into(), beside: [].into() };
        let chosen = range("32768\t60999\n").expect("a range");
        assert_eq!(wanted(&sought, &chosen), [places[0].clone(), places[2].clone()]);
        assert_eq!(range(""), None);
    }

    #[test]
    fn a_unit_is_read_from_the_path_of_its_cgroup() {
        let names = [
            ("system.slice/apache2.service", "apache2.service"),
            ("system.slice/php.service/worker", "php.service"),
            ("user.slice/user-0.slice/session-3.scope", "session-3.scope"),
            ("init.scope", "init.scope"),
            ("docker/4711", "4711"),
            ("", ""),
        ];
        for (path, unit) in names {
            assert_eq!(unit_in(Path::new(path)), unit);
        }
    }
}
