//! Whether an action may be ordered now.

use watchdog::{
    model::{Act, Action, ActiveState, FileState, LoadState, Mono, OnFailure, Service},
    policy::{Dependency, Guard},
};

use super::{FRESH, GOES_DOWN, JUST_BEGUN, Judge, STOP_COUNTS};
use crate::{book::Book, invariants::Invariant};

impl Judge {
    pub(super) fn lawful(&self, at: Mono, act: &Act) -> Result<(), (Invariant, String)> {
        let broken = |invariant, what: &str| Err((invariant, what.to_owned()));
        let (Some(guard), Some(book)) =
            (self.books.guard(&act.service), self.books.services.get(&act.service))
        else {
            return broken(Invariant::Intent, "done to a service that is not configured");
        };
        let Some((active, load, file)) = book.state else {
            return broken(Invariant::Evidence, "done to a unit that was never seen");
        };
        if act.incarnation != book.run {
            return Err((Invariant::Incarnation, format!("the run that was judged is {:?}", book.run)));
        }
        if self.books.closed.contains_key(&act.incident) {
            return broken(Invariant::IncidentEnds, "done in an incident that has ended");
        }
        let hands_off = self.books.settings.host.observe || book.paused.is_some_and(|until| until > at);
        match act.action {
            Action::Undo => return Ok(()),
            Action::Reboot => return self.lawful_reboot(at, act, guard, book),
            Action::Restart { .. }
            | Action::Start { .. }
            | Action::StartAfresh { .. }
            | Action::Kill
            | Action::Cancel { .. } => {
                if hands_off {
                    return broken(Invariant::HandsOff, "done in a pause");
                }
            }
        }
        match act.action {
            Action::Undo | Action::Reboot => return Ok(()),
            Action::Kill | Action::Cancel { .. } => {
                return match self.books.open.contains_key(&act.incident) {
                    true => Ok(()),
                    false => broken(Invariant::Evidence, "done where nothing was begun"),
                };
            }
            Action::Restart { .. } => self.lawful_restart(at, act, guard, book, load)?,
            Action::Start { .. } | Action::StartAfresh { .. } => {
                if !book.ended || active.is_up() {
                    return broken(Invariant::Evidence, "a start of what has not ended");
                }
                if book.held_port.is_some_and(|(_, held)| held) {
                    return broken(Invariant::CanStart, "a start where a stranger holds the port");
                }
            }
        }
        if self.books.reboot.is_some_and(|(_, asked, over)| !over && at.since(asked) < GOES_DOWN) {
            return broken(Invariant::Reboot, "begun though the host goes down");
        }
        if book.full_disk.is_some_and(|(_, full)| full) {
            let dead = !matches!(act.action, Action::Restart { .. });
            if !(dead && book.spited) {
                return broken(Invariant::Gates, "a disk is full");
            }
        }
        if book.stop_stands {
            return broken(Invariant::Intent, "against an operator's stop");
        }
        let masked = load == LoadState::Masked || file == FileState::Masked;
        let off = masked || (file == FileState::Disabled && !book.has_socket);
        if guard.only_if_enabled && off {
            return broken(Invariant::Intent, "the unit is disabled or masked");
        }
        if let Some(second) = self.books.busy(&act.service, at) {
            return Err((Invariant::OneJob, format!("beside {second:?}")));
        }
        if at < book.not_before {
            return Err((Invariant::Pauses, format!("not before {}", book.not_before)));
        }
        let spent = book.tries.iter().filter(|(then, _)| at.since(*then) < guard.within).count();
        if spent >= guard.burst.max(1) as usize {
            return Err((Invariant::Budget, format!("{spent} are spent within {:?}", guard.within)));
        }
        let host = &self.books.settings.host;
        let spent = self.books.tries.iter().filter(|(then, _)| at.since(*then) < host.within).count();
        if spent >= host.restarts as usize {
            return Err((Invariant::HostBudget, format!("{spent} are spent within {:?}", host.within)));
        }
        Ok(())
    }

