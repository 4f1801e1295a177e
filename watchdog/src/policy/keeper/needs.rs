//! What a service needs, and whether that stands against a plan for it.
//!
//! What it needs is asked as soon as it has failed once, so that its verdict does not come before that answer is known or on
//! its way; and a failure from before that was well again is not its own.

use super::{Brief, Desk, Keeper, Mono, Plan, UnitState, brief::is_done};
use crate::{
    model::{ActiveState, LoadState},
    policy::settings::Dependency,
};

impl Keeper {
    /// Services and fronts that this one needs.
    pub(super) fn leans_on(&self) -> impl Iterator<Item = super::Service> {
        let named = self.guard.depends_on.iter().filter_map(|dependency| match dependency {
            Dependency::Service(service) => Some(service.clone()),
            Dependency::Unit(_) => None,
        });
        named.chain(self.fronts.iter().cloned())
    }

    /// It has failed once, or its first failure will be its last: those that have not answered since are asked too.
    pub(super) fn ask_what_it_leans_on(&self, desk: &mut Desk<'_>, failed: Mono) {
        let began = self.incident.as_ref().map_or(failed, |incident| incident.began.min(failed));
        let silent = |service: &super::Service| {
            desk.briefs.get(service).is_some_and(|brief| brief.is_silent_since(began))
        };
        let silent: Vec<super::Service> = self.leans_on().filter(silent).collect();
        desk.ask.extend(silent);
    }

    /// When the last of what it needs was found well again.
    pub(super) fn needs_well_since(&self, desk: &Desk<'_>) -> Option<Mono> {
        let needed = self.guard.depends_on.iter().filter_map(|dependency| match dependency {
            Dependency::Service(service) => desk.briefs.get(service),
            Dependency::Unit(_) => None,
        });
        needed.filter_map(|brief| brief.well_since).max()
    }

    /// What this one needs and is failing; for a restart, it must have answered since the incident began, where it is being
    /// asked. So must a front end, which holds only a restart: it and not this one may be what is sick. Of those that wait for
    /// each other, one must begin.
    pub(super) fn failing_dependency(&self, desk: &Desk<'_>, plan: Plan) -> Option<String> {
        if self.waived { None } else { self.fails_that_it_needs(desk, plan) }
    }

    /// The same, however long it has waited for that.
    pub(super) fn fails_that_it_needs(&self, desk: &Desk<'_>, plan: Plan) -> Option<String> {
        let began = self.incident.as_ref().map_or(desk.now, |incident| incident.began);
        for dependency in &self.guard.depends_on {
            match dependency {
                Dependency::Service(service) => {
                    let holds = |brief: &Brief| match plan {
                        Plan::Restart => brief.failing || brief.may_fail_since(began),
                        Plan::Start => brief.failing && !brief.rests,
                    };
                    let failing = desk.briefs.get(service).is_some_and(holds);
                    if failing && !self.is_awaited_by(desk, service) {
                        return Some(service.to_string());
                    }
                }
                Dependency::Unit(unit) => {
                    if desk.units.get(unit).is_some_and(|state| needed(state, plan)) {
                        return Some(unit.to_string());
                    }
                }
            }
        }
        if plan == Plan::Start {
            return None;
        }
        let unwell = |service: &&super::Service| {
            desk.briefs.get(*service).is_some_and(|brief| {
                // a front that was restarted in vain is sick for another's sake
                (brief.failing || brief.may_fail_since(began)) && !brief.tried
            })
        };
        let in_front = self.fronts.iter().filter(unwell).find(|front| !self.is_awaited_by(desk, front));
        in_front.map(ToString::to_string)
    }

    /// What it needs that has ended and was not stopped: systemd may stop this one for that.
    pub(super) fn failing_need(&self, desk: &Desk<'_>) -> Option<String> {
        self.guard.depends_on.iter().find_map(|dependency| match dependency {
            Dependency::Service(service) => {
                let brief = desk.briefs.get(service)?;
                (brief.failing && !brief.rests).then(|| service.to_string())
            }
            Dependency::Unit(unit) => {
                let failed = desk.units.get(unit)?.active == ActiveState::Failed;
                failed.then(|| unit.to_string())
            }
        })
    }

    /// Whether that one waits, itself or by what it waits for, for this one.
    fn is_awaited_by(&self, desk: &Desk<'_>, other: &super::Service) -> bool {
        let mut waiting = other.clone();
        for _ in 0..desk.briefs.len() {
            let Some(on) = desk.briefs.get(&waiting).and_then(|brief| brief.waits_for.as_deref()) else {
                return false;
            };
            if on == self.service.as_str() {
                return true;
            }
            waiting = super::Service::new(on);
        }
        false
    }
}

/// Whether a unit that is no service of ours stands against a plan for what needs it. One that is absent, has done its work
/// or waits for a client is not failing; one that rests stands only against the stop of what lives.
fn needed(unit: &UnitState, plan: Plan) -> bool {
    match unit.active {
        ActiveState::Active | ActiveState::Reloading => false,
        ActiveState::Failed
        | ActiveState::Activating
        | ActiveState::Deactivating
        | ActiveState::Maintenance => unit.load != LoadState::NotFound,
        ActiveState::Inactive => {
            let rests = !unit.socket_activated && !is_done(unit) && unit.load == LoadState::Loaded;
            plan == Plan::Restart && rests
        }
    }
}
