//! What ties the programs to their hooks, as plain descriptors: a program runs as long as anyone holds its link, whoever
//! attached it. aya makes links too, and does not give their descriptors away.
//!
//! Invariant: a link that came from elsewhere is asked of the kernel before it is taken for one of ours.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::{missing::Program, offsets};

/// Commands and a type of attachment, as bpf(2) numbers them.
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;
const TRACE_ITER: u32 = 28;

/// The iterator's kind.
pub(super) const SOCKETS: &str = "tcp";

/// The links of the programs that run.
#[derive(Default)]
pub(super) struct Links(Vec<(Program, OwnedFd)>);

impl Links {
    /// Ties a loaded program to its hook.
    pub(super) fn tie(&mut self, program: Program, loaded: BorrowedFd<'_>) -> io::Result<()> {
        let number = loaded.as_raw_fd().cast_unsigned();
        let link = match offsets::hook(program) {
            Some(_) => bpf(RAW_TRACEPOINT_OPEN, [0, 0, number, 0])?, // the program itself names the tracepoint
            None => bpf(LINK_CREATE, [number, 0, TRACE_ITER, 0])?,
        };
        self.0.push((program, link));
        Ok(())
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

    /// One pass of the iterator, which runs as it is read; `None` where it is missing.
    pub(super) fn pass(&self) -> Option<io::Result<File>> {
        let (_, link) = self.0.iter().find(|(program, _)| *program == Program::Seed)?;
        Some(bpf(ITER_CREATE, [link.as_raw_fd().cast_unsigned(), 0, 0, 0]).map(File::from))
    }
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
