//! Other settings, another name, or no place in the configuration any more.

use super::{
    Beat, Checking, Desk, Guard, Holding, IncidentEnd, Keeper, Kind, Mono, NO_HEARTBEAT, Plan, Service, Stage,
};

impl Keeper {
    /// Other settings for the same unit: budgets, pauses and the incident live on, questions are asked anew.
    pub(in crate::policy) fn replace(&mut self, desk: &mut Desk<'_>, guard: Guard) {
        let other = guard.heartbeats != self.guard.heartbeats;
        self.guard = guard;
        if !other {
            return;
        }
        let now = desk.now;
        let beats = self.guard.heartbeats.iter();
        self.beats = beats.map(|pulse| Beat::new(pulse.clone(), now, desk.seed)).collect();
        self.warned.clear();
        match &self.stage {
            Stage::Up => {
                self.begin(now, Kind::Confirm);
                self.calm(desk, NO_HEARTBEAT.to_owned());
            }
            Stage::Proving { .. } => self.prove(desk),
            // the verdict was that of other heartbeats, which may be why they were changed
            Stage::Holding(Holding { plan: Plan::Restart, .. })
            | Stage::Checking(Checking { plan: Plan::Restart, .. }) => self.ask_again(desk),
            Stage::New
            | Stage::Down
            | Stage::Ending { .. }
            | Stage::Checking(_)
            | Stage::Holding(_)
            | Stage::Acting(_) => {}
        }
    }

    /// It goes on under another name: what is on its way goes on with it.
    pub(in crate::policy) fn rename(&mut self, now: Mono, name: &Service) {
        self.step(now, format!("goes on as service {name}"));
        self.service = name.clone();
    }

    /// Another service that it knows goes on under another name.
    pub(in crate::policy) fn renamed(&mut self, old: &Service, new: &Service) {
        if self.fronts.remove(old) {
            self.fronts.insert(new.clone());
        }
        if self.twin.as_ref() == Some(old) {
            self.twin = Some(new.clone());
        }
    }

    /// It is in the configuration no more: what was begun is told to its end.
    pub(in crate::policy) fn leave(mut self, desk: &mut Desk<'_>) {
        if self.is_acting() {
            let unit = &self.guard.unit;
            self.alert(desk, format!("taken out of the configuration while a job of ours is on {unit}: nobody looks after its stop and start any more; see `systemctl status {unit}`"));
        }
        if self.incident.is_some() {
            self.step(desk.now, "left alone: it is not in the configuration any more");
            self.end_incident(desk, IncidentEnd::StoodDown);
        }
    }
}
