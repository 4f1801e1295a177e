//! The bytes that the kernel side and the user side agree on.
//!
//! Two kinds of things cross the border: records (kernel to user, through one ring buffer) and map values (user to kernel, or
//! the kernel's own notes in memory that user space creates). Everything here is `repr(C)`, of a fixed size, without padding
//! and in the machine's byte order.
//!
//! Invariant: a change of any layout, or of the meaning of any field, is a new [`ABI`]. Deliberately absent: behaviour.
#![no_std]

mod record;
mod state;

pub use record::{CODE_UNKNOWN, KINDS, Kind, RECORD_SIZE, Record, SENDER_KERNEL, SENDER_PROCESS};
pub use state::{
    AnswerState, CgroupState, ErrorState, LISTENERS, Limit, Lost, MAINS, Mains, OPEN, PortState, SAMPLES,
    STAGE_ARMED, STAGE_IDLE, STAGE_STALLED, Sample, Settings, bpf_spin_lock, bpf_timer,
};

/// The version of this agreement.
pub const ABI: u32 = 5;

/// The name of the symbol that says the version inside an object: an object of another version lacks it, and is refused.
pub const ABI_SYMBOL: &str = "WATCHDOG_ABI_5";

/// How many cgroups can be watched at once.
pub const MAX_CGROUPS: usize = 4096;

/// How many main processes of all watched cgroups are known by their numbers.
pub const MAX_MAINS: usize = 2 * MAX_CGROUPS;

/// How many ports can be watched at once.
pub const MAX_PORTS: usize = 256;

/// Bytes of the ring buffer: some 2,900 records.
pub const RING_BYTES: usize = 256 * 1024;

/// Bytes of a cgroup's name; a longer one is cut.
pub const NAME_BYTES: usize = 64;

/// Levels of cgroups that are searched upwards from a task's own.
pub const LEVELS: u32 = 8;

/// Clients that connect are told at most once in this many nanoseconds and port.
pub const IN_USE_NS: u64 = 5_000_000_000;

/// Ends of, and signals to, processes that are not the main one are told at most once in this many nanoseconds and cgroup,
/// each of the two for itself.
pub const OTHERS_NS: u64 = 100_000_000;

/// Answers of 500 and above are told at most once in this many nanoseconds and port.
pub const ERRORS_NS: u64 = 1_000_000_000;
