//! Looks who listens on this host, and asks each as a heartbeat would.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use futures_util::future::join_all;

use super::{fix, survey};
use crate::{
    config::discover::{Behind, Door, Findings, LeftOut, Listening, Speech},
    explain::Known,
    heartbeat::{Heart, Profiles, Settings, Spot, Target, Tls},
    look::{self, Home},
    model::{Answer, Ask, Connect, End, FileState, LoadState, OrderId, Place, Service, Unit},
    sources::sock_diag::{self, SockDiag},
    systemd,
};

/// For so long each question waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many processes of a unit are looked at: its main one, mostly the oldest, holds all its listeners.
const LOOKED_AT: usize = 3;
/// A heartbeat more would tell nothing new.
const MOST_DOORS: usize = 8;

/// Protocols that are no HTTP, and whose servers complain of it: ftp, ssh, telnet, smtp, dns, pop3, portmapper, imap, ldap, smtps,
/// submission, ldaps, domain over TLS, imaps, pop3s, SQL servers, FastCGI, redis, memcached and others.
const NOT_HTTP: [u16; 26] = [
    21, 22, 23, 25, 53, 110, 111, 143, 389, 465, 587, 636, 853, 993, 995, 1433, 1521, 1883, 3306, 5432, 5672,
    6379, 9000, 11211, 27017, 33060,
];
/// Units whose own sockets stand behind a front end.
const BACKENDS: [&str; 7] = ["fpm", "fcgi", "uwsgi", "gunicorn", "puma", "unicorn", "fastcgi"];

/// Who is not root sees less.
pub(super) const UNSEEN: &str = "not root: which listeners they hold is not seen, and units are missing here for it; try `sudo watchdog discover`";

/// Why nobody could look.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The table of sockets.
    #[error(transparent)]
    Sockets(#[from] sock_diag::Error),
    /// The cgroups, or systemd.
    #[error(transparent)]
    Systemd(#[from] systemd::Error),
    /// No runtime.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
}

/// What listens here.
///
/// # Errors
/// [`Error`].
pub(super) fn look() -> Result<Findings, Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(looked())
}

/// The same inside a runtime.
pub(super) async fn looked() -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let places = places(&mut findings.left_out)?;
    let connection = survey::connect().await?;
    let known = survey::units(&connection, places.keys().cloned().collect()).await;
    let asked = places.into_iter().filter_map(|(unit, places)| {
        let known = known.get(&unit)?;
        match unfit(&unit, known, &places) {
            Some(why) => {
                findings.left_out.push(LeftOut { what: unit.to_string(), why });
                None
            }
            None => Some(ask(unit, known, places)),
        }
    });
    let units = join_all(asked.collect::<Vec<_>>()).await;
    for (unit, left_out) in units {
        findings.units.extend(unit);
        findings.left_out.extend(left_out);
    }
    if !rustix::process::geteuid().is_root() {
        findings.left_out.push(LeftOut { what: "processes of other users".into(), why: UNSEEN.into() });
    }
    findings.left_out.sort_by(|one, other| one.what.cmp(&other.what));
    Ok(findings)
}

/// Where one unit listens.
#[derive(Debug, Default)]
struct Places {
    /// Each with whether systemd made it.
    tcp: BTreeMap<SocketAddr, bool>,
    unix: BTreeSet<PathBuf>,
}

