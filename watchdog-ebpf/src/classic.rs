//! The second rung: the same events by classic tracepoints, where the kernel tells nothing of its own structures. Offsets are
//! those of its formats of events. How a process ended is not told there, nor whose network namespace a socket is of.
//!
//! No map that holds a timer or a lock may be touched here: the kernel would refuse the program. Deliberately absent: stalls.

use aya_ebpf::{
    EbpfContext,
    bindings::bpf_pidns_info,
    btf_maps::{HashMap, LruHashMap},
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::{bpf_get_current_cgroup_id, bpf_get_ns_current_pid_tgid},
    },
    macros::{btf_map, tracepoint},
    programs::TracePointContext,
};
use watchdog_common::{
    CODE_UNKNOWN, IN_USE_NS, Kind, Limit, MAX_MAINS, OTHERS_NS, SENDER_KERNEL, SENDER_PROCESS,
};

use crate::{
    kernel::{given, now, read},
    record::tell,
    signal,
    sock::{self, CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT},
    state::settings,
    task,
};

given! {
    /// 1: watchdog lives in the first PID namespace, whose numbers these events bear.
    FIRST_PIDS: u32,
    /// Where its PID namespace is kept, and its number.
    PID_NAMESPACE_DEVICE: u64,
    PID_NAMESPACE_INODE: u64,
    /// 0: this kernel does not tell.
    EXIT_GROUP_DEAD: u32,
    SIGNAL_NUMBER: u32,
    SIGNAL_CODE: u32,
    SIGNAL_PID: u32,
    SIGNAL_RESULT: u32,
    STATE_SOCKET: u32,
    STATE_OLD: u32,
    STATE_NEW: u32,
    STATE_PORT: u32,
    STATE_PEER_PORT: u32,
    STATE_PROTOCOL: u32,
}

/// The cgroup of each main process. Written by user space alone.
#[btf_map]
static MAIN_PIDS: HashMap<u32, u64, MAX_MAINS> = HashMap::new();

/// Ends that were told of each cgroup. Without a lock: what is told twice at once is harmless.
#[btf_map]
static CLASSIC_EXITS: LruHashMap<u64, Limit, 1024> = LruHashMap::new();

/// When clients were last told of, by port.
#[btf_map]
static CLASSIC_USE: LruHashMap<u32, u64, 256> = LruHashMap::new();

const IPPROTO_TCP: u16 = 6;

/// `sched:sched_process_exit`, in the context of whoever ends.
#[tracepoint]
pub fn exit_classic(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let ids = bpf_get_current_pid_tgid();
    let last = match EXIT_GROUP_DEAD.load() {
        // the first thread is mostly the last to end
        0 => (ids >> 32) as u32 == ids as u32,
        _ => read::<u8>(event, &EXIT_GROUP_DEAD) != 0,
    };
    if !last {
        return 0;
    }
    let Some(cgroup) = task::watched_cgroup_now() else { return 0 };
    let pid = own_pid(ids);
    let Some(left_out) = pass(cgroup, task::is_main(cgroup, pid)) else { return 0 };
    tell(Kind::Exit, |record| {
        record.cgroup = cgroup;
        record.pid = pid;
        record.code = CODE_UNKNOWN;
        record.count = left_out;
        record.comm = bpf_get_current_comm().unwrap_or_default();
    });
    0
}

