//! Who sent it: runs in the sender's context, before the signal is delivered.
//!
//! Signals to other processes than the main one serve to name the sender of a fatal one: they are told now and then.

use aya_ebpf::{
    helpers::generated::bpf_get_current_uid_gid, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use watchdog_common::{Kind, SENDER_KERNEL, SENDER_PROCESS};

use crate::{
    kernel::{given, read},
    limit, names,
    record::tell,
    task,
};

given! {
    SIGINFO_CODE: u32,
}

/// HUP INT QUIT ILL TRAP ABRT BUS FPE KILL SEGV PIPE TERM STOP TSTP XCPU XFSZ SYS. The probe runs for every SIGCHLD, SIGALRM and
/// SIGURG of the host too: the number is asked first.
const TOLD: u32 = bit(1)
    | bit(2)
    | bit(3)
    | bit(4)
    | bit(5)
    | bit(6)
    | bit(7)
    | bit(8)
    | bit(9)
    | bit(11)
    | bit(13)
    | bit(15)
    | bit(19)
    | bit(20)
    | bit(24)
    | bit(25)
    | bit(31);

const fn bit(signal: u32) -> u32 {
    1 << signal
}

/// The result of a signal that has no effect: the target ignores it, or is ending already.
const IGNORED: i32 = 1;

/// `info` is no address but a constant: sent by the process that runs now, through a call of the kernel's own.
const SEND_SIG_NOINFO: u64 = 0;
/// The same: sent by the kernel.
const SEND_SIG_PRIV: u64 = 1;

/// `si_code` below this, or above 0, is the kernel's: who runs just now has nothing to do with it.
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

/// `signal_generate(sig, info, task, group, result)`
#[btf_tracepoint(function = "signal_generate")]
pub fn signal(ctx: BtfTracePointContext) -> u32 {
    let number: i32 = ctx.arg(0);
    if !is_told(number, ctx.arg(4)) {
        return 0;
    }
    let target: u64 = ctx.arg(2);
    let Some(cgroup) = task::watched_cgroup(target) else { return 0 };
    let pid = task::pid(target);
    let is_main = task::is_main(cgroup, pid);
    // SAFETY: the address of a field of a living map value.
    let passed = limit::pass(cgroup, is_main, |state| unsafe { &raw mut (*state).signals });
    let Some(left_out) = passed else { return 0 };
    let by_process = from_process(ctx.arg(1));
    let sender = task::current();
    tell(Kind::Signal, |record| {
        record.cgroup = cgroup;
        record.pid = pid;
        record.count = left_out;
        record.code = number as u32;
        record.sender = SENDER_KERNEL;
        if by_process {
            record.sender = SENDER_PROCESS;
            record.sender_pid = task::pid(sender);
            // SAFETY: reads the credentials of the task that runs now.
            record.sender_uid = unsafe { bpf_get_current_uid_gid() } as u32;
            record.sender_cgroup = names::noted(sender);
            record.comm = task::comm(sender);
        }
    });
    0
}

/// kill(2), tgkill(2), sigqueue(3) and their like; not a fault, a timer, a terminal, the OOM killer.
#[inline(always)]
fn from_process(info: u64) -> bool {
    match info {
        SEND_SIG_NOINFO => true,
        SEND_SIG_PRIV => false,
        _ => is_by_process(read(info, &SIGINFO_CODE)),
    }
}

/// Whether this signal with this result is worth a record.
#[inline(always)]
pub fn is_told(number: i32, result: i32) -> bool {
    (1..=31).contains(&number) && TOLD & bit(number as u32) != 0 && result != IGNORED
}

/// By its `si_code`, a process sent it.
#[inline(always)]
pub fn is_by_process(code: i32) -> bool {
    code == 0 || code == SI_QUEUE || code == SI_TKILL
}
