//! What systemd does with what watchdog asks for.

use watchdog::model::{Act, Action, JobKind, Mono, Result};

use super::{Host, Owner, Reply};

impl Host {
    /// Carries it out on this unit. A host that cannot reboot refuses that.
    pub(crate) fn obey(&mut self, now: Mono, at: usize, act: &Act) -> Result {
        let owner = Owner::Ours(act.id);
        match act.action {
            Action::Restart { reset: true } | Action::Start { reset: true } => self.reset_failed(at),
            Action::StartAfresh { reset, .. } => {
                self.units[at].stale_pid_file = false;
                if reset {
                    self.reset_failed(at);
                }
            }
            Action::Restart { reset: false }
            | Action::Start { reset: false }
            | Action::Undo
            | Action::Cancel { .. }
            | Action::Kill
            | Action::Reboot => {}
        }
        let reply = match act.action {
            Action::Restart { .. } => self.try_restart(now, at, owner),
            Action::Start { .. } | Action::StartAfresh { .. } => {
                self.ask_job(now, at, JobKind::Start, owner, false)
            }
            Action::Undo => self.ask_job(now, at, JobKind::Stop, owner, true),
            Action::Reboot => Reply::Refused("org.freedesktop.systemd1.UnitMasked"),
            Action::Cancel { job } => {
                return if self.cancel(at, job) { Result::Done } else { Result::Nothing };
            }
            Action::Kill => {
                let run = act.incarnation.map(|run| u128::from_be_bytes(run.0));
                let run = run.and_then(|run| u32::try_from(run).ok());
                let killed = run.is_some_and(|run| self.kill(now, at, run));
                return if killed { Result::Done } else { Result::Nothing };
            }
        };
        match reply {
            Reply::Queued(job) => Result::Queued { job },
            Reply::Refused(error) => Result::Refused { error: error.to_owned(), text: "no".to_owned() },
        }
    }
}
