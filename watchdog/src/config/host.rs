//! `[watchdog]`: what holds for the whole host.

use std::{path::PathBuf, time::Duration};

use super::{
    DEFAULT_SOCKET, DEFAULT_STATE,
    fault::Source,
    notify as telling,
    reader::Reader,
    recorder,
    values::{self, Complaint, YEAR},
};
use crate::{
    notify,
    policy::{Gates, Host, Over, Threshold},
    recorder::Settings as Recorder,
    stream::{self, Sink},
};

/// `[watchdog]`, checked.
#[derive(Debug)]
pub(super) struct HostPart {
    pub(super) policy: Host,
    pub(super) notify: notify::Settings,
    pub(super) recorder: Recorder,
    pub(super) stream: stream::Settings,
    pub(super) state_directory: PathBuf,
    pub(super) control_socket: PathBuf,
}

/// Reads `[watchdog]`; what is absent has its default.
pub(super) fn read(host: &Reader<'_>, sources: &[Source]) -> HostPart {
    let observe = host.word("mode", &[("enforce", false), ("observe", true)]);
    let budget = host.table("budget");
    let budget = budget.as_ref();
    let recorder = recorder::read(host);
    HostPart {
        policy: Host {
            observe: observe.unwrap_or(false),
            concurrent_restarts: budget.and_then(|b| b.count("concurrent_restarts", 1..=1_000)).unwrap_or(1),
            restarts: budget.and_then(|b| b.count("restarts", 1..=100_000)).unwrap_or(20),
            within: budget
                .and_then(|b| b.duration("within", Duration::from_secs(1)..=YEAR))
                .unwrap_or(Duration::from_secs(10 * 60)),
            gates: gates(host),
            record: recorder.as_ref().map(|recorder| recorder.within),
        },
        notify: telling::read(host, sources),
        recorder: recorder.unwrap_or_default(),
        stream: stream::Settings { sinks: sinks(host) },
        state_directory: host.text("state_directory", values::path).unwrap_or(DEFAULT_STATE.into()),
        control_socket: socket(host),
    }
}

/// Where the running watchdog listens.
pub(super) fn socket(host: &Reader<'_>) -> PathBuf {
    host.text("control_socket", values::socket).unwrap_or(DEFAULT_SOCKET.into())
}

fn gates(host: &Reader<'_>) -> Gates {
    let gates = host.table("gates");
    let gates = gates.as_ref();
    let gate = |key, percent: u32| {
        let default = Threshold { full: false, over: Over::Ten, limit: percent * 100 };
        gates.and_then(|gates| gates.text(key, values::gate)).unwrap_or(Some(default))
    };
    Gates {
        memory: gate("memory", 40),
        io: gate("io", 60),
        cpu: gate("cpu", 80),
        disk_free: gates.and_then(|gates| gates.text("disk_free", values::percent)).unwrap_or(100),
        hold_for: gates
            .and_then(|gates| gates.duration("hold_for", Duration::from_secs(1)..=YEAR))
            .unwrap_or(Duration::from_secs(2 * 60)),
    }
}

fn sinks(host: &Reader<'_>) -> Vec<Sink> {
    let sink = |text: &str| match text {
        "stdout" => Ok(Sink::Stdout),
        "journald" => Ok(Sink::Journald),
        path => values::path(path).map(Sink::File).map_err(|_| {
            Complaint::new(
                "expected \"stdout\", \"journald\" or a full path",
                "such as \"/var/log/watchdog.jsonl\"",
            )
            .matching("^(stdout$|journald$|/)")
        }),
    };
    let Some(sinks) = host.list("events", "places for the events", sink) else { return vec![Sink::Stdout] };
    if sinks.is_empty() {
        host.log.warn(host.place("events"), "events are written nowhere".into(), "\"stdout\" is the default");
    }
    for (index, (sink, place)) in sinks.iter().enumerate() {
        if let Some((_, first)) = sinks[..index].iter().find(|(other, _)| other == sink) {
            let spots = vec![(place.clone(), "here again".into()), (first.clone(), "first here".into())];
            host.log.fault("events would be written twice to one place".into(), spots, "keep one of them");
        }
    }
    sinks.into_iter().map(|(sink, _)| sink).collect()
}
