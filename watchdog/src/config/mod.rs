//! The only room that knows TOML; builds the settings that the rooms below define.
//!
//! Three stages: each file becomes a *fragment*, a tree whose values know their places (`tree`); the fragments are *merged*;
//! the merged tree is read with types, limits and defaults into *checked* settings (`host`, `service`, `pulse`, `whole`).
//!
//! Invariants: every fault of every file is told at once, with file, line, caret and what to do; settings come out only when
//! there is none; no file is read that others than root (or the user who runs watchdog) could change. Deliberately absent:
//! the clock, systemd (a unit that is not there is no fault of the configuration), and name resolution.

mod address;
pub mod discover;
mod fault;
mod files;
mod host;
pub mod import;
mod keys;
mod notify;
mod pulse;
mod reader;
mod recorder;
mod service;
mod sketch;
#[cfg(test)]
mod tests;
mod tree;
mod values;
mod whole;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use fault::{Danger, Fault, Faults, Told, Written, wants_colour};

use crate::{engine, heartbeat::Profiles, model::Service, policy, suspicion};
use fault::{Place, Source};
use reader::Reader;
pub use sketch::schema;
use tree::{Table, Value};

/// Where a configuration is looked for unasked: `watchdog.toml` and `conf.d` in this folder.
pub const DEFAULT_FOLDER: &str = "/etc/watchdog";

/// `state_directory`, where nothing else is said.
pub const DEFAULT_STATE: &str = "/var/lib/watchdog";

/// `control_socket`, where nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/watchdog/control.sock";

/// A configuration that shows every key, with its defaults.
pub const SAMPLE: &str = include_str!("sample.toml");

/// A configuration without a fault.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What a run goes by.
    pub settings: engine::Settings,
    /// What is probably not meant so; each with its file and line.
    pub warnings: Vec<String>,
    /// Keys that were read and checked, and that this version does not act upon; each with what that means.
    pub checked_only: Vec<String>,
    /// The files that were read, in their order.
    pub files: Vec<PathBuf>,
    /// Files of `conf.d` that do not end in `.toml`.
    pub ignored: Vec<PathBuf>,
}

/// Loads `path` (a file, or a folder that holds `watchdog.toml` and `conf.d`), or what is in [`DEFAULT_FOLDER`].
///
/// # Errors
/// Every fault of every file.
pub fn load(path: Option<&Path>) -> Result<Loaded, Faults> {
    let found = files::find(path, Path::new(DEFAULT_FOLDER));
    understand(found, false)
}

/// Where the running watchdog listens, as far as these files say it: a fault elsewhere in them is no hindrance, for it runs by what
/// was there before.
///
/// # Errors
/// A path that was asked for cannot be read.
pub fn control_socket(path: Option<&Path>) -> Result<PathBuf, Faults> {
    let files::Found { mut sources, faults, .. } = files::find(path, Path::new(DEFAULT_FOLDER));
    if path.is_some() && !faults.is_empty() {
        return Err(Faults { sources, faults });
    }
    sources.retain(|source| source.text.contains("control_socket")); // the others need not be understood
    let log = reader::Log::default();
    let host = tree::merge(fragments(&mut sources, &log)).host;
    let said = host.as_ref().map(|host| host::socket(&Reader::host(host, &log)));
    Ok(said.unwrap_or(DEFAULT_SOCKET.into()))
}

/// Loads what stands in this text, and no file; `name` is told in its faults. It may hold no service at all.
///
/// # Errors
/// Every fault.
pub fn of_text(name: &Path, text: String) -> Result<Loaded, Faults> {
    let source = Source { path: name.to_owned(), text, world_readable: true };
    understand(files::Found { sources: vec![source], ..files::Found::default() }, true)
}

