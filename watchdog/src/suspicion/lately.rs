use std::{collections::VecDeque, time::Duration};

use crate::model::{Cause, CgroupId, CommandRun, Exit, Mono, OomKill, Sender, SignalSent};

/// How long a sent signal may take to end its process and still be named as what was sent.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// How many sent signals are remembered.
const SENT_KEPT: usize = 64;

/// How long a process that the kernel kills may take to end: it may have much memory to give back.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
const KILLED_KEPT: usize = 16;

/// A program asks systemd within this, or for something else.
const ASKED_WITHIN: Duration = Duration::from_secs(1);
/// More are not worth naming.
const ASKING: usize = 3;

const SIGKILL: u8 = 9;

/// What was done to processes lately, to explain their ends.
#[derive(Debug, Default)]
pub(super) struct Lately {
    sent: VecDeque<(Mono, SignalSent)>,
    killed: VecDeque<(Mono, CgroupId, u32)>,
    ran: VecDeque<(Mono, CommandRun)>,
}

impl Lately {
    pub(super) fn sent(&mut self, at: Mono, sent: &SignalSent) {
        self.sent.retain(|(then, _)| at.since(*then) < SENT_WITHIN);
        if self.sent.len() == SENT_KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back((at, sent.clone()));
    }

    pub(super) fn killed(&mut self, at: Mono, killed: &OomKill) {
        self.killed.retain(|(then, ..)| at.since(*then) < KILLED_WITHIN);
        if self.killed.len() == KILLED_KEPT {
            self.killed.pop_front();
        }
        self.killed.push_back((at, killed.cgroup, killed.pid));
    }

    /// A process that runs one program after the other is the last of them.
    pub(super) fn ran(&mut self, at: Mono, run: &CommandRun) {
        self.ran
            .retain(|(then, other)| at.since(*then) < ASKED_WITHIN && (other.pid != run.pid || run.pid == 0));
        if self.ran.len() == ASKING {
            self.ran.pop_front();
        }
        self.ran.push_back((at, run.clone()));
    }

    /// Who may have asked systemd for something until now, the latest last.
    pub(super) fn asking(&self, at: Mono) -> Vec<CommandRun> {
        let fresh = self.ran.iter().filter(|(then, _)| at.since(*then) < ASKED_WITHIN);
        fresh.map(|(_, run)| run.clone()).collect()
    }

    /// The signal that ended a process, or the last one sent to it before it ended by itself (a handler that exits).
    pub(super) fn sent_to(&self, at: Mono, exit: &Exit) -> Option<SignalSent> {
        if exit.pid == 0 {
            return None;
        }
        let Exit { cgroup, pid, cause, .. } = *exit;
        let by_signal = match cause {
            Some(Cause::Signal { signal, .. }) => Some(signal),
            Some(Cause::Code(_)) | None => None,
        };
        let is_victim = |(then, of, it): &(Mono, CgroupId, u32)| {
            *of == cgroup && *it == pid && at.since(*then) < KILLED_WITHIN
        };
        if by_signal == Some(SIGKILL) && self.killed.iter().any(is_victim) {
            return Some(SignalSent { cgroup, pid, signal: SIGKILL, sender: Sender::OomKiller, more: 0 });
        }
        let fresh = |(then, sent): &&(Mono, SignalSent)| {
            sent.cgroup == cgroup
                && sent.pid == pid
                && at.since(*then) < SENT_WITHIN
                && by_signal.is_none_or(|signal| sent.signal == signal)
        };
        self.sent.iter().rev().find(fresh).map(|(_, sent)| sent.clone())
    }
}
