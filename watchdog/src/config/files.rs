//! Finds and reads the files of a configuration, and trusts no path that others than root could change.
//!
//! Invariant: what is read is what was checked. Every step of a path is opened below the step before it, without following
//! links, and looked at through the descriptor; a link is followed by walking its target in the same way.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::fault::{Danger, Fault, Source};

const LARGEST: u64 = 1 << 20;
const MOST_LINKS: usize = 40;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;
const OTHERS_READ: u32 = 0o044;

/// What was found at the path of a configuration.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Source>,
    pub(super) ignored: Vec<PathBuf>,
    pub(super) faults: Vec<Fault>,
}

/// Reads `path`, which is a file or a folder that holds `watchdog.toml` and `conf.d`; without one, the default folder.
pub(super) fn find(path: Option<&Path>, default: &Path) -> Found {
    let mut found = Found::default();
    let root = match std::path::absolute(path.unwrap_or(default)) {
        Ok(root) => root,
        Err(error) => {
            found.faults.push(unreadable(path.unwrap_or(default), error));
            return found;
        }
    };
    if path.is_some() && !root.is_dir() {
        found.take(&root);
        return found;
    }
    let main = root.join("watchdog.toml");
    let fragments = root.join("conf.d");
    let there = is_there(&main);
    if there {
        found.take(&main);
    }
    found.take_folder(&fragments);
    if !there && found.sources.is_empty() && found.faults.is_empty() {
        found.faults.push(match path {
            None => Fault::Absent { main, fragments },
            Some(_) => unreadable(&main, Errno::NOENT.into()),
        });
    }
    found
}

/// Reads a file that holds a secret: nobody but its owner may read it.
pub(super) fn read_secret(path: &Path) -> Result<String, Fault> {
    let (file, stat) = open(path)?;
    match mode(&stat) {
        mode if mode & OTHERS_READ != 0 => {
            Err(Fault::Untrusted { path: path.into(), danger: Danger::Readable(mode) })
        }
        _ => read(path, file),
    }
}

