//! Writes files whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{RenameFlags, renameat_with};

/// Why a file could not be written. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file that must not be written over.
    #[error("{} is there already, and is not written over: take it away, or name another file", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A new file that everybody may read, in a folder that is made where it is missing.
///
/// # Errors
/// [`Error::Taken`] where there is one, and [`Error::Io`].
pub(super) fn new(path: &Path, text: &str) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Taken { path: path.to_owned() });
    }
    put(path, text, RenameFlags::NOREPLACE)
}

/// The same in the place of one that may be there.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn over(path: &Path, text: &str) -> Result<(), Error> {
    put(path, text, RenameFlags::empty())
}

fn put(path: &Path, text: &str, flags: RenameFlags) -> Result<(), Error> {
    let named = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            Error::Taken { path }
        } else {
            Error::Io { path, source }
        }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::DirBuilder::new().mode(0o755).create(folder).map_err(named)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // systemd and watchdog read neither hidden files nor this ending
    let beside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = || -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o644).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        renameat_with(rustix::fs::CWD, &beside, rustix::fs::CWD, path, flags)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|fault| {
        fs::remove_file(&beside).ok();
        named(fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_none_is_written_over_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/watchdog.toml");
        new(&path, "one").expect("written");
        assert!(matches!(new(&path, "two"), Err(Error::Taken { .. })));
        assert_eq!(fs::read_to_string(&path).expect("a text"), "one");
        over(&path, "three").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("a text"), "three");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/nowhere/at/all", &link).expect("a link");
        assert!(matches!(new(&link, "four"), Err(Error::Taken { .. })), "a link is not followed");
        assert!(matches!(new(&folder.path().join("no/such/folder"), "five"), Err(Error::Io { .. })));
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder")).expect("a list").count(),
            1,
            "nothing is left behind"
        );
    }
}
