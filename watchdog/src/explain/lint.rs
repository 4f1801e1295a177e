//! What of a unit and of a host does not go with its policy.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    check::{say, several},
    unit::{CLOCKWORK, Known},
};
use crate::{
    look::Restarter,
    model::{FileState, LoadState, OnFailure, RestartOn, Service, Unit},
    policy::{Class, Guard, Host, StalePidFile, acts},
};

/// systemd's own pause from which on a death is long.
const LONG: Duration = Duration::from_secs(10);

/// Why nothing would ever come of watching this service; each a fault. `known` is what systemd says of its unit, where it was asked.
pub(super) fn faults(service: &Service, guard: &Guard, has_log: bool, known: Option<&Known>) -> Vec<String> {
    let mut faults = Vec::new();
    let is_asked = guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off);
    if has_log && !is_asked {
        faults.push(format!(
            "{service}: its log is its only check, and a log can raise a suspicion, never a restart: add [service.{service}.heartbeat] with a url"
        ));
    }
    if guard.on == RestartOn::No && !is_asked {
        faults.push(format!(
            "{service}: nothing would ever be done: nothing is asked, and `restart.on = \"no\"` acts on no end; add a heartbeat, or let an end be acted upon"
        ));
    }
    if let Some(known) = known.filter(|it| it.state.load == LoadState::Loaded && it.traits.refuses_start) {
        let unit = &known.state.unit;
        faults.push(format!(
            "{service}: nothing could ever be done: systemd refuses every start of {unit} that is not a dependency's (RefuseManualStart=yes); watch another unit, or take that setting back in a drop-in (`systemctl edit {unit}`)"
        ));
    }
    if let Some(known) = known.filter(|it| is_masked(it) && !guard.only_if_enabled) {
        let unit = &known.state.unit;
        faults.push(format!(
            "{service}: nothing could ever be done: {unit} is masked, so that systemd refuses every start of it; `systemctl unmask {unit}`, or `only_if_enabled = true`, which leaves it alone until then"
        ));
    }
    faults
}

/// Why nothing at all is done about a unit as it is now, and until when.
pub(super) fn asleep(guard: &Guard, known: &Known) -> Option<String> {
    let state = &known.state;
    let unit = &state.unit;
    if is_masked(known) {
        return Some(format!("{unit} is masked: it is left alone until `systemctl unmask`"));
    }
    let disabled = state.file == FileState::Disabled && !state.socket_activated;
    (state.load == LoadState::Loaded && disabled && guard.only_if_enabled).then(|| {
        format!(
            "{unit} is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same"
        )
    })
}

fn is_masked(known: &Known) -> bool {
    known.state.load == LoadState::Masked || known.state.file == FileState::Masked
}

/// What stands in the way; each worth a warning.
pub(super) fn warnings(service: &Service, guard: &Guard, known: &Known) -> Vec<String> {
    let mut warnings = loading(known, guard);
    if known.state.load == LoadState::Loaded {
        warnings.extend(kind(known, guard));
        warnings.extend(pid_file(known, guard));
        warnings.extend(deadlines(known, guard));
        warnings.extend(start_limit(known, guard));
        warnings.extend(two_hands(known, guard));
    }
    warnings.into_iter().map(|text| format!("{service}: {text}")).collect()
}

/// A unit that a service depends on, and that systemd does not know.
pub(super) fn needs(service: &Service, unit: &Unit, load: LoadState) -> Option<String> {
    match load {
        LoadState::Loaded | LoadState::Masked => None,
        LoadState::NotFound | LoadState::Error => Some(format!(
            "{service}: `depends_on` names {unit}, which systemd does not know: nobody is waited for; see `systemctl list-unit-files`"
        )),
    }
}

/// Someone else starts or stops a unit by the clock.
pub(super) fn restarter(service: &Service, found: &Restarter) -> String {
    format!(
        "{service}: {}:{} also starts or stops it, by the clock (`{}`): it acts in the middle of what watchdog does; take the line out",
        found.path.display(),
        found.line,
        found.command
    )
}

fn loading(known: &Known, guard: &Guard) -> Vec<String> {
    let Known { state, traits } = known;
    let unit = &state.unit;
    let mut warnings = Vec::new();
    match state.load {
        LoadState::Loaded | LoadState::Masked => {}
        LoadState::NotFound => warnings.push(format!(
            "systemd knows no unit {unit}: it is watched until it appears; see `systemctl list-unit-files`"
        )),
        LoadState::Error => {
            warnings.push(format!("systemd cannot load {unit}: see `systemctl status {unit}`"));
        }
    }
    warnings.extend(asleep(guard, known).filter(|_| guard.only_if_enabled)); // without it that is a fault
    if traits.outdated {
        warnings.push(format!(
            "the files of {unit} have changed and systemd has not read them: what is said here is of the old ones; `systemctl daemon-reload`"
        ));
    }
    warnings
}

