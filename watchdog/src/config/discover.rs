//! Writes a configuration for what was found to listen on a host.
//!
//! Invariant: what it writes loads as it stands, and nothing in it restarts a unit for an answer that was bad already when it was
//! found. Deliberately absent: looking; whoever asks brings what was found.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use serde::Serialize;

use super::values;
use crate::model::Unit;

/// What listens on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Units that can be asked, in the order of their names.
    pub units: Vec<Listening>,
    /// What else listens, and why nothing is written for it.
    pub left_out: Vec<LeftOut>,
}

/// A unit that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// Its name.
    pub unit: Unit,
    /// It is not enabled.
    pub disabled: bool,
    /// Its TCP ports, the lowest first.
    pub doors: Vec<Door>,
    /// Where it takes connections on Unix sockets, where it has no port: it stands behind another.
    pub behind: Vec<Behind>,
}

/// A TCP port of a unit, and what was answered there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Door {
    /// Where it listens.
    pub at: SocketAddr,
    /// What is spoken there.
    pub speaks: Speech,
    /// What it answered, in words.
    pub said: String,
    /// How long that took.
    #[serde(rename = "took_us", serialize_with = "micros")]
    pub took: Duration,
    /// A heartbeat would not find it by itself: systemd made the listener.
    pub named: bool,
}

/// A Unix socket of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Where it listens.
    pub at: PathBuf,
    /// What it answered, in words.
    pub said: String,
    /// It takes connections.
    pub connects: bool,
    /// Root may not connect to it by its mode alone.
    pub shut: bool,
}

/// What was understood of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speech {
    /// An answer in HTTP.
    Http {
        /// Over TLS.
        secure: bool,
        /// Its status.
        status: u16,
    },
    /// It takes connections, and does not speak HTTP, or not soon.
    Tcp,
    /// It takes no connection.
    Nothing,
}

/// Something that listens, and that is not written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Ports of front ends: a page of theirs shows whether what is behind them answers.
const FRONTS: [u16; 4] = [80, 443, 8080, 8443];

/// The configuration, with what was answered as comments.
pub fn written(findings: &Findings) -> String {
    let mut text = String::from(
        "# Written by `watchdog discover`: the units that listen on this host, and what each answered when it was asked.\n\
         # Take out what is not to be restarted. Then: `watchdog check`, and `watchdog run --observe`, which acts on nothing.\n",
    );
    let fronts: Vec<&Listening> = findings.units.iter().filter(|unit| front(unit).is_some()).collect();
    let backs: Vec<&Listening> = findings.units.iter().filter(|unit| !unit.behind.is_empty()).collect();
    for (name, unit) in names(&findings.units).iter().zip(&findings.units) {
        text += &service(name, unit, &fronts, &backs, findings);
    }
    if !findings.left_out.is_empty() {
        text += "\n# Left out:\n";
        for LeftOut { what, why } in &findings.left_out {
            _ = writeln!(text, "# {}: {}", plain(what), plain(why));
        }
    }
    text
}

fn service(
    name: &str,
    unit: &Listening,
    fronts: &[&Listening],
    backs: &[&Listening],
    all: &Findings,
) -> String {
    let key = if name.contains('.') { format!("{name:?}") } else { name.to_owned() };
    let mut text = format!("\n[service.{key}]\nunit = {:?}\n", unit.unit.as_str());
    if unit.disabled {
        text += "# it is not enabled, and is left alone until it is: only_if_enabled = false guards it all the same\n";
    }
    if fronts.contains(&unit) && !backs.is_empty() {
        let all_names = names(&all.units);
        let backs = all.units.iter().zip(&all_names).filter(|(back, _)| backs.contains(back));
        let backs: Vec<String> = backs.map(|(_, name)| format!("{name:?}")).collect();
        _ = writeln!(
            text,
            "# depends_on = [{}] # where its pages come from there: while that fails, this is not restarted",
            backs.join(", ")
        );
    }
    let doors: Vec<&Door> = unit.doors.iter().filter(|door| door.speaks != Speech::Nothing).collect();
    for door in unit.doors.iter().filter(|door| door.speaks == Speech::Nothing) {
        _ = writeln!(text, "# {} is not asked: {}", door.at, plain(&door.said));
    }
    let behind: Vec<&Behind> = unit.behind.iter().filter(|behind| behind.connects).collect();
    let head = match doors.len() + behind.len() {
        0 | 1 => format!("\n[service.{key}.heartbeat]\n"),
        _ => format!("\n[[service.{key}.heartbeat]]\n"),
    };
    for door in doors {
        text += &head;
        text += &heartbeat(door);
    }
    for socket in behind {
        text += &head;
        text += &behind_another(socket, fronts);
    }
    text
}

