use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use jiff::fmt::friendly::{Spacing, SpanPrinter};
use serde::Serialize;

use super::{lint, outlook::Outlook, unit, unit::Known};
use crate::{
    engine,
    heartbeat::{self, Body, Target},
    model::{Connect, NoticeKind, OnFailure, Service, Unit, UnitState},
    notify::{self, Carrier, Channel, MailTls, Way},
    policy::{Host, Pulse},
    stream::Sink,
};
use crate::{look::Restarter, model::LoadState, policy::Dependency};

/// What `check` explains: a configuration without a fault, and what is known of the units.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// What a run would go by.
    pub settings: &'a engine::Settings,
    /// The files that were read.
    pub files: &'a [PathBuf],
    /// Files of `conf.d` that were not.
    pub ignored: &'a [PathBuf],
    /// What is probably not meant so.
    pub warnings: &'a [String],
    /// Keys that this version does not act upon.
    pub checked_only: &'a [String],
    /// What systemd says of the units; those that are not known are explained without.
    pub units: &'a BTreeMap<Service, Known>,
    /// Which of the units that services depend on systemd knows; those that are not among them are not spoken of.
    pub needs: &'a BTreeMap<Unit, LoadState>,
    /// Who else starts and stops units by the clock.
    pub restarters: &'a [Restarter],
    /// Only these services are told of; all, where there is none.
    pub chosen: &'a [Service],
}

/// What will happen in each failure class. Its `Display` is the text for people; serialised, the form of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Files of `conf.d` that were not.
    pub ignored: Vec<PathBuf>,
    /// Services for which nothing would ever be done.
    pub errors: Vec<String>,
    /// What is probably not meant so; also what systemd makes impossible.
    pub warnings: Vec<String>,
    /// Keys that this version does not act upon.
    pub checked_only: Vec<String>,
    /// What holds for the whole host.
    pub host: Vec<String>,
    /// Each service, in the order of their names.
    pub services: Vec<ServiceCheck>,
}

/// What will happen to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceCheck {
    /// The service.
    pub service: Service,
    /// Its unit.
    pub unit: Unit,
    /// What it is asked.
    pub heartbeats: Vec<HeartbeatCheck>,
    /// What happens when, one line for each failure class.
    pub outlook: Vec<Outlook>,
    /// What the unit's own settings do with it; empty when systemd was not asked.
    pub systemd: Vec<String>,
}

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatCheck {
    /// What is asked.
    pub asks: String,
    /// Where it connects.
    pub connects: String,
    /// What counts as an answer.
    pub good: String,
    /// When it is asked.
    pub when: String,
    /// A service that does not answer counts as dead after this time, in microseconds.
    pub silent_dead_after_us: u64,
    /// A service that answers wrongly at once, or refuses, counts as dead after this time, in microseconds.
    pub wrong_dead_after_us: u64,
    /// What that leads to.
    pub then: OnFailure,
}

/// Explains a configuration.
pub fn check(given: &Given<'_>) -> Check {
    let settings = given.settings;
    let (host, chosen) = (&settings.policy.host, given.chosen);
    let mut errors = Vec::new();
    let mut warnings = given.warnings.to_vec();
    let told = settings.policy.services.iter().filter(|(name, _)| chosen.is_empty() || chosen.contains(name));
    let services = told.map(|(service, guard)| {
        let known = given.units.get(service);
        let state: Option<&UnitState> = known.map(|known| &known.state);
        let has_log = settings.logs.get(service).is_some_and(|logs| !logs.is_empty());
        errors.extend(lint::faults(service, guard, has_log, known));
        warnings.extend(lint::budgets(service, guard, host));
        warnings.extend(known.into_iter().flat_map(|known| lint::warnings(service, guard, known)));
        warnings.extend(guard.depends_on.iter().filter_map(|need| match need {
            Dependency::Unit(unit) => lint::needs(service, unit, *given.needs.get(unit)?),
            Dependency::Service(_) => None,
        }));
        let by_the_clock = |found: &&Restarter| found.units.iter().any(|name| name == guard.unit.as_str());
        let by_the_clock = given.restarters.iter().filter(by_the_clock);
        warnings.extend(by_the_clock.map(|found| lint::restarter(service, found)));
        let asked = settings.heartbeats.get(service).map_or(&[][..], Vec::as_slice);
        ServiceCheck {
            service: service.clone(),
            unit: guard.unit.clone(),
            heartbeats: asked
                .iter()
                .zip(&guard.heartbeats)
                .map(|(asked, pulse)| heartbeat(asked, pulse))
                .collect(),
            outlook: match known.and_then(|known| lint::asleep(guard, known)) {
                Some(why) => super::outlook::asleep(why),
                None => super::outlook::of(host, guard, settings.suspicion.services.get(service), state),
            },
            systemd: known.map_or_else(Vec::new, |known| unit::own(guard, known)),
        }
    });
    let services = services.collect();
    Check {
        files: given.files.to_vec(),
        ignored: given.ignored.to_vec(),
        errors,
        warnings,
        checked_only: given.checked_only.to_vec(),
        host: whole_host(host, settings),
        services,
    }
}

