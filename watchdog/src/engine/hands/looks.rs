//! Looks up what the policy asks for: each look in a task of its own, and what may take its time on a thread of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use super::Hands;
use crate::{
    clock,
    engine::{Event, ourselves, tables},
    look::{self, Lodging, Sought},
    model::{Fact, Known, Look, Others, PidFile, Place, Question, UnitState},
    policy::Gates,
    recorder::Subject,
    sources::sock_diag::SockDiag,
    systemd::Link,
};

/// systemd tells its state in microseconds; what else is known does not wait for one that is stuck.
const SYSTEM: Duration = Duration::from_millis(300);
/// So many looks at the host's pressure may be on their way.
const PRESSING: usize = 64;

impl Hands {
    pub(in crate::engine) fn look(&mut self, look: Look, places: Vec<Place>) {
        let results = self.results.clone();
        match look.question {
            Question::Unit => {
                let units = self.units.clone();
                tokio::spawn(async move {
                    let known = match units.read(&look.unit).await {
                        Ok(state) => Known::Unit(Box::new(state)),
                        Err(fault) => Known::Nothing { why: fault.to_string() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Ourselves => {
                tokio::spawn(async move {
                    let known = ourselves::ourselves(look.service.clone()).await;
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Preflight => {
                let (link, argv) = (self.units.link(), self.preflights.get(&look.service).cloned());
                tokio::spawn(async move {
                    let known = match argv {
                        Some(argv) => Known::Preflight(look::preflight(&link, &argv).await),
                        None => Known::Nothing { why: "it has no preflight any more".into() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Pressure => {
                let unit = self.states.get(&look.unit).cloned();
                let (gates, pressing) = (self.gates.clone(), self.pressing.clone());
                tokio::spawn(async move {
                    let known = pressure(unit, gates, &pressing).await;
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Others => {
                let unit = self.states.get(&look.unit).cloned();
                let link = self.units.link();
                tokio::spawn(async move {
                    let known = others(unit, link).await;
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Holders => {
                let unit = self.states.get(&look.unit).cloned();
                let asked = self.asked.get(&look.service).cloned().unwrap_or_default();
                let sought = Sought { places, asked, beside: self.tables.beside(&look.unit) };
                let sockets = self.tables.sockets();
                tokio::spawn(async move {
                    let known = holders(unit, sockets, sought).await;
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::MainProcess => {
                let pid = self.states.get(&look.unit).and_then(|unit| unit.main_pid);
                tokio::spawn(async move {
                    let known = main_process(pid).await;
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::LastWords => {
                tokio::spawn(async move {
                    let known = match look::last_words(&look.unit).await {
                        Ok(lines) => Known::LastWords(lines),
                        Err(fault) => Known::Nothing { why: fault.to_string() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::Record { incident, moment } => {
                let subject = Subject {
                    state: self.states.get(&look.unit).cloned(),
                    logs: self.log_files.get(&look.service).cloned().unwrap_or_default(),
                    service: look.service.clone(),
                    unit: look.unit.clone(),
                    incident,
                    moment,
                };
                let recorded = self.recorder.record(subject);
                tokio::spawn(async move {
                    let known = match recorded.await {
                        Ok(recorded) => Known::Recorded(Box::new(recorded)),
                        Err(fault) => Known::Nothing { why: fault.to_string() },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
            Question::PidFile => {
                let lodging = self.lodging(&look.service, &look.unit);
                tokio::spawn(async move {
                    let known = match pid_file(lodging).await {
                        Ok(file) => Known::PidFile(file.map(Box::new)),
                        Err(why) => Known::Nothing { why },
                    };
                    results.send(Event::Fact(fact(look, known))).await.ok();
                });
            }
        }
    }
}

fn fact(look: Look, known: Known) -> Fact {
    Fact { order: look.id, service: look.service, at: clock::now(), known }
}

async fn main_process(pid: Option<u32>) -> Known {
    let found = tokio::task::spawn_blocking(move || pid.is_some_and(look::unreaped)).await;
    found.map_or_else(
        |fault| Known::Nothing { why: fault.to_string() },
        |unreaped| Known::MainProcess { unreaped },
    )
}

/// Finding a holder asks the kernel and walks /proc and the cgroups: not on the engine's own thread.
async fn holders(unit: Option<UnitState>, sockets: Arc<Mutex<SockDiag>>, sought: Sought) -> Known {
    let Some(unit) = unit else { return Known::Holders(Vec::new()) };
    let found = tokio::task::spawn_blocking(move || {
        let listeners = tables::listeners(&sockets).map_err(|fault| fault.to_string())?;
        look::holders(&unit, &sought, &listeners).map_err(|fault| fault.to_string())
    });
    match found.await {
        Ok(Ok(holders)) => Known::Holders(holders),
        Ok(Err(why)) => Known::Nothing { why },
        Err(fault) => Known::Nothing { why: fault.to_string() },
    }
}

/// Two looks at once, at /proc and at systemd. A systemd that does not answer would not carry an order out either.
async fn others(unit: Option<UnitState>, link: Link) -> Known {
    let Some(unit) = unit else { return Known::Nothing { why: "the unit is not known yet".into() } };
    let found = tokio::task::spawn_blocking(move || look::others(&unit));
    let system = timeout(SYSTEM, link.system_state());
    match tokio::join!(found, system) {
        (Ok(others), Ok(Ok(system))) => Known::Others(Box::new(Others { system, ..others })),
        (Ok(others), Ok(Err(_)) | Err(_)) => Known::Others(Box::new(others)),
        (Err(fault), _) => Known::Nothing { why: fault.to_string() },
    }
}

/// Reads /proc, cgroups and the state of file systems, any of which may take its time.
async fn pressure(unit: Option<UnitState>, gates: Gates, pressing: &AtomicUsize) -> Known {
    let Some(unit) = unit else { return Known::Nothing { why: "the unit is not known yet".into() } };
    if pressing.fetch_add(1, Ordering::Relaxed) >= PRESSING {
        pressing.fetch_sub(1, Ordering::Relaxed);
        return Known::Nothing { why: "looks at the host's disks and pressure do not come back".into() };
    }
    let found = tokio::task::spawn_blocking(move || look::pressure(&gates, &unit)).await;
    pressing.fetch_sub(1, Ordering::Relaxed);
    match found {
        Ok(pressure) => Known::Pressure(Box::new(pressure)),
        Err(fault) => Known::Nothing { why: fault.to_string() },
    }
}

/// Searching for the processes of a service walks /proc: not on the engine's own thread.
pub(super) async fn pid_file(lodging: Option<Lodging>) -> Result<Option<PidFile>, String> {
    let Some(lodging) = lodging else { return Ok(None) };
    let found = tokio::task::spawn_blocking(move || look::pid_file(&lodging));
    found.await.map_err(|fault| fault.to_string())?.map_err(|fault| fault.to_string())
}
