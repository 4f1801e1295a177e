//! The bytes of the kernel's replies. The replies of `netlink-packet-sock-diag` are not used: some of its attributes panic
//! when they are shorter than expected, and it knows no cgroup.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY,
    constants::{
        AF_INET, AF_INET6, AF_UNIX, INET_DIAG_INFO, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN,
        UNIX_DIAG_NAME, UNIX_DIAG_RQLEN,
    },
};

use crate::model::{CgroupId, Connection, Listener, Place};

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
    Tcp(Listener),
    /// A connection, and the cgroup of its listener's creator where it is told.
    Connection(Connection, Option<CgroupId>),
    Unix {
        inode: u32,
        listener: Listener,
    },
    /// Without a path, or of no family that was asked for.
    Other,
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
    Ok(Row::Tcp(Listener { place, cgroup, queue, limit }))
}

/// `tcpi_bytes_sent` within `struct tcp_info`, since Linux 4.19.
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
    let (mut sent, mut cgroup) = (0, None);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        match attribute.kind() {
            INET_DIAG_INFO => sent = part(attribute.value(), BYTES_SENT).map_or(0, u64::from_ne_bytes),
            INET_DIAG_CGROUP_ID => {
                cgroup = Some(CgroupId(u64::from_ne_bytes(part(attribute.value(), 0)?)));
            }
            _ => {}
        }
    }
    let connection = Connection {
        local: end(4, 8)?,
        peer: end(6, 24)?,
        accepted: inode != 0,
        ended: !matches!(state, TCP_ESTABLISHED | TCP_CLOSE_WAIT),
        sent,
    };
    Ok(Row::Connection(connection, cgroup))
}

fn unix(payload: &[u8]) -> Result<Row, DecodeError> {
    let (header, attributes) =
        payload.split_first_chunk::<UNIX_HEADER>().ok_or("a unix_diag_msg is cut short")?;
    let inode = u32::from_ne_bytes(part(header, 4)?);
    let (mut path, mut queue, mut limit) = (None, 0, 0);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            UNIX_DIAG_NAME => path = absolute(value),
            UNIX_DIAG_RQLEN => {
                queue = u32::from_ne_bytes(part(value, 0)?);
                limit = u32::from_ne_bytes(part(value, 4)?);
            }
            _ => {}
        }
    }
    Ok(match path {
        Some(path) => {
            Row::Unix { inode, listener: Listener { place: Place::Unix(path), cgroup: None, queue, limit } }
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
