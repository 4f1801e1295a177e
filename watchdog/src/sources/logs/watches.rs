//! What the kernel is asked to tell of a log: that its file was written to, moved or deleted, and what appears in its folder.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, AsRawFd as _},
    path::{Component, Path, PathBuf},
};

use inotify::{WatchDescriptor, WatchMask, Watches};

/// Goes off once: whoever is told sets it again.
const FILE: WatchMask = WatchMask::MODIFY
    .union(WatchMask::ATTRIB)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::ONESHOT);
const FOLDER: WatchMask = WatchMask::CREATE
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::ONLYDIR);

/// Watches by their numbers.
pub(super) type Asked = BTreeMap<i32, WatchDescriptor>;

/// What one log has asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Watching {
    pub(super) asked: Asked,
    /// What is awaited in the folder.
    pub(super) name: OsString,
}

impl Watching {
    fn add(&mut self, watch: WatchDescriptor) {
        self.asked.insert(watch.get_watch_descriptor_id(), watch);
    }
}

/// Watches the open file, whatever its name is by now.
pub(super) fn file(watches: &mut Watches, file: impl AsFd, watching: &mut Watching) -> io::Result<()> {
    watching.add(watches.add(own(file), FILE)?);
    Ok(())
}

/// Watches the folder that a file is in, or the nearest that is there: in that the next one will appear.
pub(super) fn folder(watches: &mut Watches, path: &Path, watching: &mut Watching) -> io::Result<()> {
    let mut inner = path;
    loop {
        let Some(folder) = inner.parent() else { return Err(io::ErrorKind::NotFound.into()) };
        match watches.add(folder, FOLDER) {
            Ok(watch) => {
                watching.add(watch);
                last(inner).clone_into(&mut watching.name);
                // made before it was watched: nobody will tell of it
                if inner != path && inner.exists() {
                    inner = path;
                    continue;
                }
                return Ok(());
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => inner = folder,
            Err(fault) => return Err(fault),
        }
    }
}

/// The way to an open file.
pub(super) fn own(file: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

fn last(path: &Path) -> &OsStr {
    match path.components().next_back() {
        Some(Component::Normal(name)) => name,
        Some(Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir) | None => {
            OsStr::new("")
        }
    }
}