/// Which unit listens where: by the cgroup in which a listener was made, and by the files of its main processes.
fn places(left_out: &mut Vec<LeftOut>) -> Result<BTreeMap<Unit, Places>, Error> {
    let mut sockets = SockDiag::open()?;
    let listeners = sockets.listeners()?;
    let homes = look::homes()?;
    let is_service = |home: &&Home| home.unit.ends_with(".service");
    let processes =
        homes.iter().filter(is_service).flat_map(|home| home.processes.iter().copied().take(LOOKED_AT));
    let held = sockets.held_by(processes)?;
    let mut all: BTreeMap<Unit, Places> = BTreeMap::new();
    let mut unowned: BTreeSet<(SocketAddr, &str)> = BTreeSet::new();
    for home in homes.iter().filter(is_service) {
        let Ok(unit) = home.unit.parse::<Unit>() else { continue };
        let mut places = Places::default();
        for place in home.processes.iter().filter_map(|pid| held.get(pid)).flatten() {
            match place {
                Place::Tcp(address) => _ = places.tcp.insert(*address, true),
                Place::Unix(path) => _ = places.unix.insert(path.clone()),
            }
        }
        for listener in &listeners {
            let own = listener.cgroup.is_some_and(|cgroup| home.cgroups.contains(&cgroup));
            if let (Place::Tcp(address), true) = (&listener.place, own) {
                places.tcp.insert(*address, false);
            }
        }
        if !places.tcp.is_empty() || !places.unix.is_empty() {
            all.insert(unit, places);
        }
    }
    for listener in &listeners {
        let Place::Tcp(address) = listener.place else { continue };
        if all.values().any(|places| places.tcp.contains_key(&address)) {
            continue;
        }
        let home = homes.iter().find(|home| listener.cgroup.is_some_and(|it| home.cgroups.contains(&it)));
        unowned.insert((address, home.map_or("", |home| home.unit.as_str())));
    }
    for (address, home) in unowned {
        let why = match home {
            "init.scope" => {
                "systemd holds it for a unit that does not run, and no heartbeat is to wake".to_owned()
            }
            "" => "no unit of systemd has it: it cannot be restarted by one".to_owned(),
            home => format!("{home} is no service: systemd cannot start it again"),
        };
        left_out.push(LeftOut { what: address.to_string(), why });
    }
    Ok(all)
}

