//! The kernel is about to kill for want of memory: told before the end that it leads to.
//!
//! Each is told: the kernel searches all processes for its victim, and does nothing else meanwhile.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use watchdog_common::Kind;

use crate::{record::tell, task};

/// `mark_victim(task, uid)`. Kernels of old hand over a number only, and are not served.
#[btf_tracepoint(function = "mark_victim")]
pub fn oom(ctx: BtfTracePointContext) -> u32 {
    let victim: u64 = ctx.arg(0);
    let Some(cgroup) = task::watched_cgroup(victim) else { return 0 };
    tell(Kind::Oom, |record| {
        record.cgroup = cgroup;
        record.pid = task::pid(victim);
        record.comm = task::comm(victim);
    });
    0
}
