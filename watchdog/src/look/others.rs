//! Who else has a hand in it: a package manager that holds its lock, a frozen cgroup, a debugger.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use procfs::{Lock, LockKind, LockType, process::Process};

use super::{own, pressure::directory};
use crate::model::{Others, SystemState, UnitState};

/// What package managers lock while they change the system: dpkg and apt, rpm and dnf.
const LOCKS: [&str; 4] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
];

/// Who has a hand in this unit. What systemd is doing is not looked up here.
pub fn others(unit: &UnitState) -> Others {
    let home = directory(unit);
    let pids = home.as_deref().map(own::pids).unwrap_or_default();
    Others {
        system: SystemState::default(),
        package: package(),
        frozen: home.is_some_and(|home| is_frozen(&home)),
        tracer: pids.iter().find_map(|pid| tracer(*pid, &pids)),
    }
}

/// The kernel lists locks of processes that it can name here: those of other containers are theirs.
fn package() -> Option<String> {
    let files: Vec<(&str, fs::Metadata)> =
        LOCKS.iter().filter_map(|path| Some((*path, fs::metadata(path).ok()?))).collect();
    if files.is_empty() {
        return None;
    }
    let locks = procfs::locks().ok()?;
    files.iter().find_map(|(path, file)| {
        let is_held =
            |lock: &&Lock| changes(lock) && lock.inode == file.ino() && is_of(lock, file, Path::new(path));
        let pid = locks.iter().filter(is_held).find_map(|lock| lock.pid.filter(|pid| is_of_root(*pid)))?;
        Some(format!("process {pid} ({}) holds {path}", comm(pid)))
    })
}

/// As a package manager locks. Whoever may read a file may hold it with flock, and a reader of the data base locks it too, for
/// reading.
fn changes(lock: &Lock) -> bool {
    matches!((&lock.lock_type, &lock.kind), (LockType::Posix, LockKind::Write))
}

/// By its credentials: the owner of its directory in /proc is root also where it hides its memory.
fn is_of_root(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.status()).is_ok_and(|status| status.euid == 0)
}

/// On overlayfs and btrfs the device of a file is not the one that its locks are listed under; then it must be open.
fn is_of(lock: &Lock, file: &fs::Metadata, path: &Path) -> bool {
    let device = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let opened = |pid: i32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|it| fs::read_link(it.path()).ok()).any(|it| it == path)
    };
    (lock.devmaj, lock.devmin) == device || lock.pid.is_some_and(opened)
}

/// Frozen by whomever: systemd, a container engine, or by hand.
fn is_frozen(home: &Path) -> bool {
    let events = fs::read_to_string(home.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "frozen 1")
}

/// Whoever traces it from outside: a service that traces its own processes does so for itself.
fn tracer(pid: i32, own: &[i32]) -> Option<String> {
    let tracer = traced_by(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, own)?;
    Some(format!("process {tracer} ({}) traces process {pid} ({})", comm(tracer), comm(pid)))
}

fn traced_by(status: &str, own: &[i32]) -> Option<i32> {
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    tracer.trim().parse().ok().filter(|pid| *pid != 0 && !own.contains(pid))
}

/// Empty when it is gone.
fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traced_process_names_its_tracer() {
        let status =
            |tracer: u32| format!("Name:\tnginx\nState:\tt (tracing stop)\nTracerPid:\t{tracer}\nUid:\t0\n");
        assert_eq!(traced_by(&status(812), &[10]), Some(812));
        assert_eq!(traced_by(&status(0), &[10]), None);
        assert_eq!(traced_by("Name:\tnginx\n", &[10]), None);
    }

    #[test]
    fn g5_a_service_that_traces_its_own_processes_has_no_debugger() {
        let status = "Name:\tphp-fpm8.2\nTracerPid:\t812\n";
        assert_eq!(traced_by(status, &[812, 813]), None);
        assert_eq!(traced_by(status, &[813]), Some(812));
    }

    #[test]
    fn f10_only_a_lock_to_write_that_is_taken_as_package_managers_do_counts() {
        let lock = |lock_type, kind| Lock {
            lock_type,
            mode: procfs::LockMode::Advisory,
            kind,
            pid: Some(1),
            devmaj: 8,
            devmin: 1,
            inode: 7,
            offset_first: 0,
            offset_last: None,
        };
        assert!(changes(&lock(LockType::Posix, LockKind::Write)));
        assert!(!changes(&lock(LockType::FLock, LockKind::Write))); // anybody's
        assert!(!changes(&lock(LockType::Posix, LockKind::Read)));
        assert!(!changes(&lock(LockType::ODF, LockKind::Write))); // of nobody by name
    }

    #[test]
    fn a_process_of_root_is_known_by_its_credentials() {
        assert!(is_of_root(1) && !is_of_root(-1));
        let own = Process::myself().and_then(|own| own.status()).expect("our own status");
        assert_eq!(is_of_root(own.pid), own.euid == 0);
    }

    #[test]
    fn a_frozen_cgroup_says_so() {
        let home = tempfile::tempdir().expect("a folder");
        let events = |text| fs::write(home.path().join("cgroup.events"), text).expect("a file");
        events("populated 1\nfrozen 1\n");
        assert!(is_frozen(home.path()));
        events("populated 1\nfrozen 0\n");
        assert!(!is_frozen(home.path()));
        assert!(!is_frozen(Path::new("/nonexistent")));
    }
}