impl Found {
    fn take(&mut self, path: &Path) {
        let read = open(path).and_then(|(file, stat)| Ok((read(path, file)?, mode(&stat) & 0o004 != 0)));
        match read {
            Ok((text, world_readable)) => {
                self.sources.push(Source { path: path.into(), text, world_readable })
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    /// Reads every `*.toml` of `conf.d` in name order; a folder that is not there holds nothing.
    fn take_folder(&mut self, folder: &Path) {
        let names = match is_there(folder).then(|| list(folder)) {
            None => return,
            Some(Ok(names)) => names,
            Some(Err(fault)) => return self.faults.push(fault),
        };
        for name in names {
            let path = folder.join(&name);
            if name.as_bytes().starts_with(b".") {
                continue; // editors' own files
            }
            if path.extension() == Some(OsStr::new("toml")) {
                self.take(&path);
            } else {
                self.ignored.push(path);
            }
        }
    }
}

fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn list(folder: &Path) -> Result<Vec<OsString>, Fault> {
    let step = walk(folder)?;
    if FileType::from_raw_mode(step.stat.st_mode) != FileType::Directory {
        return Err(unreadable(folder, Errno::NOTDIR.into()));
    }
    if mode(&step.stat) & OTHERS_WRITE != 0 {
        // Even a sticky folder: a link of another's making may name a file of root's.
        return Err(Fault::Untrusted { path: folder.into(), danger: Danger::Writable(mode(&step.stat)) });
    }
    let names = || -> rustix::io::Result<Vec<OsString>> {
        let opened = rustix::fs::openat(
            &step.fd,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&opened)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    names().map_err(|error| unreadable(folder, error.into()))
}

/// Opens a regular file that only root and we could have written.
fn open(path: &Path) -> Result<(File, Stat), Fault> {
    let step = walk(path)?;
    let untrusted = |danger| Fault::Untrusted { path: path.into(), danger };
    if FileType::from_raw_mode(step.stat.st_mode) != FileType::RegularFile {
        return Err(untrusted(Danger::Kind));
    }
    let reopen = || -> rustix::io::Result<(OwnedFd, Stat)> {
        // The parent was checked; O_NONBLOCK so that a pipe put there in this instant does not hang us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&step.parent, &step.name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        Ok((fd, stat))
    };
    let (fd, stat) = reopen().map_err(|error| unreadable(path, error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(untrusted(Danger::Kind));
    }
    danger(&stat).map_or(Ok(()), |danger| Err(untrusted(danger)))?;
    Ok((File::from(fd), stat))
}

fn read(path: &Path, file: File) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Fault::Untrusted { path: path.into(), danger: Danger::Size });
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        unreadable(path, io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8")))
    })
}

/// The end of a walk: what is there, and the folder it was found in.
struct Step {
    parent: OwnedFd,
    name: OsString,
    fd: OwnedFd,
    stat: Stat,
}

/// Walks an absolute path from the root, through links, and checks every folder and link on the way.
fn walk(path: &Path) -> Result<Step, Fault> {
    let failed = |seen: &Path, error: Errno| match io::Error::from(error) {
        // Of a path that a link leads to, both ends are told.
        error if !path.starts_with(seen) => {
            unreadable(path, io::Error::new(error.kind(), format!("{}: {error}", seen.display())))
        }
        error => unreadable(path, error),
    };
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = || {
        let open = || {
            let fd = rustix::fs::open("/", folder, Mode::empty())?;
            let stat = rustix::fs::fstat(&fd)?;
            Ok((fd, stat))
        };
        let (fd, stat) = open().map_err(|error| failed(path, error))?;
        match danger(&stat) {
            Some(danger) => Err(Fault::Untrusted { path: "/".into(), danger }),
            None => Ok(fd),
        }
    };
    let mut here = root()?;
    let mut seen = PathBuf::from("/");
    let mut links = 0;
    let mut ahead: VecDeque<OsString> = steps(path).collect();
    while let Some(name) = ahead.pop_front() {
        if name == "/" {
            (here, seen) = (root()?, PathBuf::from("/"));
            if ahead.is_empty() {
                ahead.push_back(".".into());
            }
            continue;
        }
        let now = seen.join(&name);
        let look = || {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&here, &name, flags, Mode::empty())?;
            let stat = rustix::fs::fstat(&fd)?;
            Ok((fd, stat))
        };
        let (fd, stat) = look().map_err(|error| failed(&now, error))?;
        let untrusted = |danger| Fault::Untrusted { path: now.clone(), danger };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            links += 1;
            if links > MOST_LINKS {
                return Err(untrusted(Danger::Links));
            }
            if !ours(&stat) {
                return Err(untrusted(Danger::Owner(stat.st_uid)));
            }
            let target = rustix::fs::readlinkat(&fd, "", Vec::new()).map_err(|error| failed(&now, error))?;
            let target = PathBuf::from(OsStr::from_bytes(target.to_bytes()));
            for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(step);
            }
            continue;
        }
        if ahead.is_empty() {
            return match danger(&stat) {
                Some(danger) => Err(untrusted(danger)),
                None => Ok(Step { parent: here, name, fd, stat }),
            };
        }
        match danger(&stat) {
            Some(danger) => return Err(untrusted(danger)),
            None => (here, seen) = (fd, now),
        }
    }
    Err(unreadable(path, Errno::INVAL.into()))
}

fn steps(path: &Path) -> impl Iterator<Item = OsString> + use<> {
    let steps: Vec<OsString> = path
        .components()
        .filter(|c| !matches!(c, Component::CurDir))
        .map(|c| c.as_os_str().to_owned())
        .collect();
    steps.into_iter()
}

fn danger(stat: &Stat) -> Option<Danger> {
    let mode = mode(stat);
    // In a sticky folder of root's nobody can rename or remove what belongs to another.
    let kept_apart = FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && mode & STICKY != 0
        && stat.st_uid == 0;
    if !ours(stat) {
        Some(Danger::Owner(stat.st_uid))
    } else if mode & OTHERS_WRITE != 0 && !kept_apart {
        Some(Danger::Writable(mode))
    } else {
        None
    }
}

fn ours(stat: &Stat) -> bool {
    stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw()
}

fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    Fault::Unreadable { path: path.into(), error }
}
