//! When systemd must be asked what it is doing itself, so that one who must know it before an action need not ask.

use crate::{model::SystemState, systemd::Signal};

/// Queued when the host shuts down, whatever asked for that.
const SHUTDOWN: &str = "shutdown.target";

/// Nothing is known before the first answer, nor from the first sign of a change to the next answer.
#[derive(Debug, Default)]
pub(super) struct System {
    runs: bool,
    /// The answer to come, if the question is still the right one.
    asked: Option<u32>,
    wants: bool,
}

impl System {
    /// Over a new connection.
    pub(super) fn connected(&mut self) {
        *self = System { wants: true, ..System::default() };
    }

    /// What it is doing may have changed with this.
    pub(super) fn heard(&mut self, signal: &Signal) {
        let changes = match signal {
            Signal::JobNew { unit, .. } | Signal::JobRemoved { unit, .. } => unit == SHUTDOWN,
            Signal::Booted | Signal::Reloaded => true,
            Signal::Changed { .. } | Signal::FilesChanged | Signal::Restarted | Signal::Reply(_) => false,
        };
        if changes {
            self.connected();
        }
    }

    /// It is to be asked, once.
    pub(super) fn wants(&mut self) -> bool {
        std::mem::take(&mut self.wants)
    }

    /// It was asked, with this serial.
    pub(super) fn asked(&mut self, serial: u32) {
        self.asked = Some(serial);
    }

    /// False: this was no answer to our question. An answer to an older question says nothing of now.
    pub(super) fn answered(&mut self, serial: u32, state: impl FnOnce() -> Option<SystemState>) -> bool {
        let ours = self.asked == Some(serial);
        if ours {
            self.asked = None;
            self.runs = state() == Some(SystemState::Running);
        }
        ours
    }

    /// It neither boots nor shuts down.
    pub(super) fn runs(&self) -> bool {
        self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobResult;

    fn job(unit: &str) -> Signal {
        Signal::JobNew { id: 1, unit: unit.into() }
    }

    fn running() -> System {
        let mut system = System::default();
        system.connected();
        assert!(system.wants() && !system.wants());
        system.asked(7);
        assert!(system.answered(7, || Some(SystemState::Running)));
        system
    }

    #[test]
    fn it_is_asked_once_and_known_from_then_on() {
        let mut system = running();
        system.heard(&job("nginx.service"));
        assert!(system.runs() && !system.wants());
        system.connected();
        assert!(!system.runs() && system.wants());
    }

    #[test]
    fn f4_a_shutdown_that_is_queued_or_taken_back_is_asked_about() {
        let mut system = running();
        system.heard(&job("shutdown.target"));
        assert!(!system.runs() && system.wants());
        system.asked(8);
        assert!(system.answered(8, || Some(SystemState::Stopping)));
        assert!(!system.runs() && !system.wants());
        let result = JobResult::Canceled;
        system.heard(&Signal::JobRemoved { id: 1, unit: "shutdown.target".into(), result });
        assert!(system.wants());
    }

    #[test]
    fn an_answer_to_an_older_question_says_nothing() {
        let mut system = System::default();
        system.connected();
        assert!(system.wants());
        system.asked(7);
        system.heard(&job("shutdown.target"));
        assert!(!system.answered(7, || Some(SystemState::Running)) && !system.runs());
    }

    #[test]
    fn the_end_of_the_boot_and_an_answer_without_sense_leave_it_unknown() {
        let mut system = running();
        system.heard(&Signal::Booted);
        assert!(system.wants());
        system.asked(8);
        assert!(system.answered(8, || None) && !system.runs());
    }
}
