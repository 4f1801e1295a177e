//! What waits for one sink: bounded, and honest about what it could not take.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Sink, SinkState};

/// Lines that may wait.
pub(super) const LINES: usize = 4096;
/// Bytes that may wait.
pub(super) const BYTES: usize = 4 * 1024 * 1024;

/// For one writer that never waits and one reader that does. A mutex held for a few moves of pointers is no waiting.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Entry>,
    lines: usize,
    bytes: usize,
    /// After the first line that had no room, until half of the room is free: few long gaps instead of many short ones.
    dropping: bool,
    /// The reader works on a line that it has taken.
    busy: bool,
    closing: bool,
    reopen: bool,
    lost: u64,
    /// Of the lost ones, those that were taken and could not be written when the end came.
    given_up: u64,
    fault: Option<String>,
}

enum Entry {
    Line(Arc<[u8]>),
    Gap(u64),
}

/// What the reader does next.
pub(super) enum Job {
    Line(Arc<[u8]>),
    /// This many lines are missing here.
    Gap(u64),
    Reopen,
    /// Closed, and nothing is left.
    End,
}

/// Why a pause was over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Time,
    Reopen,
    Closing,
}

impl Queue {
    pub(super) fn push(&self, line: Arc<[u8]>) {
        let mut inner = self.lock();
        if inner.dropping {
            inner.dropping = inner.lines > LINES / 2 || inner.bytes > BYTES / 2;
        }
        // One line that is longer than all the room is taken when it is alone.
        let full = inner.lines >= LINES || (inner.lines > 0 && inner.bytes + line.len() > BYTES);
        if inner.dropping || full {
            inner.dropping = true;
            inner.lost += 1;
            if let Some(Entry::Gap(lost)) = inner.entries.back_mut() {
                *lost += 1;
            } else {
                inner.entries.push_back(Entry::Gap(1));
            }
        } else {
            inner.lines += 1;
            inner.bytes += line.len();
            inner.entries.push_back(Entry::Line(line));
        }
        drop(inner);
        self.changed.notify_all();
    }

    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits until nothing is left, at most until then; returns how many lines were left or given up.
    pub(super) fn wait_until(&self, deadline: Instant) -> u64 {
        let mut inner = self.lock();
        while inner.busy || !inner.entries.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        u64::try_from(inner.lines).unwrap_or(u64::MAX) + u64::from(inner.busy) + inner.given_up
    }

    pub(super) fn state(&self, sink: &Sink) -> SinkState {
        let inner = self.lock();
        SinkState {
            sink: sink.clone(),
            queued: inner.lines + usize::from(inner.busy),
            lost: inner.lost,
            fault: inner.fault.clone(),
        }
    }

    /// The reader's next job; the last one counts as done.
    pub(super) fn next(&self) -> Job {
        let mut inner = self.lock();
        inner.busy = false;
        loop {
            if std::mem::take(&mut inner.reopen) {
                return Job::Reopen;
            }
            match inner.entries.pop_front() {
                Some(Entry::Line(line)) => {
                    inner.lines -= 1;
                    inner.bytes -= line.len();
                    inner.busy = true;
                    return Job::Line(line);
                }
                Some(Entry::Gap(lost)) => {
                    inner.busy = true;
                    return Job::Gap(lost);
                }
                None => {}
            }
            self.changed.notify_all();
            if inner.closing {
                return Job::End;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The reader rests, unless it is told to reopen or to end.
    pub(super) fn pause(&self, pause: Duration) -> Wake {
        let inner = self.lock();
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(inner, pause, |inner| !inner.closing && !inner.reopen)
            .unwrap_or_else(PoisonError::into_inner);
        if inner.closing {
            Wake::Closing
        } else if std::mem::take(&mut inner.reopen) {
            Wake::Reopen
        } else {
            Wake::Time
        }
    }

    /// What the sink suffers from; None: it works.
    pub(super) fn suffers(&self, fault: Option<String>) {
        self.lock().fault = fault;
    }

    /// A line that was taken could not be written before the end.
    pub(super) fn give_up(&self) {
        let mut inner = self.lock();
        inner.lost += 1;
        inner.given_up += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
