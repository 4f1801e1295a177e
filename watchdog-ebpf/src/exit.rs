//! A process ended: told once, when its last thread ends.
//!
//! A service may fork by the hundred each second: a clean end is told of main processes only, any other end of another
//! process now and then. Without a known main process (a forking unit without PID file) that leaves clean ends to systemd,
//! which alone knows what they mean there.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    btf_maps::LruHashMap,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use watchdog_common::Kind;

use crate::{
    kernel::{given, read},
    limit,
    record::tell,
    task,
};

given! {
    TASK_START: u32,
    TASK_EXIT_CODE: u32,
    SIGNAL_LIVE: u32,
    SIGNAL_FLAGS: u32,
    SIGNAL_GROUP_EXIT_CODE: u32,
}

/// The whole process ends with `group_exit_code`, whatever its threads say.
const SIGNAL_GROUP_EXIT: u32 = 4;

const EEXIST: i32 = -17;

/// A process: the address of what its threads share, and when it started, for addresses are used again.
#[repr(C)]
struct Process {
    signal: u64,
    start: u64,
}

/// Processes that were told.
#[btf_map]
static ENDED: LruHashMap<Process, u32, 1024> = LruHashMap::new();

/// `sched_process_exit(task, …)`
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit(ctx: BtfTracePointContext) -> u32 {
    // Most ends of a host are nobody's. They run cold: what they need lies together, and nothing else does.
    if task::is_foreign_now() {
        return 0;
    }
    perhaps_ours(&ctx)
}

#[inline(never)]
fn perhaps_ours(ctx: &BtfTracePointContext) -> u32 {
    let Some(cgroup) = task::watched_cgroup_now() else { return 0 };
    let ended: u64 = ctx.arg(0);
    let signal = task::signal_struct(ended);
    if read::<u32>(signal, &SIGNAL_LIVE) != 0 {
        return 0;
    }
    let code: u32 = if read::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
        read(signal, &SIGNAL_GROUP_EXIT_CODE)
    } else {
        read(task::leader(ended), &TASK_EXIT_CODE)
    };
    let pid = task::pid(ended);
    let is_main = task::is_main(cgroup, pid);
    if code == 0 && !is_main {
        return 0;
    }
    // Threads that end at the same time on several CPUs all see that none is left: the first of them tells.
    let process = Process { signal, start: read(task::leader(ended), &TASK_START) };
    // An end that finds no room in the map may be told twice, which is better than never.
    if ENDED.insert(process, 1, u64::from(BPF_NOEXIST)) == Err(EEXIST) {
        return 0;
    }
    // SAFETY: the address of a field of a living map value.
    let passed = limit::pass(cgroup, is_main, |state| unsafe { &raw mut (*state).exits });
    let Some(left_out) = passed else { return 0 };
    tell(Kind::Exit, |record| {
        record.cgroup = cgroup;
        record.pid = pid;
        record.code = code;
        record.count = left_out;
        record.comm = task::comm(ended);
    });
    0
}