fn understand(found: files::Found, may_be_empty: bool) -> Result<Loaded, Faults> {
    let files::Found { mut sources, ignored, faults } = found;
    let log = reader::Log::default();
    log.faults.borrow_mut().extend(faults);
    let fragments = fragments(&mut sources, &log);
    let gaps = !log.faults.borrow().is_empty();
    let mut any = gaps; // something that was meant for a service could not be read
    for fragment in &fragments {
        let file = Reader::file(fragment, &log);
        if let Some(table) = file.table("watchdog") {
            host::read(&table, &sources);
        }
        any |= file.has("service") && file.table("service").is_none();
    }
    let mut profiles = Profiles::default();
    let merged = tree::merge(fragments);
    log.faults.borrow_mut().extend(merged.faults);

    let drafts: Vec<_> = merged
        .services
        .iter()
        .filter_map(|(name, entry)| draft(name, entry, &sources, &mut profiles, &log))
        .collect();
    if merged.services.is_empty() && !any && !may_be_empty {
        let files: Vec<_> = sources.iter().map(|source| source.path.display().to_string()).collect();
        let help = "a service is two lines: [service.web] and unit = \"nginx.service\"";
        log.fault(format!("there is no [service.NAME] in {}", files.join(" and ")), Vec::new(), help);
    }
    let depends_on = whole::check(&drafts, gaps, &log);
    let mut faults = log.faults.take();
    if !faults.is_empty() {
        faults.sort_by_key(Fault::order);
        return Err(Faults { sources, faults });
    }

    let host = {
        let nothing = Table { place: Place { file: 0, span: 0..0 }, entries: BTreeMap::new() };
        let told = reader::Log::default(); // each file's [watchdog] has told its own above
        host::read(&Reader::host(merged.host.as_ref().unwrap_or(&nothing), &told), &sources)
    };
    let mut loaded = Loaded {
        settings: engine::Settings {
            policy: policy::Settings { host: host.policy, services: BTreeMap::new() },
            suspicion: suspicion::Settings::default(),
            heartbeats: BTreeMap::new(),
            logs: BTreeMap::new(),
            notify: host.notify,
            recorder: host.recorder,
            stream: host.stream,
            state_directory: host.state_directory,
            control_socket: host.control_socket,
            discovered: false,
        },
        warnings: warnings(&log, &sources),
        checked_only: checked_only(&log),
        files: sources.into_iter().map(|source| source.path).collect(),
        ignored,
    };
    for (draft, depends_on) in drafts.into_iter().zip(depends_on) {
        let service = Service::new(&draft.name);
        let settings = &mut loaded.settings;
        settings
            .policy
            .services
            .extend(draft.guard.map(|guard| (service.clone(), policy::Guard { depends_on, ..guard })));
        settings.suspicion.services.extend(draft.watched.map(|watched| (service.clone(), watched)));
        settings.heartbeats.insert(service.clone(), draft.heartbeats);
        settings.logs.insert(service.clone(), draft.logs);
    }
    Ok(loaded)
}

/// The first stage: every file that is TOML, with the secrets in the texts masked.
fn fragments(sources: &mut [Source], log: &reader::Log) -> Vec<Table> {
    let mut fragments = Vec::new();
    for (file, source) in sources.iter_mut().enumerate() {
        let (fragment, faults) = tree::fragment(file, source);
        tree::secrets(&fragment).into_iter().for_each(|place| source.mask(place.span));
        if faults.is_empty() {
            fragments.push(fragment);
        }
        log.faults.borrow_mut().extend(faults);
    }
    fragments
}

fn draft(
    name: &str,
    entry: &tree::Entry,
    sources: &[Source],
    profiles: &mut Profiles,
    log: &reader::Log,
) -> Option<service::Draft> {
    let Value::Table(table) = &entry.node.value else {
        let spots =
            vec![(entry.node.place.clone(), format!("expected a table, found {}", entry.node.value.kind()))];
        let help = format!("write [service.{name}] on a line of its own, and unit = \"….service\" below it");
        log.fault(format!("`service.{name}` is no service"), spots, &help);
        return None;
    };
    Some(service::read(name, &entry.key, &Reader::service(name, table, log), sources, profiles))
}

fn checked_only(log: &reader::Log) -> Vec<String> {
    let told = log.checked_only.take();
    told.into_iter().map(|(key, means)| format!("{key}: {means}")).collect()
}

fn warnings(log: &reader::Log, sources: &[Source]) -> Vec<String> {
    let mut warnings = log.warnings.take();
    warnings.sort_by_key(|warning| warning.spots.first().map(|(place, _)| place.order()));
    let say = |warning: Written| {
        let place = warning.spots.first().and_then(|(place, _)| {
            let source = sources.get(place.file)?;
            let (line, column) = source.line_and_column(place.span.start);
            Some(format!("{}:{line}:{column}: ", source.path.display()))
        });
        format!("{}{}; {}", place.unwrap_or_default(), warning.title, warning.help)
    };
    warnings.into_iter().map(say).collect()
}