fn whole_host(host: &Host, settings: &engine::Settings) -> Vec<String> {
    let mode = match host.observe {
        true => "observe: everything is decided and recorded, nothing is done",
        false => "enforce: what is decided is done",
    };
    let sinks: Vec<_> = settings.stream.sinks.iter().map(sink).collect();
    let events = if sinks.is_empty() { "nowhere".into() } else { sinks.join(", ") };
    [
        format!("mode {mode}"),
        format!(
            "at most {} in {} for all services together; of living units at most {} at a time (the start of a dead unit never waits for that)",
            several(host.restarts, "restart"),
            say(host.within),
            host.concurrent_restarts
        ),
        format!("events go to {events}"),
    ]
    .into_iter()
    .chain(telling(&settings.notify))
    .collect()
}

/// Who is told of what.
pub(crate) fn telling(notify: &notify::Settings) -> Vec<String> {
    if notify.channels.is_empty() {
        return vec!["nobody is told of anything ([watchdog.notify] says who is)".into()];
    }
    let channel = |channel: &Channel| {
        let kinds: Vec<&str> = NoticeKind::ALL
            .into_iter()
            .filter(|kind| channel.on.contains(kind))
            .map(NoticeKind::name)
            .collect();
        format!("{} is told by {}: {}", channel.name, way(&channel.way), kinds.join(", "))
    };
    notify.channels.iter().map(channel).collect()
}

fn way(way: &Way) -> String {
    match way {
        Way::Exec(exec) => format!("`{}` as {}", exec.argv.join(" "), exec.user.as_deref().unwrap_or("root")),
        Way::Webhook(hook) => {
            let scheme = if hook.secure { "https" } else { "http" };
            format!("POST {scheme}://{}:{}/…", hook.host, hook.port)
        }
        Way::Mail(mail) => match &mail.by {
            Carrier::Sendmail { argv } => format!("`{}`", argv.join(" ")),
            Carrier::Smtp { server, port, tls, .. } => {
                let tls = match tls {
                    MailTls::Tls => "TLS",
                    MailTls::Starttls => "STARTTLS",
                    MailTls::None => "no TLS",
                };
                format!("SMTP at {server}:{port} ({tls})")
            }
        },
    }
}

fn sink(sink: &Sink) -> String {
    match sink {
        Sink::Stdout => "standard output".into(),
        Sink::Journald => "the journal".into(),
        Sink::File(path) | Sink::Kept(path) => path.display().to_string(),
    }
}

fn heartbeat(asked: &heartbeat::Settings, pulse: &Pulse) -> HeartbeatCheck {
    let again = pulse.retry_after.saturating_mul(pulse.failures.saturating_sub(1));
    HeartbeatCheck {
        asks: asks(asked),
        connects: connects(asked),
        good: good(asked),
        when: match pulse.on_failure {
            OnFailure::Off => "never: on_failure = \"off\"".into(),
            OnFailure::Restart | OnFailure::Alert => format!(
                "at once on a suspicion; else every {} while clients are connecting, every {} while not",
                say(pulse.every_in_use),
                say(pulse.every)
            ),
        },
        silent_dead_after_us: micros(pulse.timeout.saturating_add(again)),
        wrong_dead_after_us: micros(again),
        then: pulse.on_failure,
    }
}

fn asks(asked: &heartbeat::Settings) -> String {
    match &asked.target {
        Target::Http { secure, host, port, path } => {
            let (scheme, usual) = if *secure { ("https", 443) } else { ("http", 80) };
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let port = if *port == usual { String::new() } else { format!(":{port}") };
            let who = if asked.basic_auth.is_some() { ", with a password" } else { "" };
            format!("{} {scheme}://{host}{port}{path}{who}", asked.method)
        }
        Target::Tcp { host, port } => format!("a connection to {host}, port {port}"),
        Target::Exec { argv, user } => {
            let user = user.as_deref().map_or(String::new(), |user| format!(" as {user}"));
            format!("the exit code of `{}`{user}", argv.join(" "))
        }
    }
}

