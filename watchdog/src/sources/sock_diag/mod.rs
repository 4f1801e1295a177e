//! The kernel's table of sockets: who listens where, whose it is, and how many connections wait. Also the second rung for lost
//! listeners and stalls: it is looked at again and again while nothing better sees them.
//!
//! Invariant: a reply that is interrupted, cut short or never comes is an error, never a shorter table. An answer takes
//! microseconds (no process, no /proc), so the engine asks in place; the wait has an end all the same.
//! Connections are walked only where a heartbeat is late, and by the second rung: that costs milliseconds on a busy host.
//! Deliberately absent: other network namespaces (the
//! kernel answers for the asker's own), abstract Unix sockets (nobody configures them), and any decision.

mod filter;
mod look;
mod owners;
mod queues;
mod rung;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{self, InetRequest, SocketId, StateFlags},
    unix::{self, ShowFlags, UnixRequest},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::model::{CgroupId, Connection, Listener, Place, Port};
use look::{Client, Open};
use queues::Queue;
use wire::{Answer, Row};

pub use queues::{tick as queues_tick, watch as watch_queues};
pub use rung::{run, serving};

/// How often a table that changed under the reader is read again before that is an error.
const TRIES: u32 = 5;
/// The kernel fills a reply while we ask for it; this ends a wait that cannot happen.
const PATIENCE: Duration = Duration::from_secs(1);
/// The kernel sends at most 32 KiB at once.
const DATAGRAM: usize = 64 * 1024;

