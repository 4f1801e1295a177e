//! What is on its way, in the order of time; of one moment, in the order in which it would have come and was sent.

use std::{cmp::Ordering, collections::BinaryHeap};

use watchdog::model::Mono;

use super::Event;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Mono,
    /// When it would have come, had it not been held up.
    due: Mono,
    number: u64,
    /// Survives a death of watchdog, as records in the kernel's ring do.
    kept: bool,
    pub(crate) event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.due, other.number).cmp(&(self.at, self.due, self.number)) // the heap gives its greatest: the earliest is that
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    number: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Mono, event: Event) {
        self.number += 1;
        self.heap.push(Entry { at, due: at, number: self.number, kept: false, event });
    }

    pub(crate) fn push_kept(&mut self, at: Mono, event: Event) {
        self.number += 1;
        self.heap.push(Entry { at, due: at, number: self.number, kept: true, event });
    }

    pub(crate) fn next_at(&self) -> Option<Mono> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop()
    }

    /// It comes later, and keeps its place among all that are held up.
    pub(crate) fn hold_up(&mut self, entry: Entry, until: Mono) {
        self.heap.push(Entry { at: until, ..entry });
    }

    /// The next thing is a fault: it does not happen.
    pub(crate) fn drop_fault(&mut self) {
        while matches!(self.heap.peek(), Some(Entry { event: Event::Fault, .. })) {
            self.heap.pop();
        }
    }

    /// watchdog is dead until then: what was on its way to it is gone, but for what is kept for its successor. Gives back its
    /// requests, which systemd may or may not have read.
    pub(crate) fn orphan(&mut self, until: Mono) -> Vec<Event> {
        let mut requests = Vec::new();
        let mut entries = std::mem::take(&mut self.heap).into_sorted_vec();
        entries.reverse(); // in the order of time
        for mut entry in entries {
            match entry.event {
                Event::Request(_) | Event::Look(_) => requests.push(entry.event),
                Event::Alarm { .. } | Event::Fault | Event::GapOver | Event::Successor | Event::Reconcile => {
                    self.heap.push(entry);
                }
                Event::Sign(_) if entry.kept => {
                    entry.at = entry.at.max(until);
                    self.heap.push(entry);
                }
                Event::Sign(_)
                | Event::Answer(_)
                | Event::Outcome(_)
                | Event::Fact(_)
                | Event::Command(_)
                | Event::Read(_)
                | Event::Table => {}
            }
        }
        requests
    }
}
