//! What outlives the process: every input of the policy, stored before what it leads to is done.
//!
//! An action waits for the store, at most [`PATIENCE`]; a store that is stuck, full or read-only is told once, and then nothing
//! waits for it until it works again. Meanwhile watchdog acts from memory.
//! Recovery is the last state of this boot, with the inputs since told again. It trusts nothing that it cannot read, and a state
//! over which the policy itself would fall is set aside as well.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use crate::{
    clock,
    crash::{self, Point},
    model::{
        Act, Action, Command, Decision, Mono, Order, Outcome, Pause, Result as Became, Service, Tell, Wall,
    },
    policy::{Input, Policy, Settings},
    store::{self, Kept, KeptPause, Store, Stored},
};

/// The longest that an action waits for the store.
const PATIENCE: Duration = Duration::from_millis(100);
/// After so many inputs a state stands for all of them.
const INPUTS: u32 = 256;
/// A store that does not work is tried again after this.
const AGAIN: Duration = Duration::from_secs(30);
/// Differs from boot to boot.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The policy as it was, and the store that goes on from there.
pub(super) struct Memory {
    store: Option<Store>,
    boot: String,
    waiting: VecDeque<Waiting>,
    /// Those in force, and when each ends: each state is stored with all of them.
    pauses: BTreeMap<Service, (Mono, KeptPause)>,
    /// The number of the last input that was handed to the store.
    last: u64,
    /// Inputs since the last state.
    inputs: u32,
    /// An input was left out: none is stored before the next state.
    hole: bool,
    ill: Option<Ill>,
    /// The first state since it fell ill: once it is stored, all is well.
    cure: Option<u64>,
}

/// The store does not work.
struct Ill {
    why: String,
    /// When it is tried again.
    again: Mono,
    told: bool,
}

/// An action that waits for the store.
struct Waiting {
    number: u64,
    until: Mono,
    act: Act,
}

/// What a process begins with.
pub struct Recovered {
    pub(super) policy: Policy,
    pub(super) orders: Vec<Order>,
    pub(super) memory: Memory,
    /// What someone should know.
    pub warnings: Vec<String>,
}

/// What has changed of the store.
#[derive(Debug, Default)]
pub(super) struct News {
    /// To be done now.
    pub(super) acts: Vec<Act>,
    /// It works again (`Ok`), or no longer, and why.
    pub(super) works: Option<Result<(), String>>,
}

impl Recovered {
    /// Reads what was kept in this folder, which takes as long as the disk does. The seed is for a policy that begins afresh, and
    /// names the run.
    pub fn read(folder: &Path, settings: &Settings, seed: u64) -> Recovered {
        let mut warnings = Vec::new();
        let boot = boot();
        let stamp = clock::wall().0.to_string();
        let opened = boot.as_ref().map_err(ToString::to_string).and_then(|boot| {
            let opened = store::open(folder, boot, &stamp).map_err(|fault| fault.to_string())?;
            Ok((boot.clone(), opened))
        });
        let (boot, mut store, kept) = match opened {
            Ok((boot, (store, kept))) => (boot, Some(store), kept),
            Err(why) => {
                warnings.push(format!("{why}: budgets and pauses are not kept over a restart of watchdog"));
                (String::new(), None, Kept::default())
            }
        };
        warnings.extend(
            kept.distrusted.iter().map(|why| format!("{why}: it is set aside, and budgets begin afresh")),
        );
        let now = clock::now();
        let restored = kept.state.as_ref().map(|state| restored(now, state, &kept.inputs));
        let mut orders = Vec::new();
        let (mut policy, back) = match restored {
            Some(Ok((policy, untold))) => {
                orders.extend(untold);
                (policy, true)
            }
            Some(Err(why)) => {
                warnings.push(format!(
                    "the stored state cannot be used ({why}): it is set aside, and budgets begin afresh"
                ));
                store.take().map(|store| store.close(AGAIN));
                match store::open_afresh(folder, &boot, &stamp) {
                    Ok((opened, _)) => store = Some(opened),
                    Err(fault) => warnings.push(fault.to_string()),
                }
                (Policy::new(now, settings.clone(), seed), false)
            }
            None => (Policy::new(now, settings.clone(), seed), false),
        };
        if back {
            orders.extend(policy.step(now, Input::Back { seed }));
            if policy.settings() != *settings {
                orders.extend(policy.step(now, Input::Settings(Box::new(settings.clone()))));
            }
        }
        let mut memory = Memory::new(store, boot);
        for pause in kept.pauses {
            let command = command(now, clock::wall(), pause.clone());
            if let Command::Pause { service, pause: Pause { until, .. } } = &command {
                memory.pauses.insert(service.clone(), (*until, pause));
            }
            orders.extend(policy.step(now, Input::Command(command)));
        }
        crash::at(Point::Back);
        memory.state(now, &policy);
        Recovered { policy, orders, memory, warnings }
    }

