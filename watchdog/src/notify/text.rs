//! A message as people read it at three in the morning, and as programs do.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use jiff::{
    Timestamp,
    fmt::friendly::{Spacing, SpanPrinter},
    tz::TimeZone,
};
use serde_json::{Value, json};

use super::{book::Message, notice::Notice};
use crate::{
    called::by_name,
    model::{NoticeKind, Service, Wall},
};

/// The longest subject, in characters: phones show no more.
const SUBJECT: usize = 120;

/// A message in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) text: String,
    /// For programs: an object with `host`, `subject`, `text` and `events`.
    pub(super) json: Value,
    /// Short facts, for the environment of a program.
    pub(super) facts: Vec<(&'static str, String)>,
}

/// Puts a message into words.
pub(super) fn words(message: &Message, host: &str, zone: &TimeZone) -> Words {
    let subject = subject(message, host);
    let mut text = String::new();
    for notice in &message.notices {
        _ = writeln!(text, "{}", told(notice, host, zone)); // a String takes every write
    }
    if message.dropped > 0 {
        let what = "more were left out for want of room: see `watchdog events`";
        _ = writeln!(text, "{} {what}\n", message.dropped);
    }
    let mut text = by_name(&text).into_owned();
    _ = write!(text, "told by watchdog {} on {host}", env!("CARGO_PKG_VERSION"));
    let events: Vec<Value> = message.notices.iter().map(|notice| event(notice, host, zone)).collect();
    let json = json!({
        "host": host,
        "subject": subject,
        "text": format!("{subject}\n\n{text}"),
        "events": events,
        "left_out": message.dropped,
    });
    let gravest = gravest(&message.notices);
    let facts = vec![
        ("WATCHDOG_HOST", host.to_owned()),
        ("WATCHDOG_SUBJECT", subject.clone()),
        ("WATCHDOG_EVENT", gravest.map_or("test", |notice| notice.kind.name()).to_owned()),
        ("WATCHDOG_SERVICE", gravest.map_or(String::new(), |notice| notice.service.to_string())),
        (
            "WATCHDOG_UNIT",
            gravest.and_then(|notice| notice.unit.as_ref()).map_or(String::new(), ToString::to_string),
        ),
        ("WATCHDOG_EVENTS", message.notices.len().to_string()),
    ];
    Words { subject, text, json, facts }
}

/// A message that tells nothing but that it arrives.
pub(super) fn test(host: &str) -> Words {
    let subject = format!("[{host}] watchdog can tell you");
    let text = format!(
        "This is a test: nothing has happened on {host}.\n\nWho reads this is told when a service of {host} needs somebody.\n\ntold by watchdog {} on {host}",
        env!("CARGO_PKG_VERSION")
    );
    let json = json!({ "host": host, "subject": subject, "text": format!("{subject}\n\n{text}"), "events": [], "left_out": 0, "test": true });
    let facts = vec![
        ("WATCHDOG_HOST", host.to_owned()),
        ("WATCHDOG_SUBJECT", subject.clone()),
        ("WATCHDOG_EVENT", "test".to_owned()),
    ];
    Words { subject, text, json, facts }
}

fn subject(message: &Message, host: &str) -> String {
    let mut states: BTreeMap<&Service, &Notice> = BTreeMap::new();
    for notice in &message.notices {
        let of = states.entry(&notice.service).or_insert(notice);
        // what is over is over; of what is not, the gravest counts
        if notice.kind == NoticeKind::Recovered || notice.kind >= of.kind || of.kind == NoticeKind::Recovered
        {
            *of = notice;
        }
    }
    let mut states: Vec<&Notice> = states.into_values().collect();
    states.sort_by_key(|notice| std::cmp::Reverse(notice.kind));
    let told: Vec<String> = states.iter().map(|notice| state(notice)).collect();
    let told = match told.as_slice() {
        [one] => one.clone(),
        several => format!("{} services: {}", several.len(), several.join("; ")),
    };
    let whole = format!("[{host}] {told}");
    match whole.chars().count() > SUBJECT {
        true => whole.chars().take(SUBJECT - 1).chain(['…']).collect(),
        false => whole,
    }
}

/// In a few words; an alert says what it is about.
fn state(notice: &Notice) -> String {
    match (notice.kind, notice.happened.first()) {
        (NoticeKind::Alert, Some(what)) => format!("{}: {}", notice.service, what.what),
        (
            NoticeKind::Alert
            | NoticeKind::Quarantined
            | NoticeKind::Failed
            | NoticeKind::Repeated
            | NoticeKind::Restarted
            | NoticeKind::Recovered,
            _,
        ) => format!("{} {}", notice.service, notice.state),
    }
}

fn told(notice: &Notice, host: &str, zone: &TimeZone) -> String {
    let unit = notice.unit.as_ref().map(|unit| format!(" ({unit})")).unwrap_or_default();
    let mut text = format!("{}{unit} on {host} {}\n", notice.service, notice.state);
    let mut line = |name: &str, what: &str| {
        if !what.is_empty() {
            _ = writeln!(text, "  {name:<11}{what}"); // a String takes every write
        }
    };
    for (index, happened) in notice.happened.iter().enumerate() {
        let time = clock(happened.wall, zone, "%H:%M:%S");
        line(if index == 0 { "happened" } else { "" }, &format!("{time} {}", happened.what));
    }
    line("done", &notice.done);
    line("next", &notice.next);
    line("time", &clock(notice.wall, zone, "%Y-%m-%d %H:%M:%S %Z"));
    let journal = notice.unit.as_ref().map(|unit| format!("   journalctl -u {unit}")).unwrap_or_default();
    line("look", &format!("watchdog why {}{journal}", notice.service));
    text
}

fn event(notice: &Notice, host: &str, zone: &TimeZone) -> Value {
    let time = |wall: Wall| clock(wall, &TimeZone::UTC, "%Y-%m-%dT%H:%M:%S%.6fZ");
    let steps: Vec<Value> =
        notice.happened.iter().map(|it| json!({ "time": time(it.wall), "what": it.what })).collect();
    json!({
        "id": notice.id,
        "kind": notice.kind.name(),
        "host": host,
        "service": notice.service,
        "unit": notice.unit,
        "incident": notice.incident,
        "time": time(notice.wall),
        "state": notice.state,
        "happened": steps,
        "done": notice.done,
        "next": notice.next,
        "text": told(notice, host, zone),
    })
}

fn gravest(notices: &[Notice]) -> Option<&Notice> {
    notices.iter().max_by_key(|notice| notice.kind)
}

fn clock(wall: Wall, zone: &TimeZone, format: &str) -> String {
    let time = Timestamp::from_microsecond(wall.0).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

/// As people write it, with no more digits than they read: `4.2s` is `4s 200ms`.
pub(super) fn span(span: Duration) -> String {
    let fine = match span.as_millis() {
        0..1_000 => Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(0)),
        1_000..10_000 => Duration::from_millis(u64::try_from(span.as_millis() / 100 * 100).unwrap_or(0)),
        _ => Duration::from_secs(span.as_secs()),
    };
    SpanPrinter::new().spacing(Spacing::BetweenUnits).unsigned_duration_to_string(&fine)
}
