//! A world so small that all that can happen in it is tried, in every order: two services, and a few things that go wrong.
//!
//! From each state every move is made, and a state that was seen is not gone on from again (`key` says what makes two states
//! one). Each step is judged as on the simulated hosts. That a state rests only when all is well, that what does not rest has
//! a next move, and that no moves but faults lead in a circle, is together: whatever happens, all is well in the end.
//!
//! Invariant: the same world gives the same count. Deliberately absent: a model checker from elsewhere. They take states for one
//! only where they are equal, and find the way to a fault again by going there anew; here two states are one that differ in what
//! decides nothing, of which each way keeps its own.

mod ear;
mod edge;
mod key;
mod moves;
mod world;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use watchdog::{
    model::{OnFailure, RestartOn},
    policy::{self, Gates, Guard, Ladder, Pulse, StalePidFile},
};

use self::{
    moves::Move,
    world::{World, service, well},
};
use crate::{
    books::Books,
    host::{Host, SimUnit, StopWay},
    invariants::{Invariant, Violation},
    judge::Judge,
    mutations::Mutation,
    scenario::{millis, name, secs},
};

/// How much of a world is tried.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// One or two.
    pub services: usize,
    /// So many things go wrong in each run.
    pub faults: u32,
    /// Ends after so many different states, though there are more.
    pub states: usize,
}

/// What was tried.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Moves that were made.
    pub moves: u64,
    /// Different states.
    pub states: usize,
    /// Of those, where nothing happens unless something goes wrong.
    pub rests: usize,
    /// The longest way.
    pub depth: u32,
    /// There is no state that was not seen.
    pub whole: bool,
    /// What broke first, and the way there.
    pub broken: Option<(Violation, Vec<String>)>,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tried { moves, states, rests, depth, .. } = self;
        let whole = if self.whole { "all there are" } else { "there are more" };
        let broken = if self.broken.is_some() { "BROKEN" } else { "no violation" };
        write!(f, "{moves} moves, {states} states ({whole}), {rests} at rest, depth {depth}, {broken}")
    }
}

/// Where a state was first come to from.
struct Came {
    from: u32,
    by: Option<Move>,
}

/// Tries everything, or until something breaks.
pub fn try_all(size: Size, mutation: Option<Mutation>) -> Tried {
    let first = world(size, mutation);
    let (mut tried, mut text) = (Tried { whole: true, ..Tried::default() }, String::new());
    let mut seen: HashMap<u64, u32> = HashMap::from([(first.key(&mut text), 0)]);
    let mut came = vec![Came { from: 0, by: None }];
    let mut ways: Vec<(u32, u32)> = Vec::new();
    let mut open = vec![(first, 0_u32, 0_u32)];
    while let Some((here, number, depth)) = open.pop() {
        tried.depth = tried.depth.max(depth);
        tried.rests += usize::from(here.rests());
        let moves = here.moves();
        if !here.rests() && moves.iter().all(|next| matches!(next, Move::Fault(_))) {
            let what = "nothing is on its way, and nothing wakes it".to_owned();
            tried.broken = Some((
                Violation { invariant: Invariant::NoDeadEnd, what },
                way(size, mutation, &came, number, None),
            ));
            break;
        }
        for next in moves {
            tried.moves += 1;
            let mut there = here.clone();
            there.go(next);
            if let Some(violation) = there.broken() {
                tried.broken = Some((violation.clone(), way(size, mutation, &came, number, Some(next))));
                (tried.states, tried.whole) = (seen.len(), false);
                return tried;
            }
            let fresh = u32::try_from(came.len()).unwrap_or(u32::MAX);
            let to = *seen.entry(there.key(&mut text)).or_insert(fresh);
            if !matches!(next, Move::Fault(_) | Move::Later) {
                ways.push((number, to));
            }
            if to == fresh {
                came.push(Came { from: number, by: Some(next) });
                open.push((there, fresh, depth + 1));
            }
        }
        if seen.len() >= size.states {
            tried.whole = open.is_empty();
            break;
        }
    }
    tried.states = seen.len();
    if let (Some(number), None) = (circle(&ways, came.len()), &tried.broken) {
        let what = "it goes round for ever, though nothing goes wrong any more".to_owned();
        tried.broken = Some((
            Violation { invariant: Invariant::NoDeadEnd, what },
            way(size, mutation, &came, number, None),
        ));
    }
    tried
}

