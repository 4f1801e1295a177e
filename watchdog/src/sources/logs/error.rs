use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::thread::{CapabilitySet, capabilities};

/// Why a log cannot be followed, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{path} is not there yet; it is followed as soon as it appears")]
    Missing { path: PathBuf },
    #[error("{path} is a symbolic link, which is not followed: give the path of the file itself")]
    Link { path: PathBuf },
    #[error("{path} is no regular file, and nothing else is read as a log")]
    NoFile { path: PathBuf },
    #[error(
        "cannot read {path}: watchdog may not; give its unit the capability CAP_DAC_READ_SEARCH, or read permission on the file"
    )]
    Denied { path: PathBuf },
    #[error(
        "cannot read {path}: permission denied, though watchdog has CAP_DAC_READ_SEARCH: look at AppArmor or SELinux"
    )]
    Forbidden { path: PathBuf },
    #[error("cannot read {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot be told of new lines in {path}, and looks for them every {} s instead: {source} (see fs.inotify in sysctl)", super::task::UNWATCHED.as_secs())]
    Unwatched { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read: its disk has not answered for {} s", super::task::STUCK.as_secs())]
    Stuck { path: PathBuf },
    #[error("no line of {path} is in the common or combined format: use `match`, or another log format")]
    Format { path: PathBuf },
}

impl Error {
    pub(super) fn io(path: &Path, source: io::Error) -> Error {
        let path = path.to_owned();
        if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&source.kind()) {
            return Error::Missing { path };
        }
        match (source.kind() == io::ErrorKind::PermissionDenied, may_read_all()) {
            (true, false) => Error::Denied { path },
            (true, true) => Error::Forbidden { path },
            (false, _) => Error::Io { path, source },
        }
    }
}

fn may_read_all() -> bool {
    let all = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE;
    capabilities(None).is_ok_and(|sets| sets.effective.intersects(all))
}
