//! One file of evidence as it is written: part by part, each at once, so that what is written stays when the next one hangs.

use std::{fmt::Write as _, fs::File, io::Write as _, path::PathBuf};

use super::{Error, Progress};
use crate::{clock, model::Mono};

/// No part takes more of a file than this share.
const SHARE: usize = 4;
/// What stands at the end of a part that is too long, with its line ends.
const CUT: &str = "\n(cut here)\n";

pub(super) struct Page {
    pub(super) path: PathBuf,
    file: File,
    /// Bytes that one part may have.
    most: usize,
    /// Bytes that there is room for.
    left: usize,
    until: Mono,
    progress: Progress,
}

impl Page {
    pub(super) fn new(path: PathBuf, file: File, size: usize, until: Mono, progress: Progress) -> Page {
        Page { path, file, most: size / SHARE, left: size, until, progress }
    }

    /// What is done from now on; told to those who wait for it in vain.
    pub(super) fn at(&self, what: impl FnOnce() -> String) {
        let mut doing = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(doing) = doing.as_mut() {
            doing.what = what();
        }
    }

    /// No more is begun.
    pub(super) fn is_over(&self) -> bool {
        clock::now() >= self.until
    }

    /// When nothing is begun any more.
    pub(super) fn until(&self) -> Mono {
        self.until
    }

    /// How many bytes the next part may have.
    pub(super) fn room(&self) -> usize {
        self.most.min(self.left)
    }

    /// Writes a part under its title; what does not fit is cut.
    pub(super) fn part(&mut self, title: &str, text: &str) -> Result<(), Error> {
        let mut part = String::new();
        let _ = writeln!(part, "\n== {title}");
        part.push_str(&plain(text));
        if !part.ends_with('\n') {
            part.push('\n');
        }
        let room = self.room();
        if part.len() > room {
            part.truncate(part.floor_char_boundary(room.saturating_sub(CUT.len())));
            part.push_str(CUT);
            part.truncate(room);
        }
        self.left -= part.len();
        self.file.write_all(part.as_bytes()).map_err(|source| Error::File { path: self.path.clone(), source })
    }
}

/// What others wrote goes to a terminal one day: no control characters but the ends of lines.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
