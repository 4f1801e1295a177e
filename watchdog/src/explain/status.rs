//! What is true now, at a glance.

use std::{fmt::Write as _, time::Duration};

use super::{
    check::{say, several},
    page::folded,
};
use crate::{
    model::{
        FileState, Health, Hold, IncidentEnd, LoadState, Mono, OpenIncident, ServiceStatus, Serving,
        SinkStatus, SourceStatus, Status,
    },
    stream,
};

/// A pause of more than this is one that was asked for without an end.
const FOR_EVER: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// So many that are not well are named in the last line; more are counted.
const NAMED: usize = 8;

/// What goes on with a service, on lines of its own below it.
const BELOW: usize = 4;

/// The text for people; on a terminal of so many columns folded, and with colours where they are wanted.
pub fn status(status: &Status, columns: Option<usize>, coloured: bool) -> String {
    let mut text = format!("watchdog {}, running for {}", status.version, ago(status.at, status.since));
    if status.discovered {
        text += "; there is no configuration: it only observes what `watchdog discover` finds here, and NOTHING IS RESTARTED";
    } else if status.observe {
        text += "; it only observes: everything is decided and nothing is done";
    }
    text = folded(&text, columns, 0) + "\n\n";
    services(&mut text, status, columns, coloured);
    if !status.rungs.is_empty() {
        text += "\nFailures are seen by\n";
        rungs(&mut text, &status.rungs, columns);
    }
    let trouble: Vec<String> =
        status.sources.iter().filter_map(source).chain(status.events.iter().filter_map(sink)).collect();
    if !trouble.is_empty() {
        text += "\nSources and sinks in trouble\n";
        trouble.iter().for_each(|line| text += &(folded(&format!("  {line}"), columns, BELOW) + "\n"));
    }
    if !status.ticks.is_empty() {
        text += "\nWhat ticks while all is well\n";
    }
    let width = status.ticks.iter().map(|tick| say(tick.every).len()).max().unwrap_or(0);
    for tick in &status.ticks {
        let line = format!("  every {:<width$}  {}", say(tick.every), tick.what);
        text += &(folded(&line, columns, "  every   ".len() + width) + "\n");
    }
    text + "\n" + &folded(&summary(status), columns, BELOW) + "\n"
}

fn services(text: &mut String, status: &Status, columns: Option<usize>, coloured: bool) {
    let head = ["SERVICE", "ENABLED", "ACTIVE", "HEALTHY", "RESTARTS LEFT", ""].map(str::to_owned);
    let rows = status.services.iter().map(|it| {
        let restarts = format!("{} of {} in {}", it.budget.left, it.budget.of, say(it.budget.within));
        let healthy = healthy(it.health).to_owned();
        let what = what(it, status.at);
        (Some(it.health), [it.service.to_string(), enabled(it).into(), active(it), healthy, restarts, what])
    });
    let table: Vec<(Option<Health>, [String; 6])> = [(None, head)].into_iter().chain(rows).collect();
    let width =
        |column: usize| table.iter().map(|(_, cells)| cells[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for (health, cells) in &table {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padded = format!("{cell:<width$}  ");
            match health.filter(|_| coloured && column == 3) {
                Some(health) => _ = write!(line, "{}{padded}\x1b[0m", colour(health)),
                None => line += &padded,
            }
        }
        let whole = widths.iter().map(|width| width + 2).sum::<usize>() + cells[5].chars().count();
        let fits = columns.is_none_or(|columns| whole <= columns);
        line += if fits { &cells[5] } else { "" };
        *text += line.trim_end();
        *text += "\n";
        if !fits {
            *text += &(folded(&format!("{:BELOW$}{}", "", cells[5]), columns, BELOW) + "\n");
        }
    }
    let budget = status.budget;
    *text += &format!(
        "\n{} left of {} in {} for all services together\n",
        several(budget.left, "restart"),
        budget.of,
        say(budget.within)
    );
}

fn enabled(it: &ServiceStatus) -> &'static str {
    match (it.load, it.file) {
        (Some(LoadState::NotFound), _) => "absent",
        (None, _) | (_, None) => "?",
        (Some(LoadState::Loaded | LoadState::Masked | LoadState::Error), Some(file)) => match file {
            FileState::Other => "yes",
            FileState::Disabled => "no",
            FileState::Masked => "masked",
        },
    }
}

fn active(it: &ServiceStatus) -> String {
    match it.active {
        None => "?".to_owned(),
        Some(active) if active.is_up() => "yes".to_owned(),
        Some(active) if active.is_down() => "no".to_owned(),
        Some(_) => it.sub.clone(),
    }
}

fn healthy(health: Health) -> &'static str {
    match health {
        Health::Well => "yes",
        Health::Unsure => "?",
        Health::Down | Health::Failing => "no",
        Health::Quarantined => "quarantine",
    }
}

fn colour(health: Health) -> &'static str {
    match health {
        Health::Well => "\x1b[32m",
        Health::Unsure => "\x1b[33m",
        Health::Down | Health::Failing | Health::Quarantined => "\x1b[1;31m",
    }
}

