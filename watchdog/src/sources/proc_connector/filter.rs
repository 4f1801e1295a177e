//! What the kernel lets through to our socket: ends of known processes, and answers. A storm of other ends wakes nobody.

use std::{io, os::fd::AsRawFd};

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MISC, BPF_RET, BPF_TAX, BPF_W, BPF_X, sock_filter,
    sock_fprog,
};

use super::wire::{ANSWER, EXIT, PID, TGID, WHAT};

/// So many processes fit: the kernel charges a filter to `net.core.optmem_max`, 20 kB of old.
pub(super) const MOST: usize = 800;

const ALL: u32 = u32::MAX;

/// A program that lets the ends of these processes through, and answers; of more than [`MOST`], the first ones.
pub(super) fn program(pids: impl Iterator<Item = u32>) -> Vec<sock_filter> {
    let mut program = vec![
        load(WHAT),
        equal(ANSWER, 0, 1),
        back(ALL),
        equal(EXIT, 1, 0),
        back(0),
        // the first thread of a process bears its number
        load(PID),
        step(BPF_MISC | BPF_TAX, 0, 0, 0),
        load(TGID),
        step(BPF_JMP | BPF_JEQ | BPF_X, 1, 0, 0),
        back(0),
    ];
    for pid in pids.take(MOST) {
        program.extend([equal(pid, 0, 1), back(ALL)]);
    }
    program.push(back(0));
    program
}

/// Puts it in the place of the one before, if any: no message is judged by none.
#[allow(unsafe_code, reason = "a socket option without a wrapper")]
pub(super) fn attach(socket: &impl AsRawFd, program: &mut [sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len, filter: program.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&program)).map_err(io::Error::other)?;
    // SAFETY: the kernel copies the program, whose length is that of the slice, during the call.
    let done = unsafe {
        let option = (&raw const program).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, option, size)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A word at this place of the message.
fn load(at: usize) -> sock_filter {
    step(BPF_LD | BPF_W | BPF_ABS, 0, 0, u32::try_from(at).unwrap_or(u32::MAX))
}

/// Skips so many steps where the word is this, else so many. Filters read words as the network has them.
fn equal(word: u32, yes: u8, no: u8) -> sock_filter {
    step(BPF_JMP | BPF_JEQ | BPF_K, yes, no, word.to_be())
}

fn back(length: u32) -> sock_filter {
    step(BPF_RET | BPF_K, 0, 0, length)
}

fn step(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::{super::wire::tests::message, *};

    /// What the kernel would do with it.
    fn lets_through(program: &[sock_filter], message: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0, 0, 0);
        loop {
            let step = &program[at];
            at += 1;
            let code = u32::from(step.code);
            if code == BPF_RET | BPF_K {
                return step.k != 0;
            } else if code == BPF_LD | BPF_W | BPF_ABS {
                let from = step.k as usize;
                let Some(bytes) = message.get(from..from + 4) else { return false };
                a = u32::from_be_bytes(bytes.try_into().unwrap());
            } else if code == BPF_MISC | BPF_TAX {
                x = a;
            } else {
                let other = if code & BPF_X == 0 { step.k } else { x };
                at += usize::from(if a == other { step.jt } else { step.jf });
            }
        }
    }

    fn check(what: u32, words: [u32; 4], through: bool) {
        let program = program([7, 812, 0x0102_0304].into_iter());
        assert_eq!(lets_through(&program, &message(what, words)), through, "{what:#x} {words:?}");
    }

    #[test]
    fn only_ends_of_known_processes_and_answers_pass() {
        check(EXIT, [812, 812, 9, 17], true);
        check(EXIT, [0x0102_0304, 0x0102_0304, 0, 17], true);
        check(EXIT, [813, 813, 9, 17], false);
        check(EXIT, [813, 812, 9, 17], false); // a thread
        check(1, [812, 812, 812, 812], false); // a fork
        check(ANSWER, [0; 4], true);
    }

    #[test]
    fn of_too_many_the_first_are_let_through_and_the_filter_stays_small() {
        let program = program(1..5000);
        assert!(size_of_val(&program[..]) < 20_000);
        let most = u32::try_from(MOST).unwrap();
        assert!(lets_through(&program, &message(EXIT, [most, most, 9, 17])));
        assert!(!lets_through(&program, &message(EXIT, [most + 1, most + 1, 9, 17])));
    }
}
