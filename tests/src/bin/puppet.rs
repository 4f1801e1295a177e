//! Does what a line on its standard input says, and answers each with a line: a process whose every socket call a test decides.
//!
//! As a server: `listen PORT` or `listen ADDRESS` · `listen-small PORT` (a backlog of 8) · `listen-shared PORT` (SO_REUSEPORT) ·
//! `unlisten` · `flap PORT N` (listens and stops, N times) · `accept` (one connection) · `drain` (accepts and closes all that
//! comes, from now on) · `drain-ring` (the same by io_uring) · `serve` (accepts, answers each request, keeps the
//! connection) · `answer TEXT` (the same, by this).
//! As a client: `connect PORT` or `connect ADDRESS` · `knock PORT` (does not wait to be connected) · `ask I N` (N requests, each
//! after the last answer). Both number their
//! connections from 0: `send I BYTES` · `say I TEXT` (`\r`, `\n` and `\xHH`
//! stand for bytes) · `repeat I N TEXT` · `read I` (once) · `read-all I` (until the end) · `half-close I` · `close I` · `reset I`.
//! As a process: `join PATH` (a cgroup) · `threads N` · `exit N` · `exit-thread N` (from another thread) · `overflow` (the stack; a fault) · `abort` ·
//! `kill PID SIGNAL` · `ready`.
//!
//! Each answer is the moment (nanoseconds of CLOCK_MONOTONIC) when it was done, and a number where there is one.
#![allow(clippy::print_stdout, reason = "it answers there")]

use std::{
    io::{self, Error, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process, ptr, thread,
    time::Duration,
};

use io_uring::{IoUring, opcode, types};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket, socket_with, sockopt},
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};

fn main() {
    let mut puppet = Puppet::default();
    for line in io::stdin().lines() {
        let line = line.unwrap_or_default();
        let words: Vec<&str> = line.split(' ').collect();
        match puppet.obey(&words) {
            Ok(number) => println!("{} {number}", now()),
            Err(error) => println!("cannot {line}: {error}"),
        }
    }
}

#[derive(Default)]
struct Puppet {
    listener: Option<TcpListener>,
    connections: Vec<Option<TcpStream>>,
}

impl Puppet {
    fn obey(&mut self, words: &[&str]) -> io::Result<usize> {
        match *words {
            ["ready"] => {}
            ["listen", at] => self.listener = Some(listener(address(at)?, false, 128)?),
            ["listen-small", at] => self.listener = Some(listener(address(at)?, false, 8)?),
            ["listen-shared", at] => self.listener = Some(listener(address(at)?, true, 128)?),
            ["unlisten"] => self.listener = None,
            ["flap", port, times] => {
                for _ in 0..number(times)? {
                    listener(address(port)?, true, 128)?;
                }
            }
            ["accept"] => {
                let (connection, _) = self.listening()?.accept()?;
                return Ok(self.keep(connection));
            }
            ["drain"] => self.for_each_client(|_| {})?,
            ["serve"] => self.for_each_client(|connection| {
                thread::spawn(move || answer_all(connection, b"ok"));
            })?,
            ["answer", ref text @ ..] => {
                let answer = bytes_of(text)?;
                self.for_each_client(move |connection| {
                    let answer = answer.clone();
                    thread::spawn(move || answer_all(connection, &answer));
                })?;
            }
            ["ask", which, times] => {
                for _ in 0..number(times)? {
                    self.connection(which)?.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
                    if self.connection(which)?.read(&mut [0; 4096])? == 0 {
                        return Err(Error::other("it was closed"));
                    }
                }
            }
            ["drain-ring"] => drain_ring(self.listening()?)?,
            ["connect", at] => {
                let connection = TcpStream::connect(address(at)?)?;
                return Ok(self.keep(connection));
            }
            ["knock", at] => {
                let made = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
                match connect(&made, &address(at)?) {
                    Ok(()) | Err(Errno::INPROGRESS) => return Ok(self.keep(made.into())),
                    Err(fault) => return Err(fault.into()),
                }
            }
            ["say", which, ref text @ ..] => self.connection(which)?.write_all(&bytes_of(text)?)?,
            ["repeat", which, times, ref text @ ..] => {
                let bytes = bytes_of(text)?.repeat(number(times)?);
                self.connection(which)?.write_all(&bytes)?;
            }
            ["join", path] => std::fs::write(path, process::id().to_string())?,
            ["send", which, bytes] => self.connection(which)?.write_all(&vec![b'x'; number(bytes)?])?,
            ["read", which] => return self.connection(which)?.read(&mut [0; 65536]),
            ["read-all", which] => return self.connection(which)?.read_to_end(&mut vec![]),
            ["half-close", which] => self.connection(which)?.shutdown(Shutdown::Write)?,
            ["close", which] => *self.slot(which)? = None,
            ["reset", which] => {
                sockopt::set_socket_linger(self.connection(which)?, Some(Duration::ZERO))?;
                *self.slot(which)? = None;
            }
            ["threads", times] => {
                for _ in 0..number(times)? {
                    thread::spawn(|| {
                        loop {
                            thread::park();
                        }
                    });
                }
            }
            ["exit", code] => process::exit(number(code)? as i32),
            ["exit-thread", code] => {
                let code = number(code)? as i32;
                let _never = thread::spawn(move || process::exit(code)).join();
            }
            ["overflow"] => return Ok(overflow(1)),
            ["abort"] => process::abort(),
            ["kill", pid, signal] => {
                let pid = Pid::from_raw(number(pid)? as i32).ok_or_else(|| Error::other("no pid"))?;
                let signal = Signal::from_named_raw(number(signal)? as i32);
                kill_process(pid, signal.ok_or_else(|| Error::other("no signal"))?)?;
            }
            _ => return Err(Error::other("no such order")),
        }
        Ok(0)
    }