/// Kinds of units whose ends do not say what they seem to.
fn kind(known: &Known, guard: &Guard) -> Vec<String> {
    let Known { state, traits } = known;
    let unit = &state.unit;
    let mut warnings = Vec::new();
    let clockwork = traits.triggered_by.iter().find(|name| CLOCKWORK.iter().any(|kind| name.ends_with(kind)));
    if state.oneshot {
        warnings.push(format!(
            "{unit} is Type=oneshot: its end is its success, there is nothing to keep answering"
        ));
    } else if traits.remains {
        warnings.push(format!(
            "{unit} has RemainAfterExit=yes: it stays active when its processes have ended cleanly, only a heartbeat finds that"
        ));
    } else if traits.kind == "forking" && state.pid_file.is_none() {
        warnings.push(format!(
            "{unit} is Type=forking without PIDFile=: systemd guesses which process is the main one, and may take the death of another for its end"
        ));
    }
    if let Some(trigger) = clockwork.filter(|_| acts(guard.on, Class::Clean)) {
        warnings.push(format!(
            "{trigger} starts {unit} at its time: with `restart.on` as it is, watchdog starts it again after every end"
        ));
    }
    if traits.refuses_stop {
        warnings.push(format!(
            "{unit} has RefuseManualStop=yes: systemd refuses to restart it while it lives; only its death leads to a start"
        ));
    }
    match traits.kill_mode.as_str() {
        "process" | "none" => warnings.push(format!(
            "{unit} has KillMode={}: a stop leaves processes of the old run behind, and the new one starts beside them",
            traits.kill_mode
        )),
        _ if !traits.sends_sigkill => warnings.push(format!(
            "{unit} has SendSIGKILL=no: what ignores SIGTERM is left to the kill of watchdog's own `stop_timeout`"
        )),
        _ => {}
    }
    for (name, action) in
        [("FailureAction", &traits.failure_action), ("StartLimitAction", &traits.start_limit_action)]
    {
        if action != "none" && !action.is_empty() {
            warnings.push(format!(
                "{unit} has {name}={action}: systemd does that to the whole host, before watchdog is asked"
            ));
        }
    }
    warnings
}

fn pid_file(known: &Known, guard: &Guard) -> Vec<String> {
    let state = &known.state;
    let unit = &state.unit;
    let mut warnings = Vec::new();
    if guard.stale_pid_file == StalePidFile::Remove && guard.pid_file.is_none() && state.pid_file.is_none() {
        warnings.push(format!(
            "stale_pid_file = \"remove\" has no file to go by: {unit} has no PIDFile=, name it with `pid_file`"
        ));
    }
    if let (Some(ours), Some(own)) = (&guard.pid_file, &state.pid_file)
        && in_run(ours) != in_run(own)
    {
        warnings.push(format!(
            "`pid_file` is {}, the unit's PIDFile= is {}: only the first is looked at",
            ours.display(),
            own.display()
        ));
    }
    if let Some(path) = guard.pid_file.as_ref().or(state.pid_file.as_ref())
        && !in_run(path).starts_with("/run")
        && guard.stale_pid_file == StalePidFile::Keep
    {
        warnings.push(format!(
            "the PID file {} outlives a reboot, and its number is somebody else's then: a daemon may refuse to start for it; `stale_pid_file = \"remove\"` removes it, with proof",
            path.display()
        ));
    }
    warnings
}

/// `/var/run` is a link to `/run`.
fn in_run(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_owned(), |rest| Path::new("/run").join(rest))
}

fn deadlines(known: &Known, guard: &Guard) -> Vec<String> {
    let state = &known.state;
    let mut warnings = Vec::new();
    let systemd_first = state.stop_timeout.map(|own| own * 3);
    if let (Some(ours), Some(own)) = (guard.stop_timeout, state.stop_timeout)
        && ours < own
    {
        warnings.push(format!(
            "`stop_timeout` ({}) is shorter than the unit's TimeoutStopSec= ({}): a stop that the unit allows is cut short by a kill",
            say(ours),
            say(own)
        ));
    } else if let (Some(ours), Some(phases)) = (guard.stop_timeout, systemd_first)
        && ours > phases
    {
        warnings.push(format!(
            "`stop_timeout` ({}) is never reached: after TimeoutStopSec= in each of its three phases ({}) systemd kills by itself",
            say(ours),
            say(phases)
        ));
    }
    if let (Some(ours), Some(own)) = (guard.start_timeout, state.start_timeout)
        && ours > own
    {
        warnings.push(format!(
            "`start_timeout` ({}) is never reached: systemd gives the start up after TimeoutStartSec= ({})",
            say(ours),
            say(own)
        ));
    }
    warnings
}

