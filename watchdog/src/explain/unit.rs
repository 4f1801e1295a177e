//! What a unit's own settings do with what watchdog wants.

use std::path::Path;

use super::check::{say, several};
use crate::{
    model::{Ends, LoadState, RestartOn, UnitState},
    policy::{Guard, StalePidFile},
    systemd::Traits,
};

/// What is known of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What decisions go by.
    pub state: UnitState,
    /// What else its settings say.
    pub traits: Traits,
}

/// Units of programs that restart services, or the host, by themselves.
pub(crate) const RIVALS: [&str; 3] = ["monit.service", "watchdog.service", "wd_keepalive.service"];

/// Where Debian's package `watchdog` has its programs: they have a unit of our name.
const DEBIANS: [&str; 2] = ["/usr/sbin/watchdog", "/usr/sbin/wd_keepalive"];

/// A warning of a unit of another such program, where it runs: whose restart is undone by whom, nobody can say.
pub fn rival(unit: &UnitState) -> Option<String> {
    let name = &unit.unit;
    if unit.active.is_down() {
        return None;
    }
    let program = unit.program.as_deref();
    if name.as_str() == "monit.service" {
        return Some(format!(
            "{name} runs: two that restart the same service fight; take the services that are kept here out of its configuration, or `systemctl disable --now {name}`"
        ));
    }
    let debians = program.filter(|program| DEBIANS.iter().any(|path| *program == Path::new(path)))?;
    Some(format!(
        "{name} runs {}, Debian's hardware watchdog: where its own tests fail it reboots the host, whatever is decided here; leave it the kernel's timer alone: no `pidfile`, `ping`, `file`, `test-binary` or `repair-binary` in /etc/watchdog.conf",
        debians.display()
    ))
}

/// The unit's own Restart=, StartLimit*, TimeoutStop= and TimeoutStart=, and what they do with it.
pub(super) fn own(guard: &Guard, known: &Known) -> Vec<String> {
    let Known { state: unit, traits } = known;
    if matches!(unit.load, LoadState::NotFound | LoadState::Masked | LoadState::Error) {
        return Vec::new();
    }
    let mut own = vec![restart(unit)];
    for (name, what, ends) in [
        ("RestartPreventExitStatus", "is never started again, by systemd or by watchdog", &unit.prevent),
        ("RestartForceExitStatus", "is always started again, whatever `restart.on` says", &unit.force),
    ] {
        if let Some(ends) = listed(ends) {
            own.push(format!("{name}={ends}: after such an end of its main process it {what}"));
        }
    }
    if unit.start_limit_burst > 0 && !unit.start_limit_interval.is_zero() {
        own.push(format!(
            "StartLimit: systemd refuses more than {} in {}; before a start of watchdog's would reach that, it clears the count: its own budget ({} in {}) is the one that holds",
            several(unit.start_limit_burst, "start"),
            say(unit.start_limit_interval),
            guard.burst,
            say(guard.within)
        ));
    }
    own.push(match unit.stop_timeout {
        Some(timeout) => {
            format!("TimeoutStopSec={}: for each of ExecStop=, the signals, and ExecStopPost=", say(timeout))
        }
        None => "TimeoutStopSec=infinity: systemd itself would wait for ever".into(),
    });
    own.push(match unit.start_timeout {
        Some(timeout) => format!("TimeoutStartSec={}", say(timeout)),
        None => "TimeoutStartSec=infinity".into(),
    });
    if let Some(path) = guard.pid_file.as_ref().or(unit.pid_file.as_ref()) {
        let stale = match guard.stale_pid_file {
            StalePidFile::Keep => "a stale one is told",
            StalePidFile::Remove => "a stale one is removed, with proof",
        };
        own.push(format!("PID file {}: looked at after a start that failed; {stale}", path.display()));
    }
    if unit.socket_activated {
        own.push(format!(
            "{}started by its socket: while it is inactive it is healthy, and no heartbeat wakes it",
            triggers(traits, &[".socket"])
        ));
    }
    if !triggers(traits, &CLOCKWORK).is_empty() {
        own.push(format!(
            "{}it is started by that too; watchdog starts it again after an end as `restart.on` says",
            triggers(traits, &CLOCKWORK)
        ));
    }
    own
}

/// What starts a unit at its time, and lets it end.
pub(super) const CLOCKWORK: [&str; 2] = [".timer", ".path"];

/// `TriggeredBy=…: `, of those units that start this one and are of these kinds; nothing where there are none.
fn triggers(traits: &Traits, kinds: &[&str]) -> String {
    let of_kind = |name: &&String| kinds.iter().any(|kind| name.ends_with(kind));
    let names: Vec<&str> = traits.triggered_by.iter().filter(of_kind).map(String::as_str).collect();
    if names.is_empty() { String::new() } else { format!("TriggeredBy={}: ", names.join(" ")) }
}

/// As they are written in a unit file, but for the names; `None`: there are none.
fn listed(ends: &Ends) -> Option<String> {
    let codes = ends.codes.iter().map(|code| code.to_string());
    let signals = ends.signals.iter().map(|signal| format!("signal {signal}"));
    let all: Vec<String> = codes.chain(signals).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn restart(unit: &UnitState) -> String {
    let pause = say(unit.restart_pause);
    let after = format!(
        "after {pause}; watchdog lets it, asks whether the service answers, and acts only where systemd does not"
    );
    match unit.restart {
        RestartOn::No => "Restart=no: systemd never starts it again by itself".into(),
        RestartOn::Always => {
            format!("Restart=always: systemd itself starts it again after every end, {after}")
        }
        RestartOn::OnSuccess => {
            format!("Restart=on-success: systemd itself starts it again after a clean end, {after}")
        }
        RestartOn::OnFailure => {
            format!("Restart=on-failure: systemd itself starts it again after a crash or a time-out, {after}")
        }
        RestartOn::OnAbnormal => {
            format!(
                "Restart=on-abnormal: systemd itself starts it again after a fatal signal or a time-out, {after}"
            )
        }
        RestartOn::OnAbort => {
            format!("Restart=on-abort: systemd itself starts it again after a fatal signal, {after}")
        }
        RestartOn::OnWatchdog => {
            format!(
                "Restart=on-watchdog: systemd itself starts it again after a missed WatchdogSec=, {after}"
            )
        }
    }
}
