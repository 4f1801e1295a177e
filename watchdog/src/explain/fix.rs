//! Which drop-ins would make units and policies go together.
//!
//! Invariant: a drop-in only says what a finding of `check` asks for, and what an earlier one of ours said stays in it: systemd
//! tells what is in force, our own file included. Deliberately absent: writing.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{check::say, lint, unit::Known};
use crate::{
    called::by_name,
    model::{LoadState, RestartOn, Unit},
    policy::Guard,
};

/// The first line of a drop-in of ours.
const HEADER: &str = "# Written by `watchdog check --fix`, which renews this file and no other.";

/// Whether a drop-in is of our making, by whatever name this program was called then.
pub fn is_ours(text: &str) -> bool {
    let (begin, end) = HEADER.split_once("watchdog").unwrap_or((HEADER, ""));
    let named = text.lines().next().and_then(|line| line.strip_prefix(begin)?.strip_suffix(end));
    named.is_some_and(|name| !name.contains(' '))
}

/// A drop-in to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// The unit that it is for.
    pub unit: Unit,
    /// Where it goes.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// Why.
    pub why: Vec<String>,
}

/// One setting, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    section: &'static str,
    key: &'static str,
    value: String,
    why: String,
}

/// Where drop-ins of ours go: beside vendors' files, never into them.
pub fn place(unit: &Unit) -> PathBuf {
    Path::new("/etc/systemd/system").join(format!("{unit}.d")).join("50-watchdog.conf")
}

/// What a watched unit should say so that it goes with its policy.
pub fn for_unit(guard: &Guard, known: &Known) -> Vec<Setting> {
    let Known { state, traits } = known;
    let ours = state.load == LoadState::Loaded && !state.oneshot && !traits.transient;
    if !ours {
        return Vec::new();
    }
    let mut settings = Vec::new();
    if let Some(word) = word(guard.on).filter(|_| state.restart == RestartOn::No) {
        settings.push(Setting {
            section: "Service",
            key: "Restart",
            value: word.into(),
            why: "it has no Restart=: while watchdog itself is down, nobody would bring it back".into(),
        });
    }
    if state.restart != RestartOn::No && state.start_limit_burst > 0 && lint::is_endless(known) {
        let needed = state.restart_pause.saturating_mul(state.start_limit_burst).saturating_mul(2);
        settings.push(Setting {
            section: "Unit",
            key: "StartLimitIntervalSec",
            value: format!("{}s", needed.as_secs().max(1)),
            why: format!(
                "its start limit is never reached by its own restarts, {} apart: systemd would never give up",
                say(state.restart_pause)
            ),
        });
    } else if let Some(restarts) = lint::beyond_the_limit(known, guard) {
        settings.push(Setting {
            section: "Unit",
            key: "StartLimitBurst",
            value: restarts.to_string(),
            why: format!(
                "its start limit of {} is reached before watchdog's own budget",
                state.start_limit_burst
            ),
        });
    }
    settings
}

