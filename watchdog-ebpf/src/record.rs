//! Telling user space.

use aya_ebpf::{
    btf_maps::{PerCpuArray, RingBuf},
    macros::btf_map,
};
use watchdog_common::{Kind, Lost, RING_BYTES, Record};

use crate::kernel::now;

#[btf_map]
static EVENTS: RingBuf<Record, RING_BYTES> = RingBuf::new();

/// Records that found the ring buffer full.
#[btf_map]
static LOST: PerCpuArray<Lost, 1> = PerCpuArray::new();

/// Tells of something that happens now. `fill` sets the fields that its kind has.
#[inline(always)]
pub fn tell(kind: Kind, fill: impl FnOnce(&mut Record)) {
    let Some(mut entry) = EVENTS.reserve(0) else {
        if let Some(lost) = LOST.get_ptr_mut(0) {
            // SAFETY: this CPU's own counter; a program that interrupts this one may cost one count, never the growth.
            unsafe { (*lost).of[kind as usize] += 1 }
        }
        return;
    };
    let record = entry.write(Record { at: now(), kind: kind as u32, ..Record::default() });
    fill(record);
    entry.submit(0);
}
