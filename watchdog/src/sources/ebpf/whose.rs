//! Names for the cgroups that records bear as numbers: the unit, session or scope of a process that is gone when one looks. Where
//! its cgroup is gone too, a probe has noted the last part of the name.
//!
//! Invariant: a number is never used again, so that what was found stays true. What cannot be found out stays empty.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use crate::{
    model::{CgroupId, Saw, Sender, Sign},
    systemd::cgroup,
};

/// So many are remembered: who sends signals to services is few.
const KEPT: usize = 64;

/// What the last part of a path in the tree of systemd ends in.
const UNITS: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

/// The names found so far.
#[derive(Default)]
pub(super) struct Whose {
    mount: Option<(PathBuf, File)>,
    known: BTreeMap<CgroupId, String>,
}

impl Whose {
    /// Fills in the unit of whoever did something.
    pub(super) fn name(&mut self, sign: &mut Sign, noted: impl Fn(CgroupId) -> Option<String>) {
        match &mut sign.saw {
            Saw::SignalSent(sent) => match &mut sent.sender {
                Sender::Process { cgroup, unit, .. } => *unit = self.unit(*cgroup, noted),
                Sender::Kernel | Sender::OomKiller => {}
            },
            Saw::CommandRun(run) => run.unit = self.unit(run.cgroup, noted),
            Saw::Exit(_)
            | Saw::ListenerUp(_)
            | Saw::ListenerDown { .. }
            | Saw::AcceptStall(_)
            | Saw::AnswerStall(_)
            | Saw::StallOver(_)
            | Saw::InUse(_)
            | Saw::OomKill(_)
            | Saw::ServerErrors(_)
            | Saw::LogErrors(_)
            | Saw::UnixStall(_)
            | Saw::Serving(_)
            | Saw::Unit(_)
            | Saw::Job(_)
            | Saw::Listeners(_)
            | Saw::Loss(_)
            | Saw::Working { .. } => {}
        }
    }

    fn unit(&mut self, cgroup: CgroupId, noted: impl Fn(CgroupId) -> Option<String>) -> String {
        if let Some(known) = self.known.get(&cgroup) {
            return known.clone();
        }
        let path = self.path(cgroup).map(|path| unit_in(&path));
        let found = path.or_else(|| noted(cgroup)).unwrap_or_default();
        if self.known.len() == KEPT {
            self.known.clear();
        }
        self.known.insert(cgroup, found.clone());
        found
    }

    /// Below the mount.
    fn path(&mut self, id: CgroupId) -> Option<PathBuf> {
        if self.mount.is_none() {
            let mount = cgroup::mount().ok()?;
            let directory = File::open(&mount).ok()?;
            self.mount = Some((mount, directory));
        }
        let (mount, directory) = self.mount.as_ref()?;
        let path = match by_number(directory, id) {
            Ok(path) => path,
            // without the capability for that, it is looked for
            Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => cgroup::directory(mount, id)?,
            Err(_gone) => return None,
        };
        path.strip_prefix(mount).ok().map(Path::to_path_buf)
    }
}

/// The last part that systemd named: what lies below is the unit's own.
fn unit_in(path: &Path) -> String {
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_unit = |part: &&String| UNITS.iter().any(|kind| part.ends_with(kind));
    parts.iter().rev().find(is_unit).or(parts.last()).cloned().unwrap_or_default()
}

/// A handle of a file of kernfs, as open_by_handle_at(2) takes it.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    number: [u8; 8],
}

/// The number of a cgroup is its handle.
const KERNFS: i32 = 0xfe;

/// The path of a cgroup, by its number alone.
#[allow(unsafe_code, reason = "a system call without a wrapper")]
fn by_number(mount: &File, id: CgroupId) -> io::Result<PathBuf> {
    let mut handle = Handle { bytes: 8, kind: KERNFS, number: id.0.to_ne_bytes() };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the kernel reads a handle of the length that it says, which lives during the call.
    let opened =
        unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, flags) };
    let directory = match libc::c_int::try_from(opened) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(opened) if opened >= 0 => unsafe { OwnedFd::from_raw_fd(opened) },
        Ok(_) | Err(_) => return Err(io::Error::last_os_error()),
    };
    fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn check(path: &str, unit: &str) {
        assert_eq!(unit_in(Path::new(path)), unit);
    }

    #[test]
    fn f3_a_cgroup_is_told_by_the_unit_or_session_that_it_is_in() {
        check("system.slice/cron.service", "cron.service");
        check("user.slice/user-1000.slice/session-3.scope", "session-3.scope");
        check("user.slice/user-1000.slice/user@1000.service/app.slice/run-u1.service", "run-u1.service");
        check("system.slice/docker-0a1b.scope/init", "docker-0a1b.scope");
        check("lxc/web", "web");
        check("", "");
    }

    #[test]
    fn f3_a_cgroup_is_found_by_its_number() {
        let mut whose = Whose::default();
        let Ok(mount) = cgroup::mount() else { return assert_eq!(whose.path(CgroupId(1)), None) };
        let number = |path: &Path| CgroupId(fs::metadata(path).expect("a cgroup").ino());
        assert_eq!(whose.path(number(&mount)), Some(PathBuf::new()));
        for below in
            fs::read_dir(&mount).expect("the mount").flatten().filter(|it| it.path().is_dir()).take(3)
        {
            let found = below.metadata().ok().and_then(|is| whose.path(CgroupId(is.ino())));
            assert!(found == Some(below.file_name().into()) || !below.path().exists(), "{below:?} {found:?}");
        }
        assert_eq!(whose.unit(CgroupId(u64::MAX - 1), |_| None), "");
        assert_eq!(whose.unit(CgroupId(u64::MAX), |_| Some("cron.service".into())), "cron.service");
    }
}
