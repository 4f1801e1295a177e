//! Cgroups that lately turned out to be no service's. Most processes of a host end in one of a few such cgroups, and each of
//! them would cost a search of all levels above it.
//!
//! Invariant: what is remembered here was searched for after the last cgroup was added to those that are watched. No cgroup's
//! number is given twice, and none moves to another parent. User space adds a cgroup first, and counts it in `ADDED` then:
//! whoever searched before it was there remembers the count of before, which nobody believes any more.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use core::ptr;

/// How often a cgroup was added to those that are watched. Written by user space alone.
#[btf_map]
static ADDED: Array<u64, 1> = Array::new();

/// A cgroup's number, and above it the count of `ADDED`: one word, so that no two are ever mixed up.
#[btf_map]
static FOREIGN: Array<u64, SLOTS> = Array::new();

const SLOTS: usize = 2048;

/// Bits of a cgroup's number. A host that has made more of them than that is searched each time.
const NUMBER_BITS: u32 = 40;

/// Two ways of searching, which do not find the same where cgroups nest deeper than either looks.
#[derive(Clone, Copy)]
pub enum Search {
    /// From the root down.
    Down = 0,
    /// From the task's own cgroup up.
    Up = 1,
}

/// What would be remembered of a cgroup, and where.
#[derive(Clone, Copy)]
pub struct Place {
    word: u64,
    slot: u32,
}

/// To be asked before the search: the count must be that of before.
#[inline(always)]
pub fn place(cgroup: u64, search: Search) -> Option<Place> {
    if cgroup >> NUMBER_BITS != 0 {
        return None;
    }
    let added = ADDED.get_ptr(0)?;
    // SAFETY: a living value.
    let added = unsafe { ptr::read_volatile(added) };
    Some(Place { word: added << NUMBER_BITS | cgroup, slot: (cgroup as u32) << 1 | search as u32 })
}

impl Place {
    /// It was searched for already, and nothing has been added since.
    #[inline(always)]
    pub fn is_foreign(self) -> bool {
        // SAFETY: a living value.
        self.at().is_some_and(|at| unsafe { ptr::read_volatile(at) } == self.word)
    }

    /// It was searched for, and nothing was found.
    #[inline(always)]
    pub fn remember(self) {
        if let Some(at) = self.at() {
            // SAFETY: a living value.
            unsafe { ptr::write_volatile(at, self.word) }
        }
    }

    #[inline(always)]
    fn at(self) -> Option<*mut u64> {
        FOREIGN.get_ptr_mut(self.slot % SLOTS as u32)
    }
}
