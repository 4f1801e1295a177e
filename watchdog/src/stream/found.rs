//! What a fact says, for people.

use super::{sentence::unit, words::span};
use crate::model::{
    Fact, Known, Lodger, Moment, Others, PidFile, Preflight, Pressure, Recorded, Service, SystemState,
};

/// One sentence.
pub(super) fn fact(fact: &Fact) -> String {
    match &fact.known {
        Known::Unit(state) => unit(state),
        Known::Holders(holders) if holders.is_empty() => "nobody else holds its ports".into(),
        Known::Holders(holders) => holders
            .iter()
            .map(|holder| {
                let of = if holder.unit.is_empty() { String::new() } else { format!(" of {}", holder.unit) };
                format!("{} is held by process {} ({}){of}", holder.place, holder.pid, holder.comm)
            })
            .collect::<Vec<_>>()
            .join("; "),
        Known::Preflight(Preflight::Passed) => "its preflight passed".into(),
        Known::Preflight(Preflight::Failed { how, output }) => {
            format!("its preflight {how}: {}", output.join(" / "))
        }
        Known::Preflight(Preflight::NotRun { why }) => format!("its preflight was not run: {why}"),
        Known::Ourselves { fault: None } => "watchdog answers itself".into(),
        Known::Ourselves { fault: Some(why) } => format!("watchdog cannot ask itself: {why}"),
        Known::Pressure(pressure) => pressed(pressure),
        Known::MainProcess { unreaped: true } => "its main process is dead, and nobody reaps it".into(),
        Known::MainProcess { unreaped: false } => "its main process is no zombie".into(),
        Known::Recorded(recorded) => evidence(recorded),
        Known::Asked { job, by } => {
            let by: Vec<String> =
                by.iter().map(|run| format!("process {} ({}, uid {})", run.pid, run.comm, run.uid)).collect();
            format!("run before job {job} came: {}", by.join(", "))
        }
        Known::LastWords(lines) => format!("its last words: {}", lines.join(" / ")),
        Known::PidFile(None) => "there is no PID file, or no PID in it".into(),
        Known::PidFile(Some(file)) => pid_file(file),
        Known::Others(others) => at_work(others),
        Known::Fronts(fronts) if fronts.is_empty() => "no service stands in front of it".into(),
        Known::Fronts(fronts) => {
            let fronts: Vec<&str> = fronts.iter().map(Service::as_str).collect();
            format!("it stands behind {}", fronts.join(", "))
        }
        Known::Nothing { why } => format!("cannot be looked up: {why}"),
    }
}

fn evidence(recorded: &Recorded) -> String {
    let Recorded { incident: _, moment, path, took, missing } = recorded;
    let before = match moment {
        Moment::Restart => "before the restart",
        Moment::Kill => "before the kill",
        Moment::Death => "after its end",
    };
    let missing = missing.as_ref().map(|what| format!(" (not whole: {what})")).unwrap_or_default();
    format!("evidence {before} kept in {} within {}{missing}", path.display(), span(*took))
}

fn at_work(others: &Others) -> String {
    let Others { system, package, frozen, tracer, began: _ } = others;
    let system = match system {
        SystemState::Booting => Some("the boot is not over"),
        SystemState::Running => None,
        SystemState::Stopping => Some("the host shuts down"),
    };
    let frozen = frozen.then_some("its processes are frozen");
    let said = [system, frozen, package.as_deref(), tracer.as_deref()];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    if said.is_empty() { "nobody else is at work".into() } else { said.join("; ") }
}

fn pressed(pressure: &Pressure) -> String {
    let all = [("memory", pressure.memory), ("I/O", pressure.io), ("CPU", pressure.cpu)];
    let stalls = all.iter().filter_map(|(name, pressed)| {
        Some(format!("{name} {} %", f64::from((*pressed)?.some.avg10) / 100.0))
    });
    let disks = pressure.disks.iter().map(|disk| {
        let inodes = disk.inodes.unwrap_or(u32::MAX);
        format!("{} {} % free", disk.place, f64::from(disk.blocks.min(inodes)) / 100.0)
    });
    let tasks = pressure.tasks.iter().map(|it| format!("{} of {} tasks of {}", it.used, it.limit, it.place));
    format!("pressure: {}", stalls.chain(disks).chain(tasks).collect::<Vec<_>>().join(", "))
}

fn pid_file(file: &PidFile) -> String {
    let named = match &file.holder {
        Some(holder) => lodger(holder),
        None => format!("process {}, which does not live", file.stamp.pid),
    };
    let other = file.instance.as_ref().map(|it| format!("; {} may be of the service", lodger(it)));
    let stale = if file.is_stale() { ": it is stale" } else { "" };
    format!("{} names {named}{}{stale}", file.path.display(), other.unwrap_or_default())
}

fn lodger(lodger: &Lodger) -> String {
    let of = if lodger.unit.is_empty() { String::new() } else { format!(" of {}", lodger.unit) };
    format!("process {} ({}){of}", lodger.pid, lodger.comm)
}
