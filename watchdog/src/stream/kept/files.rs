//! Files that are appended to, and grow no longer than they may.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::RECENT;

/// Each of the two parts: some ten thousand records.
const PART: u64 = 8 * 1024 * 1024;
/// More than anything that is kept: a file that is longer is not ours.
const LONGEST: u64 = 4 * PART;

/// The last of everything.
pub(in crate::stream) struct Recent {
    folder: PathBuf,
    part: u64,
    open: Option<(File, u64)>,
}

impl Recent {
    pub(super) fn new(folder: &Path) -> Recent {
        Recent::with(folder, PART)
    }

    /// With parts of this length.
    pub(in crate::stream) fn with(folder: &Path, part: u64) -> Recent {
        Recent { folder: folder.to_owned(), part, open: None }
    }

    pub(in crate::stream) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let [before, now] = RECENT.map(|name| self.folder.join(name));
        let more = line.len() as u64;
        if self.open.as_ref().is_some_and(|(_, length)| *length > 0 && length + more > self.part) {
            self.open = None;
            fs::rename(&now, &before)?;
        }
        let (file, length) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(append_to(&now)?),
        };
        *length = append(file, *length, line)?;
        Ok(())
    }

    pub(super) fn reopen(&mut self) {
        self.open = None;
    }
}

/// Opens a file to append to it, and tells its length. A last line without an end is ended: who reads it skips it.
pub(super) fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o640)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok((file, 0));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    let length = if last == *b"\n" { length } else { append(&mut file, length, b"\n")? };
    Ok((file, length))
}

/// All of it or nothing; the new length.
pub(super) fn append(file: &mut File, length: u64, bytes: &[u8]) -> io::Result<u64> {
    match file.write_all(bytes) {
        Ok(()) => Ok(length + bytes.len() as u64),
        Err(fault) => {
            file.set_len(length)?;
            Err(fault)
        }
    }
}

/// Writes a file in the place of another one, or leaves that as it is.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, path)
    };
    written().inspect_err(|_| drop(fs::remove_file(&new)))
}

/// What is in a file; nothing where there is none.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(fault) => return Err(fault),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}
