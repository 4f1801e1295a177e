//! Only one watchdog acts on a host: a lock that dies with its process, not a PID file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Held while this process runs.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another one has it.
    #[error(
        "another watchdog runs (process {holder} holds {}): stop that one first, or look at it with `systemctl status watchdog`",
        path.display()
    )]
    Held {
        /// The lock.
        path: PathBuf,
        /// Its PID as it wrote it, for people.
        holder: String,
    },
    /// It cannot be taken.
    #[error("cannot take the lock {}: {source} (see [watchdog] state_directory)", path.display())]
    Io {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of this state directory, which is made where it is missing (mode 0700).
    pub(super) fn take(state_directory: &Path) -> Result<Lock, Error> {
        let path = state_directory.join("lock");
        let fault = |source| Error::Io { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_directory).map_err(fault)?;
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        let options =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let mut file = options.open(&path).map_err(fault)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                return Err(Error::Held { path, holder: holder.trim().to_owned() });
            }
            Err(errno) => return Err(fault(errno.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(fault)?;
        writeln!(file, "{}", std::process::id()).map_err(fault)?;
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let told = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