fn heartbeat(door: &Door) -> String {
    let port = door.at.port();
    let answered = format!("# {} {} after {}", door.at, plain(&door.said), say(door.took));
    let mut text = match door.speaks {
        Speech::Http { secure, .. } => {
            let (scheme, own) = if secure { ("https", 443) } else { ("http", 80) };
            let port = if port == own { String::new() } else { format!(":{port}") };
            format!("url = \"{scheme}://localhost{port}/\" {answered}\n")
        }
        Speech::Tcp => format!("url = \"tcp://localhost:{port}\" {answered}\n"),
        Speech::Nothing => return String::new(),
    };
    if door.named {
        _ = writeln!(text, "connect = \"{}\"", door.at);
    }
    match door.speaks {
        Speech::Http { status: 500.., .. } => {
            text += "on_failure = \"alert\" # it is bad already: take this line out when it answers well\n";
        }
        Speech::Http { status: 400.., .. } => {
            text += "# this counts as alive, and is told: a page that it has is a better heartbeat\n";
        }
        Speech::Http { .. } => {
            text += "# body = \"…\" # a text that this page has shows that it is the right one\n"
        }
        Speech::Tcp | Speech::Nothing => {}
    }
    if let Speech::Http { secure: true, .. } = door.speaks {
        text += "tls.verify = false # \"localhost\" is not the name in its certificate: give url its name, and take this out\n";
    }
    text
}

fn behind_another(socket: &Behind, fronts: &[&Listening]) -> String {
    let at = socket.at.display();
    let mut text = format!(
        "url = \"tcp://localhost:1\" # unix:{at} {}; the port means nothing there\nconnect = {:?}\n",
        plain(&socket.said),
        format!("unix:{at}")
    );
    if socket.shut {
        text += "# it is another user's: watchdog's unit may connect to it with CAP_DAC_OVERRIDE, which `watchdog check --fix` grants\n";
    }
    if let Some((front, door)) = fronts.iter().find_map(|unit| Some((unit, front(unit)?))) {
        let to = match door.at {
            at if at.ip().is_unspecified() => format!("127.0.0.1:{}", at.port()),
            at => at.to_string(),
        };
        _ = writeln!(
            text,
            "# A page that comes from it, through {}, says more than that it takes connections:\n\
             # url = \"http://localhost/heartbeat.php\"\n# connect = \"{to}\"\n# body = \"It works!\"",
            front.unit
        );
    }
    text
}

/// The port by which clients come to what is behind a unit.
fn front(unit: &Listening) -> Option<&Door> {
    let plain = |door: &&Door| matches!(door.speaks, Speech::Http { secure: false, .. });
    unit.doors.iter().find(|door| plain(door) && FRONTS.contains(&door.at.port()))
}

/// The names of the services: the units' own, as far as those may stand in a configuration, each once.
fn names(units: &[Listening]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for Listening { unit, .. } in units {
        let stem = unit.as_str().strip_suffix(".service").unwrap_or(unit.as_str());
        let fits = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = stem.chars().map(fits).collect();
        // what begins with a hyphen is an option to commands
        let mut name: String = name.trim_start_matches('-').chars().take(60).collect();
        if values::name(&name).is_err() || names.contains(&name) {
            let begin = if name.is_empty() { "service" } else { name.trim_end_matches('-') };
            name = format!("{begin}-{}", names.len() + 1);
        }
        names.push(name);
    }
    names
}

/// On one line, of visible characters: a comment must not end where a server wants it to.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// To what one still wants to know.
fn say(took: Duration) -> String {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    values::say(Duration::from_millis(ms))
}

fn micros<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
