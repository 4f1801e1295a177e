/// Bytes of a record.
pub const RECORD_SIZE: usize = size_of::<Record>();

/// [`Record::sender`]: the kernel itself.
pub const SENDER_KERNEL: u32 = 0;
/// [`Record::sender`]: a process, which the other sender fields name.
pub const SENDER_PROCESS: u32 = 1;

/// Every number of a [`Kind`] is below this.
pub const KINDS: usize = 12;

/// [`Record::code`] of an end: how it ended is not known.
pub const CODE_UNKNOWN: u32 = u32::MAX;

/// What a record tells.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The last thread of a process of a watched cgroup ended: `cgroup`, `pid`, `code`, `comm`, `count` (of other processes
    /// that ended uncleanly and were left out since the last record). Clean ends of main processes only.
    Exit = 1,
    /// A signal was sent to a process of a watched cgroup: `cgroup`, `pid`, `code`, `sender*`, `comm` (the sender's),
    /// `count` (of signals to other processes that were left out since the last record).
    Signal = 2,
    /// A socket began to listen, on a watched port or by a process of a watched cgroup: `port`, `cgroup` (or 0).
    ListenerUp = 3,
    /// A listener of a watched port went away: `port`, `count` (left).
    ListenerDown = 4,
    /// The oldest connection of a watched port was not accepted in time: `port`, `age_ns`, `count` (waiting).
    AcceptStall = 5,
    /// Sampled connections of a watched port were not answered in time: `port`, `age_ns` (oldest), `count` (waiting).
    AnswerStall = 6,
    /// An accept queue that had stalled moves again: `port`.
    StallOver = 7,
    /// Clients connect to a watched port: `port`.
    InUse = 8,
    /// The kernel is about to kill a process of a watched cgroup for want of memory: `cgroup`, `pid`, `comm`.
    Oom = 9,
    /// Answers of 500 and above left a watched cgroup: `cgroup`, `port`, `code` (the last status), `count`.
    ServerErrors = 10,
    /// A program was run that may ask systemd for something: `sender_cgroup`, `sender_pid`, `sender_uid`, `comm`.
    CommandRun = 11,
}

impl Kind {
    /// The kind of this number, if there is one.
    pub const fn from_u32(number: u32) -> Option<Kind> {
        Some(match number {
            1 => Kind::Exit,
            2 => Kind::Signal,
            3 => Kind::ListenerUp,
            4 => Kind::ListenerDown,
            5 => Kind::AcceptStall,
            6 => Kind::AnswerStall,
            7 => Kind::StallOver,
            8 => Kind::InUse,
            9 => Kind::Oom,
            10 => Kind::ServerErrors,
            11 => Kind::CommandRun,
            _ => return None,
        })
    }
}

/// One record of the ring buffer. Fields that [`Kind`] does not name for its kind are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub at: u64,
    /// The watched cgroup that matched: the process's own, or one above it.
    pub cgroup: u64,
    /// The sender's own cgroup.
    pub sender_cgroup: u64,
    /// How long the oldest has waited, in nanoseconds; as exact as a jiffy.
    pub age_ns: u64,
    /// A [`Kind`].
    pub kind: u32,
    /// The process, in watchdog's PID namespace; 0 when it is not visible there.
    pub pid: u32,
    /// Exit: the status as wait(2) has it (low 7 bits the signal, 0x80 core, bits 8 to 15 the code). Signal: its number.
    pub code: u32,
    /// The TCP port, in host order.
    pub port: u32,
    /// How many.
    pub count: u32,
    /// [`SENDER_KERNEL`] or [`SENDER_PROCESS`].
    pub sender: u32,
    /// The sender, in watchdog's PID namespace; 0 when it is not visible there.
    pub sender_pid: u32,
    /// The sender's real user, in the initial user namespace.
    pub sender_uid: u32,
    /// The name of a process, ended by 0.
    pub comm: [u8; 16],
}

const _: () = assert!(RECORD_SIZE == 80, "the layout of Record changed: that is a new ABI");

impl Record {
    /// Reads a record; `None` where the length is not that of a record.
    pub fn from_bytes(bytes: &[u8]) -> Option<Record> {
        if bytes.len() != RECORD_SIZE {
            return None;
        }
        Some(Record {
            at: long(bytes, 0)?,
            cgroup: long(bytes, 8)?,
            sender_cgroup: long(bytes, 16)?,
            age_ns: long(bytes, 24)?,
            kind: word(bytes, 32)?,
            pid: word(bytes, 36)?,
            code: word(bytes, 40)?,
            port: word(bytes, 44)?,
            count: word(bytes, 48)?,
            sender: word(bytes, 52)?,
            sender_pid: word(bytes, 56)?,
            sender_uid: word(bytes, 60)?,
            comm: *bytes.get(64..)?.first_chunk()?,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_ne_bytes(*b))
}
