//! `check system` and `check filesystem`: nothing in watchdog means the same, and something is near to it.
//!
//! monit tells of figures; watchdog measures what the figures do to a restart, and holds it. So nothing is converted, and the
//! closest setting is named.

use super::{
    lexer::Token,
    model::{Action, Kind, Rule, Says, Test},
    report::Fate,
    source::Said,
};

const SYSTEM: &str = "watchdog does not tell of a host's load: it holds restarts while memory, I/O or CPU are short ([watchdog.gates])";
const DISKS: &str = "watchdog does not tell of full disks: it holds restarts while less than `disk_free` of [watchdog.gates] is left";

/// What becomes of one statement of such a check.
pub(super) fn fate(kind: Kind, said: &Said) -> Fate {
    let usual = if kind == Kind::System { SYSTEM } else { DISKS };
    let Says::If(rule) = &said.says else { return Fate::lost(usual) };
    let Test::Usage(what) = &rule.test else { return Fate::lost(usual) };
    let closest = match (kind, what.as_str()) {
        (Kind::System, "loadavg" | "load") => gate("a load", "cpu", "a CPU"),
        (Kind::System, "cpu" | "totalcpu") => gate("the use of CPUs", "cpu", "a CPU"),
        (Kind::System, "mem" | "memory" | "totalmem" | "totalmemory") => {
            gate("the use of memory", "memory", "memory")
        }
        (Kind::System, "swap") => gate("the use of swap", "memory", "memory"),
        (Kind::System, "uptime") => "watchdog does not act by age".to_owned(),
        (Kind::Filesystem, "space" | "inode" | "inodes") => disks(&said.statement.tokens),
        (Kind::Filesystem, "read" | "write" | "service" | "disk") => gate("the use of a disk", "io", "I/O"),
        _ => usual.to_owned(),
    };
    Fate::lost(closest + acts(rule))
}

/// Waiting is measured, not use.
fn gate(what: &str, key: &str, wait: &str) -> String {
    format!(
        "watchdog does not tell of {what}; the closest is `{key}` of [watchdog.gates]: restarts are held while tasks wait for {wait}"
    )
}

fn disks(tokens: &[Token]) -> String {
    let percent = tokens.iter().find_map(|token| token.text.strip_suffix('%')?.parse::<u8>().ok());
    let is_free = tokens.iter().any(|token| token.is("free"));
    let free = percent
        .filter(|percent| *percent <= 100)
        .map(|percent| if is_free { percent } else { 100 - percent });
    let value = free.map_or(String::new(), |free| format!(" = \"{free}%\""));
    format!(
        "watchdog does not tell of full disks; the closest is `disk_free{value}` of [watchdog.gates]: restarts of units that write \
         to a fuller one are held"
    )
}

fn acts(rule: &Rule) -> &'static str {
    match rule.action {
        Action::Alert => "",
        Action::Restart | Action::Start | Action::Stop | Action::Unmonitor | Action::Monitor => {
            ". Neither does it act on units for that"
        }
        Action::Exec(_) => ". Neither is a program run for that",
        Action::Unknown => "",
    }
}
