//! Pure. What to do about one service and about the host: state machine, budgets, dependencies, intent.
//!
//! ```text
//!            first word of systemd                    good heartbeat
//!   New ───────────────────────────▶ Proving ───────────────────────────▶ Up
//!    │ inactive, absent                 ▲  ▲                              │ │
//!    ▼                                  │  │ job done, unit active        │ │ the unit ends, or its main process
//!   Down ◀── operator's stop, clean end │  │                   dead, told │ ▼
//!    │                                  │  │                   `failures` │ Ending ── systemd starts it again ──▶ Proving
//!    └── started by another hand ───────┘  │                      times   │ │ an end that `restart.on` acts upon
//!                                          │                              ▼ ▼
//!                                        Acting ◀── nothing holds ──── decide ── backoff, budget, dependency … ──▶ Holding
//!                                          │                             ▲                                          │
//!                                          └── failed, refused ──────────┴──────── asked again, still dead ─────────┘
//! ```
//!
//! Invariants: no restart and no reboot without a failed heartbeat or the end of the unit, or of its main process, in the same incident, but for what an
//! operator asks for; one job of ours at a time per unit; an order is for one incarnation; an operator's stop stands until another hand starts the unit; every
//! stage but `Down` has a deadline. Deliberately absent: any I/O; what must be known is ordered (`Order::Look`) and comes as a fact.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod beat;
mod cause;
mod common;
mod excuse;
mod gates;
mod incident;
mod input;
mod keeper;
mod reboots;
mod reload;
mod seed;
mod settings;
mod standing;
#[cfg(test)]
mod tests;
mod tries;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use cause::{Class, acts};
pub use excuse::{excused, weigh};
pub use input::Input;
pub use settings::{Dependency, Gates, Guard, Host, Ladder, Over, Pulse, Settings, StalePidFile, Threshold};

use self::{
    common::Common,
    keeper::{Brief, Desk, Keeper},
    reboots::Reboots,
    seed::Seed,
    tries::HostTries,
};
use crate::model::{Command, Gate, Known, Mono, Order, OrderId, Service, Unit, UnitState};

/// The policy engine. What is read back from its serialised form goes on as if nothing had happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    host: Host,
    keepers: BTreeMap<Service, Keeper>,
    /// Every unit that systemd spoke of: those of services and those of `depends_on`.
    units: BTreeMap<Unit, UnitState>,
    /// What keepers know of each other.
    briefs: BTreeMap<Service, Brief>,
    host_tries: HostTries,
    reboots: Reboots,
    seed: Seed,
    ids: Ids,
    /// Gates without a figure, which are told once.
    blind: BTreeSet<Gate>,
    /// Services that fail together.
    common: Common,
    /// Old names of services: what was ordered under them is answered under them.
    moved: BTreeMap<Service, Service>,
    /// A request that systemd may have to come to yet, of a service that left the configuration meanwhile: no name says whose
    /// unit it is on now.
    parted: Option<OrderId>,
    /// The moment of the last step: time does not go back.
    last: Mono,
}

/// Numbers of orders and incidents.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ids {
    run: u32,
    order: u64,
    incident: u32,
}

impl Policy {
    /// Keeps what the settings name. The seed feeds every jitter, and names the run.
    pub fn new(now: Mono, settings: Settings, seed: u64) -> Policy {
        let mut seed = Seed(seed);
        let ids = Ids { run: seed.run(), order: 0, incident: 0 };
        let mut policy = Policy {
            host: settings.host.clone(),
            keepers: BTreeMap::new(),
            units: BTreeMap::new(),
            briefs: BTreeMap::new(),
            host_tries: HostTries::default(),
            reboots: Reboots::default(),
            seed,
            ids,
            blind: BTreeSet::new(),
            common: Common::default(),
            moved: BTreeMap::new(),
            parted: None,
            last: now,
        };
        policy.replace(now, settings, &mut Vec::new()); // no unit is known yet: nothing is ordered
        policy
    }

