//! watchdog's probes in the kernel: one file per hook, and what they share.
//!
//! `exit` (a process ended) · `signal` (who sent it) · `oom` (killed for want of memory) · `command` (who may ask systemd to
//! stop something) · `state` (listeners come and go, clients connect) with its two timers
//! `accept` and `answer` · `seed` (listeners older than we are) · `egress` (answers that are errors) · `classic` (`exit`,
//! `signal` and `state` once more, where the kernel tells no types). They share `kernel` (reading the kernel's memory), `task` (whose process is that), `foreign` (nobody's, as
//! was found lately), `names` (in which cgroup), `limit` (is that one
//! too many), `sock` (whose connection is that) and `record` (telling user space).
//!
//! Invariant: nothing is told that user space did not ask for, and nothing that could not be told is forgotten: it is
//! counted in `LOST`. Structure offsets come from user space, which reads them from the running kernel's own type
//! information, so that one object serves all kernels. Deliberately absent: decisions.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

mod accept;
mod answer;
mod classic;
mod command;
mod egress;
mod exit;
mod foreign;
mod kernel;
mod limit;
mod names;
mod oom;
mod record;
mod seed;
mod signal;
mod sock;
mod state;
mod task;

use aya_ebpf::Global;
use watchdog_common::ABI;

/// [`watchdog_common::ABI_SYMBOL`]: user space refuses an object without it.
#[unsafe(export_name = "WATCHDOG_ABI_5")]
static AGREEMENT: Global<u32> = Global::new(ABI);

/// Several of the helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// This program runs in the kernel only; on the host it exists so that the compiler and its lints see it.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
