//! Are sampled connections answered in time? A timer of the kernel's that runs only while a sampled connection lives.
//!
//! A connection waits for an answer when its client sent bytes and the server, since then, sent none, or has not even read
//! them all. It is told when that is so for longer than `answer_after`, unless the server has bytes that the client does not
//! take, or has answered another sampled connection since. Told once for each arrival of bytes.
//!
//! Not seen: a request that was read, and that arrived in the same jiffy in which the server last sent.

use aya_ebpf::{btf_maps::HashMap, helpers::generated::bpf_loop, macros::btf_map};
use core::ffi::c_void;
use watchdog_common::{AnswerState, Kind, MAX_PORTS, OPEN, PortState, SAMPLES, Sample};

use crate::{
    accept::TCP_LAST_SENT,
    kernel::{JIFFY_NS, age_ns, given, jiffies, lock, now, read, restart_timer, start_timer, unlock},
    record::tell,
    sock::{self, CLOSE_WAIT, ESTABLISHED},
    state::settings,
};

given! {
    SOCK_COOKIE: u32,
    SOCK_SOCKET: u32,
    TCP_BYTES_RECEIVED: u32,
    TCP_BYTES_SENT: u32,
    TCP_RECEIVED_NEXT: u32,
    TCP_COPIED: u32,
    TCP_WRITTEN: u32,
    TCP_SENT_NEXT: u32,
    TCP_LAST_RECEIVED: u32,
}

/// The sampled connections of each port. Holds timers: no classic tracepoint may touch it.
#[btf_map]
static ANSWERS: HashMap<u32, AnswerState, MAX_PORTS> = HashMap::new();

/// At most this many samples in one `answer_after`, so that a slot is looked at before it is overwritten.
const PER_ANSWER_AFTER: u64 = 12;

/// Marks [`Sample::said`] as written, also where the jiffies are 0.
const SAID: u64 = 1 << 32;

/// A client connected: samples it, when it is time for another sample and the slot in turn holds no open question.
///
/// # Safety
/// `watched` must be a living value of PORTS.
#[inline(always)]
pub unsafe fn sample(watched: *mut PortState, port: u32, sk: u64, now: u64, cookie: impl FnOnce() -> u64) {
    // SAFETY: the caller proves it, and a living value of ANSWERS. Two CPUs that sample at once may mix one slot up: its cookie
    // then does not match its socket, and the slot is dropped at the next look.
    unsafe {
        if now < (*watched).sample_at {
            return;
        }
        let (Some(settings), Some(state)) = (settings(port), ANSWERS.get_ptr_mut(port)) else { return };
        let next = (*state).next;
        (*state).next = next.wrapping_add(1);
        let slot = &raw mut (*state).samples[next as usize % SAMPLES];
        if (*slot).sk != 0 && (*slot).open == OPEN {
            return;
        }
        (*watched).sample_at = now + settings.answer_after_ns / PER_ANSWER_AFTER;
        *slot = Sample { sk, cookie: cookie(), said: 0, open: 0, pad: 0 };
        if (*state).armed == 0 {
            (*state).armed = 1;
            start_timer(&ANSWERS, &raw mut (*state).timer, look, settings.answer_after_ns);
        }
    }
}

#[repr(C)]
struct Look {
    state: *mut AnswerState,
    after_ns: u64,
    /// Nanoseconds until a stall may be told again; 0: now.
    muted_ns: u64,
    /// When the next look is due.
    next_ns: u64,
    oldest_ns: u64,
    now: u32,
    living: u32,
    /// Some sampled connection was answered, the last of them in this jiffy.
    answered: u32,
    answered_at: u32,
    told: u32,
    waiting: u32,
}

