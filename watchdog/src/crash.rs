//! Named points at which a test makes the process die, as an abrupt end of it would: by SIGKILL, with nothing tidied up.
//!
//! `WATCHDOG_CRASH_AT` names a folder: while it holds a file with the name of a point, the process dies there, and takes the file
//! away before, so that the next process lives. Invariant: without the cargo feature `crash-points`, which only the tests' program has, nothing is compiled here.

/// Between a decision and its confirmation, in the order in which they are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// An action is decided; what led to it may not be stored.
    Decided,
    /// It is stored; the request is not made yet.
    Stored,
    /// The request is made, and has not left.
    Released,
    /// The request was carried out, and the reply has not come to the engine.
    Requested,
    /// The reply has come; it is not stored.
    Replied,
    /// The job is done; the policy does not know.
    JobDone,
    /// The first good answer has come; the policy does not know.
    Answered,
    /// It is known to be well again; that is neither stored nor told.
    Recovered,
    /// Half of a state is written.
    HalfState,
    /// New settings are in force, and not stored.
    Reloaded,
    /// A process has come back from its state, and has told nobody.
    Back,
}

/// All of them, by name.
pub const POINTS: [(&str, Point); 11] = [
    ("decided", Point::Decided),
    ("stored", Point::Stored),
    ("released", Point::Released),
    ("requested", Point::Requested),
    ("replied", Point::Replied),
    ("job-done", Point::JobDone),
    ("answered", Point::Answered),
    ("recovered", Point::Recovered),
    ("half-state", Point::HalfState),
    ("reloaded", Point::Reloaded),
    ("back", Point::Back),
];

/// Dies here, where a test wants it.
#[cfg(not(feature = "crash-points"))]
pub fn at(_: Point) {}

/// Dies here, where a test wants it.
#[cfg(feature = "crash-points")]
pub fn at(point: Point) {
    use rustix::process::{Signal, getpid, kill_process};

    let Some(folder) = std::env::var_os("WATCHDOG_CRASH_AT") else { return };
    let Some((name, _)) = POINTS.iter().find(|(_, known)| *known == point) else { return };
    if std::fs::remove_file(std::path::Path::new(&folder).join(name)).is_ok() {
        kill_process(getpid(), Signal::KILL).ok();
        loop {
            std::thread::park(); // the signal is on its way
        }
    }
}
