//! The hosts that are simulated: services with settings of all kinds, and the units behind them.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use watchdog::{
    model::{ActiveState, Connect, FileState, LoadState, OnFailure, RestartOn, Service, Unit},
    policy::{self, Dependency, Gates, Guard, Ladder, Over, Pulse, StalePidFile, Threshold},
    suspicion::{self, Watched},
};

use crate::{dice::Dice, host::SimUnit};

/// A host before anything happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) policy: policy::Settings,
    pub(crate) suspicion: suspicion::Settings,
    pub(crate) units: Vec<SimUnit>,
    /// By service: its unit's place among `units`.
    pub(crate) homes: BTreeMap<Service, usize>,
    /// By service: the unit that its heartbeats connect to, where that is another's.
    pub(crate) fronts: BTreeMap<Service, usize>,
}

const FIRST_PORT: u16 = 8000;

pub(crate) fn port_of(unit: usize) -> u16 {
    FIRST_PORT + u16::try_from(unit).unwrap_or(0)
}

pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

impl Scenario {
    /// `reboots`: some of its services may have the host rebooted.
    pub(crate) fn new(dice: &mut Dice, reboots: bool) -> Scenario {
        let count = 2 + dice.below(5);
        let mut scenario = Scenario {
            policy: policy::Settings { host: host(dice), services: BTreeMap::new() },
            suspicion: suspicion::Settings::default(),
            units: Vec::new(),
            homes: BTreeMap::new(),
            fronts: BTreeMap::new(),
        };
        let needs_unit = dice.permille(300);
        let twin = dice.permille(60);
        for at in 0..count {
            let unit = name(&format!("s{at}.service"));
            scenario.units.push(sim_unit(dice, unit.clone()));
            let service = Service::new(&format!("s{at}"));
            let guard = guard(dice, unit, at, needs_unit.then_some(count));
            scenario.homes.insert(service.clone(), at);
            if at > 0 && dice.permille(200) {
                scenario.fronts.insert(service.clone(), dice.below(at));
            }
            scenario.policy.services.insert(service, guard);
        }
        if needs_unit {
            scenario.units.push(SimUnit::new(name("needed.service")));
        }
        if twin {
            let (alias, service) = (name("alias.service"), Service::new("twin"));
            scenario.units[0].alias = Some(alias.clone());
            scenario.homes.insert(service.clone(), 0);
            scenario.policy.services.insert(service, guard(dice, alias, 0, None));
        }
        if reboots {
            scenario.policy.services.values_mut().for_each(|guard| guard.ladder = ladder(dice));
        }
        scenario.watch();
        scenario
    }

    /// What the settings mean for the other pure room.
    pub(crate) fn watch(&mut self) {
        let services = self.policy.services.iter().map(|(service, guard)| {
            let own = self.homes.get(service).copied().unwrap_or(0);
            let connect = match self.fronts.get(service) {
                Some(front) => {
                    (Connect::Address(SocketAddr::from(([127, 0, 0, 1], port_of(*front)))), port_of(*front))
                }
                None => (Connect::Own, port_of(own)),
            };
            let asked = guard.heartbeats.iter().any(|pulse| pulse.on_failure != OnFailure::Off);
            let watched = Watched {
                unit: guard.unit.clone(),
                connects: guard.heartbeats.iter().map(|_| connect.clone()).collect(),
                asked,
                accept_after: millis(250),
                answer_after: secs(1),
                status_5xx: true,
            };
            (service.clone(), watched)
        });
        self.suspicion = suspicion::Settings { services: services.collect() };
    }

    /// Another configuration of the same host.
    pub(crate) fn reconfigured(&self, dice: &mut Dice, all: &Scenario) -> Scenario {
        let mut scenario = self.clone();
        match dice.below(6) {
            0 => scenario.policy.host.observe = !scenario.policy.host.observe,
            1 => {
                let Some(service) =
                    scenario.policy.services.keys().nth(dice.below(count(&scenario))).cloned()
                else {
                    return scenario;
                };
                if count(&scenario) > 1 {
                    scenario.policy.services.remove(&service);
                }
            }
            2 => scenario.policy = all.policy.clone(),
            3 => {
                let at = dice.below(count(&scenario));
                if let Some(guard) = scenario.policy.services.values_mut().nth(at) {
                    guard.heartbeats = heartbeats(dice);
                }
            }
            4 => {
                let at = dice.below(count(&scenario));
                if let Some(guard) = scenario.policy.services.values_mut().nth(at) {
                    guard.burst = 1 + u32::try_from(dice.below(4)).unwrap_or(0);
                    guard.on = on(dice);
                    guard.only_if_enabled = dice.coin();
                }
            }
            _ => {
                scenario.policy.host.restarts = 2 + u32::try_from(dice.below(20)).unwrap_or(0);
                scenario.policy.host.concurrent_restarts = 1 + u32::try_from(dice.below(2)).unwrap_or(0);
            }
        }
        scenario.watch();
        scenario
    }
}

fn count(scenario: &Scenario) -> usize {
    scenario.policy.services.len()
}

pub(crate) fn name(text: &str) -> Unit {
    text.parse().expect("a unit's name")
}