#[inline(never)]
extern "C" fn look(_map: *mut c_void, key: *mut u32, _value: *mut AnswerState) -> i64 {
    // SAFETY: the kernel passes the key of the living value that the timer lies in; a value that is looked up lives.
    unsafe {
        let port = *key;
        let Some(settings) = settings(port) else { return 0 };
        // As in `accept`.
        let Some(state) = ANSWERS.get_ptr_mut(port) else { return 0 };
        let after_ns = settings.answer_after_ns;
        // Disarmed first, then looked, with a full barrier between: as in `accept`.
        (*state).armed = 0;
        lock(&raw mut (*state).lock);
        unlock(&raw mut (*state).lock);
        let clock = now();
        let since_said = clock.wrapping_sub((*state).said_at);
        let mut it = Look {
            state,
            after_ns,
            muted_ns: after_ns.saturating_sub(since_said),
            next_ns: after_ns,
            oldest_ns: 0,
            now: jiffies(),
            living: 0,
            answered: 0,
            answered_at: 0,
            told: 0,
            waiting: 0,
        };
        let context = (&raw mut it).cast();
        bpf_loop(SAMPLES as u32, gather as *mut c_void, context, 0);
        bpf_loop(SAMPLES as u32, judge as *mut c_void, context, 0);
        if it.told != 0 {
            (*state).said_at = clock;
            tell(Kind::AnswerStall, |record| {
                record.port = port;
                record.age_ns = it.oldest_ns;
                record.count = it.waiting;
            });
        }
        if it.living != 0 {
            (*state).armed = 1;
            restart_timer(&raw mut (*state).timer, it.next_ns + JIFFY_NS.load() / 2);
        }
    }
    0
}

/// First pass: drops what is gone, and finds the last answer.
#[inline(never)]
extern "C" fn gather(index: u64, it: *mut Look) -> i64 {
    // SAFETY: `look` passes its own context, whose state is a living map value; the index is below SAMPLES.
    unsafe {
        let it = &mut *it;
        let slot = &raw mut (*it.state).samples[index as usize % SAMPLES];
        let sk = (*slot).sk;
        if sk == 0 {
            return 0;
        }
        let state = i32::from(read::<u8>(sk, &sock::SOCK_STATE));
        let same = read::<u64>(sk, &SOCK_COOKIE) == (*slot).cookie;
        if !same || (state != ESTABLISHED && state != CLOSE_WAIT) {
            (*slot).sk = 0;
            return 0;
        }
        it.living += 1;
        let sent_at: u32 = read(sk, &TCP_LAST_SENT);
        if read::<u64>(sk, &TCP_BYTES_SENT) != 0 && (it.answered == 0 || later(sent_at, it.answered_at)) {
            it.answered = 1;
            it.answered_at = sent_at;
        }
    }
    0
}

/// Second pass: who waits, and for how long?
#[inline(never)]
extern "C" fn judge(index: u64, it: *mut Look) -> i64 {
    // SAFETY: as in `gather`.
    unsafe {
        let it = &mut *it;
        let slot = &raw mut (*it.state).samples[index as usize % SAMPLES];
        let sk = (*slot).sk;
        if sk == 0 {
            return 0;
        }
        (*slot).open = 0;
        let received_at: u32 = read(sk, &TCP_LAST_RECEIVED);
        let sent_at: u32 = read(sk, &TCP_LAST_SENT);
        let asked = read::<u64>(sk, &TCP_BYTES_RECEIVED) != 0;
        // Without a file of its own it was not accepted yet, which `accept` watches.
        let accepted = read::<u64>(sk, &SOCK_SOCKET) != 0;
        let never_answered = read::<u64>(sk, &TCP_BYTES_SENT) == 0;
        let unread = read::<u32>(sk, &TCP_RECEIVED_NEXT) != read::<u32>(sk, &TCP_COPIED);
        let not_taken = read::<u32>(sk, &TCP_WRITTEN) != read::<u32>(sk, &TCP_SENT_NEXT);
        let others_answered = it.answered != 0 && later(it.answered_at, received_at);
        let waits = never_answered || unread || later(received_at, sent_at);
        if !asked || !accepted || !waits || not_taken || others_answered {
            return 0;
        }
        let age = age_ns(it.now, received_at);
        if age < it.after_ns {
            (*slot).open = OPEN;
            it.due_in(it.after_ns - age);
            return 0;
        }
        it.waiting += 1;
        if age > it.oldest_ns {
            it.oldest_ns = age;
        }
        let mark = u64::from(received_at) | SAID;
        if (*slot).said == mark {
            return 0;
        }
        if it.muted_ns != 0 {
            (*slot).open = OPEN;
            it.due_in(it.muted_ns);
            return 0;
        }
        (*slot).said = mark;
        it.told += 1;
    }
    0
}

impl Look {
    #[inline(always)]
    fn due_in(&mut self, ns: u64) {
        if ns < self.next_ns {
            self.next_ns = ns;
        }
    }
}

/// Jiffies wrap.
#[inline(always)]
fn later(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) <= u32::MAX / 2
}