/// What happened on the way to a state, and by one more move.
fn way(size: Size, mutation: Option<Mutation>, came: &[Came], to: u32, then: Option<Move>) -> Vec<String> {
    let mut moves: Vec<Move> = then.into_iter().collect();
    let mut at = to;
    while let Came { from, by: Some(by) } = &came[at as usize] {
        moves.push(*by);
        at = *from;
    }
    let mut world = world(size, mutation);
    world.log = Some(Vec::new());
    moves.iter().rev().for_each(|next| world.go(*next));
    world.log.unwrap_or_default()
}

/// A state on a circle of these ways, if there is one: what is left when every state from which no way leads on is taken away, again and
/// again.
fn circle(ways: &[(u32, u32)], states: usize) -> Option<u32> {
    let mut leaving = vec![0_u32; states];
    let mut by_end: Vec<(u32, u32)> = ways.iter().map(|(from, to)| (*to, *from)).collect();
    by_end.sort_unstable();
    ways.iter().for_each(|(from, _)| leaving[*from as usize] += 1);
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let mut ended: Vec<u32> = (0..states).filter(|at| leaving[*at] == 0).map(number).collect();
    while let Some(at) = ended.pop() {
        let first = by_end.partition_point(|(to, _)| *to < at);
        for (_, from) in by_end[first..].iter().take_while(|(to, _)| *to == at) {
            leaving[*from as usize] -= 1;
            if leaving[*from as usize] == 0 {
                ended.push(*from);
            }
        }
    }
    leaving.iter().position(|left| *left > 0).map(number)
}

fn world(size: Size, mutation: Option<Mutation>) -> World {
    let gates = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for: secs(120) };
    let host = policy::Host {
        observe: false,
        concurrent_restarts: 1,
        restarts: 3,
        within: secs(20),
        gates,
        record: Some(secs(2)),
    };
    let mut settings = policy::Settings { host, services: BTreeMap::new() };
    let (mut host, mut homes) = (Host::default(), BTreeMap::new());
    for at in 0..size.services {
        let mut unit = SimUnit::new(name(&format!("s{at}.service")));
        unit.stop_way = StopWay::Obeys(millis(5));
        unit.start_way = well();
        unit.limit_burst = 2; // two starts within 10 s: systemd refuses the third
        settings.services.insert(service(at), guard(&unit, at));
        homes.insert(service(at), at);
        host.add(unit);
    }
    let judge = Judge::new(Books::new(settings.clone()), homes, host.units.len());
    World::new(settings, host, judge, mutation, size.faults)
}

fn guard(unit: &SimUnit, at: usize) -> Guard {
    let pulse = Pulse {
        timeout: secs(1),
        failures: 1,
        retry_after: millis(200),
        every: secs(10 * 24 * 3600), // never comes due here
        every_in_use: secs(30),
        on_failure: OnFailure::Restart,
    };
    Guard {
        unit: unit.name.clone(),
        group: None,
        depends_on: Vec::new(),
        only_if_enabled: true,
        preflight: None,
        pid_file: None,
        stale_pid_file: StalePidFile::Keep,
        heartbeats: vec![pulse],
        on: RestartOn::OnFailure,
        stop_timeout: Some(secs(2)),
        start_timeout: Some(secs(5)),
        grace: secs(1),
        burst: if at == 0 { 1 } else { 2 },
        within: secs(20),
        backoff: secs(1),
        backoff_max: secs(4),
        stable: Duration::from_secs(30),
        ladder: Ladder { reboot: false, reboot_after: secs(1_800), reboot_every: secs(21_600) },
    }
}
