//! What a service needs, and whether that stands against a plan for it.

use super::{Brief, Desk, Keeper, Plan, UnitState, brief::is_done};
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

    /// What this one needs and is failing. A front end holds only a restart that its own port's heartbeat asks for, and must
    /// have answered since the incident began: it and not this one may be what is sick. Of those that wait for each other, one
    /// must begin.
    pub(super) fn failing_dependency(&self, desk: &Desk<'_>, plan: Plan) -> Option<String> {
        if self.waived {
            return None;
        }
        for dependency in &self.guard.depends_on {
            match dependency {
                Dependency::Service(service) => {
                    let holds = |brief: &Brief| brief.failing && (plan == Plan::Restart || !brief.rests);
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
        let began = self.incident.as_ref().map_or(desk.now, |incident| incident.began);
        let unwell = |service: &&super::Service| {
            desk.briefs.get(*service).is_some_and(|brief| {
                let unwell = brief.asking && brief.asked && brief.alive_at.is_none_or(|at| at < began);
                // a front that was restarted in vain is sick for another's sake
                (brief.failing || unwell) && !brief.tried
            })
        };
        let in_front = self.fronts.iter().filter(unwell).find(|front| !self.is_awaited_by(desk, front));
        in_front.map(ToString::to_string)
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
