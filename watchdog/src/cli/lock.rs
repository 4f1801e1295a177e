//! Only one watchdog acts on a host: a lock that dies with its process, not a PID file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::systemd::own_unit;

/// One for the whole host, whatever a configuration says. A unit file that makes this folder (`RuntimeDirectory=`) must keep it
/// (`RuntimeDirectoryPreserve=yes`): a lock whose file is removed keeps nobody out.
pub(super) const HOST: &str = "/run/watchdog/lock";

/// Held while this process runs: the host's, and that of the state directory, which hosts may share.
#[derive(Debug)]
pub(super) struct Lock {
    _host: File,
    _state: Option<File>,
    /// Why the state directory has none. What cannot be written cannot be shared either: then nothing is kept in it.
    pub(super) without_state: Option<Error>,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another one has it.
    #[error(
        "another watchdog runs (process {holder} holds {}): stop that one first, or look at it with `systemctl status {}`",
        path.display(), own_unit()
    )]
    Held {
        /// The lock.
        path: PathBuf,
        /// Its PID as it wrote it, for people.
        holder: String,
    },
    /// It cannot be taken.
    #[error("cannot take the lock {}: {source} ({help})", path.display())]
    Io {
        /// The lock.
        path: PathBuf,
        /// What to look at.
        help: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the host's lock and that of this state directory. Folders are made where they are missing: the host's for all to
    /// see (mode 0755), the state's for root alone (0700).
    pub(super) fn take(host: &Path, state_directory: &Path) -> Result<Lock, Error> {
        let own = locked(host, 0o755, "is this folder root's, and writable?", None)?;
        let path = state_directory.join("lock");
        let (state, without_state) = match locked(&path, 0o700, "see [watchdog] state_directory", Some(&own))
        {
            Ok(state) => (Some(state), None),
            Err(held @ Error::Held { .. }) => return Err(held),
            Err(fault @ Error::Io { .. }) => (None, Some(fault)),
        };
        Ok(Lock { _host: own, _state: state, without_state })
    }
}

/// Opens a lock and takes it, unless it is the very file that `held` has locked.
fn locked(path: &Path, mode: u32, help: &'static str, held: Option<&File>) -> Result<File, Error> {
    let fault = |source| Error::Io { path: path.to_owned(), help, source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(fault)?;
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let mut file = options.open(path).map_err(fault)?;
    let is = |other: &File| Ok(number(other)? == number(&file)?);
    if held.map_or(Ok(false), is).map_err(fault)? {
        return Ok(file);
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).ok();
            return Err(Error::Held { path: path.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(errno) => return Err(fault(errno.into())),
    }
    let told =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    let _people_may_ask_systemctl = told; // the lock is ours, also on a full disk
    Ok(file)
}

/// What tells one file from all others.
fn number(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: (&str, &str), second: (&str, &str), held: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let take = |(host, state)| Lock::take(&folder.path().join(host), &folder.path().join(state));
        let lock = take(first).unwrap();
        let told = take(second).map_err(|fault| fault.to_string());
        match held {
            Some(held) => {
                let told = told.unwrap_err();
                assert!(told.contains(&format!("process {} holds", std::process::id())), "{told}");
                assert!(told.contains(held), "{told}");
            }
            None => drop(told.unwrap()),
        }
        drop(lock);
        take(second).unwrap();
    }

    #[test]
    fn a_second_instance_is_told_who_holds_the_lock() {
        check(("run/lock", "state"), ("run/lock", "state"), Some("run/lock"));
    }

    #[test]
    fn another_state_directory_is_no_way_around_the_lock_of_the_host() {
        check(("run/lock", "state"), ("run/lock", "other"), Some("run/lock"));
    }

    #[test]
    fn a_state_directory_that_two_hosts_share_is_used_by_one() {
        check(("run/lock", "state"), ("other/lock", "state"), Some("state/lock"));
    }

    #[test]
    fn the_state_may_lie_where_the_lock_of_the_host_does() {
        check(("run/lock", "run"), ("other/lock", "state"), None);
    }
}