    fn lawful_reboot(
        &self,
        at: Mono,
        act: &Act,
        guard: &Guard,
        book: &Book,
    ) -> Result<(), (Invariant, String)> {
        let broken = |what: &str| Err((Invariant::Reboot, what.to_owned()));
        let (ladder, books) = (&guard.ladder, &self.books);
        if books.settings.host.observe
            || books.services.values().any(|book| book.paused.is_some_and(|until| until > at))
        {
            return Err((Invariant::HandsOff, "a reboot in a pause".to_owned()));
        }
        if !ladder.reboot {
            return broken("nobody wants a reboot");
        }
        if at < Mono(0) + ladder.reboot_every || at < books.booted + ladder.reboot_every {
            return Err((Invariant::Reboot, format!("the host is up since {}", books.booted)));
        }
        if books.reboot.is_some_and(|(_, asked, _)| at.since(asked) < ladder.reboot_after) {
            return broken("one was asked for just now");
        }
        if book.tried == 0 || book.quarantined.is_none_or(|since| at.since(since) < ladder.reboot_after) {
            let (since, tried) = (book.quarantined, book.tried);
            return Err((Invariant::Reboot, format!("in quarantine since {since:?}, tried {tried} times")));
        }
        let Some((active, load, file)) = book.state else { return broken("of a unit that was never seen") };
        let failed =
            guard.heartbeats.iter().zip(&book.beats).any(|(pulse, (failed, _))| {
                pulse.on_failure == OnFailure::Restart && *failed >= pulse.failures
            });
        let fresh = failed && book.last_dead.is_some_and(|last| at.since(last) <= FRESH);
        let dead = book.ended && active.is_down();
        if !(fresh || dead) {
            return Err((Invariant::Evidence, "a reboot without a failure".to_owned()));
        }
        let off = load == LoadState::Masked || matches!(file, FileState::Disabled | FileState::Masked);
        if book.stop_stands || off {
            return Err((Invariant::Intent, "the unit is stopped, disabled or masked".to_owned()));
        }
        let stands = [book.held_port, book.broken, book.full_disk];
        if stands.into_iter().flatten().any(|(_, stands)| stands) {
            return Err((Invariant::CanStart, "it would not help".to_owned()));
        }
        let busy = |service: &&Service| {
            **service != act.service && books.busy(service, at).is_some_and(|a| at.since(a.at) < JUST_BEGUN)
        };
        match books.services.keys().find(busy) {
            Some(other) => Err((Invariant::Reboot, format!("{other} is being restarted"))),
            None => Ok(()),
        }
    }

    fn lawful_restart(
        &self,
        at: Mono,
        act: &Act,
        guard: &Guard,
        book: &Book,
        load: LoadState,
    ) -> Result<(), (Invariant, String)> {
        let broken = |invariant, what: &str| Err((invariant, what.to_owned()));
        let restarting = || {
            let beats = guard.heartbeats.iter().zip(&book.beats);
            beats.filter(|(pulse, _)| pulse.on_failure == OnFailure::Restart)
        };
        if !restarting().any(|(pulse, (failed, _))| *failed >= pulse.failures) {
            return broken(Invariant::Evidence, "a restart without a failed heartbeat");
        }
        if book.last_dead.is_none_or(|last| at.since(last) > FRESH) {
            return Err((Invariant::Fresh, format!("the last failure came at {:?}", book.last_dead)));
        }
        if book.warming.is_some_and(|since| at.since(since) < guard.grace) {
            return Err((Invariant::WarmUp, format!("it came up at {:?}", book.warming)));
        }
        if book.broken.is_some_and(|(_, broken)| broken) {
            return broken(Invariant::CanStart, "its configuration is broken");
        }
        if load != LoadState::Loaded {
            return Err((Invariant::CanStart, format!("the unit is {load:?}")));
        }
        for dependency in &guard.depends_on {
            let Dependency::Unit(unit) = dependency else { continue };
            let failing = self.books.needed.get(unit).is_some_and(|(active, load)| {
                matches!(active, ActiveState::Failed | ActiveState::Activating | ActiveState::Deactivating)
                    && *load != LoadState::NotFound
            });
            if failing && !book.waived {
                return Err((Invariant::Needs, format!("{unit} is failing")));
            }
        }
        let restarted_now = |service: &&Service| {
            **service != act.service
                && self.books.busy(service, at).is_some_and(|a| a.living && at.since(a.at) < STOP_COUNTS)
        };
        let others = self.books.services.keys().filter(restarted_now).count();
        if others >= self.books.settings.host.concurrent_restarts as usize {
            return Err((Invariant::OneRestart, format!("beside {others} others")));
        }
        Ok(())
    }
}
