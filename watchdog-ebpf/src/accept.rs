//! Is the oldest connection of a port accepted in time? A timer of the kernel's that runs only while connections wait.
//!
//! A child socket's `lsndtime` is set when the connection is complete, and cannot move before it is accepted: the age of the
//! head of the queue is known to a jiffy, whoever came before, and the next look falls when that head would be too old.

use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use watchdog_common::{Kind, LISTENERS, PortState, STAGE_ARMED, STAGE_IDLE, STAGE_STALLED};

use crate::{
    kernel::{JIFFY_NS, age_ns, given, jiffies, lock, read, restart_timer, start_timer, unlock},
    record::tell,
    sock,
    state::{PORTS, settings},
};

given! {
    LISTENER_HEAD: u32,
    REQUEST_SOCK: u32,
    SOCK_BACKLOG: u32,
    TCP_LAST_SENT: u32,
}

/// While a queue stands still it is looked at no more often than this.
const STALLED_LOOK_NS: u64 = 50_000_000;

/// A connection waits on this port.
///
/// # Safety
/// `state` must be a living value of PORTS.
#[inline(always)]
pub unsafe fn watch(state: *mut PortState, port: u32) {
    // SAFETY: the caller proves it. Two CPUs that arm at once start the same timer twice.
    unsafe {
        if (*state).stage == STAGE_IDLE {
            let Some(settings) = settings(port) else { return };
            (*state).stage = STAGE_ARMED;
            start_timer(&PORTS, &raw mut (*state).timer, look, settings.accept_after_ns);
        }
    }
}

#[repr(C)]
struct Queues {
    state: *mut PortState,
    oldest_ns: u64,
    now: u32,
    port: u32,
    busy: u32,
    waiting: u32,
}

#[inline(never)]
extern "C" fn look(_map: *mut c_void, key: *mut u32, _value: *mut PortState) -> i64 {
    // SAFETY: the kernel passes the key of the living value that the timer lies in; a value that is looked up lives.
    unsafe {
        let port = *key;
        let Some(settings) = settings(port) else { return 0 };
        // Kernel 6.1 knows a lock again only in a value that was looked up, not in the one that it passes.
        let Some(state) = PORTS.get_ptr_mut(port) else { return 0 };
        let stage = (*state).stage;
        // Disarmed first, then looked: a connection that comes between finds no timer and starts one. Were it the other way
        // round, it would find a timer that has looked already. The lock is a full barrier between the two.
        (*state).stage = STAGE_IDLE;
        lock(&raw mut (*state).lock);
        unlock(&raw mut (*state).lock);
        let mut queues = Queues { state, oldest_ns: 0, now: jiffies(), port, busy: 0, waiting: 0 };
        bpf_loop(LISTENERS as u32, look_at_queue as *mut c_void, (&raw mut queues).cast(), 0);

        let stalled = queues.busy != 0 && queues.oldest_ns >= settings.accept_after_ns;
        if stage == STAGE_STALLED && !stalled {
            tell(Kind::StallOver, |record| record.port = port);
        }
        if queues.busy == 0 {
            return 0;
        }
        if stalled {
            if stage != STAGE_STALLED {
                tell(Kind::AcceptStall, |record| {
                    record.port = port;
                    record.age_ns = queues.oldest_ns;
                    record.count = queues.waiting;
                });
            }
            (*state).stage = STAGE_STALLED;
            restart_timer(&raw mut (*state).timer, settings.accept_after_ns.max(STALLED_LOOK_NS));
        } else {
            (*state).stage = STAGE_ARMED;
            let rest = settings.accept_after_ns - queues.oldest_ns;
            restart_timer(&raw mut (*state).timer, rest + JIFFY_NS.load() / 2);
        }
    }
    0
}

#[inline(never)]
extern "C" fn look_at_queue(index: u64, queues: *mut Queues) -> i64 {
    // SAFETY: `look` passes its own context, whose state is a living map value; the index is below LISTENERS.
    unsafe {
        let queues = &mut *queues;
        if index >= u64::from((*queues.state).used) {
            return 1;
        }
        let listener = (*queues.state).listeners[index as usize % LISTENERS];
        if listener == 0 || !sock::listens(listener, queues.port) {
            return 0;
        }
        let request: u64 = read(listener, &LISTENER_HEAD);
        let child: u64 = read(request, &REQUEST_SOCK);
        if request == 0 || child == 0 {
            return 0;
        }
        let age = age_ns(queues.now, read(child, &TCP_LAST_SENT));
        queues.busy = 1;
        queues.waiting += read::<u32>(listener, &SOCK_BACKLOG);
        // The memory of a request that was accepted meanwhile may be another's by now: the queue moves, and is looked at again.
        // The child cannot tell: one that its client broke off has lost its port, and stands in the queue all the same.
        let still_first = read::<u64>(listener, &LISTENER_HEAD) == request;
        if still_first && age > queues.oldest_ns {
            queues.oldest_ns = age;
        }
    }
    0
}