    /// A policy that begins afresh, and no store.
    pub fn afresh(settings: &Settings, seed: u64, why: String) -> Recovered {
        let policy = Policy::new(clock::now(), settings.clone(), seed);
        Recovered {
            policy,
            orders: Vec::new(),
            memory: Memory::new(None, String::new()),
            warnings: vec![why],
        }
    }
}

/// The state with the inputs since told again, and the ends of incidents that the last of them came to: whatever was stored
/// after an end was stored after it was told. What no moment of this boot can have taken was not written by us.
fn restored(now: Mono, state: &str, inputs: &[(Mono, String)]) -> Result<(Policy, Vec<Order>), String> {
    let told = || -> Result<(Policy, Vec<Order>), String> {
        let mut last = Vec::new();
        let mut policy: Policy = serde_json::from_str(state).map_err(|fault| fault.to_string())?;
        for (taken, text) in inputs {
            let input: Input = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
            if input == Input::Wake {
                last = policy.catch_up(*taken);
                continue;
            }
            let (due, ordered) = policy.told(*taken, input);
            last = due;
            last.extend(ordered);
        }
        if policy.last() > now {
            return Err("it is of another time".to_owned());
        }
        last.retain(|order| matches!(order, Order::Tell(Tell { decision: Decision::End(_), .. })));
        Ok((policy, last))
    };
    catch_unwind(AssertUnwindSafe(told)).unwrap_or_else(|_| Err("the policy falls over it".to_owned()))
}

/// A pause goes on until its end by the wall clock, whatever became of the process and the boot; never for longer than was asked
/// for, should that clock have gone back.
fn command(now: Mono, wall: Wall, kept: KeptPause) -> Command {
    let left = kept.ends.0.saturating_sub(wall.0).min(kept.ends.0.saturating_sub(kept.since.0));
    let left = u64::try_from(left).unwrap_or(0);
    let KeptPause { service, since, by, reason, .. } = kept;
    if left == 0 {
        return Command::Resume { service };
    }
    Command::Pause { service, pause: Pause { until: now + Duration::from_micros(left), since, by, reason } }
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string(BOOT)?.trim().to_owned())
}

impl Memory {
    fn new(store: Option<Store>, boot: String) -> Memory {
        let (waiting, pauses) = (VecDeque::new(), BTreeMap::new());
        Memory { store, boot, waiting, pauses, last: 0, inputs: 0, hole: false, ill: None, cure: None }
    }

    /// An input that the policy takes now.
    pub(super) fn input(&mut self, now: Mono, input: &Input) {
        if let Input::Command(command) = input
            && !self.command(now, command)
        {
            self.leaves_out(now);
        }
        let Some(store) = self.store.as_mut().filter(|_| !self.hole) else { return };
        let stored = serde_json::to_string(input).ok().and_then(|text| store.input(now, text));
        match stored {
            Some(number) => (self.last, self.inputs) = (number, self.inputs + 1),
            None => self.leaves_out(now),
        }
    }

    /// A state that stands for all before it.
    pub(super) fn state(&mut self, now: Mono, policy: &Policy) {
        let pauses = std::mem::take(&mut self.pauses).into_values();
        let lasting = pauses.filter(|(until, _)| *until > now).map(|(until, pause)| {
            let service = policy.name_of(&pause.service);
            (service.clone(), (until, KeptPause { service, ..pause }))
        });
        self.pauses = lasting.collect();
        let Some(store) = &mut self.store else { return };
        self.inputs = 0;
        let pauses = self.pauses.values().map(|(_, pause)| pause.clone()).collect();
        let stored =
            serde_json::to_string(policy).ok().and_then(|text| store.state(&self.boot, text, pauses));
        self.last = stored.unwrap_or(self.last);
        self.hole &= stored.is_none();
        if let Some(ill) = &mut self.ill {
            ill.again = now + AGAIN;
            self.cure = stored;
        }
    }

    /// A state is worth writing.
    pub(super) fn wants_state(&self, now: Mono) -> bool {
        self.store.is_some()
            && (self.inputs >= INPUTS || self.ill.as_ref().is_some_and(|ill| ill.again <= now))
    }

    /// Gives the action back where it is to be done now; else it comes with the [`News`].
    pub(super) fn before(&mut self, now: Mono, act: Act) -> Option<Act> {
        let Some(store) = self.store.as_mut().filter(|_| self.ill.is_none()) else { return Some(act) };
        if self.waiting.is_empty() && store.stored().borrow().number >= self.last {
            return Some(act);
        }
        self.waiting.push_back(Waiting { number: self.last, until: now + PATIENCE, act });
        None
    }

