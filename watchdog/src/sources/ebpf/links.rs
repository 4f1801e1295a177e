//! What ties the programs to their hooks, as plain descriptors: a program runs as long as anyone holds its link, whoever
//! attached it. aya makes links too, and does not give their descriptors away.
//!
//! Invariant: a link that came from elsewhere is asked of the kernel before it is taken for one of ours.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    str::FromStr,
};

use super::{missing::Program, offsets};

/// Commands and a type of attachment, as bpf(2) numbers them.
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;
const TRACE_ITER: u32 = 28;
const CGROUP_EGRESS: u32 = 1;

/// The type of a program that sees packets of a cgroup.
const CGROUP_SKB: &str = "8";

/// The iterator's kind.
pub(super) const SOCKETS: &str = "tcp";

/// The links of the programs that run; of the one that is tied to cgroups later, the program itself.
#[derive(Default)]
pub(super) struct Links(Vec<(Program, OwnedFd)>);

impl Links {
    /// Ties a loaded program to its hook.
    pub(super) fn tie(&mut self, program: Program, loaded: BorrowedFd<'_>) -> io::Result<()> {
        let number = loaded.as_raw_fd().cast_unsigned();
        let link = match offsets::hook(program) {
            Some(_) => bpf(RAW_TRACEPOINT_OPEN, [0, 0, number, 0])?, // the program itself names the tracepoint
            None if program == Program::Egress => loaded.try_clone_to_owned()?,
            None => bpf(LINK_CREATE, [number, 0, TRACE_ITER, 0])?,
        };
        self.0.push((program, link));
        Ok(())
    }

    /// Forgets the link of a program: it runs no more, unless another process holds it too.
    pub(super) fn cut(&mut self, program: Program) {
        self.0.retain(|(of, _)| *of != program);
    }

    /// A program by its link, whoever loaded it; needs CAP_SYS_ADMIN.
    pub(super) fn program(&self, program: Program) -> io::Result<OwnedFd> {
        let link = self.0.iter().find(|(of, _)| *of == program).map(|(_, link)| link);
        let link = link.ok_or_else(|| io::Error::other("it is not attached"))?;
        bpf(PROG_GET_FD_BY_ID, [told(link, "prog_id")?, 0, 0, 0])
    }

    /// Takes a link that was made by another process, if the kernel says that it is one of this program's hook.
    pub(super) fn take(&mut self, program: Program, link: OwnedFd) -> Result<(), String> {
        let path = format!("/proc/self/fdinfo/{}", link.as_raw_fd());
        let told = fs::read_to_string(&path).map_err(|fault| format!("cannot read {path}: {fault}"))?;
        let says = |key: &str, value: &str| {
            let lines = told.lines().filter_map(|line| line.split_once(':'));
            lines.into_iter().any(|(k, v)| k == key && v.trim() == value)
        };
        let is_ours = match offsets::hook(program) {
            Some((tracepoint, _)) => says("link_type", "raw_tracepoint") && says("tp_name", tracepoint),
            None if program == Program::Egress => says("prog_type", CGROUP_SKB),
            None => says("link_type", "iter") && says("target_name", SOCKETS),
        };
        if !is_ours {
            return Err(format!("{} is no link of that program", program.name()));
        }
        self.0.push((program, link));
        Ok(())
    }

    /// Each with its program.
    pub(super) fn each(&self) -> impl Iterator<Item = (Program, BorrowedFd<'_>)> {
        self.0.iter().map(|(program, link)| (*program, link.as_fd()))
    }

    /// The program that reads answers; `None` where it is missing.
    pub(super) fn egress(&self) -> Option<BorrowedFd<'_>> {
        let (_, program) = self.0.iter().find(|(program, _)| *program == Program::Egress)?;
        Some(program.as_fd())
    }

    /// One pass of the iterator, which runs as it is read; `None` where it is missing.
    pub(super) fn pass(&self) -> Option<io::Result<File>> {
        let (_, link) = self.0.iter().find(|(program, _)| *program == Program::Seed)?;
        Some(bpf(ITER_CREATE, [link.as_raw_fd().cast_unsigned(), 0, 0, 0]).map(File::from))
    }
}

/// Ties the program that reads answers to one more cgroup.
pub(super) fn tie_to_cgroup(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let [program, cgroup] = [program, cgroup].map(|it| it.as_raw_fd().cast_unsigned());
    bpf(LINK_CREATE, [program, cgroup, CGROUP_EGRESS, 0])
}

/// How often this program did not run because it was interrupted by what it watches; 0 before kernel 5.12.
pub(super) fn missed_runs(program: BorrowedFd<'_>) -> io::Result<u64> {
    match told(program, "recursion_misses") {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(0),
        missed => missed,
    }
}

/// A number that the kernel tells of an open descriptor.
fn told<T: FromStr>(descriptor: impl AsFd, key: &str) -> io::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_fd().as_raw_fd()))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.ok_or(io::ErrorKind::NotFound)?.trim().parse().map_err(io::Error::other)
}

/// A command of bpf(2) that answers a descriptor; it closes by itself in children.
#[allow(unsafe_code, reason = "a system call without a wrapper that gives the descriptor away")]
fn bpf(command: libc::c_int, attributes: [u32; 4]) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as it is told, from memory that lives during the call, and writes none.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
    match libc::c_int::try_from(answer) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(made) if made >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(made) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}