    fn listening(&self) -> io::Result<&TcpListener> {
        self.listener.as_ref().ok_or_else(|| Error::other("not listening"))
    }

    fn for_each_client(&self, serve: impl Fn(TcpStream) + Send + 'static) -> io::Result<()> {
        let listener = self.listening()?.try_clone()?;
        thread::spawn(move || listener.incoming().flatten().for_each(serve));
        Ok(())
    }

    fn keep(&mut self, connection: TcpStream) -> usize {
        let _as_it_is = connection.set_nodelay(true); // each write is a segment of its own
        self.connections.push(Some(connection));
        self.connections.len() - 1
    }

    fn slot(&mut self, which: &str) -> io::Result<&mut Option<TcpStream>> {
        self.connections.get_mut(number(which)?).ok_or_else(|| Error::other("no such connection"))
    }

    fn connection(&mut self, which: &str) -> io::Result<&mut TcpStream> {
        self.slot(which)?.as_mut().ok_or_else(|| Error::other("it is closed"))
    }
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(Error::other)
}

/// A port alone is one of 127.0.0.1.
fn address(text: &str) -> io::Result<SocketAddr> {
    match text.parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text.parse().map_err(Error::other),
    }
}

fn listener(address: SocketAddr, shared: bool, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let made = socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&made, true)?;
    sockopt::set_socket_reuseport(&made, shared)?;
    bind(&made, &address)?;
    listen(&made, backlog)?;
    Ok(made.into())
}

/// Accepts by io_uring, where no system call is made for a connection, and closes.
#[allow(unsafe_code, reason = "the ring takes descriptors, and promises that they stay open")]
fn drain_ring(listener: &TcpListener) -> io::Result<()> {
    let listener = listener.try_clone()?;
    let mut ring = IoUring::new(8)?;
    thread::spawn(move || -> io::Result<()> {
        loop {
            let at = types::Fd(listener.as_raw_fd());
            let entry = opcode::Accept::new(at, ptr::null_mut(), ptr::null_mut()).build();
            // SAFETY: the listener lives as long as the ring, and no address is written.
            unsafe { ring.submission().push(&entry) }.map_err(Error::other)?;
            ring.submit_and_wait(1)?;
            for done in ring.completion() {
                if done.result() >= 0 {
                    // SAFETY: the kernel has just made this descriptor for us.
                    drop(unsafe { OwnedFd::from_raw_fd(done.result()) });
                }
            }
        }
    });
    Ok(())
}

/// The same for whatever comes.
fn answer_all(mut connection: TcpStream, answer: &[u8]) {
    let mut buffer = [0; 65536];
    while connection.read(&mut buffer).is_ok_and(|bytes| bytes > 0) && connection.write_all(answer).is_ok() {}
}

/// The words of a text, and its bytes that are written in letters.
fn bytes_of(words: &[&str]) -> io::Result<Vec<u8>> {
    let text = words.join(" ");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        let (byte, length) = match after.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'x', ..] => {
                let digits = after.get(1..3).ok_or_else(|| Error::other("two digits"))?;
                (u8::from_str_radix(digits, 16).map_err(Error::other)?, 3)
            }
            _ => return Err(Error::other("no such byte")),
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}

/// Never comes back, and is no tail call.
#[expect(unconditional_recursion, reason = "that is the fault")]
fn overflow(depth: usize) -> usize {
    let page = std::hint::black_box([depth; 512]);
    overflow(depth + 1) + page[depth % 512]
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