    /// Takes one input and says what is to be done.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Order> {
        let now = now.max(self.last);
        self.last = now;
        let mut orders = Vec::new();
        match input {
            Input::Suspicion(suspicion) => {
                let service = suspicion.service.clone();
                self.with(now, &service, &mut orders, |keeper, desk| keeper.suspicion(desk, suspicion));
            }
            Input::Unit(state) => {
                let service = self.of_unit(&state.unit);
                // a late word of one that is watched no more would be old news when it is watched again
                if service.is_some() || self.is_needed(&state.unit) {
                    self.units.insert(state.unit.clone(), (*state).clone());
                }
                if let Some(service) = service {
                    self.beside(now, &service, &state, &mut orders);
                    self.with(now, &service, &mut orders, |keeper, desk| keeper.unit(desk, *state));
                }
            }
            Input::Job(job) => {
                if let Some(service) = self.of_unit(&job.unit) {
                    self.with(now, &service, &mut orders, |keeper, desk| keeper.job(desk, &job));
                }
            }
            Input::Gap => self.keepers.values_mut().for_each(Keeper::missed_words),
            Input::HeldUp => {} // this moment is the last step's now: nothing is stepped before it any more
            Input::Answer(answer) => {
                let service = self.name_of(&answer.service);
                self.with(now, &service, &mut orders, |keeper, desk| keeper.answer(desk, &answer));
            }
            Input::Outcome(outcome) => {
                let service = self.name_of(&outcome.service);
                self.with(now, &service, &mut orders, |keeper, desk| keeper.outcome(desk, &outcome));
            }
            Input::Fact(fact) => {
                if matches!(fact.known, Known::Unit(_)) {
                    self.read_after(now, fact.order, &mut orders);
                }
                let service = self.name_of(&fact.service);
                self.with(now, &service, &mut orders, |keeper, desk| keeper.fact(desk, fact));
            }
            Input::Command(Command::Pause { service, pause }) => {
                self.with(now, &service, &mut orders, |keeper, _| keeper.pause(Some(pause)));
            }
            Input::Command(Command::Resume { service }) => {
                self.with(now, &service, &mut orders, |keeper, _| keeper.pause(None));
            }
            Input::Command(Command::Restart { service, by, reason }) => {
                self.with(now, &service, &mut orders, |keeper, desk| {
                    keeper.restart_wanted(desk, &by, &reason);
                });
            }
            Input::Command(Command::Reload { .. }) => {} // what is in force comes as settings
            Input::Settings(settings) => self.replace(now, *settings, &mut orders),
            Input::Back { seed } => {
                (self.ids.run, self.ids.incident) = (Seed(seed).run(), 0);
                let all: Vec<Service> = self.keepers.keys().cloned().collect();
                for service in all {
                    self.with(now, &service, &mut orders, Keeper::back);
                }
            }
            Input::Wake => {
                let due: Vec<Service> = self
                    .keepers
                    .iter()
                    .filter(|(_, k)| k.wake_at().is_some_and(|at| at <= now))
                    .map(|(s, _)| s.clone())
                    .collect();
                for service in due {
                    self.with(now, &service, &mut orders, Keeper::wake);
                }
            }
        }
        self.settle(now, &mut orders);
        orders
    }

    /// Wakes it for what was due until this moment, each time at the moment that was set: a waking that comes late, or only
    /// with the next input, decides the same.
    pub fn catch_up(&mut self, now: Mono) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut due = self.wake_at();
        while let Some(at) = due.filter(|at| *at <= now) {
            orders.extend(self.step(at, Input::Wake));
            due = self.wake_at().filter(|next| *next != at); // for the same moment again: the next waking is soon enough
        }
        orders
    }

    /// Tells it what was recorded: [`Policy::catch_up`], where the input does not say that it could not, and the input.
    pub fn told(&mut self, now: Mono, input: Input) -> (Vec<Order>, Vec<Order>) {
        let due = if input == Input::HeldUp { Vec::new() } else { self.catch_up(now) };
        (due, self.step(now, input))
    }

    /// The moment of the last step.
    pub fn last(&self) -> Mono {
        self.last
    }

    /// The last order that it gave.
    pub fn last_order(&self) -> OrderId {
        self.ids.last()
    }

    /// What is in force.
    pub fn settings(&self) -> Settings {
        let services = self.keepers.iter().map(|(service, keeper)| (service.clone(), keeper.guard.clone()));
        Settings { host: self.host.clone(), services: services.collect() }
    }

    /// When it wants to be woken; `None`: only by an input.
    pub fn wake_at(&self) -> Option<Mono> {
        self.keepers.values().filter_map(Keeper::wake_at).min()
    }

    /// Every unit that must be watched, and whose service it is where it is one.
    pub fn units_and_services(&self) -> Vec<(Unit, Option<Service>)> {
        self.units().into_iter().map(|unit| (unit.clone(), self.of_unit(&unit))).collect()
    }

    /// The units that must be watched: those of services, and those of `depends_on`.
    pub fn units(&self) -> BTreeSet<Unit> {
        let own = self.keepers.values().map(|k| k.guard.unit.clone());
        let needed = self.keepers.values().flat_map(|k| &k.guard.depends_on);
        let needed = needed.filter_map(|dependency| match dependency {
            Dependency::Unit(unit) => Some(unit.clone()),
            Dependency::Service(_) => None,
        });
        own.chain(needed).collect()
    }

    /// One line per service for people: its stage, in a word or two.
    pub fn stages(&self) -> BTreeMap<Service, &'static str> {
        self.keepers.iter().map(|(service, keeper)| (service.clone(), keeper.stage())).collect()
    }

    /// Each service: its stage, in a word or two, and when it wants to be woken.
    pub fn wakings(&self) -> impl Iterator<Item = (&Service, &'static str, Option<Mono>)> {
        self.keepers.iter().map(|(service, keeper)| (service, keeper.stage(), keeper.wake_at()))
    }

    fn of_unit(&self, unit: &Unit) -> Option<Service> {
        self.keepers.iter().find(|(_, keeper)| keeper.guard.unit == *unit).map(|(service, _)| service.clone())
    }

    /// Two names of one unit are told of one after the other: whichever comes first, the first service keeps it.
    fn beside(&mut self, now: Mono, service: &Service, state: &UnitState, orders: &mut Vec<Order>) {
        let same = self.keepers.iter().filter(|(_, other)| other.is_run_of(state));
        let same: Vec<Service> = same.map(|(name, _)| name.clone()).collect();
        let Some(first) = same.iter().chain([service]).min().cloned() else { return };
        for other in same.iter().chain([service]).filter(|other| **other != first) {
            self.with(now, other, orders, |keeper, desk| keeper.stand_beside(desk, &first));
        }
        let apart = |keeper: &Keeper| {
            let beside = keeper.twin().and_then(|twin| self.keepers.get(twin));
            keeper.twin().is_some() && beside.is_none_or(|twin| twin.is_another_than(state))
        };
        if same.is_empty() && self.keepers.get(service).is_some_and(apart) {
            self.with(now, service, orders, |keeper, _| keeper.stand_alone());
        }
    }

    fn is_needed(&self, unit: &Unit) -> bool {
        let needs = |dependency: &Dependency| match dependency {
            Dependency::Unit(needed) => needed == unit,
            Dependency::Service(_) => false,
        };
        self.keepers.values().any(|keeper| keeper.guard.depends_on.iter().any(needs))
    }

    /// A unit was read, whichever: systemd takes what we send in its order, and has come to every request before that.
    fn read_after(&mut self, now: Mono, read: OrderId, orders: &mut Vec<Order>) {
        self.parted = self.parted.filter(|request| *request > read);
        let behind =
            self.keepers.iter().filter(|(_, keeper)| keeper.unanswered().is_some_and(|it| it <= read));
        let behind: Vec<Service> = behind.map(|(service, _)| service.clone()).collect();
        for service in behind {
            self.with(now, &service, orders, |keeper, _| keeper.come_to());
        }
    }

    /// Lets one keeper work, then those whose word it asked for.
    fn with(
        &mut self,
        now: Mono,
        service: &Service,
        orders: &mut Vec<Order>,
        work: impl FnOnce(&mut Keeper, &mut Desk<'_>),
    ) {
        let asked = self.visit(now, service, orders, work);
        for other in asked {
            self.visit(now, &other, orders, Keeper::ask_now);
        }
    }

    fn visit(
        &mut self,
        now: Mono,
        service: &Service,
        orders: &mut Vec<Order>,
        work: impl FnOnce(&mut Keeper, &mut Desk<'_>),
    ) -> BTreeSet<Service> {
        let (keepers, mut desk) = self.desk(now, orders);
        let Some(keeper) = keepers.get_mut(service) else { return BTreeSet::new() };
        work(keeper, &mut desk);
        keeper.pump(&mut desk);
        let brief = keeper.brief(now, desk.host.gates.hold_for);
        let asked = desk.ask;
        match self.briefs.get_mut(service) {
            Some(known) => *known = brief,
            None => drop(self.briefs.insert(service.clone(), brief)),
        }
        asked
    }

    /// The keepers, and what one of them works with.
    fn desk<'a>(
        &'a mut self,
        now: Mono,
        orders: &'a mut Vec<Order>,
    ) -> (&'a mut BTreeMap<Service, Keeper>, Desk<'a>) {
        let desk = Desk {
            now,
            orders,
            ids: &mut self.ids,
            seed: &mut self.seed,
            host: &self.host,
            host_tries: &mut self.host_tries,
            reboots: &mut self.reboots,
            briefs: &self.briefs,
            units: &self.units,
            blind: &mut self.blind,
            common: &mut self.common,
            parted: self.parted.is_some(),
            ask: BTreeSet::new(),
        };
        (&mut self.keepers, desk)
    }

    /// Lets those who wait for others look again, until nobody moves.
    fn settle(&mut self, now: Mono, orders: &mut Vec<Order>) {
        for _ in 0..=self.keepers.len() {
            let waiting: Vec<Service> = self
                .keepers
                .iter()
                .filter(|(_, keeper)| keeper.waits_for_others())
                .map(|(service, _)| service.clone())
                .collect();
            let before = orders.len();
            for service in waiting {
                self.with(now, &service, orders, Keeper::settle);
            }
            if orders.len() == before {
                return;
            }
        }
    }
}

impl Ids {
    fn order(&mut self) -> OrderId {
        self.order += 1;
        OrderId(self.order)
    }

    fn last(&self) -> OrderId {
        OrderId(self.order)
    }
}