/// `signal:signal_generate`, in the context of the sender: of the target only the number is known, and only main processes
/// are known by theirs.
#[tracepoint]
pub fn signal_classic(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    if !signal::is_told(read(event, &SIGNAL_NUMBER), read(event, &SIGNAL_RESULT)) {
        return 0;
    }
    let pid: u32 = read(event, &SIGNAL_PID);
    // SAFETY: copied at once; user space replaces values, it does not write into them.
    let Some(cgroup) = (unsafe { MAIN_PIDS.get(pid) }).copied() else { return 0 };
    let number: u32 = read(event, &SIGNAL_NUMBER);
    let by_process = signal::is_by_process(read(event, &SIGNAL_CODE));
    tell(Kind::Signal, |record| {
        record.cgroup = cgroup;
        record.pid = pid;
        record.code = number;
        record.sender = SENDER_KERNEL;
        if by_process {
            record.sender = SENDER_PROCESS;
            record.sender_pid = own_pid(bpf_get_current_pid_tgid());
            record.sender_uid = bpf_get_current_uid_gid() as u32;
            // SAFETY: reads the cgroup of the task that runs now.
            record.sender_cgroup = unsafe { bpf_get_current_cgroup_id() };
            record.comm = bpf_get_current_comm().unwrap_or_default();
        }
    });
    0
}

/// `sock:inet_sock_set_state`.
#[tracepoint]
pub fn state_classic(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    if read::<u16>(event, &STATE_PROTOCOL) != IPPROTO_TCP {
        return 0;
    }
    let port = u32::from(read::<u16>(event, &STATE_PORT));
    let sk: u64 = read(event, &STATE_SOCKET);
    match (read::<i32>(event, &STATE_OLD), read::<i32>(event, &STATE_NEW)) {
        (SYN_RECV, ESTABLISHED) => client_connected(port, u32::from(read::<u16>(event, &STATE_PEER_PORT))),
        (CLOSE, SYN_SENT) => sock::connecting(sk),
        (SYN_SENT, ESTABLISHED) => sock::connected(sk, || port),
        (_, LISTEN) => {
            let cgroup = task::watched_cgroup_now();
            if cgroup.is_some() || settings(port).is_some() {
                tell(Kind::ListenerUp, |record| {
                    record.port = port;
                    record.cgroup = cgroup.unwrap_or(0);
                });
            }
        }
        // how many others listen is not known: a heartbeat finds out
        (LISTEN, CLOSE) if settings(port).is_some() => tell(Kind::ListenerDown, |record| record.port = port),
        (_, _) => {}
    }
    0
}

#[inline(always)]
fn client_connected(port: u32, peer: u32) {
    let now = now();
    if settings(port).is_none() || sock::is_heartbeat_from(|| peer) {
        return;
    }
    // SAFETY: copied at once.
    let before = (unsafe { CLASSIC_USE.get(port) }).copied().unwrap_or(0);
    if now.wrapping_sub(before) >= IN_USE_NS {
        let _ = CLASSIC_USE.insert(port, now, 0);
        tell(Kind::InUse, |record| record.port = port);
    }
}

/// The process of now, in watchdog's PID namespace; 0 when it is not of it.
#[inline(always)]
fn own_pid(ids: u64) -> u32 {
    if FIRST_PIDS.load() == 1 {
        return (ids >> 32) as u32;
    }
    let mut found = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: writes as many bytes as it is told, zeros where it is another namespace.
    unsafe {
        bpf_get_ns_current_pid_tgid(
            PID_NAMESPACE_DEVICE.load(),
            PID_NAMESPACE_INODE.load(),
            &raw mut found,
            size_of::<bpf_pidns_info>() as u32,
        );
    }
    found.tgid
}

/// As [`crate::limit::pass`], without a lock.
#[inline(always)]
fn pass(cgroup: u64, always: bool) -> Option<u32> {
    let now = now();
    // SAFETY: copied at once.
    let mut limit = (unsafe { CLASSIC_EXITS.get(cgroup) }).copied().unwrap_or_default();
    let left_out = limit.left_out;
    let told = always || now.saturating_sub(limit.told_at) >= OTHERS_NS;
    if told {
        limit.left_out = 0;
        if !always {
            limit.told_at = now;
        }
    } else {
        limit.left_out = left_out.wrapping_add(1);
    }
    let _ = CLASSIC_EXITS.insert(cgroup, limit, 0);
    told.then_some(left_out)
}
