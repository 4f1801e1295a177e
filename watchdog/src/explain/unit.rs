//! What a unit's own settings do with what watchdog wants.

use super::check::{say, several};
use crate::{
    model::{Ends, FileState, LoadState, RestartOn, Service, UnitState},
    policy::{Guard, StalePidFile},
};

/// Units of programs that start services again by themselves.
pub(crate) const RIVALS: [&str; 1] = ["monit.service"];

/// A warning of a unit of another such program, where it runs: whose restart is undone by whom, nobody can say.
pub fn rival(unit: &UnitState) -> Option<String> {
    let name = &unit.unit;
    let fights = "two that restart the same service fight";
    let leave = "take the services that are kept here out of its configuration";
    (!unit.active.is_down())
        .then(|| format!("{name} runs: {fights}; {leave}, or `systemctl disable --now {name}`"))
}

/// What stands in the way; each worth a warning.
pub(super) fn warnings(service: &Service, guard: &Guard, unit: &UnitState) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(format!("{service}: {text}"));
    match unit.load {
        LoadState::Loaded => {}
        LoadState::NotFound => {
            warn(format!(
                "systemd knows no unit {}: it is watched until it appears; see `systemctl list-unit-files`",
                unit.unit
            ));
        }
        LoadState::Masked => {
            warn(format!("{} is masked: it is left alone until `systemctl unmask`", unit.unit))
        }
        LoadState::Error => {
            warn(format!("systemd cannot load {}: see `systemctl status {}`", unit.unit, unit.unit))
        }
    }
    let disabled = unit.file == FileState::Disabled && !unit.socket_activated;
    if unit.load == LoadState::Loaded && disabled && guard.only_if_enabled {
        warn(format!(
            "{} is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same",
            unit.unit
        ));
    }
    if unit.oneshot {
        warn(format!(
            "{} is Type=oneshot: its end is its success, there is nothing to keep answering",
            unit.unit
        ));
    }
    if guard.stale_pid_file == StalePidFile::Remove && guard.pid_file.is_none() && unit.pid_file.is_none() {
        warn(format!(
            "stale_pid_file = \"remove\" has no file to go by: {} has no PIDFile=, name it with `pid_file`",
            unit.unit
        ));
    }
    let systemd_first = unit.stop_timeout.map(|own| own * 3);
    if let (Some(ours), Some(own)) = (guard.stop_timeout, unit.stop_timeout)
        && ours < own
    {
        warn(format!(
            "`stop_timeout` ({}) is shorter than the unit's TimeoutStopSec= ({}): a stop that the unit allows is cut short by a kill",
            say(ours),
            say(own)
        ));
    } else if let (Some(ours), Some(phases)) = (guard.stop_timeout, systemd_first)
        && ours > phases
    {
        warn(format!(
            "`stop_timeout` ({}) is never reached: after TimeoutStopSec= in each of its three phases ({}) systemd kills by itself",
            say(ours),
            say(phases)
        ));
    }
    if let (Some(ours), Some(own)) = (guard.start_timeout, unit.start_timeout)
        && ours > own
    {
        warn(format!(
            "`start_timeout` ({}) is never reached: systemd gives the start up after TimeoutStartSec= ({})",
            say(ours),
            say(own)
        ));
    }
    warnings
}

/// The unit's own Restart=, StartLimit*, TimeoutStop= and TimeoutStart=, and what they do with it.
pub(super) fn own(guard: &Guard, unit: &UnitState) -> Vec<String> {
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
        let endless = unit.restart_pause.saturating_mul(unit.start_limit_burst) > unit.start_limit_interval;
        if unit.restart != RestartOn::No && endless {
            own.push(format!(
                "its own restarts are too far apart for its start limit: systemd never gives up; watchdog counts them, and tells of a crash loop by the third run that ends within {}",
                say(guard.grace)
            ));
        }
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
        own.push(
            "started by its socket: while it is inactive it is healthy, and no heartbeat wakes it".into(),
        );
    }
    own
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
