//! What follows from the owners for others: what the filters in the kernel let through, and who stands in front of whom.

use std::collections::BTreeSet;

use super::Suspicions;
use crate::model::{Finding, Watch, WatchedPort};

impl Suspicions {
    pub(super) fn rewatch(&mut self, found: &mut Vec<Finding>) {
        let unit = |service| Some(self.settings.services.get(service)?.unit.clone());
        let services = self.owners.services();
        let units = services.filter_map(|(cgroup, service)| Some((cgroup, unit(service)?))).collect();
        let answers = self.answers();
        let mut watch = Watch { cgroups: self.owners.cgroups(), units, answers, ..Watch::default() };
        for (service, watched) in &self.settings.services {
            if !watched.asked {
                continue;
            }
            for port in watched.ports().chain(self.owners.ports(service)) {
                let entry = watch.ports.entry(port).or_insert(WatchedPort {
                    accept_after: watched.accept_after,
                    answer_after: watched.answer_after,
                });
                entry.accept_after = entry.accept_after.min(watched.accept_after);
                entry.answer_after = entry.answer_after.min(watched.answer_after);
            }
            for path in watched.paths().chain(self.owners.paths(service)) {
                let entry = watch.unix.entry(path.clone()).or_insert(watched.accept_after);
                *entry = watched.accept_after.min(*entry);
            }
        }
        if watch != self.watch {
            self.watch = watch.clone();
            found.push(Finding::Watch(watch));
        }
    }

    /// The cgroups in which a status of 500 and above is looked for: their own, and of those in front of them.
    fn answers(&self) -> BTreeSet<String> {
        let read = self.settings.services.iter().filter(|(_, watched)| watched.asked && watched.status_5xx);
        let who = read.flat_map(|(service, watched)| {
            self.owners.fronts(service, watched).into_iter().chain([service.clone()])
        });
        who.filter_map(|service| self.owners.last_path(&service).map(str::to_owned)).collect()
    }

    pub(super) fn refront(&mut self, found: &mut Vec<Finding>) {
        for (service, watched) in &self.settings.services {
            let fronts = self.owners.fronts(service, watched);
            if self.fronts.get(service).is_none_or(|known| *known != fronts) {
                let before = self.fronts.insert(service.clone(), fronts.clone());
                if before.is_some() || !fronts.is_empty() {
                    found.push(Finding::Fronts { service: service.clone(), fronts });
                }
            }
        }
    }
}
