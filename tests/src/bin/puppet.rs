//! Does what a line on its standard input says, and answers each with a line: a process whose every socket call a test decides.
//!
//! As a server: `listen PORT` · `listen-shared PORT` (SO_REUSEPORT) · `unlisten` · `flap PORT N` (listens and stops, N times) ·
//! `accept` (one connection) · `drain` (accepts and closes all that comes, from now on) · `serve` (accepts, answers each
//! request, keeps the connection). As a client: `connect PORT`. Both number their connections from 0: `send I BYTES` ·
//! `read I` (once) · `read-all I` (until the end) · `half-close I` · `close I`. As a process: `threads N` · `exit N` · `exit-thread N` (from
//! another thread) · `overflow` (the stack; a fault) · `abort` · `kill PID SIGNAL`.
//!
//! Each answer is the moment (nanoseconds of CLOCK_MONOTONIC) when it was done, and a number where there is one.
#![allow(clippy::print_stdout, reason = "it answers there")]

use std::{
    io::{self, Error, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream},
    process, thread,
};

use rustix::{
    net::{AddressFamily, SocketType, bind, listen, socket, sockopt},
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
            ["listen", port] => self.listener = Some(listener(number(port)?, false)?),
            ["listen-shared", port] => self.listener = Some(listener(number(port)?, true)?),
            ["unlisten"] => self.listener = None,
            ["flap", port, times] => {
                for _ in 0..number(times)? {
                    listener(number(port)?, true)?;
                }
            }
            ["accept"] => {
                let (connection, _) = self.listening()?.accept()?;
                return Ok(self.keep(connection));
            }
            ["drain"] => self.for_each_client(|_| {})?,
            ["serve"] => self.for_each_client(|connection| {
                thread::spawn(move || answer_all(connection));
            })?,
            ["connect", port] => {
                let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, number(port)? as u16))?;
                return Ok(self.keep(connection));
            }
            ["send", which, bytes] => self.connection(which)?.write_all(&vec![b'x'; number(bytes)?])?,
            ["read", which] => return self.connection(which)?.read(&mut [0; 65536]),
            ["read-all", which] => return self.connection(which)?.read_to_end(&mut vec![]),
            ["half-close", which] => self.connection(which)?.shutdown(Shutdown::Write)?,
            ["close", which] => *self.slot(which)? = None,
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

fn listener(port: usize, shared: bool) -> io::Result<TcpListener> {
    let made = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&made, true)?;
    sockopt::set_socket_reuseport(&made, shared)?;
    bind(&made, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port as u16))?;
    listen(&made, 128)?;
    Ok(made.into())
}

/// Two bytes for whatever comes.
fn answer_all(mut connection: TcpStream) {
    let mut buffer = [0; 65536];
    while connection.read(&mut buffer).is_ok_and(|bytes| bytes > 0) && connection.write_all(b"ok").is_ok() {}
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
