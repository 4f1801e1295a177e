//! Which answers leave a unit's cgroup with a status of 500 and above? Runs at every packet that leaves a cgroup that it is
//! tied to; it reads, and lets every packet pass.
//!
//! A status line stands at the head of an answer, and an answer begins where data is sent for the first time: on a new
//! connection, after bytes came in from the client, or after a 1xx. Only there is it looked for, so that neither a body nor a
//! segment that is sent again is taken for one. A connection whose first bytes are no status line (TLS, HTTP/2, any other
//! protocol), or that left HTTP with a 101, is not looked at again. Own heartbeats are marked by `state` as they connect.
//!
//! Not seen: a status line that is cut in two, and an answer that is sent before the next request of its connection came in
//! (pipelining), but for the first.

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    btf_maps::{HashMap, SkStorage},
    helpers::generated::{bpf_sk_storage_get, bpf_skb_cgroup_id, bpf_tcp_sock},
    macros::{btf_map, cgroup_skb},
    programs::SkBuffContext,
};
use core::{ffi::c_void, ptr};
use watchdog_common::{ERRORS_NS, ErrorState, Kind, MAX_PORTS};

use crate::{
    kernel::{lock, now, unlock},
    record::tell,
};

/// What was told of each watched port; answers from another port are those of a client's.
#[btf_map]
static ERRORS: HashMap<u32, ErrorState, MAX_PORTS> = HashMap::new();

/// What is remembered of a connection.
#[repr(C)]
pub struct Connection {
    /// What was received when data was last sent (the next sequence number).
    received: u32,
    /// What was sent (the next sequence number).
    sent: u32,
    /// Of the constants below.
    is: u32,
}

#[btf_map]
static CONNECTIONS: SkStorage<Connection> = SkStorage::new();

/// [`Connection::is`]: data was sent.
const SEEN: u32 = 1;
/// [`Connection::is`]: the last answer was a 1xx, and another one follows.
const TO_BE_CONTINUED: u32 = 2;
/// [`Connection::is`]: not to be looked at: no HTTP/1, or a heartbeat of ours.
const PASSED_OVER: u32 = 4;

/// The shortest head of an answer: `HTTP/1.1 500\r\n\r\n`.
const HEAD: u32 = 16;
const VERSION: u64 = u64::from_le_bytes(*b"HTTP/1.\0");
const VERSION_BYTES: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);

const IPPROTO_TCP: u8 = 6;
/// Headers of IPv4 without options, of IPv6 and of TCP.
const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP: usize = 20;

/// `cgroup_skb/egress`
#[cgroup_skb(egress)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    let _ = look(&ctx);
    LET_PASS
}

const LET_PASS: i32 = 1;

/// A heartbeat of ours has connected here: its answers are watched by itself.
///
/// # Safety
/// `sk` must be a tracepoint's own argument.
#[inline(always)]
pub unsafe fn pass_over(sk: *mut c_void) {
    // SAFETY: the caller proves it; what the helper answers is null or a living value.
    unsafe {
        let connection = connection(sk);
        if !connection.is_null() {
            (*connection).is = PASSED_OVER;
        }
    }
}

/// TCP data on its way out.
struct Segment {
    /// Where in the packet its payload begins.
    at: u32,
    /// Bytes of it; not 0.
    length: u32,
    /// The sequence number of the first.
    first: u32,
}

#[inline(always)]
fn look(ctx: &SkBuffContext) -> Option<()> {
    let segment = segment(ctx)?;
    // SAFETY: the kernel's own context; every pointer that a helper answers is tested before it is used.
    unsafe {
        let sk: *mut bpf_sock = (*ctx.skb.skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return None;
        }
        let connection = connection(sk.cast());
        if connection.is_null() || (*connection).is & PASSED_OVER != 0 {
            return None;
        }
        let tcp = bpf_tcp_sock(sk);
        if tcp.is_null() {
            return None;
        }
        let was = (*connection).is;
        let again = segment.first.wrapping_sub((*connection).sent) > u32::MAX / 2;
        if was & SEEN != 0 && again {
            return None;
        }
        let received = (*tcp).rcv_nxt;
        // the end of what a client sends counts as a byte, and is no request
        let begins = was != SEEN || received.wrapping_sub((*connection).received) > 1;
        (*connection).received = received;
        (*connection).sent = segment.first.wrapping_add(segment.length);
        (*connection).is = SEEN;
        if !begins {
            return None;
        }
        let status = status(ctx, &segment);
        // The kernel counts a SYN that was acknowledged as a byte.
        let first = was == 0 && (*tcp).bytes_acked <= 1;
        if (first && status == NO_STATUS && !is_cut(ctx, &segment)) || status == SWITCHING_PROTOCOLS {
            (*connection).is = PASSED_OVER;
        }
        match status {
            100..200 => (*connection).is |= TO_BE_CONTINUED,
            500.. => server_error(ctx, status),
            _ => {}
        }
    }
    Some(())
}

