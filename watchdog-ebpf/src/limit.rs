//! Processes that are not the main one come and go by the hundred: they are told now and then, with how many were left out.

use aya_ebpf::{btf_maps::HashMap, macros::btf_map};
use watchdog_common::{CgroupState, Limit, MAX_CGROUPS, OTHERS_NS};

use crate::kernel::{lock, now, unlock};

/// What was told of each watched cgroup.
#[btf_map]
static CGROUPS: HashMap<u64, CgroupState, MAX_CGROUPS> = HashMap::new();

/// Whether this one is told: how many were left out before it; `None`: it is left out, and counted. What is told `always`
/// leaves the limit of the others as it is.
#[inline(always)]
pub fn pass(cgroup: u64, always: bool, pick: impl Fn(*mut CgroupState) -> *mut Limit) -> Option<u32> {
    let Some(state) = CGROUPS.get_ptr_mut(cgroup) else { return Some(0) };
    let now = now();
    let limit = pick(state);
    // SAFETY: a living value of CGROUPS; nothing is called while its lock is held.
    unsafe {
        let guard = &raw mut (*state).lock;
        lock(guard);
        let left_out = (*limit).left_out;
        let told = always || now.saturating_sub((*limit).told_at) >= OTHERS_NS;
        if told {
            (*limit).left_out = 0;
            if !always {
                (*limit).told_at = now;
            }
        } else {
            (*limit).left_out = left_out.wrapping_add(1);
        }
        unlock(guard);
        told.then_some(left_out)
    }
}
