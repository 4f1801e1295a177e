//! Which answers leave a unit's cgroup with a status of 500 and above? Runs at every packet that leaves a cgroup that it is
//! tied to; it reads, and lets every packet pass.
//!
//! A status line stands at the head of an answer, and an answer begins where data is sent for the first time: on a new
//! connection, after bytes came in from the client, or after a 1xx. Only there is it looked for, so that neither a body nor a
//! segment that is sent again is taken for one. A connection whose first bytes are no status line (TLS, HTTP/2, any other
//! protocol), or that left HTTP with a 101, is not looked at again. Own heartbeats are marked by `state` as they connect.
//!
//! Nearly every packet of a server runs through here. Connections are remembered in slots that they share, and nothing is made
//! for one that comes or freed for one that goes; a packet without data, which is every second one, is left after its headers.
//!
//! Not seen: a status line that is cut in two; an answer that is sent before the next request of its connection came in
//! (pipelining), but for the first; and the next answer of a connection whose slot was taken by another since its last one.

use aya_ebpf::{
    bindings::bpf_sock,
    btf_maps::{Array, HashMap},
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_cgroup_id, bpf_tcp_sock},
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
    /// Whose slot this is; cookies count up, and none is given twice.
    cookie: u64,
    /// What was received when data was last sent (the next sequence number).
    received: u32,
    /// One of the constants below.
    is: u32,
}

/// So many connections are remembered: the last ones, for their cookies follow one another.
const SLOTS: usize = 16_384;

/// Two CPUs that write one slot at once may leave the cookie of one connection and the numbers of the other: an answer goes
/// unseen then, or one line in a body that reads like the head of an error is taken for one.
#[btf_map]
static CONNECTIONS: Array<Connection, SLOTS> = Array::new();

/// [`Connection::is`]: data was sent.
const SEEN: u32 = 1;
/// [`Connection::is`]: the last answer was a 1xx, and another one follows.
const TO_BE_CONTINUED: u32 = 2;
/// [`Connection::is`]: not to be looked at: no HTTP/1, or a heartbeat of ours.
const PASSED_OVER: u32 = 3;

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
    // SAFETY: the caller proves it.
    let cookie = unsafe { bpf_get_socket_cookie(sk) };
    if let Some(slot) = slot(cookie) {
        // SAFETY: a living value of CONNECTIONS.
        unsafe { *slot = Connection { cookie, received: 0, is: PASSED_OVER } }
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
        let cookie = bpf_get_socket_cookie(ctx.skb.skb.cast());
        let slot = slot(cookie)?;
        let was = if (*slot).cookie == cookie { (*slot).is } else { 0 };
        if was == PASSED_OVER {
            return None;
        }
        let tcp = bpf_tcp_sock(sk);
        // What was sent already, and is sent again, lies before what is sent next.
        if tcp.is_null() || (*tcp).snd_nxt != segment.first {
            return None;
        }
        let received = (*tcp).rcv_nxt;
        // Nothing is under way, and nothing arrived but the SYN, which the kernel counts as a byte.
        let first = (*tcp).snd_una == segment.first && (*tcp).bytes_acked <= 1;
        let begins = match was {
            TO_BE_CONTINUED => true,
            // the end of what a client sends counts as a byte, and is no request
            SEEN => received.wrapping_sub((*slot).received) > 1,
            _ => first,
        };
        let mut is = SEEN;
        let mut error = NO_STATUS;
        if begins {
            match status(ctx, &segment) {
                NO_STATUS if first && !is_cut(ctx, &segment) => is = PASSED_OVER,
                SWITCHING_PROTOCOLS => is = PASSED_OVER,
                100..200 => is = TO_BE_CONTINUED,
                status @ 500.. => error = status,
                _ => {}
            }
        }
        *slot = Connection { cookie, received, is };
        if error != NO_STATUS {
            server_error(ctx, error);
        }
    }
    Some(())
}

const NO_STATUS: u32 = 0;
const SWITCHING_PROTOCOLS: u32 = 101;

/// Where the connection with this cookie is remembered, if it is.
#[inline(always)]
fn slot(cookie: u64) -> Option<*mut Connection> {
    CONNECTIONS.get_ptr_mut((cookie % SLOTS as u64) as u32)
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
