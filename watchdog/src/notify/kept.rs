//! What outlives the process: the book, in one file that is replaced whole.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{Error, book::Book};

/// In `state_directory`.
pub(super) const FILE: &str = "notify.json";
/// Larger than any book: 200 notices for each of a few channels.
const LARGEST: u64 = 64 << 20;
/// Differs from boot to boot.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Serialize, Deserialize)]
struct Kept {
    boot: String,
    book: Book,
}

/// The book of the last process, and whether the host was not booted since; `None` where there was none.
pub(super) fn read(folder: &Path) -> Result<Option<(Book, bool)>, Error> {
    let path = folder.join(FILE);
    let read = || -> io::Result<Option<Kept>> {
        let text = match fs::metadata(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(file) if file.len() > LARGEST => return Err(io::Error::other("it is no book of ours")),
            Ok(_) | Err(_) => fs::read_to_string(&path)?,
        };
        Ok(Some(serde_json::from_str(&text)?))
    };
    let kept = read().map_err(|source| Error::Kept { path: path.clone(), source })?;
    Ok(kept.map(|kept| (kept.book, kept.boot == boot())))
}

/// Replaces the file: a process that dies meanwhile leaves the old one.
pub(super) fn write(folder: &Path, book: Book) -> Result<(), Error> {
    let path = folder.join(FILE);
    let write = || -> io::Result<()> {
        let text = serde_json::to_vec(&Kept { boot: boot(), book })?;
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        fs::rename(&new, &path)
    };
    write().map_err(|source| Error::Kept { path: path.clone(), source })
}

fn boot() -> String {
    fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
}
