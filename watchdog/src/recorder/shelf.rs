//! The folder of the evidence: names that sort by time, and no more files than are wanted.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{Error, Settings, Subject};
use crate::model::{Moment, Wall};

/// So many of one incident may begin within the same second.
const SAME: u32 = 100;

/// A new file for this subject.
pub(super) fn open(folder: &Path, wall: Wall, subject: &Subject) -> Result<(PathBuf, File), Error> {
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(0o700);
    folders.create(folder).map_err(|source| Error::File { path: folder.into(), source })?;
    let time = Timestamp::from_microsecond(wall.0).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    let moment = match subject.moment {
        Moment::Restart => "restart",
        Moment::Kill => "kill",
        Moment::Death => "death",
    };
    let stem = format!("{time}-{}-{}-{moment}", subject.service, subject.incident);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    for again in 0..SAME {
        let path =
            folder.join(if again == 0 { format!("{stem}.txt") } else { format!("{stem}.{again}.txt") });
        match options.open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::File { path, source }),
        }
    }
    let source = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(Error::File { path: folder.join(format!("{stem}.txt")), source })
}

/// Removes the oldest until no more are there than is wanted; the newest stays.
pub(super) fn tidy(folder: &Path, settings: &Settings) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.first().is_some_and(u8::is_ascii_digit) && name.ends_with(b".txt")
    });
    let mut files: Vec<(PathBuf, u64)> = ours
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), about.len()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, size)| size).sum();
    let mut left = files.len();
    for (path, size) in files {
        if left <= 1 || (left <= settings.files && total <= settings.total) {
            return;
        }
        if let Err(fault) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %fault, "cannot remove old evidence");
        }
        (left, total) = (left - 1, total - size);
    }
}
