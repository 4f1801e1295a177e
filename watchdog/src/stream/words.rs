//! The words that sentences are made of.

use std::time::Duration;

use crate::model::{Action, JobKind, Serving, Source};

pub(super) fn verb(action: Action) -> String {
    match action {
        Action::Restart { reset: false } => "restart".into(),
        Action::Restart { reset: true } => "clear the start limit and restart".into(),
        Action::Start { reset: false } => "start".into(),
        Action::Start { reset: true } => "clear the start limit and start".into(),
        Action::StartAfresh { .. } => "remove the stale PID file of, and start,".into(),
        Action::Kill => "kill what is left of".into(),
        Action::Undo => "stop again, as an operator wanted,".into(),
        Action::Reboot => "reboot the host for".into(),
        Action::Cancel { job } => format!("cancel our job {job} on"),
    }
}

pub(super) fn source(source: Source) -> &'static str {
    match source {
        Source::Ebpf => "the probes in the kernel",
        Source::Units => "the connection to systemd",
        Source::SockDiag => "the kernel's table of sockets",
        Source::ProcConnector => "the kernel's messages on processes",
        Source::Pidfd => "the descriptors of main processes",
        Source::Procfs => "the looks at processes",
        Source::Logs => "the reader of logs",
        Source::Store => "the store of watchdog's own state",
        Source::Engine => "watchdog itself",
    }
}

pub(super) fn job_kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart => "restart",
        JobKind::Reload => "reload",
    }
}

pub(super) fn records(count: u64) -> String {
    if count == 1 { "1 record is".into() } else { format!("{count} records are") }
}

/// A word of the model as systemd writes it.
pub(super) fn word(word: &impl serde::Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Three digits are enough for people: `412 µs`, `12.3 ms`, `3.41 s`, `4 min`.
pub fn span(span: Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.2} ms", span.as_secs_f64() * 1e3),
        10_000..100_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        100_000..1_000_000 => format!("{:.0} ms", span.as_secs_f64() * 1e3),
        1_000_000..10_000_000 => format!("{:.2} s", span.as_secs_f64()),
        10_000_000..120_000_000 => format!("{:.1} s", span.as_secs_f64()),
        _ => format!("{} min", span.as_secs() / 60),
    }
}

pub(super) fn signal(number: u8) -> String {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let name = usize::from(number).checked_sub(1).and_then(|at| NAMES.get(at));
    name.map_or_else(|| format!("signal {number}"), |name| (*name).into())
}

/// Classes of failures that are seen by the same, and for the same reason by nothing better; in the order of the first of each.
pub fn alike(rungs: &[Serving]) -> Vec<(&Serving, Vec<&'static str>)> {
    let mut alike: Vec<(&Serving, Vec<&str>)> = Vec::new();
    for serving in rungs {
        let is_like = |(first, _): &&mut (&Serving, Vec<&str>)| {
            (first.rung, &first.why) == (serving.rung, &serving.why)
        };
        match alike.iter_mut().find(is_like) {
            Some((_, classes)) => classes.push(serving.class.name()),
            None => alike.push((serving, vec![serving.class.name()])),
        }
    }
    alike
}
