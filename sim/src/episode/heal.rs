//! The end of a host: everything is well again, and nothing may stay broken.

use std::time::Duration;

use watchdog::{
    model::{ActiveState, Command, FileState, LoadState, Mono, Service, Source},
    policy::Dependency,
};

use super::Episode;
use crate::{
    books::Told,
    host::{Health, StartWay, StopWay, Word},
    invariants::Invariant,
    scenario::{millis, secs},
};

/// Quarantine tries again after an hour at the latest; what waits behind it comes after.
const LONGEST: Duration = Duration::from_secs(5 * 3600);
/// Steps in which nothing comes to rest are a circle, too.
const MOST: u64 = 200_000;

impl Episode {
    /// The world heals; every service must be up, or left alone for a reason.
    pub(super) fn heal(&mut self) {
        self.line(|now| format!("{now} # the world heals"));
        while self.dead.is_some() || self.trouble.gap {
            self.advance_quietly();
        }
        self.crash = None;
        self.trouble.ring_loss = false;
        (self.trouble.lossy, self.trouble.unknown_until) = (false, Mono(0));
        (self.trouble.systemd_slow_until, self.trouble.short_until) = (Mono(0), Mono(0));
        let mut healed = self.all.clone();
        healed.policy.host.observe = false;
        self.current = healed;
        let settings = self.current.policy.clone();
        self.step(Told::Settings(&settings));
        for service in settings.services.keys().cloned() {
            self.step(Told::Command(&Command::Resume { service }));
        }
        for at in 0..self.host.units.len() {
            let unit = &mut self.host.units[at];
            (unit.health, unit.port_taken) = (Health::Well, false);
            (unit.broken, unit.stale_pid_file) = (false, false);
            (unit.start_way, unit.stop_way) = (StartWay::Well(millis(50)), StopWay::Obeys(millis(20)));
            (unit.load, unit.file) = (LoadState::Loaded, FileState::Other);
            self.host.thaw(self.now, at);
            self.host.words.push(Word::State(at));
        }
        if let Some(needed) = self.needed() {
            (self.host.units[needed].active, self.host.units[needed].sub) = (ActiveState::Active, "running");
        }
        self.heed();
        self.lost(Source::Ebpf);
        self.rest();
    }

    fn rest(&mut self) {
        let (began, most) = (self.now, self.steps + MOST);
        let mut rested = Err(String::new());
        let mut looked = self.steps;
        while self.judge.broken.is_none() && self.now.since(began) < LONGEST && self.steps < most {
            self.advance_quietly();
            if self.steps >= looked + 25 && self.now.since(began) > secs(1) {
                looked = self.steps;
                rested = self.rested();
                if rested.is_ok() {
                    break;
                }
            }
        }
        if let Err(what) = rested.or_else(|_| self.rested()) {
            self.judge.breaks(Invariant::Healed, what);
        }
    }

    /// Nothing new goes wrong.
    fn advance_quietly(&mut self) {
        self.queue.drop_fault();
        self.advance();
    }

    fn rested(&self) -> Result<(), String> {
        for (service, stage, _) in self.subject.policy().wakings() {
            let Some(unit) = self.all.homes.get(service).map(|at| &self.host.units[*at]) else { continue };
            let Some(book) = self.judge.books.services.get(service) else { continue };
            let fits = match stage {
                "up" => unit.active.is_up(),
                "stopped" | "down" | "absent" | "waits for a client" => unit.active.is_down(),
                _ => false,
            };
            let told = || format!("{service} is kept as {stage}, and {} is {:?}", unit.name, unit.active);
            if !fits && self.leans_on_the_stopped(service, 0) {
                continue;
            }
            if !fits {
                return Err(told());
            }
            let reason = unit.wanted_down || unit.oneshot || unit.socket || book.left_alone;
            if unit.active.is_down() && !reason {
                return Err(format!("{}, for no reason", told()));
            }
            if stage == "stopped" && !unit.was_stopped && !unit.oneshot && !self.guesses {
                return Err(format!("{}, though nobody stopped it", told()));
            }
            // a stop of a failed unit leaves no trace for those who come later, nor counts what one heard who keeps it no more
            let seen = book.since <= unit.stopped_at && !self.stands_beside(service);
            if unit.wanted_down && seen && !unit.active.is_down() && !self.guesses {
                return Err(format!("{}, against an operator's stop", told()));
            }
        }
        let mut open = self.judge.books.open.iter();
        match open.find(|(_, service)| !self.leans_on_the_stopped(service, 0)) {
            None => Ok(()),
            Some((incident, service)) => Err(format!("incident {incident} of {service} has no end")),
        }
    }

    /// Another keeps their unit, by its own settings.
    fn stands_beside(&self, service: &Service) -> bool {
        let home = self.all.homes.get(service);
        self.all.homes.iter().any(|(other, at)| other < service && Some(at) == home)
    }

    /// What it needs, or what stands in front of it, stays down: then nothing can make it well.
    fn leans_on_the_stopped(&self, service: &Service, depth: usize) -> bool {
        if self.stands_beside(service) {
            return true;
        }
        let down = |at: &usize| !self.host.units[*at].active.is_up();
        let needs = self.all.policy.services.get(service).map(|guard| &guard.depends_on);
        let needs = needs.into_iter().flatten().filter_map(|dependency| match dependency {
            Dependency::Service(needed) => Some(needed),
            Dependency::Unit(_) => None,
        });
        let fronts = self.all.fronts.get(service);
        fronts.is_some_and(down)
            || needs.into_iter().any(|needed| {
                self.all.homes.get(needed).is_some_and(down)
                    || (depth < 8 && self.leans_on_the_stopped(needed, depth + 1))
            })
    }
}