fn start_limit(known: &Known, guard: &Guard) -> Vec<String> {
    let state = &known.state;
    let (limit, interval) = (state.start_limit_burst, state.start_limit_interval);
    if limit == 0 || interval.is_zero() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    if beyond_the_limit(known, guard).is_some() {
        warnings.push(format!(
            "systemd's start limit ({} in {}) is reached before the own budget is spent ({} in {}): watchdog clears its count each time, so that it never holds; raise StartLimitBurst=, or lower `burst`",
            several(limit, "start"),
            say(interval),
            guard.burst,
            say(guard.within)
        ));
    }
    if state.restart != RestartOn::No && is_endless(known) {
        warnings.push(format!(
            "systemd's start limit ({} in {}) is never reached by its own restarts, {} apart: it never gives up; watchdog counts them, and tells of a crash loop by the third run that ends within {}",
            several(limit, "start"),
            say(interval),
            say(state.restart_pause),
            say(guard.grace)
        ));
    }
    warnings
}

/// So many restarts of ours come within systemd's start limit, where those are more than it allows.
pub(super) fn beyond_the_limit(known: &Known, guard: &Guard) -> Option<u32> {
    let (limit, interval) = (known.state.start_limit_burst, known.state.start_limit_interval);
    let restarts = within(guard, interval);
    (limit > 0 && !interval.is_zero() && restarts > limit).then_some(restarts)
}

/// systemd's own restarts are too far apart for its start limit.
pub(super) fn is_endless(known: &Known) -> bool {
    let state = &known.state;
    state.restart_pause.saturating_mul(state.start_limit_burst) > state.start_limit_interval
}

/// So many restarts of ours may come within this time: the pauses between them are at their shortest.
fn within(guard: &Guard, time: Duration) -> u32 {
    let mut passed = Duration::ZERO;
    for restarts in 1..guard.burst {
        passed += pause(guard, restarts);
        if passed > time {
            return restarts;
        }
    }
    guard.burst
}

/// The shortest pause after so many restarts: jitter takes off up to the half.
fn pause(guard: &Guard, restarts: u32) -> Duration {
    let factor = 1_u32.checked_shl(restarts.saturating_sub(1)).unwrap_or(u32::MAX);
    guard.backoff.saturating_mul(factor).min(guard.backoff_max) / 2
}

/// systemd restarts by itself what `restart.on` leaves down, or long after.
fn two_hands(known: &Known, guard: &Guard) -> Vec<String> {
    let state = &known.state;
    let mut warnings = Vec::new();
    if state.restart == RestartOn::No {
        return warnings;
    }
    let classes = [Class::Clean, Class::UncleanCode, Class::UncleanSignal];
    if guard.on == RestartOn::No && classes.iter().any(|class| acts(state.restart, *class)) {
        warnings.push(format!(
            "`restart.on = \"no\"` keeps only watchdog's hands off: systemd itself starts {} again (Restart=)",
            state.unit
        ));
    }
    if state.restart_pause > LONG {
        warnings.push(format!(
            "systemd's own restart waits for RestartSec= ({}), and watchdog waits for systemd: {} is down for so long after each death",
            say(state.restart_pause),
            state.unit
        ));
    }
    warnings
}

/// Limits of the configuration itself that can never be reached.
pub(super) fn budgets(service: &Service, guard: &Guard, host: &Host) -> Vec<String> {
    let mut warnings = Vec::new();
    if within(guard, guard.within) < guard.burst {
        warnings.push(format!(
            "the budget ({} in {}) is never spent: the pauses between restarts (`backoff`, doubled up to {}) are too long for it, so that there is never a quarantine",
            several(guard.burst, "restart"),
            say(guard.within),
            say(guard.backoff_max)
        ));
    }
    if host.restarts < guard.burst && host.within >= guard.within {
        warnings.push(format!(
            "the budget of the host ({} in {}) is spent before that of the service ({} in {})",
            several(host.restarts, "restart"),
            say(host.within),
            guard.burst,
            say(guard.within)
        ));
    }
    let asked = guard.heartbeats.iter().any(|pulse| pulse.on_failure == OnFailure::Restart);
    if guard.ladder.reboot && !asked && guard.on == RestartOn::No {
        warnings.push("`restart.ladder.reboot` is never reached: nothing leads to a restart".into());
    }
    warnings.into_iter().map(|text: String| format!("{service}: {text}")).collect()
}
