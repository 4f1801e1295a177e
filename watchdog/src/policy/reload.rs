//! Other settings are in force: who goes, who comes, and who goes on under another name.
//!
//! Invariant: what was begun on a unit is seen to its end by whoever keeps the unit, or told as left alone.

use std::collections::BTreeMap;

use super::{Guard, Keeper, Policy, Settings};
use crate::model::{Mono, Order, Service, Unit};

impl Policy {
    pub(super) fn replace(&mut self, now: Mono, settings: Settings, orders: &mut Vec<Order>) {
        self.host = settings.host;
        for (old, new) in self.renames(&settings.services) {
            self.rename(now, &old, &new);
        }
        let gone = self.gone(&settings.services);
        for service in &gone {
            self.briefs.remove(service);
            self.common.over(service);
            if let Some(keeper) = self.keepers.remove(service) {
                self.parted = self.parted.max(keeper.unanswered());
                keeper.leave(&mut self.desk(now, orders).1);
            }
        }
        for (service, guard) in settings.services {
            if self.keepers.contains_key(&service) {
                self.with(now, &service, orders, |keeper, desk| keeper.replace(desk, guard));
                continue;
            }
            // systemd may have spoken of its unit before, and has no reason to say it again
            let known = self.units.get(&guard.unit).cloned();
            let keeper = Keeper::new(now, service.clone(), guard, &mut self.seed);
            self.keepers.insert(service.clone(), keeper);
            if let Some(state) = known {
                self.with(now, &service, orders, |keeper, desk| keeper.unit(desk, state));
            }
            self.unsure(now, &service, orders);
        }
        for service in &gone {
            self.inherit(now, service, orders);
        }
        let watched = self.units();
        self.units.retain(|unit, _| watched.contains(unit));
    }

    /// What was ordered or said of a service under an old name is of this one, unless somebody else has that name now.
    pub fn name_of(&self, service: &Service) -> Service {
        let moved = self.moved.get(service).filter(|_| !self.keepers.contains_key(service));
        moved.unwrap_or(service).clone()
    }

    /// Services whose unit is watched under their name no more.
    fn gone(&self, services: &BTreeMap<Service, Guard>) -> Vec<Service> {
        let gone = self.keepers.iter().filter(|(service, keeper)| {
            services.get(*service).is_none_or(|guard| guard.unit != keeper.guard.unit)
        });
        gone.map(|(service, _)| service.clone()).collect()
    }

    /// Where exactly one service goes and one comes with the same unit, it is the same service under another name. A name that
    /// stays, with another unit, is another service.
    fn renames(&self, services: &BTreeMap<Service, Guard>) -> Vec<(Service, Service)> {
        let gone = self.gone(services);
        let unit_of = |service: &Service| self.keepers.get(service).map(|keeper| &keeper.guard.unit);
        let leaves = |unit: &Unit| gone.iter().filter(|service| unit_of(service) == Some(unit)).count();
        let comes = |unit: &Unit| {
            let come = services
                .iter()
                .filter(|(service, guard)| guard.unit == *unit && !self.keepers.contains_key(*service));
            come.map(|(service, _)| service.clone()).collect::<Vec<_>>()
        };
        let renamed = gone.iter().filter_map(|old| {
            let unit = unit_of(old)?;
            let [new] = &comes(unit)[..] else { return None };
            (leaves(unit) == 1).then(|| (old.clone(), new.clone()))
        });
        renamed.collect()
    }

    fn rename(&mut self, now: Mono, old: &Service, new: &Service) {
        let Some(mut keeper) = self.keepers.remove(old) else { return };
        keeper.rename(now, new);
        self.keepers.insert(new.clone(), keeper);
        if let Some(brief) = self.briefs.remove(old) {
            self.briefs.insert(new.clone(), brief);
        }
        self.common.rename(old, new);
        self.keepers.values_mut().for_each(|other| other.renamed(old, new));
        self.moved.values_mut().filter(|name| *name == old).for_each(|name| *name = new.clone());
        self.moved.insert(old.clone(), new.clone());
        self.moved.retain(|before, now| before != now);
    }

    /// The first of those that stood beside a service that is gone keeps their unit; the others stand beside that one.
    fn inherit(&mut self, now: Mono, gone: &Service, orders: &mut Vec<Order>) {
        let orphans = self.keepers.iter().filter(|(_, keeper)| keeper.twin() == Some(gone));
        let orphans: Vec<Service> = orphans.map(|(service, _)| service.clone()).collect();
        let Some((first, rest)) = orphans.split_first() else { return };
        for other in rest {
            self.with(now, other, orders, |keeper, desk| keeper.stand_beside(desk, first));
        }
        self.with(now, first, orders, Keeper::take_over);
        self.unsure(now, first, orders);
    }

    /// What a service that left had requested may be on its unit.
    fn unsure(&mut self, now: Mono, service: &Service, orders: &mut Vec<Order>) {
        if self.parted.is_some() {
            self.with(now, service, orders, Keeper::resume_unsure);
        }
    }
}
