use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat, unlinkat},
    io::Errno,
};

use crate::model::PidStamp;

/// Why a stale PID file was left where it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached or removed.
    #[error("cannot remove the stale PID file {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the one that was looked at: another, or another PID in it.
    #[error("the PID file {} has changed since it was proved to be stale: it is kept", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
}

/// Removes a PID file, if it is still the one that was looked at and still says the same. It is reached from its folder, opened
/// once, so that nobody can put another folder in the way meanwhile; and no link leads there, for who owns a folder on the way
/// could have it point at the file of another.
///
/// # Errors
/// [`Error`]; then nothing was removed.
pub fn remove_pid_file(path: &Path, stale: PidStamp) -> Result<(), Error> {
    let fault = |source: Errno| Error::File { path: path.into(), source: source.into() };
    let changed = || Error::Changed { path: path.into() };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(changed()) };
    let folder = reach(&without_link(folder)).map_err(fault)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&folder, name, flags, Mode::empty()).map_err(fault)?);
    let mut text = String::new();
    let read = (&file).take(64).read_to_string(&mut text);
    let says = read.ok().and_then(|_| text.trim().parse().ok());
    // read first: what is written after this look is another file, or has another PID that nobody has yet
    let there = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    if says != Some(stale.pid) || (there.st_dev, there.st_ino) != (stale.device, stale.inode) {
        return Err(changed());
    }
    unlinkat(&folder, name, AtFlags::empty()).map_err(fault)
}

/// Opens a folder step by step: openat2 would do it at once, but a unit with RestrictSUIDSGID= does not have it.
fn reach(folder: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut reached = openat(CWD, if folder.is_absolute() { "/" } else { "." }, flags, Mode::empty())?;
    for step in folder.components().filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir))
    {
        let next = openat(&reached, step.as_os_str(), flags, Mode::empty());
        let is_link = || {
            statat(&reached, step.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Symlink)
        };
        reached = match next {
            Err(Errno::NOTDIR) if is_link() => return Err(Errno::LOOP),
            next => next?,
        };
    }
    Ok(reached)
}

/// Units still say `/var/run`, which is a link to `/run` almost everywhere, and root's own.
fn without_link(folder: &Path) -> Cow<'_, Path> {
    const OLD: &str = "/var/run";
    match (folder.strip_prefix(OLD), fs::canonicalize(OLD)) {
        (Ok(rest), Ok(run)) => run.join(rest).into(),
        (Err(_), _) | (_, Err(_)) => folder.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    fn stamp(path: &Path, pid: u32) -> PidStamp {
        let about = fs::symlink_metadata(path).expect("a file");
        PidStamp { pid, device: about.dev(), inode: about.ino() }
    }

    #[test]
    fn e6_the_file_that_was_looked_at_is_removed_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("daemon.pid");
        fs::write(&path, "812\n").expect("a file");
        let looked_at = stamp(&path, 812);

        fs::write(&path, "813\n").expect("another PID");
        assert!(matches!(remove_pid_file(&path, looked_at), Err(Error::Changed { .. })));
        fs::write(folder.path().join("new"), "812\n").expect("another file");
        fs::rename(folder.path().join("new"), &path).expect("its place");
        assert!(matches!(remove_pid_file(&path, looked_at), Err(Error::Changed { .. })));
        assert!(path.exists());

        let looked_at = stamp(&path, 812);
        remove_pid_file(&path, looked_at).expect("it is the one");
        assert!(!path.exists());
        assert!(matches!(remove_pid_file(&path, looked_at), Err(Error::File { .. })));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, goal) = (folder.path().join("daemon.pid"), folder.path().join("precious"));
        fs::write(&goal, "812\n").expect("a file");
        std::os::unix::fs::symlink(&goal, &path).expect("a link");
        assert!(remove_pid_file(&path, stamp(&goal, 812)).is_err());
        assert!(goal.exists() && path.is_symlink());
    }

    #[test]
    fn e6_a_link_on_the_way_to_it_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (theirs, own) = (folder.path().join("theirs"), folder.path().join("own"));
        fs::create_dir_all(theirs.join("run")).expect("a folder");
        let precious = theirs.join("run/daemon.pid");
        fs::write(&precious, "812\n").expect("a file");
        std::os::unix::fs::symlink(&theirs, &own).expect("a link");
        for way in ["own/run/daemon.pid", "own/./run/daemon.pid", "own/../own/run/daemon.pid"] {
            let way = folder.path().join(way);
            let fault = remove_pid_file(&way, stamp(&precious, 812)).expect_err("a link is on the way");
            assert!(
                matches!(&fault, Error::File { source, .. } if source.raw_os_error() == Some(libc::ELOOP))
            );
            assert!(precious.exists());
        }
        remove_pid_file(&precious, stamp(&precious, 812)).expect("no link is on this way");
        assert!(!precious.exists());
    }

    #[test]
    fn the_old_name_of_run_is_no_link_on_the_way() {
        let run = fs::canonicalize("/var/run").expect("every host has it");
        assert_eq!(without_link(Path::new("/var/run/nginx")), run.join("nginx"));
        assert_eq!(without_link(Path::new("/var/runner")), Path::new("/var/runner"));
        assert_eq!(without_link(Path::new("/srv/var/run")), Path::new("/srv/var/run"));
    }
}