/// Why a unit is not to be kept; `None` where it is.
fn unfit(unit: &Unit, known: &Known, places: &Places) -> Option<String> {
    let name = unit.as_str();
    let why = match name {
        "watchdog.service" | "service-watchdog.service" => "watchdog's own, or of its name",
        "dbus.service" | "dbus-broker.service" => {
            "the bus: whoever is connected to it does not survive its restart"
        }
        _ if name.starts_with("systemd-") => "a part of systemd",
        _ if name.starts_with("user@") => "a user's own systemd",
        _ if known.traits.transient => "it is transient: gone after its end",
        _ if known.state.load != LoadState::Loaded => "systemd has no file of it",
        _ if known.state.oneshot => "it is Type=oneshot: its end is its success",
        _ if places.tcp.is_empty() && !is_backend(unit, known) => {
            "it listens on Unix sockets only; `unit` alone is a service that is started again when it ends"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn is_backend(unit: &Unit, known: &Known) -> bool {
    let program = known.state.program.as_deref().and_then(|path| path.file_name()).unwrap_or_default();
    let program = program.to_string_lossy();
    BACKENDS.iter().any(|word| unit.as_str().contains(word) || program.contains(word))
}

/// Asks one unit at all its places at once.
async fn ask(unit: Unit, known: &Known, places: Places) -> (Option<Listening>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let mut leave = |what: String, why: &str| left_out.push(LeftOut { what, why: why.to_owned() });
    let chosen = look::ephemeral();
    // one address of each port: all of them, else this host's own, else the first
    let mut ports: BTreeMap<u16, (SocketAddr, bool)> = BTreeMap::new();
    let rank = |at: &SocketAddr| (!at.ip().is_unspecified(), !at.ip().is_loopback(), at.is_ipv6());
    for (at, made_by_systemd) in places.tcp {
        let entry = ports.entry(at.port()).or_insert((at, made_by_systemd));
        if rank(&at) < rank(&entry.0) {
            *entry = (at, made_by_systemd);
        }
    }
    let (ports, lent): (Vec<_>, Vec<_>) =
        ports.into_values().partition(|(at, _)| !chosen.contains(&at.port()));
    lent.iter().for_each(|(at, _)| {
        leave(format!("{at} of {unit}"), "a port that the kernel chose: the next run has another")
    });
    for (at, _) in ports.iter().skip(MOST_DOORS) {
        leave(format!("{at} of {unit}"), "it has heartbeats enough");
    }
    let doors =
        join_all(ports.into_iter().take(MOST_DOORS).map(|(at, made_by_systemd)| door(at, made_by_systemd)))
            .await;
    let mut behind = Vec::new();
    for at in if doors.is_empty() { places.unix } else { BTreeSet::new() } {
        match at.to_str().filter(|path| path.bytes().all(|byte| byte.is_ascii_graphic())) {
            Some(_) => behind.push(socket(at).await),
            None => leave(at.display().to_string(), "its path is not plain ASCII"),
        }
    }
    if doors.is_empty() && behind.is_empty() {
        return (None, left_out);
    }
    let disabled = known.state.file == FileState::Disabled && !known.state.socket_activated;
    (Some(Listening { unit, disabled, doors, behind }), left_out)
}

async fn door(at: SocketAddr, made_by_systemd: bool) -> Door {
    let spot = Spot::Tcp(at);
    let named = made_by_systemd && !at.ip().is_unspecified() && !at.ip().is_loopback();
    let port = at.port();
    let http = |secure| Target::Http { secure, host: "localhost".into(), port, path: "/".into() };
    let made = |speaks, answer: &Answer| {
        let said = format!("answered {}", answer.end);
        Door { at, speaks, said, took: answer.took, named }
    };
    let mut in_http = String::new();
    if !NOT_HTTP.contains(&port) {
        let plain = put(http(false), &spot).await;
        let status = plain.as_ref().and_then(status_of);
        if let (Some(status), Some(answer)) = (status.filter(|status| *status != 400), &plain) {
            return made(Speech::Http { secure: false, status }, answer);
        }
        in_http = plain.as_ref().map_or_else(String::new, |answer| format!(" (over HTTP: {})", answer.end));
        let refused = plain.as_ref().is_some_and(|answer| answer.end == End::Refused);
        let secure = if refused { None } else { put(http(true), &spot).await };
        if let Some((status, answer)) = secure.as_ref().and_then(|answer| Some((status_of(answer)?, answer)))
        {
            return made(Speech::Http { secure: true, status }, answer);
        }
        if let (Some(status), Some(answer)) = (status, &plain) {
            return made(Speech::Http { secure: false, status }, answer);
        }
    }
    match put(Target::Tcp { host: "localhost".into(), port }, &spot).await {
        Some(answer) if connected(&answer) => {
            Door { said: format!("took a connection{in_http}"), ..made(Speech::Tcp, &answer) }
        }
        Some(answer) => made(Speech::Nothing, &answer),
        None => {
            Door { at, speaks: Speech::Nothing, said: "cannot be asked".into(), took: Duration::ZERO, named }
        }
    }
}

async fn socket(at: PathBuf) -> Behind {
    let target = Target::Tcp { host: "localhost".into(), port: 1 };
    let answer = put(target, &Spot::Unix(at.clone())).await;
    let connects = answer.as_ref().is_some_and(connected);
    let shut = !fix::root_connects(&at);
    let said = match &answer {
        Some(_) if connects => "took a connection".into(),
        Some(answer) => format!("answered {}", answer.end),
        None => "cannot be asked".into(),
    };
    Behind { at, said, connects, shut }
}

/// One question, as a heartbeat puts it.
async fn put(target: Target, spot: &Spot) -> Option<Answer> {
    let settings = Settings {
        target,
        connect: Connect::Own,
        status: vec![200..=499],
        body: None,
        timeout: PATIENCE,
        method: "GET".into(),
        headers: Vec::new(),
        basic_auth: None,
        tls: Tls { verify: false, ca: None, expires_within: Duration::ZERO },
    };
    let heart = Heart::new(&settings, &mut Profiles::default()).ok()?;
    let ask = Ask { id: OrderId(0), service: Service::new("discover"), heartbeat: 0, incident: None };
    let no_program = |_| std::future::pending();
    Some(heart.ask(&ask, spot, no_program).await)
}

fn status_of(answer: &Answer) -> Option<u16> {
    match &answer.end {
        End::Good { status } => *status,
        End::Status(status) | End::WrongBody { status, .. } => Some(*status),
        End::Refused
        | End::Reset
        | End::Late(_)
        | End::BadHttp(_)
        | End::BadTls(_)
        | End::Program(_)
        | End::Unreachable(_)
        | End::Own(_) => None,
    }
}

fn connected(answer: &Answer) -> bool {
    matches!(answer.end, End::Good { .. })
}