    /// What becomes of actions that still wait for the store when an operator says "hands off", by a pause or by other settings:
    /// they are not done. What only ends a job of ours is.
    pub(super) fn withdraw(&mut self, now: Mono, hands_off: impl Fn(&Act) -> bool) -> Vec<Outcome> {
        let touches = |action: Action| match action {
            Action::Restart { .. }
            | Action::Start { .. }
            | Action::StartAfresh { .. }
            | Action::Kill
            | Action::Reboot => true,
            Action::Undo | Action::Cancel { .. } => false,
        };
        let gone = |it: &Waiting| touches(it.act.action) && hands_off(&it.act);
        let (gone, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(gone);
        self.waiting = waiting;
        let nothing = |Waiting { act: Act { id: order, service, incident, .. }, .. }| Outcome {
            order,
            service,
            incident,
            requested: now,
            at: now,
            result: Became::Nothing,
        };
        VecDeque::into_iter(gone).map(nothing).collect()
    }

    /// Comes when the store has gone on.
    pub(super) async fn went_on(&mut self) {
        let gone = match &mut self.store {
            Some(store) => store.stored().changed().await.is_err(),
            None => std::future::pending().await,
        };
        if gone {
            self.store = None; // everything is done from memory from now on
            self.falls_ill(clock::now(), "its thread has ended: please report this".to_owned());
        }
    }

    /// When it wants to be woken: an action has waited for long, something must be told, or the store is to be tried again.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        let ill = self.ill.as_ref().filter(|ill| !ill.told || self.store.is_some());
        let ill = ill.map(|ill| if ill.told { ill.again } else { Mono(0) });
        self.waiting.front().map(|waiting| waiting.until).into_iter().chain(ill).min()
    }

    /// What may be done now, and what has changed.
    pub(super) fn news(&mut self, now: Mono) -> News {
        let mut news = News::default();
        let stored = match &mut self.store {
            Some(store) => store.stored().borrow_and_update().clone(),
            None => Stored { number: u64::MAX, fault: None },
        };
        match stored.fault {
            Some(fault) => self.falls_ill(now, fault),
            None if self.cure.is_some_and(|cure| cure <= stored.number) => {
                self.cure = None;
                news.works = self.ill.take().filter(|ill| ill.told).map(|_| Ok(()));
            }
            None => {}
        }
        if self.waiting.front().is_some_and(|first| first.number > stored.number && first.until <= now) {
            self.falls_ill(
                now,
                format!("an action waited for it longer than {PATIENCE:?} (is the disk stuck?)"),
            );
        }
        if let Some(ill) = self.ill.as_mut().filter(|ill| !ill.told) {
            ill.told = true;
            news.works = Some(Err(ill.why.clone()));
        }
        while let Some(first) = self.waiting.front() {
            if first.number > stored.number && self.ill.is_none() {
                break;
            }
            news.acts.extend(self.waiting.pop_front().map(|first| first.act));
        }
        news
    }

    /// The last state, and the end: what could not be written within this is lost.
    pub(super) fn close(mut self, now: Mono, policy: &Policy, within: Duration) -> bool {
        self.state(now, policy);
        self.store.is_none_or(|store| store.close(within))
    }

    fn falls_ill(&mut self, now: Mono, why: String) {
        self.ill.get_or_insert(Ill { why, again: now + AGAIN, told: false });
    }

    /// Something was not stored, and nothing is before the next state.
    fn leaves_out(&mut self, now: Mono) {
        self.hole = true;
        self.falls_ill(now, "it does not keep up (is the disk stuck?)".to_owned());
    }

    /// A pause counts by the wall clock, which no state tells. False: there was no place for it.
    fn command(&mut self, now: Mono, command: &Command) -> bool {
        let stored = match command {
            Command::Pause { service, pause } => {
                let left = i64::try_from(pause.until.since(now).as_micros()).unwrap_or(i64::MAX);
                let ends = Wall(clock::wall().0.saturating_add(left));
                let Pause { until, since, by, reason } = pause.clone();
                let kept = KeptPause { service: service.clone(), since, ends, by, reason };
                self.pauses.insert(service.clone(), (until, kept.clone()));
                self.store.as_mut().map(|store| store.pause(kept))
            }
            Command::Resume { service } => {
                self.pauses.remove(service);
                self.store.as_mut().map(|store| store.resume(service.clone()))
            }
            Command::Restart { .. } | Command::Reload { .. } => return true,
        };
        stored.is_none_or(|number| number.is_some())
    }
}

#[cfg(test)]
mod tests;
