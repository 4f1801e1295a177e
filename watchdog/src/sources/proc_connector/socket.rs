//! The socket that the kernel tells ends of processes on.

use std::{fs, io, os::unix::fs::MetadataExt, time::Duration};

use netlink_sys::{Socket, SocketAddr};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

use super::{
    filter,
    wire::{self, Ask, Event},
};

/// `NETLINK_CONNECTOR`, and the group of messages on processes.
const CONNECTOR: isize = 11;
const PROCESSES: u32 = 1;

/// The kernel answers a request at once, or never.
const PATIENCE: Duration = Duration::from_secs(1);
/// For messages that wait: a storm of known ends may be as long as this.
const QUEUE: u32 = 1 << 20;

/// The first namespaces have these numbers, always.
const FIRST: [(&str, u64, &str); 2] =
    [("/proc/self/ns/pid", 0xEFFF_FFFC, "PID"), ("/proc/self/ns/user", 0xEFFF_FFFD, "user")];

/// Why the kernel does not tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It tells in the first namespaces only.
    #[error("the kernel tells ends of processes in the first {which} namespace only, and this is another")]
    Elsewhere {
        /// Which kind of namespace.
        which: &'static str,
    },
    /// It does not take the request.
    #[error(
        "the kernel does not tell ends of processes: {source} (CAP_NET_ADMIN, AF_NETLINK, CONFIG_PROC_EVENTS)"
    )]
    Refused {
        /// Why.
        source: io::Error,
    },
    /// It does not answer the request.
    #[error("the kernel does not answer who wants to hear of ends of processes")]
    Silent,
    /// The socket is of no use any more.
    #[error("cannot hear the kernel's messages on processes: {source}")]
    Socket {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// To try again comes to nothing.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Error::Elsewhere { .. } | Error::Refused { .. } | Error::Silent => true,
            Error::Socket { .. } => false,
        }
    }
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    Events(Vec<Event>),
    /// Messages did not fit into the queue.
    Gap,
}

/// A socket that listens; it says that it does no more when it is dropped.
pub(super) struct Ear {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl Ear {
    /// Nobody's end is let through yet.
    pub(super) async fn open() -> Result<Ear, Error> {
        for (path, number, which) in FIRST {
            if fs::metadata(path).is_ok_and(|is| is.ino() != number) {
                return Err(Error::Elsewhere { which });
            }
        }
        let mut ear = Ear { socket: connect().map_err(refused)?, buffer: vec![0; 64 * 1024] };
        ear.ask(Ask::Listen).map_err(refused)?;
        match timeout(PATIENCE, ear.answer()).await {
            Ok(Ok(())) => Ok(ear),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Error::Silent),
        }
    }

    /// From now on ends of these are let through, and no others.
    pub(super) fn let_through(&self, pids: impl Iterator<Item = u32>) -> Result<(), Error> {
        let attached = filter::attach(self.socket.get_ref(), &mut filter::program(pids));
        attached.map_err(|source| Error::Socket { source })
    }

    /// Waits for messages. May be dropped at any await.
    pub(super) async fn hear(&mut self) -> Result<Heard, Error> {
        let Ear { socket, buffer } = self;
        loop {
            let ready = socket.readable().await;
            let mut guard = ready.map_err(|source| Error::Socket { source })?;
            match guard.try_io(|socket| socket.get_ref().recv_from(&mut buffer.as_mut_slice(), 0)) {
                // only the kernel itself is believed
                Ok(Ok((length, from))) if from.port_number() == 0 => {
                    return Ok(Heard::Events(wire::events(buffer.get(..length).unwrap_or_default())));
                }
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(fault)) if fault.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Heard::Gap),
                Ok(Err(fault)) if fault.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(source)) => return Err(Error::Socket { source }),
            }
        }
    }

    async fn answer(&mut self) -> Result<(), Error> {
        loop {
            let Heard::Events(events) = self.hear().await? else { continue };
            for event in events {
                match event {
                    Event::Answer(0) => return Ok(()),
                    Event::Answer(errno) => {
                        return Err(refused(io::Error::from_raw_os_error(errno.cast_signed())));
                    }
                    Event::Exit { .. } => {}
                }
            }
        }
    }

    fn ask(&self, ask: Ask) -> io::Result<()> {
        self.socket.get_ref().send_to(&wire::request(ask), &SocketAddr::new(0, 0), 0).map(drop)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // old kernels go on counting who has only closed
        let _it_ends_anyway = self.ask(Ask::Ignore);
    }
}

#[allow(unsafe_code, reason = "tokio asks for the promise that the descriptor stays open")]
fn connect() -> io::Result<AsyncFd<Socket>> {
    let mut socket = Socket::new(CONNECTOR)?;
    socket.set_non_blocking(true)?;
    socket.set_rx_buf_sz(QUEUE)?;
    // before it hears anything
    filter::attach(&socket, &mut filter::program(std::iter::empty()))?;
    socket.bind(&SocketAddr::new(0, PROCESSES))?;
    // SAFETY: the socket owns its descriptor, gives the same one each time, and is owned by the AsyncFd in turn.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

fn refused(source: io::Error) -> Error {
    Error::Refused { source }
}
