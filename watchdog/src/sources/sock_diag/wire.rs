//! The bytes of the kernel's replies. The replies of `netlink-packet-sock-diag` are not used: some of its attributes panic
//! when they are shorter than expected, and it knows no cgroup.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY,
    constants::{
        AF_INET, AF_INET6, AF_UNIX, INET_DIAG_INFO, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN,
        UNIX_DIAG_ICONS, UNIX_DIAG_NAME, UNIX_DIAG_RQLEN,
    },
};

use super::look::{Client, Open};
use crate::model::{CgroupId, Connection, Listener, Place, Port};

/// The table changed while it was read.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// `INET_DIAG_CGROUP_ID`, since Linux 5.9.
const INET_DIAG_CGROUP_ID: u16 = 21;
/// `struct inet_diag_msg`.
const INET_HEADER: usize = 72;
/// `struct unix_diag_msg`.
const UNIX_HEADER: usize = 16;

/// Bytes that are no reply.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(#[from] DecodeError);

/// One socket.
#[derive(Debug)]
pub(super) enum Row {
    Tcp {
        listener: Listener,
        inode: u32,
        open: Open,
    },
    Connection(Box<Connected>),
    Unix {
        inode: u32,
        listener: Listener,
        /// The inode of the client that has waited longest for an accept.
        first: Option<u32>,
    },
    /// Without a path, or of no family that was asked for.
    Other,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) connection: Connection,
    /// Of its listener's creator, where it is told.
    pub(super) cgroup: Option<CgroupId>,
    pub(super) client: Client,
}

/// What one datagram says of the whole reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// The table changed while it was read.
    pub(super) interrupted: bool,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// Another datagram follows.
    More,
    Done,
    /// The error's number.
    Refused(i32),
}

/// Adds the sockets of one datagram to `rows`; messages of another question are left out.
pub(super) fn decode(datagram: &[u8], sequence: u32, rows: &mut Vec<Row>) -> Result<Reply, Malformed> {
    let mut rest = datagram;
    let mut interrupted = false;
    while !rest.is_empty() {
        let message = NetlinkMessage::<Row>::deserialize(rest)?;
        // Aligned to 4 bytes; the last one's padding may be missing.
        let length = (message.header.length as usize).saturating_add(3) & !3;
        rest = rest.get(length..).unwrap_or_default();
        if message.header.sequence_number != sequence {
            continue;
        }
        interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
        let answer = match message.payload {
            NetlinkPayload::InnerMessage(row) => {
                rows.push(row);
                continue;
            }
            NetlinkPayload::Done(done) if done.code < 0 => Answer::Refused(done.code.saturating_neg()),
            NetlinkPayload::Done(_) => Answer::Done,
            NetlinkPayload::Error(error) => match error.code {
                Some(code) => Answer::Refused(code.get().saturating_neg()),
                None => Answer::Done,
            },
            NetlinkPayload::Overrun(_) => Answer::Refused(libc::ENOBUFS),
            // Whatever the library adds.
            NetlinkPayload::Noop | _ => continue,
        };
        return Ok(Reply { answer, interrupted });
    }
    Ok(Reply { answer: Answer::More, interrupted })
}

impl NetlinkDeserializable for Row {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Row, DecodeError> {
        match payload.first() {
            _ if header.message_type != SOCK_DIAG_BY_FAMILY => Ok(Row::Other),
            Some(&family @ (AF_INET | AF_INET6)) if payload.get(1) == Some(&TCP_LISTEN) => {
                tcp(family, payload)
            }
            Some(&family @ (AF_INET | AF_INET6)) => connection(family, payload),
            Some(&AF_UNIX) => unix(payload),
            Some(_) | None => Ok(Row::Other),
        }
    }
}

fn tcp(family: u8, payload: &[u8]) -> Result<Row, DecodeError> {
    let (header, attributes) =
        payload.split_first_chunk::<INET_HEADER>().ok_or("an inet_diag_msg is cut short")?;
    let port = u16::from_be_bytes(part(header, 4)?);
    let address = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::from(part::<4>(header, 8)?)),
        _ => IpAddr::V6(Ipv6Addr::from(part::<16>(header, 8)?)),
    };
    let interface = u32::from_ne_bytes(part(header, 40)?);
    let place = Place::Tcp(match address {
        IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, interface)),
    });
    let queue = u32::from_ne_bytes(part(header, 56)?);
    let limit = u32::from_ne_bytes(part(header, 60)?);
    let mut cgroup = None;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        if attribute.kind() == INET_DIAG_CGROUP_ID {
            cgroup = Some(CgroupId(u64::from_ne_bytes(part(attribute.value(), 0)?)));
        }
    }
    let inode = u32::from_ne_bytes(part(header, 68)?);
    let open = Open { cookie: u64::from_ne_bytes(part(header, COOKIE)?), port: Port(port), cgroup, queue };
    Ok(Row::Tcp { listener: Listener { place, cgroup, queue, limit }, inode, open })
}

