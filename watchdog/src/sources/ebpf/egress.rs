//! Ties the program that reads answers to cgroups: one link for each, made anew whenever a unit starts, for a start makes a new
//! cgroup of the same name. The directory above tells of it before the unit's first process runs.
//!
//! A unit that systemd listens for answers over sockets of its socket unit's cgroup, so that one is tied as well.
//! Invariant: one link for each living cgroup, so that no answer is counted twice; it is gone from the kernel with its cgroup, or
//! with this process. Deliberately absent: socket units of another name than their service's.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

use super::{Error, links};
use crate::systemd;

/// Room for some events of the longest names.
const BUFFER: usize = 4096;

/// The cgroups whose answers are read.
pub(super) struct Egress {
    /// `None` where the host gives no more of its kind: then systemd's word comes some milliseconds later.
    births: Option<OwnedFd>,
    /// The directories above, by the number of their watch.
    above: BTreeMap<i32, PathBuf>,
    /// Each directory that is wanted, and the cgroup that it was when it was last tied.
    tied: BTreeMap<PathBuf, Option<Tied>>,
}

struct Tied {
    cgroup: u64,
    /// Held: the program runs as long as it is.
    _link: OwnedFd,
}

impl Egress {
    /// Nothing is tied yet.
    pub(super) fn new() -> Egress {
        let births = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let births = births.inspect_err(
            |fault| tracing::warn!(%fault, "the first answers of a start go by unread: raise fs.inotify.max_user_instances"),
        );
        Egress { births: births.ok(), above: BTreeMap::new(), tied: BTreeMap::new() }
    }

    /// What becomes readable when a cgroup is made beside those that are wanted.
    pub(super) fn births(&self) -> Option<OwnedFd> {
        self.births.as_ref().and_then(|births| births.try_clone().ok())
    }

    /// From now on the answers of these units' cgroups are read, as systemd names them, and of no others. What could not be tied
    /// is tried again the next time.
    pub(super) fn watch(&mut self, program: BorrowedFd<'_>, wanted: &BTreeSet<String>) -> Result<(), Error> {
        let wanted: BTreeSet<PathBuf> = match wanted.is_empty() {
            true => BTreeSet::new(),
            false => {
                let mount = systemd::cgroup::mount().map_err(|source| Error::NoMount { source })?;
                wanted.iter().flat_map(|path| directories(&mount, path)).collect()
            }
        };
        self.tied.retain(|directory, _| wanted.contains(directory));
        self.look_above(&wanted);
        let mut done = Ok(());
        for directory in wanted {
            done = done.and(self.tie(program, directory));
        }
        done
    }

    /// Something was born: ties what is wanted of it.
    pub(super) fn born(&mut self, program: BorrowedFd<'_>) -> Result<(), Error> {
        let mut fresh = BTreeSet::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let Some(births) = &self.births else { return Ok(()) };
        let mut reader = Reader::new(births, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                fresh.extend(self.tied.keys().cloned());
            }
            if event.events().contains(ReadFlags::IGNORED) {
                self.above.remove(&event.wd());
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            if let (Some(above), Some(name)) = (self.above.get(&event.wd()), name) {
                let directory = above.join(name);
                fresh.extend(self.tied.contains_key(&directory).then_some(directory));
            }
        }
        let mut done = Ok(());
        for directory in fresh {
            done = done.and(self.tie(program, directory));
        }
        done
    }

    /// Before the directories themselves are looked at: what is born between is told.
    fn look_above(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(births) = &self.births else { return };
        let above: BTreeSet<&Path> = wanted.iter().filter_map(|directory| directory.parent()).collect();
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.above)
            .into_iter()
            .partition(|(_, directory)| above.contains(directory.as_path()));
        self.above = kept;
        for number in gone.into_keys() {
            let _gone_already = inotify::remove_watch(births, number);
        }
        for directory in above {
            // a slice that is not there is made before its first unit, of which systemd tells
            if let Ok(number) =
                inotify::add_watch(births, directory, WatchFlags::CREATE | WatchFlags::ONLYDIR)
            {
                self.above.insert(number, directory.to_path_buf());
            }
        }
    }

    /// Ties this directory, where it is another cgroup than the last time.
    fn tie(&mut self, program: BorrowedFd<'_>, directory: PathBuf) -> Result<(), Error> {
        let fault = |source| Error::Egress { path: directory.clone(), source };
        let slot = self.tied.entry(directory.clone()).or_default();
        let cgroup = match File::open(&directory) {
            Ok(cgroup) => cgroup,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                *slot = None;
                return Ok(());
            }
            Err(source) => return Err(fault(source)),
        };
        let number = cgroup.metadata().map_err(fault)?.ino();
        if slot.as_ref().is_some_and(|tied| tied.cgroup == number) {
            return Ok(());
        }
        *slot = None;
        match links::tie_to_cgroup(program, cgroup.as_fd()) {
            Ok(link) => *slot = Some(Tied { cgroup: number, _link: link }),
            // it was removed since it was opened
            Err(gone) if Errno::from_io_error(&gone) == Some(Errno::NODEV) => {}
            Err(source) => return Err(fault(source)),
        }
        Ok(())
    }
}

/// The directories of a unit's cgroup and of its socket unit's.
fn directories(mount: &Path, control_group: &str) -> Vec<PathBuf> {
    let own = mount.join(control_group.trim_start_matches('/'));
    match own.extension().is_some_and(|kind| kind == "service") {
        true => vec![own.with_extension("socket"), own],
        false => vec![own],
    }
}
