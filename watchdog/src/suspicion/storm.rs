use std::{collections::VecDeque, time::Duration};

use crate::model::{Cause, Exit, Mono, Sender, SignalSent, Storm};

/// So many deaths of processes other than the main one, within this time, are a storm.
const DEATHS: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// Those that die together die once: of what kills them all the main process dies too, or the unit is stopped.
const TOGETHER: Duration = Duration::from_millis(50);

/// HUP, INT, PIPE and TERM: systemd takes them for clean ends.
const CLEAN: [u8; 4] = [1, 2, 13, 15];
const SIGKILL: u8 = 9;

/// systemd's own.
const FIRST_PROCESS: u32 = 1;

/// Deaths under a living main process, of one service.
#[derive(Debug, Default)]
pub(super) struct Storms {
    deaths: VecDeque<Mono>,
    told: Option<Mono>,
}

impl Storms {
    /// A process that is not the main one ended. A storm that lasts is told once in [`WITHIN`].
    pub(super) fn ended(&mut self, at: Mono, exit: &Exit, sent: Option<&SignalSent>) -> Option<Storm> {
        if !is_death(exit, sent) {
            return None;
        }
        self.deaths.retain(|then| at.since(*then) < WITHIN);
        if self.deaths.back().is_some_and(|last| at.since(*last) < TOGETHER) {
            return None;
        }
        self.deaths.push_back(at);
        let first = *self.deaths.front()?;
        if self.deaths.len() < DEATHS {
            return None;
        }
        self.deaths.clear();
        if self.told.is_some_and(|told| at.since(told) < WITHIN) {
            return None;
        }
        self.told = Some(at);
        let deaths = u32::try_from(DEATHS).unwrap_or(u32::MAX);
        Some(Storm { deaths, within: at.since(first), last: exit.clone() })
    }

    /// The main process ended, or the unit: what dies with it is no storm.
    pub(super) fn over(&mut self) {
        self.deaths.clear();
    }
}

/// By a fault, or by another's hand: not an end of its own, and not one that its master or systemd wanted.
fn is_death(exit: &Exit, sent: Option<&SignalSent>) -> bool {
    let Some(Cause::Signal { signal, core }) = exit.cause else { return false };
    if core || !CLEAN.contains(&signal) && signal != SIGKILL {
        return true;
    }
    let wanted = match sent.map(|sent| &sent.sender) {
        Some(Sender::Process { pid, cgroup, .. }) => *pid == FIRST_PROCESS || *cgroup == exit.cgroup,
        Some(Sender::Kernel | Sender::OomKiller) | None => false,
    };
    signal == SIGKILL && !wanted
}
