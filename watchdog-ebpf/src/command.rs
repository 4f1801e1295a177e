//! Who may be about to ask systemd for something: programs that do are told by their name when they are run.
//!
//! Best effort, to explain a stop that comes soon after. A host that runs them in a storm is told of some: what is left out
//! here has done nothing to a watched unit yet, and is not counted.

use aya_ebpf::{
    btf_maps::PerCpuArray,
    helpers::generated::{bpf_get_current_comm, bpf_get_current_uid_gid},
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use watchdog_common::Kind;

use crate::{kernel::now, names, record::tell, task};

/// So many are told on one CPU within [`WITHIN_NS`].
const TOLD: u32 = 16;
const WITHIN_NS: u64 = 1_000_000_000;

/// Programs that have a watched unit stopped or restarted, by what the kernel calls a process of theirs: 15 bytes.
const NAMES: [[u64; 2]; 17] = [
    name(b"systemctl"),
    name(b"service"),
    name(b"shutdown"),
    name(b"reboot"),
    name(b"halt"),
    name(b"poweroff"),
    name(b"init"),
    name(b"telinit"),
    name(b"dpkg"),
    name(b"apt"),
    name(b"apt-get"),
    name(b"rpm"),
    name(b"dnf"),
    name(b"yum"),
    name(b"unattended-upgr"),
    name(b"needrestart"),
    name(b"invoke-rc.d"),
];

const fn name(text: &[u8]) -> [u64; 2] {
    let mut halves = [[0; 8]; 2];
    let mut at = 0;
    while at < text.len() {
        halves[at / 8][at % 8] = text[at];
        at += 1;
    }
    [u64::from_ne_bytes(halves[0]), u64::from_ne_bytes(halves[1])]
}

/// Bits for all names: nearly every program that a host runs lacks its own in one of the two, and is left by two comparisons
/// in place of one with each name. What has both is compared.
const SIEVES: [u64; 2] = {
    let mut sieves = [0; 2];
    let mut at = 0;
    while at < NAMES.len() {
        let [first, second] = bits(NAMES[at]);
        sieves[0] |= first;
        sieves[1] |= second;
        at += 1;
    }
    sieves
};

/// A name's bit in each of the two.
#[inline(always)]
const fn bits([first, second]: [u64; 2]) -> [u64; 2] {
    let mixed = (first ^ second.rotate_left(32)).wrapping_mul(GOLDEN);
    [1 << (mixed >> 58), 1 << (mixed >> 52 & 63)]
}

/// 2^64 by the golden ratio, whose products are spread well in their upper bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What was told lately on a CPU.
#[repr(C)]
#[derive(Clone, Copy)]
struct Lately {
    since: u64,
    told: u64,
}

#[btf_map]
static COMMANDS: PerCpuArray<Lately, 1> = PerCpuArray::new();

/// `sched_process_exec(task, old_pid, bprm)`: the process bears its new name already.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn command(ctx: BtfTracePointContext) -> u32 {
    // empty, for older kernels write nothing behind the end of a name; as two words, for bytes would be emptied by a call
    let mut words = [0_u64; 2];
    // SAFETY: the helper writes into it, and no more than its size.
    unsafe {
        bpf_get_current_comm(words.as_mut_ptr().cast(), size_of::<[u64; 2]>() as u32);
    }
    let own = bits(words);
    if own[0] & SIEVES[0] == 0 || own[1] & SIEVES[1] == 0 {
        return 0;
    }
    perhaps_one(ctx.arg(0), words[0], words[1])
}

/// Apart, so that what runs for every program lies together.
#[inline(never)]
fn perhaps_one(runs: u64, first: u64, second: u64) -> u32 {
    if !NAMES.iter().any(|[one, two]| *one == first && *two == second) {
        return 0;
    }
    // a container's systemd is none of ours
    if !task::is_beside_us(runs) || is_too_many() {
        return 0;
    }
    tell(Kind::CommandRun, |record| {
        record.sender_cgroup = names::noted(runs);
        record.sender_pid = task::pid(runs);
        // SAFETY: reads the credentials of the task that runs now, which is this one.
        record.sender_uid = unsafe { bpf_get_current_uid_gid() } as u32;
        record.comm = task::name([first, second]);
    });
    0
}

#[inline(always)]
fn is_too_many() -> bool {
    let Some(lately) = COMMANDS.get_ptr_mut(0) else { return true };
    let now = now();
    // SAFETY: this CPU's own; a program that interrupts this one may cost one count, never the growth.
    unsafe {
        if now.wrapping_sub((*lately).since) >= WITHIN_NS {
            *lately = Lately { since: now, told: 0 };
        }
        (*lately).told += 1;
        (*lately).told > u64::from(TOLD)
    }
}