const NO_STATUS: u32 = 0;
const SWITCHING_PROTOCOLS: u32 = 101;

/// What is remembered of the connection of a socket; null where there is no room.
///
/// # Safety
/// `sk` must be a socket that the kernel handed over.
#[inline(always)]
unsafe fn connection(sk: *mut c_void) -> *mut Connection {
    let map = (&raw const CONNECTIONS).cast_mut().cast();
    // SAFETY: the caller proves it.
    unsafe { bpf_sk_storage_get(map, sk, ptr::null_mut(), u64::from(BPF_SK_STORAGE_GET_F_CREATE)) }.cast()
}

/// Headers are always in the first part of the packet, which can be read directly.
#[inline(always)]
fn segment(ctx: &SkBuffContext) -> Option<Segment> {
    // SAFETY: the kernel's own context, and packet bytes below `end` only.
    unsafe {
        let (start, end) = ((*ctx.skb.skb).data as usize, (*ctx.skb.skb).data_end as usize);
        if start + IPV4 + TCP > end {
            return None;
        }
        let (protocol, ip) = match *(start as *const u8) {
            0x45 => (*((start + 9) as *const u8), IPV4),
            0x60..=0x6f => (*((start + 6) as *const u8), IPV6),
            _ => return None,
        };
        let tcp = start + ip;
        if protocol != IPPROTO_TCP || tcp + TCP > end {
            return None;
        }
        let words = u32::from(*((tcp + 12) as *const u8) >> 4);
        let at = ip as u32 + words * 4;
        let length = (*ctx.skb.skb).len.checked_sub(at).filter(|length| *length != 0)?;
        Some(Segment { at, length, first: u32::from_be(ptr::read_unaligned((tcp + 4) as *const u32)) })
    }
}

/// The status, where a segment begins with a status line; else [`NO_STATUS`]. A number throughout: of an option, the verifier
/// would see the part that is not there.
#[inline(always)]
fn status(ctx: &SkBuffContext, segment: &Segment) -> u32 {
    if segment.length < HEAD {
        return NO_STATUS;
    }
    // The payload lies in fragments, which cannot be read directly.
    let Ok([version, code]) = ctx.load::<[u64; 2]>(segment.at as usize) else { return NO_STATUS };
    let code = code.to_le_bytes();
    if version.to_le() & VERSION_BYTES != VERSION || code[0] != b' ' || !matches!(code[4], b' ' | b'\r') {
        return NO_STATUS;
    }
    let [hundreds, tens, ones] = [1, 2, 3].map(|at: usize| u32::from(code[at].wrapping_sub(b'0')));
    if hundreds > 9 || tens > 9 || ones > 9 {
        return NO_STATUS;
    }
    hundreds * 100 + tens * 10 + ones
}

/// Whether a segment may be the first part of a status line.
#[inline(always)]
fn is_cut(ctx: &SkBuffContext, segment: &Segment) -> bool {
    segment.length < HEAD && ctx.load::<u8>(segment.at as usize) == Ok(b'H')
}

/// Told at once, and then at most once in [`ERRORS_NS`] and port, with how many there were.
#[inline(never)]
fn server_error(ctx: &SkBuffContext, status: u32) {
    // SAFETY: the kernel's own context; a living value of ERRORS; nothing is called while its lock is held.
    unsafe {
        let port = (*ctx.skb.skb).local_port;
        let Some(state) = ERRORS.get_ptr_mut(port) else { return };
        let now = now();
        let guard = &raw mut (*state).lock;
        lock(guard);
        let count = (*state).left_out.wrapping_add(1);
        let told = now.saturating_sub((*state).told_at) >= ERRORS_NS;
        if told {
            (*state).told_at = now;
            (*state).left_out = 0;
        } else {
            (*state).left_out = count;
        }
        unlock(guard);
        if told {
            let cgroup = bpf_skb_cgroup_id(ctx.skb.skb);
            tell(Kind::ServerErrors, |record| {
                record.cgroup = cgroup;
                record.port = port;
                record.code = status;
                record.count = count;
            });
        }
    }
}
