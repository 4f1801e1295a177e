//! The socket's file: made for those who may connect, and taken away again.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use super::{Error, GROUP, peer};

/// Where the API listens.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    /// Whose members may read, where there is such a group.
    pub(super) group: Option<u32>,
}

/// The socket's file, which is taken away when this is dropped: whoever comes next does not find one that still listens.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// Which file is ours: another watchdog may have put its own there.
    number: (u64, u64),
}

impl Socket {
    /// Listens there, for root and the group. What a dead watchdog left behind is replaced; to be called with the host's lock
    /// held, within a runtime.
    pub fn bind(path: &Path) -> Result<(Socket, Place), Error> {
        let fault = |source| Error::Bind { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(fault)?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(fault)?;
        let group = peer::group(GROUP).map(|group| given(path, group)).transpose().map_err(fault)?.flatten();
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        let owned = || -> io::Result<(u64, u64)> {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            number(path)
        };
        let place = Place { path: path.to_owned(), number: owned().map_err(fault)? };
        Ok((Socket { listener, group }, place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if number(&self.path).is_ok_and(|found| found == self.number) {
            let _the_next_one_replaces_it = fs::remove_file(&self.path);
        }
    }
}

/// Gives it to the group. Root without CAP_CHOWN can give it only to a group of its own: then it stays root's alone.
fn given(path: &Path, group: u32) -> io::Result<Option<u32>> {
    match chown(path, None, Some(group)) {
        Ok(()) => Ok(Some(group)),
        Err(fault) if fault.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(
                %fault,
                "{} is root's alone: the group {GROUP} may look where the unit has SupplementaryGroups={GROUP}",
                path.display()
            );
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Makes room, unless someone listens there, or something else than a socket is there.
fn clear(path: &Path) -> Result<(), Error> {
    let fault = |source| Error::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(Error::NoSocket { path: path.to_owned() }),
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(fault(other)),
    }
    match UnixStream::connect(path) {
        Err(refused) if refused.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(fault)
        }
        // EAGAIN: its queue is full
        Ok(_) | Err(_) => Err(Error::InUse { path: path.to_owned() }),
    }
}

/// What tells one file from all others.
fn number(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
