//! `[service.NAME]`: the unit, how its ends and its silence are dealt with.

use std::time::Duration;

use super::{
    fault::{Place, Source},
    pulse,
    reader::Reader,
    values::{self, Complaint, YEAR},
};
use crate::{
    heartbeat::{self, Profiles},
    model::{Connect, OnFailure, RestartOn, Unit},
    policy::{Guard, Ladder, StalePidFile},
    sources::logs::{BadLine, Log},
    suspicion::Watched,
};

/// One service as far as it can be read by itself; `guard` and `watched` are `None` after a fault of the unit's name.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    /// Where `[service.NAME]` is opened.
    pub(super) opened: Place,
    pub(super) unit: Option<(Unit, Place)>,
    pub(super) group: Option<(String, Place)>,
    pub(super) depends_on: Vec<(String, Place)>,
    pub(super) guard: Option<Guard>,
    pub(super) watched: Option<Watched>,
    pub(super) heartbeats: Vec<heartbeat::Settings>,
    pub(super) logs: Vec<Log>,
}

/// Reads one service; what is absent has its default.
pub(super) fn read(
    name: &str,
    opened: &Place,
    service: &Reader<'_>,
    sources: &[Source],
    profiles: &mut Profiles,
) -> Draft {
    if let Err(complaint) = values::name(name) {
        let spots = vec![(opened.clone(), complaint.expected)];
        service.log.fault(format!("no service can be called {name:?}"), spots, &complaint.help);
    }
    service.require("unit", "such as unit = \"nginx.service\": what is restarted");
    let unit = service.text("unit", unit);
    if !service.has("heartbeat") {
        let title = format!(
            "[service.{name}] has no heartbeat: only the end of its unit leads to action, a hang is not noticed"
        );
        service.log.warn(opened.clone(), title, "add [service.NAME.heartbeat] with a url");
    }
    let tables = service.tables("heartbeat");
    let pulses: Vec<_> = tables.iter().filter_map(|table| pulse::read(table, sources, profiles)).collect();
    let is_asked =
        pulses.iter().any(|(_, when)| when.on_failure != OnFailure::Off) || pulses.len() < tables.len(); // one with a fault was meant to be asked
    if !is_asked {
        unanswered(name, service);
    }
    let (accept_after, answer_after, status_5xx) = stall(service);
    let connects = pulses
        .iter()
        .filter(|(_, when)| when.on_failure != OnFailure::Off)
        .filter_map(|(asked, _)| connect(asked));
    let watched = unit.clone().map(|unit| Watched {
        unit,
        connects: connects.collect(),
        asked: pulses.iter().any(|(_, when)| when.on_failure != OnFailure::Off),
        accept_after,
        answer_after,
        status_5xx,
    });
    let (heartbeats, pulses): (Vec<_>, _) = pulses.into_iter().unzip();
    let own = heartbeats.iter().filter_map(heartbeat::Settings::agent).map(|agent| agent.as_bytes().to_vec());
    let own: Vec<_> = own.collect();
    let logs = service.tables("log").iter().filter_map(|table| log(table, own.clone())).collect();
    let group = service.text("group", values::name);
    let only_if_enabled = service.flag("only_if_enabled").unwrap_or(true);
    let rules = rules(service, is_asked);
    let depends_on =
        service.list("depends_on", "services or units", |text| Ok(text.to_owned())).unwrap_or_default();
    let stale = [("keep", StalePidFile::Keep), ("remove", StalePidFile::Remove)];
    let preflight = service.argv("preflight");
    let stale_pid_file = service.word("stale_pid_file", &stale).unwrap_or(StalePidFile::Keep);
    let pid_file = service.text("pid_file", values::path);
    let guard = unit.clone().map(|unit| Guard {
        unit,
        group: group.clone(),
        depends_on: Vec::new(), // known when every service is
        only_if_enabled,
        preflight,
        pid_file,
        stale_pid_file,
        heartbeats: pulses,
        on: rules.on,
        stop_timeout: rules.stop_timeout,
        start_timeout: rules.start_timeout,
        grace: rules.grace,
        burst: rules.burst,
        within: rules.within,
        backoff: rules.backoff,
        backoff_max: rules.backoff_max,
        stable: rules.stable,
        ladder: rules.ladder,
    });
    Draft {
        name: name.into(),
        opened: opened.clone(),
        unit: unit.map(|unit| (unit, service.place("unit"))),
        group: group.map(|group| (group, service.place("group"))),
        depends_on,
        guard,
        watched,
        heartbeats,
        logs,
    }
}

/// Passive checks raise suspicions, and a suspicion is answered by a heartbeat: without one nothing comes of them.
fn unanswered(name: &str, service: &Reader<'_>) {
    let off = if service.has("heartbeat") { ": `on_failure = \"off\"`" } else { "" };
    for key in ["log", "stall"].into_iter().filter(|key| service.has(key)) {
        let title = format!("nothing comes of `{key}` of [service.{name}]: its unit is never asked{off}");
        let help =
            "it only raises a suspicion, which a heartbeat answers: add [service.NAME.heartbeat] with a url";
        service.log.warn(service.key_place(key), title, &help.replace("NAME", name));
    }
}

/// The name of a unit that may be watched.
pub(super) fn unit(text: &str) -> Result<Unit, Complaint> {
    const SUCH_AS: &str = "expected the name of a service unit, such as \"nginx.service\"";
    let unit: Unit = text.parse().map_err(|error: crate::model::InvalidUnit| {
        let whole = format!("{text}.service");
        let help = match whole.parse::<Unit>() {
            Ok(_) if !text.contains('.') => format!("write {whole:?}"),
            _ => error.to_string(),
        };
        Complaint::new(SUCH_AS, help).matching("\\.service$")
    })?;
    match text {
        "watchdog.service" | "service-watchdog.service" => Err(Complaint::new(
            "expected another unit than watchdog's own",
            "systemd looks after watchdog: Restart=always",
        )),
        text if text.ends_with(".service") => Ok(unit),
        _ => Err(Complaint::new(SUCH_AS, "only services run processes that can be kept answering")),
    }
}

