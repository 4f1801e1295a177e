//! What outlives this process: the descriptors of all that makes probes, and a note of whose cgroups they watch. Whoever keeps
//! them for us (systemd) hands them to the next process under names that say what they are.
//!
//! Invariant: what comes back is taken as a whole or not at all, and nothing is believed because of its name: the kernel says
//! what each descriptor is. Programs that this kernel cannot serve are missing for the next process too: the note says which,
//! and why.

use std::{
    fs::File,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use aya::maps::MapData;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::{
    found::{Found, NAMES},
    links::Links,
    missing::{Missing, Program},
};
use crate::model::{CgroupId, Unit};

/// A descriptor under the name that it is kept by.
pub type Kept = (String, OwnedFd);

/// `FileDescriptorStoreMax=` of our unit file: what is above it is refused without a word.
const STORE: usize = 64;
const _: () =
    assert!(NAMES.len() + Program::ALL.len() < STORE, "with the note, more than systemd keeps for us");

/// The note's name.
const UNITS: &str = "units";
/// No note is as long as this.
const LONGEST: u64 = 1 << 20;

/// What another process left.
pub(super) struct Left {
    pub(super) found: Found,
    pub(super) links: Links,
    pub(super) note: Note,
}

/// Copies of everything, under names that bear this identity.
pub(super) fn copies(
    identity: &str,
    found: &Found,
    links: &Links,
    note: &Note,
) -> std::io::Result<Vec<Kept>> {
    let links = links.each().map(|(program, link)| (program.name(), link));
    let all = found.each().chain(links).chain([(UNITS, note.descriptor())]);
    all.map(|(what, descriptor)| Ok((name(identity, what), descriptor.try_clone_to_owned()?))).collect()
}

/// Takes back what was kept; the error says what is wrong with it.
pub(super) fn take(identity: &str, kept: Vec<Kept>) -> Result<Left, String> {
    let mut kept = kept;
    let mut find = |what: &str| -> Result<OwnedFd, String> {
        let wanted = name(identity, what);
        let at = kept.iter().position(|(name, _)| *name == wanted);
        Ok(kept.swap_remove(at.ok_or_else(|| format!("there is no {wanted}"))?).1)
    };
    let mut maps = Vec::with_capacity(NAMES.len());
    for what in NAMES {
        let data = MapData::from_fd(find(what)?).map_err(|fault| format!("{what} is no map: {fault}"))?;
        maps.push((what, data));
    }
    let found = Found::among(maps).map_err(|fault| fault.to_string())?;
    let mut links = Links::default();
    let note = Note::take(find(UNITS)?)?;
    let lacks = |program: &Program| note.missing().iter().any(|missing| missing.program == *program);
    for program in Program::ALL.into_iter().filter(|program| !lacks(program)) {
        links.take(program, find(program.name())?)?;
    }
    match kept.first() {
        Some((name, _)) => Err(format!("{name} is one too many")),
        None => Ok(Left { found, links, note }),
    }
}

/// Under what names everything is kept, whatever of it is there.
pub(super) fn names(identity: &str) -> Vec<String> {
    let programs = Program::ALL.into_iter().map(Program::name);
    let all = NAMES.into_iter().chain(programs).chain([UNITS]);
    all.map(|what| name(identity, what)).collect()
}

fn name(identity: &str, what: &str) -> String {
    format!("watchdog-{identity}-{what}")
}

/// What the probes themselves do not know.
pub(super) struct Note {
    file: File,
    noted: Noted,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// Which unit each watched cgroup is: systemd forgets the cgroup of a unit that has ended.
    units: Vec<(CgroupId, Unit)>,
    missing: Vec<Missing>,
}

impl Note {
    pub(super) fn new(missing: &[Missing]) -> std::io::Result<Note> {
        let file = memfd_create("watchdog-units", MemfdFlags::CLOEXEC)?.into();
        let mut note = Note { file, noted: Noted::default() };
        note.replace(Noted { units: Vec::new(), missing: missing.to_vec() })?;
        Ok(note)
    }

    fn take(descriptor: OwnedFd) -> Result<Note, String> {
        let file = File::from(descriptor);
        let is = file.metadata().map_err(|fault| format!("cannot look at {UNITS}: {fault}"))?;
        if !is.is_file() || is.len() > LONGEST {
            return Err(format!("{UNITS} is no note of ours"));
        }
        let mut bytes = vec![0; usize::try_from(is.len()).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0).map_err(|fault| format!("cannot read {UNITS}: {fault}"))?;
        // who was killed while it wrote has left half a note: its signs are told without a service
        let noted = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Note { file, noted })
    }

    pub(super) fn units(&self) -> &[(CgroupId, Unit)] {
        &self.noted.units
    }

    pub(super) fn missing(&self) -> &[Missing] {
        &self.noted.missing
    }

    /// Writes it where it is not what is written already.
    pub(super) fn write(&mut self, units: impl Iterator<Item = (CgroupId, Unit)>) -> std::io::Result<()> {
        self.replace(Noted { units: units.collect(), missing: self.noted.missing.clone() })
    }

    fn replace(&mut self, noted: Noted) -> std::io::Result<()> {
        if noted == self.noted {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&noted)?;
        self.file.set_len(0)?;
        self.file.write_all_at(&bytes, 0)?;
        self.noted = noted;
        Ok(())
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.file.as_fd()
    }
}
