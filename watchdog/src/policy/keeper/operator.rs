//! What an operator asks for: hands off, and a restart.
//!
//! A restart that is asked for goes the way of every other: the same looks before it, one job for one incarnation, one incident that ends when it answers,
//! and it is charged to the budgets. But no verdict is needed for it, no budget and no pause between restarts holds it, and a
//! good answer does not end it. Its turn behind other restarts is waited for; whatever else stands against it ends it at once,
//! with its reason: who asked waits for the answer, and has `systemctl` for what watchdog refuses.

use serde::{Deserialize, Serialize};

use super::{
    Checking, Desk, Hold, Holding, IncidentEnd, Keeper, Kind, Plan, Stage, UnitState, decide::LONG, words,
};
use crate::{
    model::{LoadState, Mono, Pause},
    policy::tries::Room,
};

/// Asked for, and not requested of systemd yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// What was to be done, and why, when it came in between.
    before: Before,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before {
    /// Nothing: it was up, or at rest.
    Nothing,
    /// Not clear yet.
    Unclear,
    /// To start or restart it, by this rule.
    Plan(String),
}

impl Keeper {
    pub(in crate::policy) fn pause(&mut self, pause: Option<Pause>) {
        self.pause = pause;
    }

    /// An operator's pause is in force.
    pub(in crate::policy) fn is_paused(&self, now: Mono) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.until > now)
    }

    /// An operator's pause, or `observe`: nothing is done to the unit.
    pub(super) fn hands_off(&self, desk: &Desk<'_>) -> bool {
        desk.host.observe || self.is_paused(desk.now)
    }

    /// Why no restart that is asked for now is taken up, where that is known without a look.
    pub(in crate::policy) fn refuses(&self, desk: &Desk<'_>) -> Option<String> {
        let name = &self.guard.unit;
        let Some(unit) = &self.unit else {
            return Some("nothing is known of its unit yet; try again in a moment".to_owned());
        };
        match unit.load {
            LoadState::NotFound => return Some(format!("there is no unit {name}")),
            LoadState::Masked => return Some(format!("{name} is masked; `systemctl unmask {name}`")),
            LoadState::Loaded | LoadState::Error => {}
        }
        if self.is_acting() {
            return Some("it is being restarted already".to_owned());
        }
        let Some(plan) = plan(unit) else {
            return Some(format!("its unit is {}; try again when that is over", words::active(unit.active)));
        };
        if let Some((hold, _)) = self.hands_off_for(desk, plan, desk.now) {
            return Some(self.refusal(&hold));
        }
        if desk.reboots.on_its_way_until(desk.now).is_some() {
            return Some(words::hold(&Hold::Shutdown));
        }
        self.failing_dependency(desk, plan).map(|on| words::hold(&Hold::Dependency { on }))
    }

    /// An operator wants it.
    pub(in crate::policy) fn restart_wanted(&mut self, desk: &mut Desk<'_>, by: &str, reason: &str) {
        let plan = self.unit.as_ref().and_then(plan);
        let Some(plan) = plan.filter(|_| self.refuses(desk).is_none()) else { return };
        let before = match &self.stage {
            Stage::Up | Stage::Down if self.incident.is_none() => Before::Nothing,
            Stage::Checking(Checking { rule, .. }) | Stage::Holding(Holding { rule, .. }) => {
                Before::Plan(rule.clone())
            }
            Stage::New
            | Stage::Up
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Acting(_)
            | Stage::Proving { .. } => Before::Unclear,
        };
        let before = self.wanted.take().map_or(before, |wanted| wanted.before);
        self.wanted = Some(Wanted { before });
        let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let rule = format!("asked for by {by}{why}");
        self.open(desk, desk.now);
        self.step(desk.now, format!("a restart is {rule}"));
        self.quiet_beats();
        self.decide_below(desk, plan, rule);
    }

    /// Whether this ends a restart that an operator asked for; then that is told, and it is as it was before.
    pub(super) fn turns_down(&mut self, desk: &mut Desk<'_>, plan: Plan, rule: &str, hold: &Hold) -> bool {
        if matches!(hold, Hold::Concurrency | Hold::Together { .. }) {
            return false;
        }
        let Some(Wanted { before }) = self.wanted.take() else { return false };
        let why = self.refusal(hold);
        self.step(desk.now, format!("not restarted: {why}"));
        self.alert(desk, format!("not restarted, though {rule}: {why}"));
        match (before, plan) {
            (Before::Nothing, Plan::Restart) => {
                self.stage = Stage::Up;
                self.begin(desk.now, Kind::Confirm);
                self.end_incident(desk, IncidentEnd::StoodDown);
            }
            (Before::Nothing, Plan::Start) => {
                self.stage = Stage::Down;
                self.end_incident(desk, IncidentEnd::StoodDown);
            }
            (Before::Plan(_) | Before::Unclear, Plan::Restart) => self.ask_again(desk),
            (Before::Plan(rule), Plan::Start) => self.decide_below(desk, plan, rule),
            (Before::Unclear, Plan::Start) => {
                self.ending(desk.now);
                self.judge(desk);
            }
        }
        true
    }

    /// It ended meanwhile: where the restart is turned down, that end is judged.
    pub(super) fn ended_while_wanted(&mut self) {
        if let Some(wanted) = &mut self.wanted {
            wanted.before = Before::Unclear;
        }
    }

    /// What it has cost already: a pause between two restarts, or a budget. That holds all but what an operator asks for.
    pub(super) fn spent(&mut self, desk: &mut Desk<'_>) -> Option<(Hold, Mono)> {
        if self.wanted.is_some() {
            return None;
        }
        match self.tries.room(desk.now, &self.guard) {
            Room::Now => {}
            Room::Backoff(until) => return Some((Hold::Backoff, until)),
            Room::Spent(until) => return Some((Hold::Quarantine, self.climb_or(desk.now, until))),
        }
        let until = desk.host_tries.room(desk.now, desk.host.restarts, desk.host.within)?;
        Some((Hold::HostBudget, until.min(desk.now + LONG))) // by then someone must hear of it
    }

    /// What holds, and what an operator can do about it.
    fn refusal(&self, hold: &Hold) -> String {
        let why = words::hold(hold);
        let (name, unit) = (&self.service, &self.guard.unit);
        match hold {
            Hold::Pause => {
                let pause = self.pause.as_ref();
                let reason = |pause: &Pause| match pause.reason.as_str() {
                    "" => String::new(),
                    reason => format!(" ({reason})"),
                };
                let by = pause.map(|pause| format!(" of {}{}", pause.by, reason(pause))).unwrap_or_default();
                format!("{why}{by}; `watchdog resume {name}` first")
            }
            Hold::Observe => format!("{why}; `systemctl restart {unit}` does it"),
            Hold::Disabled => format!("{why}; `systemctl enable {unit}`, or only_if_enabled = false"),
            Hold::Backoff
            | Hold::Quarantine
            | Hold::HostBudget
            | Hold::Concurrency
            | Hold::Dependency { .. }
            | Hold::ForeignJob { .. }
            | Hold::Request
            | Hold::PortHeld { .. }
            | Hold::Gate { .. }
            | Hold::Preflight { .. }
            | Hold::Ourselves { .. }
            | Hold::Together { .. }
            | Hold::Unstartable { .. }
            | Hold::Instance { .. }
            | Hold::Package { .. }
            | Hold::Boot
            | Hold::Shutdown
            | Hold::Reboot { .. }
            | Hold::Frozen
            | Hold::Debugger { .. }
            | Hold::Systemd
            | Hold::Twin { .. } => why,
        }
    }
}

/// What a restart is for a unit like this; `None`: it is on its way somewhere.
fn plan(unit: &UnitState) -> Option<Plan> {
    if unit.active.is_up() {
        return Some(Plan::Restart);
    }
    unit.active.is_down().then_some(Plan::Start)
}
