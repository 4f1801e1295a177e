//! Listeners come and go, clients connect. Runs at every change of every TCP socket's state.

use aya_ebpf::{
    btf_maps::HashMap,
    helpers::generated::{bpf_get_socket_cookie, bpf_loop},
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use core::ffi::c_void;
use watchdog_common::{IN_USE_NS, Kind, LISTENERS, MAX_PORTS, PortState, Settings};

use crate::{
    accept, answer, egress,
    kernel::{lock, ticked, unlock},
    record::tell,
    sock::{self, CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT},
    task,
};

/// How each watched port is watched.
#[btf_map]
static SETTINGS: HashMap<u32, Settings, MAX_PORTS> = HashMap::new();

/// What is known of each watched port. Holds timers: no classic tracepoint may touch it.
#[btf_map]
pub static PORTS: HashMap<u32, PortState, MAX_PORTS> = HashMap::new();

/// `inet_sock_set_state(sk, oldstate, newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn state(ctx: BtfTracePointContext) -> u32 {
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    let sk: u64 = ctx.arg(0);
    match (old, new) {
        (SYN_RECV, ESTABLISHED) => client_connected(&ctx, sk),
        (CLOSE, SYN_SENT) => sock::connecting(sk),
        (SYN_SENT, ESTABLISHED) => sock::connected(sk, || sock::port(sk)),
        (SYN_SENT, CLOSE) => sock::not_connected(sk),
        (_, LISTEN) => listener_up(sk),
        // Never "left LISTEN": each new connection is cloned from its listener, and leaves LISTEN for SYN_RECV.
        (LISTEN, CLOSE) => listener_down(sk),
        (_, _) => {}
    }
    0
}

/// The settings of a port.
#[inline(always)]
pub fn settings(port: u32) -> Option<Settings> {
    // SAFETY: copied at once; user space replaces values, it does not write into them.
    unsafe { SETTINGS.get(port) }.copied()
}

/// The connection stands in its listener's accept queue already.
#[inline(always)]
fn client_connected(ctx: &BtfTracePointContext, sk: u64) {
    let port = sock::port(sk);
    let Some(state) = PORTS.get_ptr_mut(port) else { return };
    if !sock::is_ours_to_see(sk) {
        return;
    }
    // SAFETY: a living value of PORTS.
    unsafe { accept::watch(state, port) };
    let trusted: *mut c_void = ctx.arg(0);
    let now = ticked();
    if sock::is_heartbeat(sk) {
        // SAFETY: the tracepoint's own argument is a socket.
        unsafe { egress::pass_over(trusted) };
        return;
    }
    // SAFETY: a living value of PORTS; two CPUs that write this word at once tell twice, which is harmless.
    unsafe {
        if now.wrapping_sub((*state).in_use_at) >= IN_USE_NS {
            (*state).in_use_at = now;
            tell(Kind::InUse, |record| record.port = port);
        }
    }
    // SAFETY: a living value of PORTS, and the tracepoint's own argument, which is a socket.
    unsafe { answer::sample(state, port, sk, now, || bpf_get_socket_cookie(trusted)) };
}

/// listen(2) runs in the context of its caller.
#[inline(always)]
fn listener_up(sk: u64) {
    if !sock::is_ours_to_see(sk) {
        return;
    }
    let port = sock::port(sk);
    let state = PORTS.get_ptr_mut(port);
    if let Some(state) = state {
        // SAFETY: a living value of PORTS.
        unsafe { add_listener(state, sk) };
    }
    let cgroup = task::watched_cgroup_now();
    if state.is_some() || cgroup.is_some() {
        tell(Kind::ListenerUp, |record| {
            record.port = port;
            record.cgroup = cgroup.unwrap_or(0);
        });
    }
}

#[inline(always)]
fn listener_down(sk: u64) {
    let port = sock::port(sk);
    let Some(state) = PORTS.get_ptr_mut(port) else { return };
    if !sock::is_ours_to_see(sk) {
        return;
    }
    let mut count = Count { state, gone: sk, port, left: 0 };
    // SAFETY: the callback is given this context and nothing else; it outlives the call.
    unsafe {
        bpf_loop(LISTENERS as u32, count_listener as *mut c_void, (&raw mut count).cast(), 0);
    }
    tell(Kind::ListenerDown, |record| {
        record.port = port;
        record.count = count.left;
    });
}

#[repr(C)]
struct Count {
    state: *mut PortState,
    gone: u64,
    port: u32,
    left: u32,
}

/// Forgets the listener that is gone, and those that went unseen.
#[inline(never)]
extern "C" fn count_listener(index: u64, count: *mut Count) -> i64 {
    // SAFETY: `listener_down` passes its own context, whose state is a living map value; the index is below LISTENERS.
    unsafe {
        let count = &mut *count;
        let slot = &raw mut (*count.state).listeners[index as usize % LISTENERS];
        let sk = *slot;
        if sk == 0 {
            return 0;
        }
        if sk == count.gone || !sock::listens(sk, count.port) {
            *slot = 0;
            return 0;
        }
        count.left += 1;
    }
    0
}

/// Claims a slot for a listener, once.
///
/// # Safety
/// `state` must be a living value of PORTS.
#[inline(always)]
pub unsafe fn add_listener(state: *mut PortState, sk: u64) {
    // The search may lose its slot to another CPU before it is claimed: workers start together.
    for _ in 0..TRIES {
        let mut search = Search { state, sk, free: LISTENERS as u32, known: 0 };
        // SAFETY: the callback is given this context and nothing else; the lock is held from the test to the claim.
        unsafe {
            bpf_loop(LISTENERS as u32, search_slot as *mut c_void, (&raw mut search).cast(), 0);
            let free = search.free as usize;
            if search.known != 0 || free >= LISTENERS {
                return;
            }
            let guard = &raw mut (*state).lock;
            let slot = &raw mut (*state).listeners[free];
            lock(guard);
            let claimed = *slot == 0;
            if claimed {
                *slot = sk;
                if (*state).used <= free as u32 {
                    (*state).used = free as u32 + 1;
                }
            }
            unlock(guard);
            if claimed {
                return;
            }
        }
    }
}

/// How often a listener looks for a free slot.
const TRIES: u32 = 4;

#[repr(C)]
struct Search {
    state: *mut PortState,
    sk: u64,
    free: u32,
    known: u32,
}

#[inline(never)]
extern "C" fn search_slot(index: u64, search: *mut Search) -> i64 {
    // SAFETY: `add_listener` passes its own context, whose state is a living map value; the index is below LISTENERS.
    unsafe {
        let search = &mut *search;
        let found = (*search.state).listeners[index as usize % LISTENERS];
        if found == search.sk {
            search.known = 1;
            return 1;
        }
        if found == 0 && search.free as usize >= LISTENERS {
            search.free = index as u32;
        }
    }
    0
}
