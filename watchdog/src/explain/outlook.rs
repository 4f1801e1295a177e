use std::time::Duration;

use serde::Serialize;

use super::check::{say, several};
use crate::{
    model::{OnFailure, UnitState},
    policy::{Class, Dependency, Guard, Host, acts},
    suspicion::Watched,
};

/// What happens in one failure class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// The class, in a word or two.
    pub when: &'static str,
    /// What happens then.
    pub then: String,
}

/// What happens to a service in each failure class.
pub(super) fn of(
    host: &Host,
    guard: &Guard,
    watched: Option<&Watched>,
    unit: Option<&UnitState>,
) -> Vec<Outlook> {
    let mut outlook = vec![
        Outlook { when: "crash", then: crash(guard, unit) },
        Outlook { when: "clean end", then: clean_end(guard, unit) },
        Outlook { when: "worker dies", then: worker(guard) },
        Outlook { when: "hang", then: hang(guard, watched) },
        Outlook { when: "wrong answer", then: wrong_answer(guard) },
        Outlook { when: "5xx answers", then: server_errors(guard, watched) },
        Outlook { when: "slow stop", then: slow_stop(guard, unit) },
        Outlook { when: "slow start", then: slow_start(guard, unit) },
        Outlook { when: "restart", then: restart(guard) },
        Outlook { when: "budget spent", then: budget(guard) },
        Outlook { when: "last resort", then: last_resort(guard) },
    ];
    if !guard.depends_on.is_empty() {
        outlook.push(Outlook { when: "waits for", then: waits(guard) });
    }
    outlook.push(Outlook { when: "left alone", then: left_alone(guard) });
    if host.observe {
        outlook.push(Outlook { when: "observe", then: "none of this is done, only recorded".into() });
    }
    outlook
}

/// What happens while the unit is disabled or masked.
pub(super) fn asleep(why: String) -> Vec<Outlook> {
    vec![Outlook { when: "left alone", then: format!("in each failure class: {why}") }]
}

fn crash(guard: &Guard, unit: Option<&UnitState>) -> String {
    let (code, signal) = (Class::UncleanCode, Class::UncleanSignal);
    let what = match (acts(guard.on, code), acts(guard.on, signal)) {
        (true, true) => "started again at once after a fatal signal or an exit code that is not clean",
        (false, true) => {
            "started again at once after a fatal signal; an exit code, whatever it is, is only reported"
        }
        (true, false) => {
            "started again at once after an exit code that is not clean; a signal is only reported"
        }
        (false, false) if acts(guard.on, Class::Watchdog) => {
            "only reported; started again after a miss of systemd's own watchdog (WatchdogSec=)"
        }
        (false, false) => "only reported",
    };
    format!("{what}{}", first_systemd(unit, &[code, signal]))
}

fn clean_end(guard: &Guard, unit: Option<&UnitState>) -> String {
    let what = match acts(guard.on, Class::Clean) {
        true => "started again at once, unless an operator asked for the stop",
        false => {
            "exit code 0 or a SIGTERM: left down and reported, with who sent the signal (restart.on = \"always\" would start it again)"
        }
    };
    format!("{what}{}", first_systemd(unit, &[Class::Clean]))
}

/// Where the unit's own Restart= acts on these ends, it goes first.
fn first_systemd(unit: Option<&UnitState>, ends: &[Class]) -> String {
    let Some(unit) = unit.filter(|unit| ends.iter().any(|end| acts(unit.restart, *end))) else {
        return String::new();
    };
    format!(
        "; systemd's own Restart= goes first, after {}, and watchdog asks whether it answers",
        say(unit.restart_pause)
    )
}

/// A process of the unit that is not its main one.
fn worker(guard: &Guard) -> String {
    match guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off) {
        true => "asked at once; while it answers, nothing is done".into(),
        false => "nothing is done while the main process lives".into(),
    }
}

fn hang(guard: &Guard, watched: Option<&Watched>) -> String {
    let asked = watched.map_or(String::new(), |watched| {
        let (accept, answer) = (say(watched.accept_after), say(watched.answer_after));
        format!("asked when a connection waits {accept} for its accept, or {answer} for an answer; ")
    });
    let dead = guard.heartbeats.iter().filter(|pulse| pulse.on_failure == OnFailure::Restart);
    let soonest =
        dead.map(|pulse| pulse.timeout + pulse.retry_after * pulse.failures.saturating_sub(1)).min();
    match soonest {
        Some(after) => format!("{asked}restarted {} after the first ask that is not answered", say(after)),
        None if guard.heartbeats.iter().any(|pulse| pulse.on_failure == OnFailure::Alert) => {
            format!("{asked}an alert, no restart")
        }
        None => "not noticed: it has no heartbeat".into(),
    }
}

