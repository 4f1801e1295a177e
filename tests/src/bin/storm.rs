//! Makes so much of one thing that whoever listens is put to the test. Does what its arguments and then lines on its standard
//! input say, and answers each with the moment (nanoseconds of CLOCK_MONOTONIC) when it was done, and how many a second there were.
//!
//! `vforks N CODE RATE` (processes that end at once with this code, and share our memory until then) · `threads N RATE` ·
//! `signals PID SIGNAL N RATE` · `block SIGNAL` (it stays pending here: each further one is generated all the same) · `ready` ·
//! `park` (for ever).
#![allow(clippy::print_stdout, reason = "it answers there")]

use std::{
    ffi::c_void,
    io::{self, Error},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};

fn main() {
    let arguments = std::env::args().skip(1);
    for line in arguments.chain(io::stdin().lines().map(Result::unwrap_or_default)) {
        let words: Vec<&str> = line.split(' ').collect();
        match obey(&words) {
            Ok(number) => println!("{} {number}", now()),
            Err(error) => println!("cannot {line}: {error}"),
        }
    }
}

fn obey(words: &[&str]) -> io::Result<u64> {
    match *words {
        ["ready"] => Ok(0),
        ["vforks", times, code, rate] => {
            let (mut stack, code) = (vec![0_u128; 1024], number(code)?);
            forget_children();
            storm(number(times)?, number(rate)?, || vfork(&mut stack, code))
        }
        ["threads", times, rate] => storm(number(times)?, number(rate)?, || {
            thread::Builder::new().spawn(|| ())?.join().map_err(|_| Error::other("it panicked"))
        }),
        ["signals", pid, signal, times, rate] => {
            let pid = Pid::from_raw(number(pid)? as i32).ok_or_else(|| Error::other("no pid"))?;
            let signal = Signal::from_named_raw(number(signal)? as i32);
            let signal = signal.ok_or_else(|| Error::other("no signal"))?;
            storm(number(times)?, number(rate)?, || Ok(kill_process(pid, signal)?))
        }
        ["park"] => loop {
            thread::park();
        },
        ["block", signal] => block(number(signal)? as i32).map(|()| 0),
        _ => Err(Error::other("no such order")),
    }
}

/// So often, at this rate where it can be kept; answers the rate that was.
fn storm(times: u64, rate: u64, mut once: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let began = Instant::now();
    let burst = (rate / 1000).max(1);
    for done in 0..times {
        if done % burst == 0 {
            let due = Duration::from_secs_f64(done as f64 / rate as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        once()?;
    }
    Ok((times as f64 / began.elapsed().as_secs_f64()) as u64)
}

/// The kernel keeps no zombies of them.
#[allow(unsafe_code, reason = "a system call without a safe wrapper")]
fn forget_children() {
    // SAFETY: no handler of ours runs; only waits for children, of which there are none, would mind.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
}

/// A child that ends at once.
#[allow(unsafe_code, reason = "a system call without a safe wrapper")]
fn vfork(stack: &mut [u128], code: u64) -> io::Result<()> {
    extern "C" fn end(code: *mut c_void) -> libc::c_int {
        code as libc::c_int
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: this thread stands still until the child has ended, which uses the stack that is lent to it and nothing else.
    let pid = unsafe { libc::clone(end, stack.as_mut_ptr_range().end.cast(), flags, code as *mut c_void) };
    if pid < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

#[allow(unsafe_code, reason = "a system call without a safe wrapper")]
fn block(signal: i32) -> io::Result<()> {
    // SAFETY: the set is made before it is read, and lives on this stack.
    let answer = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
    };
    if answer == 0 { Ok(()) } else { Err(Error::from_raw_os_error(answer)) }
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(Error::other)
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
