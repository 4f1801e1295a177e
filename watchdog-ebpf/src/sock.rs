//! Whose connection is that?

use aya_ebpf::{
    btf_maps::{Array, LruHashMap},
    helpers::bpf_get_current_pid_tgid,
    macros::btf_map,
};

use crate::kernel::{given, now, read};

given! {
    /// The number of watchdog's network namespace.
    NET_NAMESPACE: u32,
    SOCK_PORT: u32,
    SOCK_PEER_PORT: u32,
    SOCK_STATE: u32,
    SOCK_NET: u32,
    NET_INUM: u32,
    SOCK_PROTOCOL: u32,
}

/// States of a TCP socket.
pub const ESTABLISHED: i32 = 1;
pub const SYN_SENT: i32 = 2;
pub const SYN_RECV: i32 = 3;
pub const CLOSE: i32 = 7;
pub const CLOSE_WAIT: i32 = 8;
pub const LISTEN: i32 = 10;

const IPPROTO_TCP: u16 = 6;

/// watchdog's own process, in the initial PID namespace. Written by the seed, which runs in watchdog's context: nobody else
/// can tell this number when watchdog lives in a PID namespace of its own.
#[btf_map]
static OWN: Array<u32, 1> = Array::new();

/// Sockets of watchdog that are connecting.
#[btf_map]
static CONNECTING: LruHashMap<u64, u32, 1024> = LruHashMap::new();

/// Local ports of watchdog's connections, and when they were connected.
#[btf_map]
static HEARTBEATS: LruHashMap<u32, u64, 1024> = LruHashMap::new();

/// What spares every other connection of the host a search in the two maps above. There is no adding at once on several CPUs
/// here; the counts are apart, so that what is lost when two connect in the same moment leaves too many on their way, which
/// costs a search, and hardly ever too few, which makes a heartbeat a client.
#[repr(C)]
struct OwnSockets {
    /// How many began to connect: written by the one thread of watchdog's that connects.
    began: u64,
    /// How many of them are connected or gave up.
    ended: u64,
    /// How many were connected, and how many of these a server here has seen since.
    connected: u64,
    seen: u64,
}

#[btf_map]
static OWN_SOCKETS: Array<OwnSockets, 1> = Array::new();

/// A living value.
#[inline(always)]
fn own_sockets() -> Option<*mut OwnSockets> {
    OWN_SOCKETS.get_ptr_mut(0)
}

/// A server sees a heartbeat's connection within this time of the client, even when a packet was lost between.
const HEARTBEAT_FRESH_NS: u64 = 3_000_000_000;

/// The local port, in host order.
#[inline(always)]
pub fn port(sk: u64) -> u32 {
    u32::from(read::<u16>(sk, &SOCK_PORT))
}

/// A TCP socket of watchdog's own network namespace.
#[inline(always)]
pub fn is_ours_to_see(sk: u64) -> bool {
    let net: u64 = read(sk, &SOCK_NET);
    read::<u32>(net, &NET_INUM) == NET_NAMESPACE.load() && read::<u16>(sk, &SOCK_PROTOCOL) == IPPROTO_TCP
}

/// This address still is a listener of this port.
#[inline(always)]
pub fn listens(sk: u64, on: u32) -> bool {
    i32::from(read::<u8>(sk, &SOCK_STATE)) == LISTEN && port(sk) == on
}

/// The task that runs now is watchdog's: remembers it.
#[inline(always)]
pub fn remember_own() {
    if let Some(own) = OWN.get_ptr_mut(0) {
        // SAFETY: one word of an array; only seeds write it, all the same number.
        unsafe { *own = own_tgid() }
    }
}

#[inline(always)]
fn own_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// A socket of the task that runs now begins to connect. Its local port is not chosen yet.
#[inline(always)]
pub fn connecting(sk: u64) {
    if OWN.get(0).is_some_and(|own| *own == own_tgid()) {
        // What does not fit is taken for a client's: it only makes a service look used.
        let noted = CONNECTING.insert(sk, 1, 0).is_ok();
        if let Some(own) = own_sockets().filter(|_| noted) {
            // SAFETY: a living value.
            unsafe { (*own).began += 1 }
        }
    }
}

/// A socket is connected; which happens before the server sees the connection.
#[inline(always)]
pub fn connected(sk: u64, port: impl FnOnce() -> u32) {
    if was_connecting(sk) {
        let _ = HEARTBEATS.insert(port(), now(), 0);
        if let Some(own) = own_sockets() {
            // SAFETY: a living value.
            unsafe { (*own).connected += 1 }
        }
    }
}

/// A socket was refused, or gave up: the next one at its address is another's.
#[inline(always)]
pub fn not_connected(sk: u64) {
    was_connecting(sk);
}

/// It was one of watchdog's, and is connecting no more.
#[inline(always)]
fn was_connecting(sk: u64) -> bool {
    let Some(own) = own_sockets() else { return false };
    // SAFETY: a living value.
    unsafe {
        if (*own).began == (*own).ended || CONNECTING.remove(sk).is_err() {
            return false;
        }
        (*own).ended += 1;
    }
    true
}

/// The peer of this new connection is a heartbeat of ours. Says so once for each heartbeat.
#[inline(always)]
pub fn is_heartbeat(sk: u64) -> bool {
    is_heartbeat_from(|| u32::from(u16::from_be(read::<u16>(sk, &SOCK_PEER_PORT))))
}

/// The same by the peer's port.
#[inline(always)]
pub fn is_heartbeat_from(peer: impl FnOnce() -> u32) -> bool {
    let Some(own) = own_sockets() else { return false };
    // SAFETY: a living value.
    unsafe {
        // those that went to another host are never seen: then every connection is searched for
        if (*own).connected == (*own).seen {
            return false;
        }
        let peer = peer();
        let Some(at) = HEARTBEATS.get_ptr(peer) else { return false };
        let fresh = now().wrapping_sub(*at) < HEARTBEAT_FRESH_NS;
        let _ = HEARTBEATS.remove(peer);
        (*own).seen += 1;
        fresh
    }
}
