use serde::{Deserialize, Serialize};

use crate::model::{Cause, RestartOn, UnitState};

/// How a unit ended: the classes of systemd's table of Restart=.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Exit code 0, SIGHUP, SIGINT, SIGTERM, SIGPIPE, or one of SuccessExitStatus=.
    Clean,
    /// Any other exit code.
    UncleanCode,
    /// Any other signal.
    UncleanSignal,
    /// A start, stop or run took longer than systemd allows.
    Timeout,
    /// WatchdogSec= was missed.
    Watchdog,
    /// Another end that systemd calls a failure, whatever the main process says of itself: the OOM killer, a protocol that
    /// was not kept, resources that were missing.
    Abnormal,
}

const CLEAN_SIGNALS: [u8; 4] = [1, 2, 13, 15]; // HUP, INT, PIPE, TERM

/// The class of an end. Clean and unclean ends are told by how the main process ended, which the kernel knows, for `Result=` is
/// not the cause of death: an ExecStop= that fails because the main process is gone turns a clean end into `exit-code`.
/// Time-outs and other ends that systemd brought about are told by `Result=` alone: the kernel sees only the signal that
/// systemd sent. A run that never came up is a start that failed, for which `Result=` is right.
pub(super) fn class(unit: &UnitState, seen: Option<Cause>) -> Class {
    match unit.result.as_str() {
        "timeout" => return Class::Timeout,
        "watchdog" => return Class::Watchdog,
        "oom-kill" | "protocol" | "resources" => return Class::Abnormal,
        "exit-code" if !unit.came_up => return Class::UncleanCode,
        "signal" | "core-dump" if !unit.came_up => return Class::UncleanSignal,
        _ => {}
    }
    match seen.or(unit.main_ended) {
        Some(Cause::Code(0)) => Class::Clean,
        Some(Cause::Signal { signal, core: false }) if CLEAN_SIGNALS.contains(&signal) => Class::Clean,
        Some(Cause::Signal { core: true, .. }) => Class::UncleanSignal, // whatever SuccessExitStatus= says
        Some(main) if unit.success.have(main) => Class::Clean,
        Some(Cause::Code(_)) => Class::UncleanCode,
        Some(Cause::Signal { .. }) => Class::UncleanSignal,
        None if unit.result == "success" => Class::Clean,
        None => Class::UncleanCode,
    }
}

/// Whether `Restart=` (systemd's or ours) acts on an end of this class.
pub fn acts(on: RestartOn, class: Class) -> bool {
    match on {
        RestartOn::No => false,
        RestartOn::Always => true,
        RestartOn::OnSuccess => class == Class::Clean,
        RestartOn::OnFailure => class != Class::Clean,
        RestartOn::OnAbnormal => !matches!(class, Class::Clean | Class::UncleanCode),
        RestartOn::OnAbort => class == Class::UncleanSignal,
        RestartOn::OnWatchdog => class == Class::Watchdog,
    }
}

/// What the unit itself says of this end of its main process, before any table: RestartPreventExitStatus= forbids a start, then
/// RestartForceExitStatus= asks for one.
pub(super) fn exception(unit: &UnitState, class: Class, seen: Option<Cause>) -> Option<Exception> {
    let main = seen.or(unit.main_ended)?;
    if unit.prevent.have(main) {
        return Some(Exception::Prevented);
    }
    let done = unit.oneshot && class == Class::Clean;
    (unit.force.have(main) && !done).then_some(Exception::Forced)
}

/// An end for which the unit says what is to be done, whatever `Restart=` or `restart.on` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exception {
    /// It is among RestartPreventExitStatus=.
    Prevented,
    /// It is among RestartForceExitStatus=.
    Forced,
}

/// Whether this end is acted upon by these settings, systemd's or ours.
pub(super) fn acts_on(on: RestartOn, class: Class, exception: Option<Exception>) -> bool {
    match exception {
        Some(Exception::Prevented) => false,
        Some(Exception::Forced) => true,
        None => acts(on, class),
    }
}

/// Whether systemd will start the unit again by itself.
pub(super) fn systemd_acts(unit: &UnitState, class: Class, exception: Option<Exception>) -> bool {
    unit.result != "start-limit-hit" && acts_on(unit.restart, class, exception)
}
