//! What is kept of the stream in the state directory, so that it can be told what happened also when nobody runs.
//!
//! Two things: the last of all that is worth telling (`events.jsonl` and `events.1.jsonl`), and of each service its last
//! incidents (`incidents/NAME.jsonl`), which no other service's noise can push out.
//! Invariants: both are bounded; a line is with the kernel before the next one is taken, so that it outlives a kill -9; what
//! the thread of this sink waits for holds up nobody else. Deliberately absent: fsync, for budgets and pauses are the store's,
//! and what a power cut takes of a story is its last seconds.

mod files;
mod incidents;
mod sorter;

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{Record, Said, drain::Out, journal, line};
use crate::model::{Decision, Known, Service, Tell, Verdict};
pub(super) use files::Recent;
use incidents::Incidents;
pub use sorter::{Incident, incidents_of};

/// The two parts of the last of everything, the older one first.
const RECENT: [&str; 2] = ["events.1.jsonl", "events.jsonl"];
/// The folder of the services' incidents.
const INCIDENTS: &str = "incidents";
/// In that folder: since when incidents are kept.
const SINCE: &str = "since";

impl Record {
    /// Whether it is kept: not what only says that all is well, nor what is whole in another record.
    pub fn is_kept(&self) -> bool {
        is_kept(self)
    }
}

pub(super) fn is_kept(record: &Record) -> bool {
    match &record.said {
        // of what is seen of a service, the suspicion tells
        Said::Sign(_) => record.subject.is_none() && journal::is_worth_telling(record),
        Said::Suspicion(_) => journal::is_worth_telling(record),
        Said::Fact(fact) => match &fact.known {
            Known::Unit(_) | Known::Fronts(_) => false,
            Known::Holders(_)
            | Known::Pressure(_)
            | Known::Preflight(_)
            | Known::Ourselves { .. }
            | Known::PidFile(_)
            | Known::Others(_)
            | Known::LastWords(_)
            | Known::MainProcess { .. }
            | Known::Recorded(_)
            | Known::Asked { .. }
            | Known::Nothing { .. } => true,
        },
        Said::Heartbeat(answer) => {
            answer.verdict != Verdict::Alive || answer.incident.is_some() || !answer.warnings.is_empty()
        }
        Said::Command(_)
        | Said::Audit(_)
        | Said::Decision(_)
        | Said::Action(_)
        | Said::Outcome(_)
        | Said::Notified(_)
        | Said::Loss(_) => true,
        Said::State(_) => false,
    }
}

/// The sink.
pub(super) struct Keeper {
    recent: Recent,
    incidents: Incidents,
    /// The line under way is in the first of the two already.
    half: bool,
}

impl Keeper {
    pub(super) fn new(folder: &Path) -> Keeper {
        Keeper { recent: Recent::new(folder), incidents: Incidents::new(folder.join(INCIDENTS)), half: false }
    }
}

impl Out for Keeper {
    fn deliver(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.half {
            self.recent.write(bytes)?;
            self.half = true;
        }
        if let Ok(line) = line::read(&String::from_utf8_lossy(bytes)) {
            self.incidents.take(&line, bytes)?;
        }
        self.half = false;
        Ok(())
    }

    fn abandon(&mut self) {
        self.half = false;
    }

    fn reopen(&mut self) {
        self.recent.reopen();
    }
}

/// Reads what is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// In this state directory.
    pub fn new(state_directory: &Path) -> Kept {
        Kept { folder: state_directory.to_owned() }
    }

    /// The last of all that was worth telling, as it was written, the oldest first. Nothing where nothing was kept.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn recent(&self) -> io::Result<String> {
        let mut all = String::new();
        for name in RECENT {
            all += &files::text(&self.folder.join(name))?;
        }
        Ok(all)
    }

    /// The last incidents of this service, the oldest first.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn incidents(&self, service: &Service) -> io::Result<Vec<Incident>> {
        let text = files::text(&incidents::place(&self.folder.join(INCIDENTS), service))?;
        Ok(incidents_of(service, &text))
    }

    /// How the last incident of this service ended that has, and when by the wall clock of then.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn last_end(&self, service: &Service) -> io::Result<Option<(Timestamp, Tell)>> {
        let text = files::text(&incidents::place(&self.folder.join(INCIDENTS), service))?;
        let end = |line: &str| {
            let line = line::read(line).ok().filter(|line| line.record.subject.as_ref() == Some(service))?;
            match line.record.said {
                Said::Decision(tell) if matches!(tell.decision, Decision::End(_)) => Some((line.time, tell)),
                Said::Decision(_)
                | Said::Sign(_)
                | Said::Fact(_)
                | Said::Command(_)
                | Said::Audit(_)
                | Said::Suspicion(_)
                | Said::Heartbeat(_)
                | Said::Action(_)
                | Said::Outcome(_)
                | Said::Notified(_)
                | Said::Loss(_)
                | Said::State(_) => None,
            }
        };
        Ok(text.lines().rev().find_map(end))
    }

    /// Services of which an incident is kept.
    pub fn services(&self) -> Vec<Service> {
        let Ok(entries) = std::fs::read_dir(self.folder.join(INCIDENTS)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut services: Vec<Service> =
            names.filter_map(|name| Some(Service::new(name.strip_suffix(".jsonl")?))).collect();
        services.sort();
        services
    }

    /// Since when incidents are kept; `None`: never.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn since(&self) -> io::Result<Option<Timestamp>> {
        Ok(files::text(&self.folder.join(INCIDENTS).join(SINCE))?.trim().parse().ok())
    }
}