/// What goes on, what waits, or what was last.
fn what(it: &ServiceStatus, now: Mono) -> String {
    let mut said = Vec::new();
    if let Some(pause) = &it.pause {
        let left = pause.until.since(now);
        let left = match left < FOR_EVER {
            true => format!("for another {}", rounded(left)),
            false => "until it is resumed".to_owned(),
        };
        let reason = if pause.reason.is_empty() { String::new() } else { format!(" ({})", pause.reason) };
        said.push(format!("PAUSED by {} {left}{reason}", pause.by));
    }
    match (&it.incident, &it.last) {
        (Some(incident), _) => said.push(open(it, incident, now)),
        (None, _) if it.health != Health::Well => said.push(it.stage.clone()),
        (None, Some(last)) => {
            let end = match last.end {
                IncidentEnd::Recovered => "recovered after",
                IncidentEnd::Quarantined => "quarantined after",
                IncidentEnd::StoodDown => "left alone after",
                IncidentEnd::Superseded => "started by another hand after",
            };
            said.push(format!("last incident {} ago: {end} {}", ago(now, last.ended), rounded(last.took)));
        }
        (None, None) if it.stage == "up" => {}
        (None, None) => said.push(it.stage.clone()),
    }
    if let Some(unknown) = &it.unknown {
        let name = format!("{}: ", it.service);
        said.push(unknown.strip_prefix(&name).unwrap_or(unknown).to_owned());
    }
    if let Some(held) = it.held.as_ref().filter(|held| held.hold != Hold::Pause) {
        let (so_far, next) = (ago(now, held.since), ago(held.until, now));
        said.push(format!("waits {so_far} so far: {}; looked at again in {next}", stream::held(&held.hold)));
    }
    said.join("; ")
}

/// What goes on: since when, what it began with, and what came last.
fn open(it: &ServiceStatus, incident: &OpenIncident, now: Mono) -> String {
    let OpenIncident { id, began, restarts, first_step: first, last_step: last } = incident;
    let restarts = match restarts {
        0 => String::new(),
        some => format!(", {}", several(*some, "restart")),
    };
    let latest = if it.held.is_some() || first == last { String::new() } else { format!("; now: {last}") };
    format!("{}: incident {id} for {}{restarts}: {first}{latest}", it.stage, ago(now, *began))
}

/// The last line, which stands above the next prompt: who is not well.
fn summary(status: &Status) -> String {
    let all = status.services.len();
    let mut ill: Vec<&ServiceStatus> =
        status.services.iter().filter(|it| it.health != Health::Well).collect();
    ill.sort_by_key(|it| std::cmp::Reverse(it.health)); // the worst are named
    let named: Vec<String> =
        ill.iter().take(NAMED).map(|it| format!("{} ({})", it.service, it.health.name())).collect();
    let more = match ill.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match (all, ill.len()) {
        (0, _) => "no service is watched".to_owned(),
        (1, 0) => "it is well".to_owned(),
        (_, 0) => format!("all {all} services are well"),
        (_, some) => {
            format!("{some} of {} not well: {}{more}", several(all as u32, "service"), named.join(", "))
        }
    }
}

/// One line for all classes that are seen alike.
fn rungs(text: &mut String, rungs: &[Serving], columns: Option<usize>) {
    let alike = stream::alike(rungs);
    let width = alike.iter().map(|(it, _)| it.rung.name().len()).max().unwrap_or(0);
    for (Serving { rung, why, .. }, classes) in alike {
        let why = if why.is_empty() { String::new() } else { format!("; nothing better: {why}") };
        let line = format!("  {:<width$}  {}{why}", rung.name(), classes.join(", "));
        *text += &(folded(&line, columns, width + BELOW) + "\n");
    }
}

fn source(it: &SourceStatus) -> Option<String> {
    let name = it.source.name();
    let lost = match (it.losses, it.lost) {
        (0, _) => None,
        (times, 0) => Some(format!("has lost something {times} times, each looked at again")),
        (times, lost) => Some(format!("has lost {lost} records, in {times} gaps, each looked at again")),
    };
    let fails = (it.works == Some(false)).then(|| format!("does not work: {}", it.why));
    let said: Vec<String> = fails.into_iter().chain(lost).collect();
    (!said.is_empty()).then(|| format!("{name} {}", said.join("; it ")))
}

fn sink(it: &SinkStatus) -> Option<String> {
    let lost = (it.lost > 0).then(|| format!("{} events were not written", it.lost));
    let said: Vec<String> = it.fault.clone().into_iter().chain(lost).collect();
    (!said.is_empty()).then(|| format!("events to {}: {}", it.sink, said.join("; ")))
}

fn ago(later: Mono, earlier: Mono) -> String {
    rounded(later.since(earlier))
}

/// To what one still wants to know.
pub fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    say(match seconds {
        0 => Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(0)),
        1..3_600 => Duration::from_secs(seconds),
        3_600..172_800 => Duration::from_secs(seconds / 60 * 60),
        172_800.. => Duration::from_secs(seconds / 3_600 * 3_600),
    })
}
