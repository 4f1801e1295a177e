//! Who else has a hand in it: a package manager that holds its lock, a frozen cgroup, a debugger.

use std::{fs, io, os::fd::AsRawFd, path::Path};

use procfs::process::Process;
use rustix::fs::{Mode, OFlags};

use super::{own, pressure::directory};
use crate::model::{Mono, Others, SystemState, UnitState};

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
        began: began(),
    }
}

/// When PID 1 began. The kernel counts time asleep here as well, which [`Mono`] leaves out: it is later at most, and what goes
/// by how long the host has been up waits for longer.
fn began() -> Option<Mono> {
    let ticks = Process::new(1).and_then(|first| first.stat()).ok()?.starttime;
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(procfs::ticks_per_second());
    u64::try_from(nanos).ok().map(Mono).map(Mono::whole)
}

/// The kernel names the processes that it can name here: those of other containers are theirs.
fn package() -> Option<String> {
    LOCKS.iter().find_map(|path| {
        let pid = writer(Path::new(path)).ok().flatten().filter(|pid| is_of_root(*pid))?;
        Some(format!("process {pid} ({}) holds {path}", comm(pid)))
    })
}

/// The process that has locked this file to write, as package managers lock (`F_SETLK`): whoever may read a file may hold it with
/// flock, and a reader of the data base locks it too, for reading. /proc/locks tells the same, but to read it the kernel waits
/// until all CPUs have been idle once, which takes ten milliseconds.
fn writer(path: &Path) -> io::Result<Option<i32>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let mut found = whole(libc::F_RDLCK);
    #[allow(
        unsafe_code,
        reason = "rustix cannot take the -1 that stands for a lock of no process in particular"
    )]
    // SAFETY: the descriptor is open, and `found` is a `flock` that outlives the call, which is all that F_GETLK reads and writes.
    let told = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut found) };
    if told == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok((found.l_type == libc::F_WRLCK as libc::c_short).then_some(found.l_pid))
}

/// A lock on all of a file.
fn whole(kind: libc::c_int) -> libc::flock {
    let (l_type, l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 }
}

/// By its credentials: the owner of its directory in /proc is root also where it hides its memory.
fn is_of_root(pid: i32) -> bool {
    Process::new(pid).and_then(|process| process.status()).is_ok_and(|status| status.euid == 0)
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
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        assert!(writer(&path).is_err());
        let file = fs::File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        assert_eq!(writer(&path).expect("told"), None);
        file.lock().expect("flock"); // anybody's
        assert_eq!(writer(&path).expect("told"), None);
        assert_eq!(locked(&file, libc::F_RDLCK, &path), None);
        assert_eq!(locked(&file, libc::F_WRLCK, &path), Some(-1)); // of no process in particular
        assert!(!is_of_root(-1));
    }

    /// What is told of a file while we hold such a lock, which counts for ourselves too: it belongs to the open file.
    fn locked(file: &fs::File, kind: i32, path: &Path) -> Option<i32> {
        let lock = whole(kind);
        #[allow(unsafe_code, reason = "no library of ours takes such locks")]
        // SAFETY: the descriptor is open, and `lock` outlives the call, which only reads it.
        let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
        assert_eq!(taken, 0);
        writer(path).expect("told")
    }

    #[test]
    fn a_process_of_root_is_known_by_its_credentials() {
        assert!(is_of_root(1) && !is_of_root(-1));
        let own = Process::myself().and_then(|own| own.status()).expect("our own status");
        assert_eq!(is_of_root(own.pid), own.euid == 0);
    }

    #[test]
    fn b16_pid_1_began_before_us_and_its_time_is_of_our_clock() {
        let ours = Process::myself().and_then(|own| own.stat()).expect("our own stat").starttime;
        let ours = Mono(ours * 1_000_000_000 / procfs::ticks_per_second());
        let began = began().expect("PID 1 is there");
        assert!(began <= ours && ours <= crate::clock::now(), "{began} {ours}");
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
