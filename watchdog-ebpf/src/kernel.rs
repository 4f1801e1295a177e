//! Reading the kernel's memory, and the clock.

use core::{ffi::c_void, mem};

use aya_ebpf::{
    Global,
    helpers::generated::{
        bpf_jiffies64, bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_spin_lock as lock_helper,
        bpf_spin_unlock as unlock_helper, bpf_timer_init, bpf_timer_set_callback, bpf_timer_start,
    },
};
use watchdog_common::{bpf_spin_lock, bpf_timer};

/// Declares values that user space writes before the programs are loaded.
macro_rules! given {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub static $name: aya_ebpf::Global<$kind> = aya_ebpf::Global::new(0);)*
    };
}
pub(crate) use given;

given! {
    /// The length of a jiffy in nanoseconds.
    JIFFY_NS: u64,
}

/// Anything that may be copied out of the kernel bit by bit.
///
/// # Safety
/// Every bit pattern must be a value.
pub unsafe trait Plain: Copy {}
// SAFETY: integers and arrays of them hold any bits.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for [u8; 16] {}

/// Reads what lies `offset` behind `base`; all zero when there is no such memory. Without a branch, so that the verifier
/// follows one way only.
#[inline(always)]
pub fn read<T: Plain>(base: u64, offset: &Global<u32>) -> T {
    read_at(base + u64::from(offset.load()))
}

/// The same at an address.
#[inline(always)]
pub fn read_at<T: Plain>(address: u64) -> T {
    // SAFETY: `T` is plain; the helper writes exactly its size, zeros when the address cannot be read, and never faults.
    unsafe {
        let mut value: T = mem::zeroed();
        bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address as *const c_void);
        value
    }
}

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: reads a clock.
    unsafe { bpf_ktime_get_ns() }
}

/// Nanoseconds of a clock of its own that moves with the kernel's tick, at a fraction of the cost.
#[inline(always)]
pub fn ticked() -> u64 {
    // SAFETY: reads a clock.
    unsafe { bpf_jiffies64() }.wrapping_mul(JIFFY_NS.load())
}

/// The kernel's tick, as TCP stamps its sockets with it.
#[inline(always)]
pub fn jiffies() -> u32 {
    // SAFETY: reads a clock.
    unsafe { bpf_jiffies64() as u32 }
}

/// Nanoseconds from `stamp` (jiffies) to `now` (jiffies); 0 where another CPU's clock was a tick ahead.
#[inline(always)]
pub fn age_ns(now: u32, stamp: u32) -> u64 {
    let ticks = now.wrapping_sub(stamp);
    if ticks > u32::MAX / 2 { 0 } else { u64::from(ticks) * JIFFY_NS.load() }
}

/// What a timer calls: the map, the key, the value.
pub type Callback<T> = extern "C" fn(*mut c_void, *mut u32, *mut T) -> i64;

/// Starts a timer that lies in a value of `map`; a running one is set anew.
///
/// # Safety
/// `timer` must lie in a living value of `map`, and `T` must be the type of that value.
#[inline(always)]
pub unsafe fn start_timer<M, T>(
    map: &'static M,
    timer: *mut bpf_timer,
    callback: Callback<T>,
    after_ns: u64,
) {
    // SAFETY: the caller proves it; a second `init` is refused by the kernel and changes nothing.
    unsafe {
        bpf_timer_init(timer.cast(), core::ptr::from_ref(map).cast_mut().cast(), CLOCK_MONOTONIC);
        bpf_timer_set_callback(timer.cast(), callback as *mut c_void);
        bpf_timer_start(timer.cast(), after_ns, 0);
    }
}

/// Sets a timer anew from its own callback.
///
/// # Safety
/// `timer` must lie in the value that the callback was given.
#[inline(always)]
pub unsafe fn restart_timer(timer: *mut bpf_timer, after_ns: u64) {
    // SAFETY: the caller proves it.
    unsafe {
        bpf_timer_start(timer.cast(), after_ns, 0);
    }
}

const CLOCK_MONOTONIC: u64 = 1;

/// Takes a lock; what runs until [`unlock`] must not call anything.
///
/// # Safety
/// `it` must lie in a living map value.
#[inline(always)]
pub unsafe fn lock(it: *mut bpf_spin_lock) {
    // SAFETY: the caller proves it.
    unsafe {
        lock_helper(it.cast());
    }
}

/// Gives a lock back.
///
/// # Safety
/// `it` must be held.
#[inline(always)]
pub unsafe fn unlock(it: *mut bpf_spin_lock) {
    // SAFETY: the caller proves it.
    unsafe {
        unlock_helper(it.cast());
    }
}
