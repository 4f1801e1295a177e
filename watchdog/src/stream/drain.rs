//! The thread of one sink: takes lines from its queue and delivers them, for as long as that takes.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    Sink,
    queue::{Job, Queue, Wake},
};

/// The pause after a first failure, doubled up to …
const PAUSE: Duration = Duration::from_millis(50);
/// … this. Only a sink that fails while lines wait is tried again: an idle one wakes nobody.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where lines go: bytes, or journald.
pub(super) trait Out: Send {
    /// Writes this line to its end. After an error the same line is delivered again, from where it stopped.
    fn deliver(&mut self, line: &[u8]) -> io::Result<()>;

    /// The line that failed will not be delivered again.
    fn abandon(&mut self);

    /// Opens what it writes to again.
    fn reopen(&mut self);
}

/// Runs until the queue is closed and empty. `gap` makes the line that says how many are missing; `said` counts such lines.
pub(super) fn drain(
    sink: &Sink,
    queue: &Queue,
    out: &mut dyn Out,
    gap: impl Fn(u64) -> Vec<u8>,
    said: &AtomicU64,
) {
    loop {
        match queue.next() {
            Job::Line(line) => {
                if !deliver(sink, queue, out, &line) {
                    queue.give_up();
                }
            }
            Job::Gap(lost) => {
                if deliver(sink, queue, out, &gap(lost)) {
                    said.fetch_add(1, Ordering::AcqRel);
                }
            }
            Job::Reopen => out.reopen(),
            Job::End => return,
        }
    }
}

/// False: the end came first.
fn deliver(sink: &Sink, queue: &Queue, out: &mut dyn Out, line: &[u8]) -> bool {
    let mut pause = PAUSE;
    let mut failed = false;
    while let Err(error) = out.deliver(line) {
        if !failed {
            tracing::warn!(%sink, %error, "cannot write events; they wait in memory");
            queue.suffers(Some(error.to_string()));
            failed = true;
        }
        match queue.pause(pause) {
            Wake::Time => pause = (pause * 2).min(LONGEST_PAUSE),
            Wake::Reopen => out.reopen(),
            Wake::Closing => {
                // Room may have come in the meantime; after this nobody asks again.
                if out.deliver(line).is_ok() {
                    break;
                }
                out.abandon();
                return false;
            }
        }
    }
    if failed {
        tracing::info!(%sink, "events are written again");
        queue.suffers(None);
    }
    true
}
