//! Names of the cgroups that records bear as numbers: a job of a timer is over, and its cgroup is removed, before user space
//! can ask what it was.

use aya_ebpf::{
    bindings::BPF_NOEXIST, btf_maps::LruHashMap, helpers::bpf_probe_read_kernel_str_bytes, macros::btf_map,
};
use watchdog_common::NAME_BYTES;

use crate::{
    kernel::{given, read},
    task,
};

given! {
    NODE_NAME: u32,
}

/// The last part of each cgroup's path, ended by 0.
#[btf_map]
static NAMES: LruHashMap<u64, [u8; NAME_BYTES], 256> = LruHashMap::new();

/// Notes the name of a task's own cgroup; answers its number.
#[inline(always)]
pub fn noted(task: u64) -> u64 {
    let (id, node) = task::own_node(task);
    // SAFETY: the value is not read.
    if unsafe { NAMES.get(id) }.is_none() {
        let mut name = [0; NAME_BYTES];
        let from: u64 = read(node, &NODE_NAME);
        // SAFETY: the helper writes within the buffer, and never faults.
        if unsafe { bpf_probe_read_kernel_str_bytes(from as *const u8, &mut name) }.is_ok() {
            // Another CPU may have noted it meanwhile.
            let _same = NAMES.insert(id, name, u64::from(BPF_NOEXIST));
        }
    }
    id
}