/// Where a heartbeat connects, and the port of its URL.
fn connect(asked: &heartbeat::Settings) -> Option<(Connect, u16)> {
    match &asked.target {
        heartbeat::Target::Http { port, .. } | heartbeat::Target::Tcp { port, .. } => {
            Some((asked.connect.clone(), *port))
        }
        heartbeat::Target::Exec { .. } => None,
    }
}

fn stall(service: &Reader<'_>) -> (Duration, Duration, bool) {
    let table = service.table("stall");
    let after = |key, default| {
        let limits = Duration::from_millis(10)..=Duration::from_secs(3600);
        table.as_ref().and_then(|table| table.duration(key, limits)).unwrap_or(Duration::from_millis(default))
    };
    let status_5xx = table.as_ref().and_then(|table| table.flag("status_5xx")).unwrap_or(true);
    (after("accept_after", 250), after("answer_after", 1_000), status_5xx)
}

fn log(table: &Reader<'_>, own: Vec<Vec<u8>>) -> Option<Log> {
    table.require("path", "the full path of the log");
    table.forbid(
        "match",
        "status",
        "`status` reads the common or combined format, `match` any other: keep one",
    );
    table.require_one("status", "match", "such as status = \"5xx\", or match = \"a regular expression\"");
    let status =
        table.text("status", values::statuses).map(|range| BadLine::Status(*range.start(), *range.end()));
    let pattern = table.text("match", pulse::pattern).map(BadLine::Match);
    let path = table.text("path", values::path);
    let share = table.share("share").unwrap_or(0.5);
    let minimum = table.count("minimum", 1..=1_000_000).unwrap_or(20);
    let limits = Duration::from_millis(100)..=Duration::from_secs(86_400);
    let within = table.duration("within", limits).unwrap_or(Duration::from_secs(10));
    Some(Log { path: path?, bad: status.or(pattern)?, share, minimum, within, own })
}

/// `[service.NAME.restart]`.
struct Rules {
    on: RestartOn,
    stop_timeout: Option<Duration>,
    start_timeout: Option<Duration>,
    grace: Duration,
    burst: u32,
    within: Duration,
    backoff: Duration,
    backoff_max: Duration,
    stable: Duration,
    ladder: Ladder,
}

const ENDS: [(&str, RestartOn); 7] = [
    ("no", RestartOn::No),
    ("always", RestartOn::Always),
    ("on-success", RestartOn::OnSuccess),
    ("on-failure", RestartOn::OnFailure),
    ("on-abnormal", RestartOn::OnAbnormal),
    ("on-abort", RestartOn::OnAbort),
    ("on-watchdog", RestartOn::OnWatchdog),
];

fn rules(service: &Reader<'_>, is_asked: bool) -> Rules {
    let table = service.table("restart");
    let table = table.as_ref();
    let ms = Duration::from_millis;
    let length = |key, least| table.and_then(|table| table.duration(key, least..=YEAR));
    let rules = Rules {
        on: table.and_then(|table| table.word("on", &ENDS)).unwrap_or(RestartOn::OnFailure),
        stop_timeout: length("stop_timeout", ms(100)),
        start_timeout: length("start_timeout", ms(100)),
        grace: length("grace", Duration::ZERO).unwrap_or(ms(10_000)),
        burst: table.and_then(|table| table.count("burst", 1..=1_000)).unwrap_or(3),
        within: length("within", ms(1_000)).unwrap_or(ms(300_000)),
        backoff: length("backoff", ms(10)).unwrap_or(ms(1_000)),
        backoff_max: length("backoff_max", ms(10)).unwrap_or(ms(300_000)),
        stable: length("stable", ms(1_000)).unwrap_or(ms(600_000)),
        ladder: ladder(table),
    };
    let Some(table) = table else { return rules };
    if rules.backoff > rules.backoff_max {
        let spots = [("backoff", rules.backoff), ("backoff_max", rules.backoff_max)];
        let spots =
            spots.map(|(key, value)| (table.place(key), format!("`{key}` is {}", values::say(value))));
        table.log.fault(
            "the first pause is longer than the longest".into(),
            spots.into(),
            "`backoff` grows up to `backoff_max`",
        );
    }
    if rules.stable < rules.within {
        let title =
            "`stable` is shorter than `within`: counters start afresh before `burst` can be reached".into();
        let key = if table.has("stable") { "stable" } else { "within" };
        table.log.warn(table.place(key), title, "make `stable` the longer of the two");
    }
    if rules.on == RestartOn::No && !is_asked {
        let title =
            "without a heartbeat, and with `on = \"no\"`, nothing is ever done for this service".into();
        table.log.warn(table.place("on"), title, "add a heartbeat, or let an end be acted upon");
    }
    rules
}

/// `[service.NAME.restart.ladder]`.
fn ladder(restart: Option<&Reader<'_>>) -> Ladder {
    let table = restart.and_then(|restart| restart.table("ladder"));
    let table = table.as_ref();
    let (second, minute, hour) = (Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3600));
    let length = |key, least| table.and_then(|table| table.duration(key, least..=YEAR));
    Ladder {
        reboot: table.and_then(|table| table.flag("reboot")).unwrap_or(false),
        reboot_after: length("reboot_after", second).unwrap_or(30 * minute),
        reboot_every: length("reboot_every", hour).unwrap_or(6 * hour),
    }
}
