//! Runs that end as soon as they begin: recognised at the third, whoever starts them, and told with the program's last words.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Decision, Desk, Hold, Keeper, Mono, OrderId, Question, Stage, words};
use crate::policy::cause;

/// So many short runs in a row are a loop.
const LOOP: u32 = 3;
/// The journal answers in two seconds, or not at all.
const WORDS: Duration = Duration::from_secs(5);

/// Short runs, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Loop {
    runs: u32,
    /// The last one that was counted.
    counted: Option<super::Incarnation>,
    /// An alert that waits for the last words.
    waits: Option<Waits>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waits {
    look: OrderId,
    what: String,
    until: Mono,
}

impl Loop {
    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.waits.as_ref().map(|waits| waits.until)
    }
}

impl Keeper {
    /// A run is over, or its start failed. Short is what ended before its grace was over, or never came up.
    pub(super) fn run_ended(&mut self, desk: &mut Desk<'_>, told: &str) {
        let Some(unit) = &self.unit else { return };
        if self.crash_loop.counted == unit.incarnation {
            return;
        }
        self.crash_loop.counted = unit.incarnation;
        let long = |began: Mono| desk.now.since(began) >= self.guard.grace;
        if unit.came_up && self.began.is_none_or(long) {
            self.crash_loop.runs = 0;
            return;
        }
        self.crash_loop.runs = self.crash_loop.runs.saturating_add(1);
        if self.crash_loop.runs != LOOP {
            return;
        }
        let what = format!(
            "crash loop: {LOOP} runs in a row ended before they were {:?} old, the last so: {told}",
            self.guard.grace
        );
        self.step(desk.now, what.clone());
        let look = self.look(desk, Question::LastWords);
        self.crash_loop.waits = Some(Waits { look, what, until: desk.now + WORDS });
    }

    /// Our start failed; the unit's last state says how.
    pub(super) fn start_failed(&mut self, desk: &mut Desk<'_>) {
        let Some(unit) = &self.unit else { return };
        let told = words::ended(unit, cause::class(unit, None), None);
        self.run_ended(desk, &told);
    }

    /// The last words of the program are known, or will not be.
    pub(super) fn last_words(&mut self, desk: &mut Desk<'_>, look: OrderId, words: &[String]) {
        let Some(waits) = self.crash_loop.waits.take_if(|waits| waits.look == look) else { return };
        let unit = &self.guard.unit;
        let said = match words {
            [] => format!("see `journalctl -u {unit}`"),
            lines => format!("its last words: {}", lines.join(" / ")),
        };
        self.alert(desk, format!("{}; {said}", waits.what));
    }

    pub(super) fn no_last_words(&mut self, desk: &mut Desk<'_>) {
        let late = self.crash_loop.waits.as_ref().filter(|waits| waits.until <= desk.now);
        if let Some(look) = late.map(|waits| waits.look) {
            self.last_words(desk, look, &[]);
        }
    }

    /// systemd restarts it by itself; told once per incident and run.
    pub(super) fn told_of_auto_restart(&mut self, desk: &mut Desk<'_>) {
        let Some(unit) = &self.unit else { return };
        let class = cause::class(unit, self.exit.as_ref().and_then(|(exit, _)| exit.cause));
        let told = words::ended(unit, class, self.exit.as_ref());
        self.run_ended(desk, &told);
        let Some(unit) = &self.unit else { return };
        let why =
            format!("{told}; systemd restarts it by itself (Restart={})", words::restart_on(unit.restart));
        let incident = self.incident.as_ref().map(|incident| incident.id);
        let held = Decision::Hold { hold: Hold::Systemd, until: desk.now + unit.restart_pause };
        if self.incident.as_mut().is_some_and(|incident| incident.once(desk.now, why)) {
            self.tell(desk, incident, held);
        }
    }

    /// A quarantine is never silent for good.
    pub(super) fn remind(&mut self, desk: &mut Desk<'_>) {
        let Some((lasts, tried)) = self.tries.remind(desk.now, &self.guard) else { return };
        if self.stage == Stage::Down {
            return; // it was stopped, and nobody tries it
        }
        let unit = &self.guard.unit;
        let hours = lasts.as_secs() / 3600;
        self.alert(desk, format!("{unit} has been in quarantine for {hours} h and was tried {tried} times since; it is still watched and tried again"));
    }

    /// systemd has restarted it by itself: that counts as a restart of ours does, for the host up to what the service itself may
    /// cost: one that systemd restarts for ever must not take the others' restarts away.
    pub(super) fn restarted_by_systemd(&mut self, desk: &mut Desk<'_>) {
        if self.tries.has_room_for_systemd(desk.now, &self.guard) {
            desk.host_tries.charge_unasked(desk.now, desk.host.within);
        }
        if self.tries.restarted_by_systemd(desk.now, &self.guard) {
            let (burst, within) = (self.guard.burst, self.guard.within);
            let unit = &self.guard.unit;
            self.alert(desk, format!("systemd has restarted {unit} more than {burst} times within {within:?}, and it does not stay up: see `journalctl -u {unit}`"));
        }
    }
}
