//! What systemd's words say to the books: states of units, and ends of jobs.

use watchdog::model::{ActiveState, Job, JobKind, JobResult, JobStep, Mono, UnitState};

use super::{Books, remember};

impl Books {
    pub(super) fn state(&mut self, now: Mono, state: &UnitState) {
        let mut ours = false;
        for (service, guard) in &self.settings.services {
            if guard.unit != state.unit {
                continue;
            }
            ours = true;
            let Some(book) = self.services.get_mut(service) else { continue };
            let up = state.active.is_up();
            let new = state.incarnation != book.run;
            if book.state.is_some() && new {
                book.stop_stands = false;
            }
            let ends = book.state.is_some_and(|(active, _, _)| !active.is_down());
            let lived = !new && book.came_up == state.incarnation;
            book.up_since = book.up_since.filter(|_| up);
            book.owed = book.owed.filter(|before| !state.came_up || *before == state.incarnation);
            // a stop without its job was taken back
            book.gap &= state.active != ActiveState::Deactivating || state.job.is_some();
            // whose stop it was that ended what we were to start again, nobody can tell
            if book.gap && lived && ends && book.owed.is_none() && was_stopped(state) {
                book.stop_stands = true;
            }
            book.gap &= !up;
            if up && book.came_up != state.incarnation {
                (book.warming, book.came_up) = (Some(book.up_since.take().unwrap_or(now)), state.incarnation);
            }
            book.run = state.incarnation.or(book.run);
            book.oneshot = state.oneshot;
            book.ended |= !up;
            book.left_alone &= !up;
            book.state = Some((state.active, state.load, state.file));
            book.has_socket = state.socket_activated;
        }
        if !ours {
            self.needed.insert(state.unit.clone(), (state.active, state.load));
        }
    }

    pub(super) fn job(&mut self, now: Mono, job: &Job) {
        for (service, guard) in &self.settings.services {
            if guard.unit != job.unit {
                continue;
            }
            let Some(book) = self.services.get_mut(service) else { continue };
            let (result, active) = match job.step {
                JobStep::New(kind) => {
                    // an operator's last word counts
                    book.stop_stands &= !matches!(kind, Some(JobKind::Start | JobKind::Restart));
                    if let Some(kind) = kind {
                        remember(&mut book.kinds, (job.id, kind));
                    }
                    continue;
                }
                JobStep::Removed { result, active } => (result, active),
            };
            let kind = book.kinds.iter().find(|(id, _)| *id == job.id).map(|(_, kind)| *kind);
            remember(&mut book.over, job.id);
            // numbers grow and a unit has one job: the end of a later one says that ours is over, though its word was lost
            if book.acting.is_some_and(|acting| acting.job.is_some_and(|ours| ours <= job.id)) {
                book.acting = None;
            }
            // what a reply has yet to tell is ours is judged then
            let maybe_ours = book.acting.is_some_and(|acting| acting.job.is_none());
            let own = book.own.contains(&job.id) || maybe_ours;
            let oneshot =
                book.state.is_none() || book.oneshot || active == ActiveState::Inactive && !book.ended;
            let may_stop = matches!(kind, Some(JobKind::Stop) | None);
            if result == JobResult::Done && active.is_down() && may_stop && !own && !oneshot {
                book.stop_stands = true;
            }
            let was_up = book.state.is_some_and(|(active, _, _)| active.is_up());
            book.up_since = active.is_up().then(|| book.up_since.filter(|_| was_up).unwrap_or(now));
            // an operator who takes a stop back has not stopped it
            book.gap &= own || result != JobResult::Canceled;
            // what is up was started again, though the word of that was lost
            book.stop_stands &= !active.is_up();
            if let Some((known, _, _)) = &mut book.state {
                *known = active;
            }
            book.ended |= !active.is_up();
        }
    }
}

/// It left `active` before its main process ended, and not for a reason of systemd's own: what an operator's stop leaves behind
/// where its job was not heard of.
fn was_stopped(state: &UnitState) -> bool {
    let own = matches!(state.result.as_str(), "watchdog" | "oom-kill" | "start-limit-hit");
    state.active.is_down() && state.came_up && state.stopped_first && !own
}