fn host(dice: &mut Dice) -> policy::Host {
    let threshold = |limit| Some(Threshold { full: false, over: Over::Ten, limit });
    let gates = Gates {
        memory: threshold(4_000),
        io: threshold(6_000),
        cpu: threshold(8_000).filter(|_| dice.coin()),
        disk_free: 100,
        hold_for: secs(120),
    };
    policy::Host {
        observe: dice.permille(30),
        concurrent_restarts: 1 + u32::try_from(dice.below(2)).unwrap_or(0),
        restarts: *dice.pick(&[3, 20, 20]),
        within: *dice.pick(&[secs(60), secs(600), secs(600)]),
        gates,
        record: Some(secs(2)),
    }
}

fn on(dice: &mut Dice) -> RestartOn {
    *dice.pick(&[
        RestartOn::OnFailure,
        RestartOn::OnFailure,
        RestartOn::OnFailure,
        RestartOn::Always,
        RestartOn::OnAbnormal,
        RestartOn::No,
    ])
}

fn guard(dice: &mut Dice, unit: Unit, at: usize, needed: Option<usize>) -> Guard {
    let mut depends_on = Vec::new();
    if at > 0 && dice.permille(250) {
        depends_on.push(Dependency::Service(Service::new(&format!("s{}", dice.below(at)))));
    }
    if needed.is_some() && dice.coin() {
        depends_on.push(Dependency::Unit(name("needed.service")));
    }
    Guard {
        unit,
        group: None,
        depends_on,
        only_if_enabled: dice.permille(700),
        preflight: dice.permille(400).then(|| vec!["true".to_owned()]),
        pid_file: dice.permille(400).then(|| PathBuf::from("/run/pid")),
        stale_pid_file: *dice.pick(&[StalePidFile::Keep, StalePidFile::Remove]),
        heartbeats: heartbeats(dice),
        on: on(dice),
        stop_timeout: *dice.pick(&[None, Some(secs(2)), Some(secs(20))]),
        start_timeout: *dice.pick(&[None, Some(secs(5)), Some(secs(30))]),
        grace: *dice.pick(&[secs(10), secs(3), millis(500)]),
        burst: *dice.pick(&[1, 2, 3, 3, 5]),
        within: *dice.pick(&[secs(30), secs(300), secs(300), secs(3600)]),
        backoff: *dice.pick(&[millis(100), secs(1), secs(1), secs(5)]),
        backoff_max: *dice.pick(&[secs(2), secs(30), secs(300)]),
        stable: *dice.pick(&[secs(20), secs(600)]),
        ladder: Ladder { reboot: false, reboot_after: secs(1_800), reboot_every: secs(21_600) },
    }
}

fn ladder(dice: &mut Dice) -> Ladder {
    Ladder {
        reboot: dice.coin(),
        reboot_after: *dice.pick(&[secs(1), secs(20), secs(120)]),
        reboot_every: *dice.pick(&[secs(60), secs(600), secs(3600)]),
    }
}

fn heartbeats(dice: &mut Dice) -> Vec<Pulse> {
    let number = *dice.pick(&[0, 1, 1, 1, 1, 2]);
    let pulse = |dice: &mut Dice| Pulse {
        timeout: *dice.pick(&[millis(500), secs(3)]),
        failures: *dice.pick(&[1, 2, 2, 3]),
        retry_after: *dice.pick(&[millis(100), millis(200), secs(1)]),
        every: *dice.pick(&[secs(15), secs(60), secs(60)]),
        every_in_use: *dice.pick(&[secs(1), secs(5)]),
        on_failure: *dice.pick(&[
            OnFailure::Restart,
            OnFailure::Restart,
            OnFailure::Restart,
            OnFailure::Restart,
            OnFailure::Alert,
            OnFailure::Off,
        ]),
    };
    (0..number).map(|_| pulse(dice)).collect()
}

fn sim_unit(dice: &mut Dice, unit: Unit) -> SimUnit {
    let mut unit = SimUnit::new(unit);
    unit.restart = *dice.pick(&[
        RestartOn::No,
        RestartOn::No,
        RestartOn::OnFailure,
        RestartOn::Always,
        RestartOn::OnAbnormal,
    ]);
    unit.restart_pause = *dice.pick(&[millis(100), millis(100), secs(3)]);
    unit.stop_timeout = *dice.pick(&[Some(secs(90)), Some(secs(5)), Some(secs(1)), None]);
    unit.start_timeout = *dice.pick(&[Some(secs(90)), Some(secs(5)), None]);
    unit.limit_burst = *dice.pick(&[5, 5, 2, 0]);
    unit.limit_interval = *dice.pick(&[secs(10), secs(10), secs(300)]);
    unit.oneshot = dice.permille(40);
    unit.socket = !unit.oneshot && dice.permille(60);
    unit.exec_stop_fails = dice.permille(150);
    match dice.below(20) {
        0 => unit.active = ActiveState::Inactive,
        1 => unit.file = FileState::Disabled,
        2 => (unit.load, unit.active) = (LoadState::NotFound, ActiveState::Inactive),
        _ => {}
    }
    if unit.oneshot {
        unit.active = ActiveState::Inactive;
    }
    unit
}
