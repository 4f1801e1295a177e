//! Whose process is that?

use aya_ebpf::{
    btf_maps::HashMap,
    helpers::generated::{
        bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_get_current_task,
    },
    macros::btf_map,
};
use watchdog_common::{LEVELS, MAX_CGROUPS, Mains};

use crate::{
    foreign::{self, Place, Search},
    kernel::{given, read, read_at},
};

/// The watched cgroups.
#[btf_map]
static SERVICES: HashMap<u64, Mains, MAX_CGROUPS> = HashMap::new();

given! {
    /// The number of watchdog's PID namespace.
    PID_NAMESPACE: u32,
    TASK_CGROUPS: u32,
    TASK_SIGNAL: u32,
    TASK_LEADER: u32,
    TASK_COMM: u32,
    CSS_SET_CGROUP: u32,
    CGROUP_PARENT: u32,
    CGROUP_NODE: u32,
    NODE_ID: u32,
    SIGNAL_TGID: u32,
    PID_LEVEL: u32,
    PID_NUMBERS: u32,
    UPID_SIZE: u32,
    UPID_NS: u32,
    PID_NS_INUM: u32,
}

/// Namespaces nest deeper than this nowhere but in tests of namespaces.
const PID_LEVELS: u32 = 8;

/// The task that runs now.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: reads a per-CPU pointer.
    unsafe { bpf_get_current_task() }
}

/// The watched cgroup that a task belongs to, at most [`LEVELS`] above its own.
#[inline(always)]
pub fn watched_cgroup(task: u64) -> Option<u64> {
    let mut cgroup = own_cgroup(task);
    let mut id = cgroup_id(cgroup);
    let place = foreign::place(id, Search::Up);
    if place.is_some_and(Place::is_foreign) {
        return None;
    }
    for _ in 0..=LEVELS {
        if is_watched(id) {
            return Some(id);
        }
        // `self` is the first member of a cgroup, so that the parent's address is that of its `self`.
        cgroup = read(cgroup, &CGROUP_PARENT);
        if cgroup == 0 {
            break;
        }
        id = cgroup_id(cgroup);
    }
    if let Some(place) = place {
        place.remember();
    }
    None
}

/// The task that runs now is nobody's, as was found lately.
#[inline(always)]
pub fn is_foreign_now() -> bool {
    // SAFETY: reads the cgroup of the task that runs now.
    let own = unsafe { bpf_get_current_cgroup_id() };
    foreign::place(own, Search::Down).is_some_and(Place::is_foreign)
}

/// The watched cgroup of the task that runs now, which the kernel tells of itself: at most [`LEVELS`] below the root.
#[inline(always)]
pub fn watched_cgroup_now() -> Option<u64> {
    // SAFETY: reads the cgroup of the task that runs now.
    let own = unsafe { bpf_get_current_cgroup_id() };
    // asked before the search
    let place = foreign::place(own, Search::Down);
    if place.is_some_and(Place::is_foreign) {
        return None;
    }
    if is_watched(own) {
        return Some(own);
    }
    for up in 0..LEVELS {
        // SAFETY: as above; 0 where there is no such level.
        let id = unsafe { bpf_get_current_ancestor_cgroup_id((LEVELS - up) as i32) };
        if id != 0 && id != own && is_watched(id) {
            return Some(id);
        }
    }
    if let Some(place) = place {
        place.remember();
    }
    None
}

/// This cgroup is watched.
#[inline(always)]
fn is_watched(cgroup: u64) -> bool {
    // SAFETY: the value is not read.
    unsafe { SERVICES.get(cgroup) }.is_some()
}

/// Whether this is a main process of this watched cgroup.
#[inline(always)]
pub fn is_main(cgroup: u64, pid: u32) -> bool {
    // SAFETY: copied at once; user space replaces values, it does not write into them.
    let Some(mains) = (unsafe { SERVICES.get(cgroup) }).copied() else { return false };
    pid != 0 && mains.pids.contains(&pid)
}

/// The number of a task's own cgroup, and what bears its name.
#[inline(always)]
pub fn own_node(task: u64) -> (u64, u64) {
    let node = read(own_cgroup(task), &CGROUP_NODE);
    (read(node, &NODE_ID), node)
}

#[inline(always)]
fn own_cgroup(task: u64) -> u64 {
    read(read(task, &TASK_CGROUPS), &CSS_SET_CGROUP)
}

#[inline(always)]
fn cgroup_id(cgroup: u64) -> u64 {
    read(read(cgroup, &CGROUP_NODE), &NODE_ID)
}

/// What all threads of a task's process share.
#[inline(always)]
pub fn signal_struct(task: u64) -> u64 {
    read(task, &TASK_SIGNAL)
}

/// A task's process, by its number in watchdog's PID namespace; 0 when it is not visible there.
#[inline(always)]
pub fn pid(task: u64) -> u32 {
    let pid: u64 = read(signal_struct(task), &SIGNAL_TGID);
    let level: u32 = read(pid, &PID_LEVEL);
    let wanted = PID_NAMESPACE.load();
    for i in 0..PID_LEVELS {
        if i > level {
            return 0;
        }
        let upid = pid + u64::from(PID_NUMBERS.load()) + u64::from(i * UPID_SIZE.load());
        let namespace: u64 = read(upid, &UPID_NS);
        if read::<u32>(namespace, &PID_NS_INUM) == wanted {
            return read_at(upid);
        }
    }
    0
}

/// Whether watchdog's PID namespace is a task's own, and not one above it.
#[inline(always)]
pub fn is_beside_us(task: u64) -> bool {
    let pid: u64 = read(signal_struct(task), &SIGNAL_TGID);
    let level: u32 = read(pid, &PID_LEVEL);
    let upid = pid + u64::from(PID_NUMBERS.load()) + u64::from(level.wrapping_mul(UPID_SIZE.load()));
    let namespace: u64 = read(upid, &UPID_NS);
    read::<u32>(namespace, &PID_NS_INUM) == PID_NAMESPACE.load()
}

/// The first thread of a task's process.
#[inline(always)]
pub fn leader(task: u64) -> u64 {
    read(task, &TASK_LEADER)
}

/// Two numbers as the name that they were read as.
#[inline(always)]
pub fn name(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: 16 bytes on either side, of which any are a value.
    unsafe { core::mem::transmute::<[u64; 2], [u8; 16]>(words) }
}

/// The name of a task's process.
#[inline(always)]
pub fn comm(task: u64) -> [u8; 16] {
    read(leader(task), &TASK_COMM)
}