/// Within `struct inet_diag_msg`: a number that no other socket ever has.
const COOKIE: usize = 44;
/// Within `struct tcp_info`: how many milliseconds ago data was last sent. A connection that was not accepted yet has sent
/// none: then it is as old as this.
const LAST_SENT: usize = 44;
const LAST_RECEIVED: usize = 52;
/// Since Linux 4.6: bytes that the client's window does not take.
const NOT_TAKEN: usize = 144;
/// Since Linux 4.1.
const BYTES_RECEIVED: usize = 128;
/// Since Linux 4.19.
const BYTES_SENT: usize = 200;

/// One that is waiting to be accepted has no inode yet, and one that is over has none any more.
fn connection(family: u8, payload: &[u8]) -> Result<Row, DecodeError> {
    let (header, attributes) =
        payload.split_first_chunk::<INET_HEADER>().ok_or("an inet_diag_msg is cut short")?;
    let end = |port: usize, address: usize| -> Result<SocketAddr, DecodeError> {
        let ip = match family {
            AF_INET => IpAddr::V4(Ipv4Addr::from(part::<4>(header, address)?)),
            _ => IpAddr::V6(Ipv6Addr::from(part::<16>(header, address)?)),
        };
        Ok(SocketAddr::new(ip, u16::from_be_bytes(part(header, port)?)))
    };
    let state = header[1];
    let inode = u32::from_ne_bytes(part(header, 68)?);
    let (local, peer) = (end(4, 8)?, end(6, 24)?);
    let mut client = Client {
        cookie: u64::from_ne_bytes(part(header, COOKIE)?),
        port: Port(local.port()),
        // A listener of both families knows an IPv4 client by its IPv6 name.
        peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
        accepted: inode != 0,
        unread: u32::from_ne_bytes(part(header, 56)?),
        not_taken: 0,
        received: 0,
        sent: 0,
        received_ago: Duration::ZERO,
        sent_ago: Duration::ZERO,
    };
    let mut cgroup = None;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            INET_DIAG_INFO => {
                let word = |at| part(value, at).map_or(0, u32::from_ne_bytes);
                let long = |at| part(value, at).map_or(0, u64::from_ne_bytes);
                client.not_taken = word(NOT_TAKEN);
                client.received = long(BYTES_RECEIVED);
                client.sent = long(BYTES_SENT);
                client.received_ago = Duration::from_millis(word(LAST_RECEIVED).into());
                client.sent_ago = Duration::from_millis(word(LAST_SENT).into());
            }
            INET_DIAG_CGROUP_ID => cgroup = Some(CgroupId(u64::from_ne_bytes(part(value, 0)?))),
            _ => {}
        }
    }
    let connection = Connection {
        local,
        peer,
        accepted: inode != 0,
        ended: !matches!(state, TCP_ESTABLISHED | TCP_CLOSE_WAIT),
        sent: client.sent,
    };
    Ok(Row::Connection(Box::new(Connected { connection, cgroup, client })))
}

fn unix(payload: &[u8]) -> Result<Row, DecodeError> {
    let (header, attributes) =
        payload.split_first_chunk::<UNIX_HEADER>().ok_or("a unix_diag_msg is cut short")?;
    let inode = u32::from_ne_bytes(part(header, 4)?);
    let (mut path, mut queue, mut limit, mut first) = (None, 0, 0, None);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            UNIX_DIAG_NAME => path = absolute(value),
            UNIX_DIAG_ICONS => first = part(value, 0).ok().map(u32::from_ne_bytes),
            UNIX_DIAG_RQLEN => {
                queue = u32::from_ne_bytes(part(value, 0)?);
                limit = u32::from_ne_bytes(part(value, 4)?);
            }
            _ => {}
        }
    }
    Ok(match path {
        Some(path) => {
            let listener = Listener { place: Place::Unix(path), cgroup: None, queue, limit };
            Row::Unix { inode, listener, first }
        }
        None => Row::Other,
    })
}

/// An abstract name begins with a zero byte; a relative path means something to its process only.
fn absolute(name: &[u8]) -> Option<PathBuf> {
    let path = name.split(|&byte| byte == 0).next()?;
    path.starts_with(b"/").then(|| PathBuf::from(OsStr::from_bytes(path)))
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], DecodeError> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().ok_or_else(|| DecodeError::from("a sock_diag reply is cut short"))
}
