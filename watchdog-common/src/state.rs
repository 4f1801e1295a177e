use crate::KINDS;

/// Listeners remembered for each port: SO_REUSEPORT workers, IPv4 and IPv6. Those above are not looked at.
pub const LISTENERS: usize = 64;

/// Connections sampled for each port.
pub const SAMPLES: usize = 16;

/// [`PortState::stage`]: no connection waits as far as we know, no timer runs.
pub const STAGE_IDLE: u32 = 0;
/// [`PortState::stage`]: a timer runs.
pub const STAGE_ARMED: u32 = 1;
/// [`PortState::stage`]: a timer runs, and a stall was told.
pub const STAGE_STALLED: u32 = 2;

/// [`Sample::open`]: the client waits for an answer that is not late yet, so this sample must not be overwritten.
pub const OPEN: u32 = 1;

/// The kernel's own timer, found in a map's value by this name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct bpf_timer {
    /// The kernel's.
    pub opaque: [u64; 2],
}

/// The kernel's own lock, found in a map's value by this name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct bpf_spin_lock {
    /// The kernel's.
    pub val: u32,
}

/// Main processes of one cgroup that are known to the kernel.
pub const MAINS: usize = 4;

/// The main processes of a watched cgroup, in watchdog's PID namespace; 0 is none. Written by user space alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mains {
    /// PIDs.
    pub pids: [u32; MAINS],
}

/// What was told of one kind, and what was not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// When one was last told that was not told in any case.
    pub told_at: u64,
    /// How many were left out since the last one that was told.
    pub left_out: u32,
    /// None.
    pub pad: u32,
}

/// The kernel's notes on one cgroup; created empty by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CgroupState {
    /// Held while a limit is asked.
    pub lock: bpf_spin_lock,
    /// None.
    pub pad: u32,
    /// Ends of processes.
    pub exits: Limit,
    /// Signals.
    pub signals: Limit,
}

/// What one CPU could not tell since the load, for want of room in the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many records of each kind, by its number.
    pub of: [u64; KINDS],
}

/// The kernel's notes on answers of 500 and above from one port; created empty by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorState {
    /// Held while the limit is asked.
    pub lock: bpf_spin_lock,
    /// How many came since they were last told.
    pub left_out: u32,
    /// When they were last told.
    pub told_at: u64,
}

/// How one port is watched; written by user space alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The same connection at the head of the accept queue for this many nanoseconds is a stall.
    pub accept_after_ns: u64,
    /// Bytes received and none sent since, for this many nanoseconds, is a stall.
    pub answer_after_ns: u64,
}

/// The kernel's notes on one port; created empty by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PortState {
    /// The next look at the accept queues.
    pub timer: bpf_timer,
    /// Held while a slot of `listeners` is claimed.
    pub lock: bpf_spin_lock,
    /// Slots of `listeners` that were ever in use.
    pub used: u32,
    /// One of the `STAGE_*`.
    pub stage: u32,
    /// None.
    pub pad: u32,
    /// When clients were last told of, on a clock of ticks.
    pub in_use_at: u64,
    /// When the next connection may be sampled, on the same clock.
    pub sample_at: u64,
    /// Addresses of `struct sock`; 0 is a free slot.
    pub listeners: [u64; LISTENERS],
}

/// One sampled connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Address of its `struct sock`; 0 is a free slot.
    pub sk: u64,
    /// Its cookie, which is never reused, unlike the address.
    pub cookie: u64,
    /// The arrival (jiffies, with bit 32 set) of the request that was last told to be late.
    pub said: u64,
    /// 0 or [`OPEN`].
    pub open: u32,
    /// None.
    pub pad: u32,
}

/// The kernel's notes on the sampled connections of one port; created empty by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AnswerState {
    /// The next look at the samples.
    pub timer: bpf_timer,
    /// A full barrier for `armed`.
    pub lock: bpf_spin_lock,
    /// A timer runs.
    pub armed: u32,
    /// The slot to be tried next.
    pub next: u32,
    /// None.
    pub pad: u32,
    /// When a stall was last told.
    pub said_at: u64,
    /// The samples.
    pub samples: [Sample; SAMPLES],
}

impl PortState {
    /// Nothing known yet.
    pub const EMPTY: PortState = PortState {
        timer: bpf_timer { opaque: [0; 2] },
        lock: bpf_spin_lock { val: 0 },
        used: 0,
        stage: STAGE_IDLE,
        pad: 0,
        in_use_at: 0,
        sample_at: 0,
        listeners: [0; LISTENERS],
    };
}

impl AnswerState {
    /// Nothing known yet.
    pub const EMPTY: AnswerState = AnswerState {
        timer: bpf_timer { opaque: [0; 2] },
        lock: bpf_spin_lock { val: 0 },
        armed: 0,
        next: 0,
        pad: 0,
        said_at: 0,
        samples: [Sample { sk: 0, cookie: 0, said: 0, open: 0, pad: 0 }; SAMPLES],
    };
}

const _: () = assert!(size_of::<Mains>() == 16, "the layout of Mains changed: that is a new ABI");
const _: () = assert!(size_of::<CgroupState>() == 40, "the layout of CgroupState changed: that is a new ABI");
const _: () = assert!(size_of::<Lost>() == 96, "the layout of Lost changed: that is a new ABI");
const _: () = assert!(size_of::<ErrorState>() == 16, "the layout of ErrorState changed: that is a new ABI");
const _: () = assert!(size_of::<Settings>() == 16, "the layout of Settings changed: that is a new ABI");
const _: () = assert!(size_of::<PortState>() == 560, "the layout of PortState changed: that is a new ABI");
const _: () = assert!(size_of::<Sample>() == 32, "the layout of Sample changed: that is a new ABI");
const _: () =
    assert!(size_of::<AnswerState>() == 552, "the layout of AnswerState changed: that is a new ABI");
