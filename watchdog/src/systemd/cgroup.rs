//! Directories of cgroups: where they are, and a hold on one that no later cgroup of the same name can take over.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt,
            fs::{DirEntryExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open, openat};

use super::Error;
use crate::model::{CgroupId, UnitState};

/// Where the cgroup2 file system is mounted: `/sys/fs/cgroup`, on hybrid hosts `/sys/fs/cgroup/unified`.
///
/// # Errors
/// [`Error::NoCgroup2`], and [`Error::Cgroup`] when /proc cannot be read.
pub fn mount() -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/mountinfo");
    let table = std::fs::read(path).map_err(|source| Error::Cgroup { path: path.into(), source })?;
    mount_in(&table).ok_or(Error::NoCgroup2)
}

/// The outermost cgroup2 mount of a mountinfo table, the last of several: what lies below another is a window into a part of
/// the same tree, such as `ReadWritePaths=` makes.
fn mount_in(table: &[u8]) -> Option<PathBuf> {
    let places: Vec<PathBuf> = table.split(|byte| *byte == b'\n').filter_map(cgroup2).collect();
    let is_window = |place: &PathBuf| places.iter().any(|other| other != place && place.starts_with(other));
    places.iter().rev().find(|place| !is_window(place)).cloned()
}

/// Where a line of mountinfo says that cgroup2 is mounted.
fn cgroup2(line: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|byte| *byte == b' ');
    let place = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    (kind == b"cgroup2").then(|| PathBuf::from(OsStr::from_bytes(&unescape(place))))
}

/// The directory of a cgroup below the cgroup2 mount, found by walking it: some milliseconds on a host of many units.
/// `None` when it is gone, or outside of our cgroup namespace.
pub fn directory(mount: &Path, id: CgroupId) -> Option<PathBuf> {
    if mount.metadata().is_ok_and(|root| root.ino() == id.0) {
        return Some(mount.into());
    }
    let mut ahead = vec![mount.to_path_buf()];
    while let Some(directory) = ahead.pop() {
        // A cgroup that goes away under the walk is not the one that is looked for.
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.ino() == id.0 {
                return Some(entry.path());
            }
            ahead.push(entry.path());
        }
    }
    None
}

/// The directory of the unit's present run; `None` when it is gone, or another run's already.
pub fn of(mount: &Path, state: &UnitState) -> Option<PathBuf> {
    let path = mount.join(state.cgroup_path.trim_start_matches('/'));
    let id = std::fs::metadata(&path).ok()?.ino();
    state.cgroup.is_some_and(|cgroup| cgroup.0 == id).then_some(path)
}

/// As systemd nests cgroups within a unit.
const DEPTH: usize = 4;

/// So many processes of a cgroup and of those below it at most, in the order of their numbers.
pub fn pids(directory: &Path, most: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let mut ahead = vec![(directory.to_path_buf(), 0)];
    while let Some((directory, depth)) = ahead.pop() {
        let procs = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(procs.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid > 0));
        if found.len() >= most {
            break;
        }
        let below = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = below.filter(|entry| depth < DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()));
        ahead.extend(below.map(|entry| (entry.path(), depth + 1)));
    }
    found.sort_unstable();
    found.truncate(most);
    found
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut at = 0;
    while let Some(byte) = field.get(at) {
        let octal = field.get(at + 1..at + 4).and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *byte == b'\\') {
            Some(code) => {
                plain.push(code);
                at += 4;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    plain
}

/// One cgroup, held by its directory: once it is removed every access fails, also when another of the same name exists.
#[derive(Debug)]
pub struct Cgroup {
    directory: OwnedFd,
    id: CgroupId,
    path: PathBuf,
}

/// What became of a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// Every process that was in it has SIGKILL.
    Yes,
    /// It is gone, or nobody is in it.
    Empty,
    /// This kernel has no `cgroup.kill` (before 5.14).
    NoKill,
}

impl Cgroup {
    /// Opens the directory of a unit's ControlGroup below the cgroup2 mount.
    ///
    /// # Errors
    /// [`Error::Cgroup`].
    pub fn open(mount: &Path, control_group: &str) -> Result<Cgroup, Error> {
        let path = mount.join(control_group.trim_start_matches('/'));
        let named = |source: io::Error| Error::Cgroup { path: path.clone(), source };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = open(&path, flags, Mode::empty()).map_err(|e| named(e.into()))?;
        let directory = File::from(directory);
        let id = directory.metadata().map_err(named)?.ino();
        Ok(Cgroup { directory: directory.into(), id: CgroupId(id), path })
    }

    /// Its number.
    pub fn id(&self) -> CgroupId {
        self.id
    }

    /// Whether any process is in it or below; `false` when it is gone.
    ///
    /// # Errors
    /// [`Error::Cgroup`].
    pub fn is_populated(&self) -> Result<bool, Error> {
        match self.read("cgroup.events") {
            Ok(events) => Ok(events.lines().any(|line| line == "populated 1")),
            Err(error) if is_gone(&error) => Ok(false),
            Err(source) => Err(self.named(source)),
        }
    }

    /// Sends SIGKILL to every process in it and below, new ones of a fork bomb included.
    ///
    /// # Errors
    /// [`Error::Cgroup`].
    pub fn kill(&self) -> Result<Killed, Error> {
        if !self.is_populated()? {
            return Ok(Killed::Empty);
        }
        match self.write("cgroup.kill", b"1") {
            Ok(()) => Ok(Killed::Yes),
            Err(error) if is_gone(&error) => {
                Ok(if self.is_populated()? { Killed::NoKill } else { Killed::Empty })
            }
            Err(source) => Err(self.named(source)),
        }
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        io::read_to_string(File::from(openat(&self.directory, name, flags, Mode::empty())?))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        io::Write::write_all(&mut File::from(openat(&self.directory, name, flags, Mode::empty())?), bytes)
    }

    fn named(&self, source: io::Error) -> Error {
        Error::Cgroup { path: self.path.clone(), source }
    }
}

/// A removed directory answers ENOENT to an open and ENODEV to an access.
fn is_gone(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::NOENT | rustix::io::Errno::NODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, place: Option<&str>) {
        assert_eq!(mount_in(table.as_bytes()).as_deref(), place.map(Path::new));
    }

    #[test]
    fn the_cgroup2_mount_is_found_wherever_it_is() {
        check(
            "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
            Some("/sys/fs/cgroup"),
        );
        check(
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n37 31 0:34 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             38 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            Some("/sys/fs/cgroup/unified"),
        );
        check("38 31 0:35 / /a\\040b rw - cgroup2 cgroup2 rw", Some("/a b"));
        check(
            "24 1 0:22 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n\
             25 24 0:22 /system.slice /sys/fs/cgroup/system.slice rw,nosuid - cgroup2 cgroup2 rw",
            Some("/sys/fs/cgroup"),
        );
        check("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw", None);
        check("", None);
    }
}