fn connects(asked: &heartbeat::Settings) -> String {
    let port = match &asked.target {
        Target::Http { port, .. } | Target::Tcp { port, .. } => *port,
        Target::Exec { .. } => return "nowhere: a program of this host is run".into(),
    };
    match &asked.connect {
        Connect::Own => format!("where the unit itself listens on port {port}, else 127.0.0.1:{port}"),
        Connect::Address(address) => address.to_string(),
        Connect::Unix(path) => format!("unix:{}", path.display()),
        Connect::Dns => "where DNS says; a name that is not resolved says nothing about the service".into(),
    }
}

fn good(asked: &heartbeat::Settings) -> String {
    let within = say(asked.timeout);
    match &asked.target {
        Target::Tcp { .. } => format!("connected within {within}"),
        Target::Exec { .. } => format!("exit code 0 within {within}"),
        Target::Http { .. } => {
            let ranges: Vec<_> = asked
                .status
                .iter()
                .map(|range| match range.start() == range.end() {
                    true => range.start().to_string(),
                    false => format!("{}-{}", range.start(), range.end()),
                })
                .collect();
            let body = match &asked.body {
                None => String::new(),
                Some(Body::Literal(text)) => format!(", {text:?} in the body of a 2xx or 3xx"),
                Some(Body::Pattern(pattern)) => format!(", the body of a 2xx or 3xx matches /{pattern}/"),
            };
            format!("status {}{body}, complete within {within}", ranges.join(" or "))
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.files {
            writeln!(f, "read     {}", path.display())?;
        }
        for path in &self.ignored {
            writeln!(f, "ignored  {} (does not end in .toml)", path.display())?;
        }
        for line in &self.host {
            writeln!(f, "host     {line}")?;
        }
        for error in &self.errors {
            writeln!(f, "error    {error}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning  {warning}")?;
        }
        for key in &self.checked_only {
            writeln!(f, "not yet  {key}")?;
        }
        self.services.iter().try_for_each(|service| write!(f, "\n{service}"))?;
        writeln!(f, "\n{}", self.sum())
    }
}

impl Check {
    /// Everything in one line.
    fn sum(&self) -> String {
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let services = several(count(self.services.len()), "service");
        let of = |lines: &[String], what| match lines.len() {
            0 => format!("no {what}"),
            some => several(count(some), what),
        };
        format!("{services}, {}, {}", of(&self.errors, "error"), of(&self.warnings, "warning"))
    }
}

impl fmt::Display for ServiceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.service, self.unit)?;
        for heartbeat in &self.heartbeats {
            write!(f, "{heartbeat}")?;
        }
        for outlook in &self.outlook {
            line(f, outlook.when, &outlook.then)?;
        }
        for own in &self.systemd {
            line(f, "systemd", own)?;
        }
        Ok(())
    }
}

impl fmt::Display for HeartbeatCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "heartbeat", &self.asks)?;
        line(f, "", &format!("connects  {}", self.connects))?;
        line(f, "", &format!("good      {}", self.good))?;
        line(f, "", &format!("asked     {}", self.when))?;
        let (silent, wrong) = (say_us(self.silent_dead_after_us), say_us(self.wrong_dead_after_us));
        let wrong = if self.wrong_dead_after_us == 0 { "at once".into() } else { format!("after {wrong}") };
        match self.then {
            OnFailure::Restart => line(
                f,
                "",
                &format!("dead      after {silent} of silence, {wrong} when it refuses or answers wrongly"),
            ),
            OnFailure::Alert => line(
                f,
                "",
                &format!(
                    "dead      after {silent} of silence, {wrong} when it refuses or answers wrongly: an alert, no restart"
                ),
            ),
            OnFailure::Off => Ok(()),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<13}{text}")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn say_us(micros: u64) -> String {
    say(Duration::from_micros(micros))
}

/// A duration as the configuration writes it: `1m30s`.
pub(super) fn say(duration: Duration) -> String {
    SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&duration)
}

/// `1 restart`, `3 restarts`.
pub(super) fn several(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
