//! What is done in order to be told by the probes: a process of ours is killed, a socket of ours listens.
//!
//! Invariant: nothing of it is left, and none of it is needed: what cannot be done (no PID to spare, no port) is left out.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::MetadataExt,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{canary::Song, maps::Maps};
use crate::{model::CgroupId, systemd};

/// The cgroup of this thread, by its path below the cgroup2 mount.
const OWN: &str = "/proc/thread-self/cgroup";

/// A child that nobody kills ends by itself.
static LIFE: libc::timespec = libc::timespec { tv_sec: 10, tv_nsec: 0 };
/// What it needs: one system call.
const STACK: usize = 16 * 1024;

/// Does it. Has the probes watch our own cgroup from now on, until it is taken back; `None` where that cannot be. With it comes
/// what will say that the process has ended.
pub(super) fn sing(maps: &mut Maps) -> Option<(Song, Arc<AtomicBool>)> {
    let cgroup = own_cgroup()?;
    let child = Child::start().inspect_err(|fault| tracing::debug!(%fault, "no process to spare")).ok();
    let pid = child.as_ref().map(Child::pid);
    if let Err(fault) = maps.lend(cgroup, pid.unwrap_or_default()) {
        tracing::debug!(%fault, "not listening to ourselves");
        return None;
    }
    let ended = child.map(Child::kill).unwrap_or_default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = listener.ok().map(|address| address.port());
    Some((Song { cgroup: cgroup.0, pid, port }, ended))
}

fn own_cgroup() -> Option<CgroupId> {
    let told = fs::read_to_string(OWN).ok()?;
    let path = told.lines().find_map(|line| line.strip_prefix("0::"))?;
    let directory = systemd::cgroup::mount().ok()?.join(path.trim_start_matches('/'));
    Some(CgroupId(fs::metadata(directory).ok()?.ino()))
}

/// A process that waits to be killed, which happens at the latest when this is dropped. It shares our memory, so that it costs none, and runs
/// on a stack of its own; it tells nobody of its end, and hears no signal that can be blocked.
struct Child {
    pid: libc::pid_t,
    stack: Vec<u128>,
    ended: Arc<AtomicBool>,
}

impl Child {
    #[allow(unsafe_code, reason = "no safe call makes a process that shares memory")]
    fn start() -> io::Result<Child> {
        let mut stack = vec![0; STACK / size_of::<u128>()];
        // SAFETY: the child touches nothing but its own stack, which outlives it (see `drop`), and makes one system call that
        // cannot fail and so writes no errno. The sets of signals are made before they are read. All signals are blocked while
        // it is made, so that no handler of ours ever runs in it.
        let pid = unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let top = stack.as_mut_ptr_range().end;
            let pid = libc::clone(wait, top.cast(), libc::CLONE_VM, ptr::null_mut());
            let fault = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
            if pid < 0 { Err(fault) } else { Ok(pid) }
        };
        Ok(Child { pid: pid?, stack, ended: Arc::default() })
    }

    fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Ends it; the answer will be true once it has ended.
    fn kill(self) -> Arc<AtomicBool> {
        self.ended.clone()
    }
}

impl Drop for Child {
    /// Kills it, and has another thread wait for its end: its stack is given back only then.
    #[allow(unsafe_code, reason = "it is a child of no type of the standard library")]
    fn drop(&mut self) {
        let (pid, stack, ended) = (self.pid, std::mem::take(&mut self.stack), self.ended.clone());
        // SAFETY: no pointers; nobody else waits for this child, so that its number is no other's.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
        }
        let bury = move || {
            // SAFETY: no status is asked for; as above.
            while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            drop(stack);
            ended.store(true, Ordering::Release);
        };
        tokio::task::spawn_blocking(bury);
    }
}

extern "C" fn wait(_: *mut libc::c_void) -> libc::c_int {
    #[allow(unsafe_code, reason = "see Child::start")]
    // SAFETY: the time is constant, and the rest of it is not asked for. Not by `libc::nanosleep`, which looks at the thread
    // that it believes to be in.
    unsafe {
        libc::syscall(libc::SYS_nanosleep, &raw const LIFE, ptr::null_mut::<libc::timespec>());
    }
    0
}
