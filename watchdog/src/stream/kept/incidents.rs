//! The last incidents of each service, one file a service.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    super::{Line, Said, line},
    SINCE, files,
    sorter::{Sorted, Sorter, incidents_of},
};
use crate::model::{Decision, Service};

/// A file that is longer when an incident begins …
const LONG: u64 = 96 * 1024;
/// … is cut to the last whole incidents within this.
const SHORT: usize = 48 * 1024;
/// An incident that goes on and on: beyond this only what was done is kept of it, and its end …
const ENOUGH: usize = 32 * 1024;
/// … and beyond this, only its end.
const TOO_MUCH: usize = 64 * 1024;

pub(super) struct Incidents {
    folder: PathBuf,
    services: BTreeMap<Service, Of>,
    made: bool,
}

/// One service.
struct Of {
    sorter: Sorter<Vec<u8>>,
    /// Bytes of the incident that is open.
    written: usize,
}

impl Incidents {
    pub(super) fn new(folder: PathBuf) -> Incidents {
        Incidents { folder, services: BTreeMap::new(), made: false }
    }

    /// After an error the same line is taken again.
    pub(super) fn take(&mut self, line: &Line, bytes: &[u8]) -> io::Result<()> {
        self.make()?;
        let Some(service) = &line.record.subject else { return Ok(()) };
        let place = place(&self.folder, service);
        let of = match self.services.entry(service.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            // another watchdog may have died in the midst of it
            Entry::Vacant(new) => new.insert(Of::found(&files::text(&place)?)),
        };
        let before = of.sorter.clone();
        let written = match of.sorter.take(&line.record, bytes.to_vec()) {
            Sorted::Nothing => return Ok(()),
            Sorted::Begins(lines) => {
                begin(service, &place, &lines.concat()).map(|length| of.written = length)
            }
            Sorted::GoesOn(_) if of.is_left_out(&line.record.said) => Ok(()),
            Sorted::GoesOn(line) => {
                of.written += line.len();
                add(&place, &line)
            }
        };
        if written.is_err() {
            of.sorter = before;
        }
        written
    }

    fn make(&mut self) -> io::Result<()> {
        if self.made {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)?;
        let since = self.folder.join(SINCE);
        if !since.exists() {
            files::replace(&since, format!("{:.0}\n", Timestamp::now()).as_bytes())?;
        }
        self.made = true;
        Ok(())
    }
}

impl Of {
    fn found(text: &str) -> Of {
        let mut of = Of { sorter: Sorter::default(), written: 0 };
        for text in text.lines() {
            let Ok(line) = line::read(text) else { continue };
            let bytes = format!("{text}\n").into_bytes();
            match of.sorter.take(&line.record, bytes) {
                Sorted::Nothing => {}
                Sorted::Begins(lines) => of.written = lines.concat().len(),
                Sorted::GoesOn(line) => of.written += line.len(),
            }
        }
        of
    }

    fn is_left_out(&self, said: &Said) -> bool {
        match said {
            Said::Decision(tell) => match &tell.decision {
                Decision::End(_) => false,
                Decision::Act { .. } => self.written > TOO_MUCH,
                Decision::Hold { .. } | Decision::LeaveAlone { .. } | Decision::Alert { .. } => {
                    self.written > ENOUGH
                }
            },
            Said::Action(_) => self.written > TOO_MUCH,
            Said::Sign(_)
            | Said::Fact(_)
            | Said::Command(_)
            | Said::Audit(_)
            | Said::Suspicion(_)
            | Said::Heartbeat(_)
            | Said::Outcome(_)
            | Said::Notified(_)
            | Said::Loss(_)
            | Said::State(_) => self.written > ENOUGH,
        }
    }
}

/// The file of a service.
pub(super) fn place(folder: &Path, service: &Service) -> PathBuf {
    folder.join(format!("{service}.jsonl"))
}

/// Writes the first lines of an incident, and makes room for them first; their length.
fn begin(service: &Service, place: &Path, lines: &[u8]) -> io::Result<usize> {
    if fs::metadata(place).is_ok_and(|found| found.len() > LONG) {
        files::replace(place, shortened(service, &files::text(place)?).as_bytes())?;
    }
    add(place, lines)?;
    Ok(lines.len())
}

fn add(place: &Path, lines: &[u8]) -> io::Result<()> {
    let (mut file, length) = files::append_to(place)?;
    files::append(&mut file, length, lines).map(drop)
}

/// The last whole incidents.
fn shortened(service: &Service, text: &str) -> String {
    let mut last: Vec<String> = Vec::new();
    let mut length = 0;
    for incident in incidents_of(service, text).iter().rev() {
        let lines = incident.lines.iter().map(|line| line.to_json());
        let text = lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect::<String>();
        length += text.len();
        if length > SHORT && !last.is_empty() {
            break;
        }
        last.push(text);
    }
    last.into_iter().rev().collect()
}
