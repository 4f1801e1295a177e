//! System calls that are answered by death: a seccomp filter (`SystemCallFilter=` without an errno) kills the whole process for
//! one call that it could do without. A child tries it first.
//!
//! Deliberately absent: calls that nothing works without.

use std::{fs, io};

/// Why bpf(2) is not called.
pub(super) const BPF: &str = "a seccomp filter kills who calls it";

/// Whether this process would be killed for this call, whatever its arguments. Where no filter is in force nothing is tried.
/// To be called while there is one thread only, or from any thread: the child calls nothing else.
pub(super) fn is_deadly(call: libc::c_long) -> bool {
    is_filtered() && dies_of(call).unwrap_or(false)
}

fn is_filtered() -> bool {
    let told = fs::read_to_string("/proc/self/status").unwrap_or_default();
    told.lines()
        .any(|line| line.split_once(':').is_some_and(|(key, mode)| key == "Seccomp" && mode.trim() == "2"))
}

#[allow(unsafe_code, reason = "a child that may be killed in our place")]
fn dies_of(call: libc::c_long) -> io::Result<bool> {
    const NONE: libc::c_long = -1;
    // SAFETY: the child makes system calls and nothing else: no lock and no memory of another thread is touched.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above; the arguments are no pointers, and such as every call refuses.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0); // its death is no crash to be kept
            libc::syscall(call, NONE, NONE, NONE, NONE, NONE, NONE);
            libc::_exit(0);
        }
    }
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut status = 0;
    loop {
        // SAFETY: the status is written to a local that lives.
        match unsafe { libc::waitpid(child, &raw mut status, 0) } {
            -1 => match io::Error::last_os_error() {
                fault if fault.kind() == io::ErrorKind::Interrupted => {}
                fault => return Err(fault),
            },
            _ => return Ok(libc::WIFSIGNALED(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_a_call_that_is_merely_refused_is_not_deadly() {
        assert!(!dies_of(libc::SYS_bpf).unwrap());
    }

    /// The child inherits the filter that kills it, as watchdog has it from systemd.
    #[test]
    #[allow(unsafe_code, reason = "a filter of this thread's own, and a child")]
    fn f1_a_call_that_a_filter_punishes_by_death_is_deadly() {
        let dies = std::thread::spawn(|| {
            let step = |code: u32, jt, jf, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
            let number = libc::SYS_personality as u32;
            let mut steps = [
                step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
                step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
                step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
                step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
            ];
            let filter = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
            // SAFETY: the program lives during the call; it applies to this thread, which calls no personality(2) itself.
            unsafe {
                assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
                let mode = libc::SECCOMP_MODE_FILTER;
                assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter), 0);
            }
            (dies_of(libc::SYS_personality).unwrap(), dies_of(libc::SYS_bpf).unwrap())
        });
        assert_eq!(dies.join().unwrap(), (true, false));
    }
}