/// What watchdog's own unit should say.
pub fn for_ourselves(
    known: &Known,
    needed: &[(u32, &'static str, String)],
    written: &[PathBuf],
) -> Vec<Setting> {
    let Known { state, traits } = known;
    let mut settings = Vec::new();
    let mut want = |section, key, value: &str, why: &str| {
        settings.push(Setting { section, key, value: value.into(), why: why.into() });
    };
    if state.restart != RestartOn::Always {
        want("Service", "Restart", "always", "whatever ends watchdog, it must come back");
    }
    if state.start_limit_burst > 0 && !state.start_limit_interval.is_zero() {
        want(
            "Unit",
            "StartLimitIntervalSec",
            "0",
            "watchdog must never be given up: nobody else would bring it back",
        );
    }
    if traits.oom_score_adjust > -900 {
        want("Service", "OOMScoreAdjust", "-900", "watchdog must outlive a host that is short of memory");
    }
    if traits.keeps == 0 {
        want(
            "Service",
            "FileDescriptorStoreMax",
            "64",
            "the probes in the kernel must outlive watchdog's own death",
        );
    }
    for (number, name, why) in needed {
        let has = |number: u32| traits.capabilities & (1 << number) != 0;
        // who overrides every mode reads everything too
        let is_there = has(*number) || (*number == 2 && has(1));
        if !is_there {
            want("Service", "CapabilityBoundingSet", name, why);
        }
    }
    for folder in written.iter().filter(|folder| !may_write(folder, known)) {
        let why = format!("ProtectSystem={} keeps watchdog from writing there", traits.protect_system);
        want("Service", "ReadWritePaths", &format!("-{}", folder.display()), &why);
    }
    settings
}

/// What a unit of ours lacks, for people.
pub fn lacking(unit: &Unit, settings: &[Setting]) -> Vec<String> {
    let line = |it: &Setting| {
        format!(
            "{unit}: {}={} is missing: {}; `watchdog check --fix` writes a drop-in",
            it.key, it.value, it.why
        )
    };
    settings.iter().map(line).collect()
}

/// The drop-in with these settings, in place of one of ours that says `before`; `None` where nothing is to be changed.
pub fn drop_in(unit: &Unit, settings: &[Setting], before: Option<&str>) -> Option<DropIn> {
    if settings.is_empty() {
        return None;
    }
    let mut lines: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut section = String::new();
    for line in before.unwrap_or_default().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            lines.entry(section.clone()).or_default().push((key.into(), value.into()));
        }
    }
    for Setting { section, key, value, .. } in settings {
        let section = lines.entry((*section).into()).or_default();
        if !adds_up(key) {
            section.retain(|(known, _)| known != key);
        }
        let line = ((*key).to_owned(), value.clone());
        if !section.contains(&line) {
            section.push(line);
        }
    }
    let path = place(unit);
    let mut text =
        format!("{}\n# To undo: rm {} && systemctl daemon-reload\n", by_name(HEADER), quoted(&path));
    for (section, lines) in lines.iter().rev() {
        _ = write!(text, "\n[{section}]\n");
        lines.iter().for_each(|(key, value)| _ = writeln!(text, "{key}={value}"));
    }
    let why = settings.iter().map(|it| format!("{}={}: {}", it.key, it.value, it.why)).collect();
    (before != Some(text.as_str())).then_some(DropIn { unit: unit.clone(), path, text, why })
}

/// A path as a shell takes it: names of units may have backslashes.
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:+".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Settings of which each line adds to those before.
fn adds_up(key: &str) -> bool {
    ["CapabilityBoundingSet", "ReadWritePaths"].contains(&key)
}

fn word(on: RestartOn) -> Option<&'static str> {
    match on {
        RestartOn::No => None,
        RestartOn::Always => Some("always"),
        RestartOn::OnSuccess => Some("on-success"),
        RestartOn::OnFailure => Some("on-failure"),
        RestartOn::OnAbnormal => Some("on-abnormal"),
        RestartOn::OnAbort => Some("on-abort"),
        RestartOn::OnWatchdog => Some("on-watchdog"),
    }
}

/// Whether watchdog's unit lets it write to this folder.
fn may_write(folder: &Path, known: &Known) -> bool {
    let traits = &known.traits;
    let closed: &[&str] = match traits.protect_system.as_str() {
        "strict" => &["/"],
        "full" => &["/usr", "/boot", "/efi", "/etc"],
        "yes" => &["/usr", "/boot", "/efi"],
        _ => &[],
    };
    let always = ["/dev", "/proc", "/sys", "/var/lib/watchdog", "/run/watchdog"];
    let open = |path: &str| folder.starts_with(path.trim_start_matches(['-', '+']));
    !closed.iter().any(|root| folder.starts_with(root))
        || always.iter().any(|path| open(path))
        || traits.writable.iter().any(|path| open(path))
}