fn wrong_answer(guard: &Guard) -> String {
    let restarts = guard.heartbeats.iter().find(|pulse| pulse.on_failure == OnFailure::Restart);
    match restarts {
        Some(pulse) if pulse.failures > 1 => {
            format!(
                "restarted after {} in a row; an answer such as 403, where `status` allows it, is an alert",
                pulse.failures
            )
        }
        Some(_) => {
            "restarted at the first one; an answer such as 403, where `status` allows it, is an alert".into()
        }
        None if guard.heartbeats.iter().any(|pulse| pulse.on_failure == OnFailure::Alert) => {
            "an alert, no restart".into()
        }
        None => "not noticed: it has no heartbeat".into(),
    }
}

/// Seen by the kernel as it leaves.
fn server_errors(guard: &Guard, watched: Option<&Watched>) -> String {
    let asked = guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off);
    match watched.is_some_and(|watched| watched.status_5xx) {
        _ if !asked => "not looked for: it has no heartbeat".into(),
        true => "asked at once when an answer of 500 and above leaves it, or its front end, in plain HTTP/1; while it answers well, nothing is done".into(),
        false => "not looked for: stall.status_5xx is off".into(),
    }
}

fn slow_stop(guard: &Guard, unit: Option<&UnitState>) -> String {
    let limit = match (guard.stop_timeout, unit) {
        (Some(limit), _) => format!("after {}", say(limit)),
        (None, Some(UnitState { stop_timeout: Some(own), .. })) => {
            format!("after {} (three times the unit's TimeoutStopSec=)", say(*own * 3))
        }
        (None, Some(UnitState { stop_timeout: None, .. })) => {
            "after 5m (the unit sets no TimeoutStopSec=)".into()
        }
        (None, None) => "after three times the unit's TimeoutStopSec= (5m where that is infinity)".into(),
    };
    format!(
        "{limit} what is left of the old processes is killed, and the start follows; other services are looked after meanwhile"
    )
}

fn slow_start(guard: &Guard, unit: Option<&UnitState>) -> String {
    let limit = match (guard.start_timeout, unit.map(|unit| unit.start_timeout)) {
        (Some(limit), _) => format!("after {}", say(limit)),
        (None, Some(Some(own))) => format!("after {} (the unit's TimeoutStartSec=)", say(own)),
        (None, Some(None)) => "after 5m (the unit sets no TimeoutStartSec=)".into(),
        (None, None) => "after the unit's TimeoutStartSec= (5m where that is infinity)".into(),
    };
    format!("{limit} an alert, and the next try after its pause")
}

fn restart(guard: &Guard) -> String {
    let proof = match guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off) {
        true if guard.grace > Duration::ZERO => {
            format!(
                "done when it answers well; until it first does, at most {}, failures do not count",
                say(guard.grace)
            )
        }
        true => "done when it answers well".into(),
        false => "done when systemd says that it is active".into(),
    };
    format!(
        "the first at once, a pause of {} before the second, doubled up to {}; {proof}; healthy for {}, pauses start afresh",
        say(guard.backoff),
        say(guard.backoff_max),
        say(guard.stable)
    )
}

fn budget(guard: &Guard) -> String {
    format!(
        "after {} in {}: quarantine, with an alert; it is still watched and tried again, more and more seldom, and leaves by itself when it answers",
        several(guard.burst, "restart"),
        say(guard.within)
    )
}

fn last_resort(guard: &Guard) -> String {
    let ladder = &guard.ladder;
    if !ladder.reboot {
        return "none: the host is never rebooted for it (restart.ladder.reboot)".into();
    }
    format!(
        "after {} in quarantine without a good answer, when a slow retry failed too and it fails still: an alert, and the host is rebooted, other services with it; never while the host has been up for less than {}, in a pause of any service, while anybody else is at work, where the unit would not come up again, or where watchdog cannot ask itself",
        say(ladder.reboot_after),
        say(ladder.reboot_every)
    )
}

fn waits(guard: &Guard) -> String {
    let names: Vec<_> = guard
        .depends_on
        .iter()
        .map(|dependency| match dependency {
            Dependency::Service(service) => format!("the service {service}"),
            Dependency::Unit(unit) => unit.to_string(),
        })
        .collect();
    format!("{}: while it fails, this one is not restarted", names.join(", "))
}

fn left_alone(guard: &Guard) -> String {
    let enabled = if guard.only_if_enabled { "; while the unit is disabled or masked" } else { "" };
    format!(
        "after an operator's stop, until someone starts it; while another job is on the unit; during a pause{enabled}; while dpkg or rpm is at work (10m at most) or the boot is not over (90s); while the unit is frozen or a debugger is attached, which wakes someone after 2m"
    )
}
