//! Whose a listener is: of Unix sockets the kernel does not tell, of those that systemd made it names systemd. So the open
//! files of a unit's processes are compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use procfs::{
    ProcError,
    process::{FDTarget, Process},
};

use super::Error;
use crate::model::Place;

pub(super) fn places(cgroup_procs: &Path, by_inode: &BTreeMap<u32, Place>) -> Result<Vec<Place>, Error> {
    if by_inode.is_empty() {
        return Ok(Vec::new());
    }
    let procs = fs::read_to_string(cgroup_procs)
        .map_err(|source| Error::Cgroup { path: cgroup_procs.to_owned(), source })?;
    let mut found = BTreeSet::new();
    // 0 is a process outside of our PID namespace, which /proc does not show.
    for pid in procs.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0) {
        match inodes(pid) {
            Ok(inodes) => {
                let inodes = inodes.into_iter().filter_map(|inode| u32::try_from(inode).ok());
                found.extend(inodes.filter_map(|inode| by_inode.get(&inode)).cloned());
            }
            Err(error) if is_gone(&error) => {}
            Err(source) => return Err(Error::Process { pid, source }),
        }
    }
    Ok(found.into_iter().collect())
}

pub(super) fn held(
    processes: impl IntoIterator<Item = u32>,
    by_inode: &BTreeMap<u32, Place>,
) -> BTreeMap<u32, BTreeSet<Place>> {
    let mut held = BTreeMap::new();
    for pid in processes {
        let inodes = i32::try_from(pid).ok().and_then(|pid| inodes(pid).ok()).unwrap_or_default();
        let places = inodes.into_iter().filter_map(|inode| by_inode.get(&u32::try_from(inode).ok()?));
        let places: BTreeSet<Place> = places.cloned().collect();
        if !places.is_empty() {
            held.insert(pid, places);
        }
    }
    held
}

fn inodes(pid: i32) -> Result<Vec<u64>, ProcError> {
    let files = Process::new(pid)?.fd()?;
    Ok(files
        // One that is closed while we read is no listener any more.
        .filter_map(Result::ok)
        .filter_map(|file| if let FDTarget::Socket(inode) = file.target { Some(inode) } else { None })
        .collect())
}

fn is_gone(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(source, _) => source.raw_os_error() == Some(libc::ESRCH),
        ProcError::PermissionDenied(_)
        | ProcError::Incomplete(_)
        | ProcError::Other(_)
        | ProcError::InternalError(_) => false,
    }
}