/// Why the table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket to ask with.
    #[error(
        "cannot open a sock_diag socket: {0} (is the kernel module inet_diag there, and AF_NETLINK allowed?)"
    )]
    Open(#[source] io::Error),
    /// The kernel was not reached, or did not answer within a second.
    #[error("cannot ask the kernel for its {what}: {source}")]
    Ask {
        /// Which table.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("the kernel does not tell its {what}: {source} (try: modprobe tcp_diag unix_diag)")]
    Refused {
        /// Which table.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The bytes make no sense.
    #[error("cannot understand the kernel's {what}: {source}; please report this kernel's version")]
    Malformed {
        /// Which table.
        what: &'static str,
        /// Where.
        source: Malformed,
    },
    /// Sockets came and went at each of five readings.
    #[error("cannot read the kernel's {what}: it changed during each of {TRIES} readings; ask again later")]
    Changing {
        /// Which table.
        what: &'static str,
    },
    /// The processes of a cgroup could not be listed.
    #[error("cannot read {}: {source} (is the unit running?)", path.display())]
    Cgroup {
        /// Its `cgroup.procs`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The open files of a process could not be listed.
    #[error("cannot read the open files of process {pid}: {source} (watchdog needs CAP_SYS_PTRACE for that)")]
    Process {
        /// Its PID.
        pid: i32,
        /// Why.
        source: procfs::ProcError,
    },
}

pub use wire::Malformed;

/// A way to ask the kernel for its listening sockets.
pub struct SockDiag {
    /// None until it is needed again, where it could not be opened.
    socket: Option<Socket>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl SockDiag {
    /// Opens the socket; needs no privileges.
    pub fn open() -> Result<SockDiag, Error> {
        Ok(SockDiag { socket: Some(connect().map_err(Error::Open)?), ..SockDiag::later() })
    }

    /// Opens the socket at each question until it can be: where it could not be opened yet.
    pub fn later() -> SockDiag {
        SockDiag { socket: None, sequence: 0, buffer: vec![0; DATAGRAM] }
    }

    /// Every TCP listener of this network namespace with the cgroup of its creator, and every Unix listener with a path,
    /// whose owner the kernel does not tell. In the order of their places.
    pub fn listeners(&mut self) -> Result<Vec<Listener>, Error> {
        let mut all: Vec<Listener> = self.tcp(None)?.into_iter().map(|(listener, ..)| listener).collect();
        all.extend(self.unix()?.into_iter().map(|(_, listener, _)| listener));
        all.sort();
        Ok(all)
    }

    /// The TCP listeners of one port, each with its queue. With SO_REUSEPORT there are several.
    pub fn listeners_on(&mut self, port: Port) -> Result<Vec<Listener>, Error> {
        let mut found: Vec<Listener> =
            self.tcp(Some(port))?.into_iter().map(|(listener, ..)| listener).collect();
        found.sort();
        Ok(found)
    }

    /// The listeners that a process in this `cgroup.procs` holds, in their order, whoever made them: systemd makes those of its
    /// .socket units. Read from /proc, so milliseconds for a unit of many processes. A process that ends meanwhile is left out.
    pub fn listeners_of(&mut self, cgroup_procs: &Path) -> Result<Vec<Place>, Error> {
        let tcp = self.tcp(None)?.into_iter().map(|(listener, inode, _)| (inode, listener.place));
        let unix = self.unix()?.into_iter().map(|(inode, listener, _)| (inode, listener.place));
        owners::places(cgroup_procs, &tcp.chain(unix).collect())
    }

    /// Which listeners each of these processes holds, whoever made them. One that has ended, or whose files we may not see, holds
    /// none.
    pub fn held_by(
        &mut self,
        processes: impl IntoIterator<Item = u32>,
    ) -> Result<BTreeMap<u32, BTreeSet<Place>>, Error> {
        let tcp = self.tcp(None)?.into_iter().map(|(listener, inode, _)| (inode, listener.place));
        let unix = self.unix()?.into_iter().map(|(inode, listener, _)| (inode, listener.place));
        Ok(owners::held(processes, &tcp.chain(unix).collect()))
    }

    /// The accept queues of Unix listeners with a path.
    fn queues(&mut self) -> Result<Vec<Queue>, Error> {
        let queue = |(inode, listener, first): (u32, Listener, Option<u32>)| match listener.place {
            Place::Unix(path) => Some(Queue { inode, path, first: first?, waiting: listener.queue }),
            Place::Tcp(_) => None,
        };
        Ok(self.unix()?.into_iter().filter_map(queue).collect())
    }

    /// The connections to a port of this host that came through the listener of this cgroup, as far as the kernel tells; also
    /// those that are over and remembered. It walks all connections, so milliseconds on a busy host.
    pub fn connections_to(&mut self, port: Port, cgroup: Option<CgroupId>) -> Result<Vec<Connection>, Error> {
        let mut found = Vec::new();
        for (family, mut socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            socket_id.source_port = port.0;
            let request = SockDiagMessage::InetRequest(InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: inet::ExtensionFlags::INFO,
                states: StateFlags::all()
                    .difference(StateFlags::LISTEN | StateFlags::SYN_SENT | StateFlags::SYN_RECV),
                socket_id,
            });
            match self.dump("TCP connections", request) {
                Ok(rows) => found.extend(rows.into_iter().filter_map(|row| match row {
                    Row::Connection(found) => {
                        let other = found.cgroup.zip(cgroup).is_some_and(|(of, own)| of != own);
                        (!other).then_some(found.connection)
                    }
                    Row::Tcp { .. } | Row::Unix { .. } | Row::Other => None,
                })),
                Err(Error::Refused { source, .. })
                    if family == AF_INET6 && source.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Every TCP listener, as far as the second rung goes.
    fn open_now(&mut self) -> Result<Vec<Open>, Error> {
        Ok(self.tcp(None)?.into_iter().map(|(_, _, open)| open).collect())
    }

    /// The living connections to these ports. One walk through all connections for each family, however many ports.
    fn clients(&mut self, ports: &BTreeSet<Port>) -> Result<Vec<Client>, Error> {
        let mut found = Vec::new();
        for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let request = SockDiagMessage::InetRequest(InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: inet::ExtensionFlags::INFO,
                states: StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT,
                socket_id,
            });
            match self.dump_some("TCP connections", request, &filter::of_ports(ports)) {
                Ok(rows) => found.extend(rows.into_iter().filter_map(|row| match row {
                    Row::Connection(found) => Some(found.client),
                    Row::Tcp { .. } | Row::Unix { .. } | Row::Other => None,
                })),
                Err(Error::Refused { source, .. })
                    if family == AF_INET6 && source.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        found.retain(|client| ports.contains(&client.port));
        Ok(found)
    }

    fn tcp(&mut self, port: Option<Port>) -> Result<Vec<(Listener, u32, Open)>, Error> {
        let mut found = Vec::new();
        for (family, mut socket_id, what) in [
            (AF_INET, SocketId::new_v4(), "TCP listeners"),
            (AF_INET6, SocketId::new_v6(), "TCP listeners (IPv6)"),
        ] {
            socket_id.source_port = port.map_or(0, |port| port.0);
            let request = SockDiagMessage::InetRequest(InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: inet::ExtensionFlags::empty(),
                states: StateFlags::LISTEN,
                socket_id,
            });
            match self.dump(what, request) {
                Ok(rows) => found.extend(rows.into_iter().filter_map(|row| match row {
                    Row::Tcp { listener, inode, open } => Some((listener, inode, open)),
                    Row::Connection(_) | Row::Unix { .. } | Row::Other => None,
                })),
                // A kernel booted without IPv6 has no such table, and so no listener in it.
                Err(Error::Refused { source, .. })
                    if family == AF_INET6 && source.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn unix(&mut self) -> Result<Vec<(u32, Listener, Option<u32>)>, Error> {
        let request = SockDiagMessage::UnixRequest(UnixRequest {
            state_flags: unix::StateFlags::LISTEN,
            inode: 0,
            show_flags: ShowFlags::NAME | ShowFlags::RQLEN | ShowFlags::ICONS,
            cookie: [0xff; 8],
        });
        let rows = self.dump("Unix listeners", request)?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row {
                Row::Unix { inode, listener, first } => Some((inode, listener, first)),
                Row::Tcp { .. } | Row::Connection(_) | Row::Other => None,
            })
            .collect())
    }

    fn dump(&mut self, what: &'static str, request: SockDiagMessage) -> Result<Vec<Row>, Error> {
        self.dump_some(what, request, &[])
    }

    /// Only those that the filter lets through: an attribute that follows the request.
    fn dump_some(
        &mut self,
        what: &'static str,
        request: SockDiagMessage,
        filter: &[u8],
    ) -> Result<Vec<Row>, Error> {
        for _ in 0..TRIES {
            match self.dump_once(what, request.clone(), filter) {
                Ok(Some(rows)) => return Ok(rows),
                Ok(None) => {}
                Err(error) => {
                    // What is still under way on the old socket would answer the next question.
                    self.socket = None;
                    return Err(error);
                }
            }
        }
        Err(Error::Changing { what })
    }

    /// None: the table changed while it was read.
    fn dump_once(
        &mut self,
        what: &'static str,
        request: SockDiagMessage,
        filter: &[u8],
    ) -> Result<Option<Vec<Row>>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes.extend(filter);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(connect().map_err(Error::Open)?),
        };
        socket.send(&bytes, 0).map_err(|source| Error::Ask { what, source })?;
        let mut rows = Vec::new();
        let mut whole = true;
        loop {
            let length = receive(socket, &mut self.buffer).map_err(|source| Error::Ask { what, source })?;
            let reply = wire::decode(&self.buffer[..length], self.sequence, &mut rows)
                .map_err(|source| Error::Malformed { what, source })?;
            whole &= !reply.interrupted;
            match reply.answer {
                Answer::More => {}
                Answer::Done => return Ok(whole.then_some(rows)),
                Answer::Refused(errno) => {
                    return Err(Error::Refused { what, source: io::Error::from_raw_os_error(errno) });
                }
            }
        }
    }
}

/// One datagram into the buffer; its length.
fn receive(socket: &Socket, mut buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.recv(&mut buffer, libc::MSG_TRUNC) {
            Ok(length) if length <= buffer.len() => return Ok(length),
            Ok(_) => return Err(io::ErrorKind::FileTooLarge.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    // Connected to the kernel: no process can answer in its stead.
    socket.connect(&SocketAddr::new(0, 0))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
