//! The kernel's messages on processes (netlink): ends of processes, with code, signal and core flag.
//!
//! For hosts where no probe sees ends. The kernel tells every end on the host; a filter in the kernel lets only those of known
//! processes through, so that a storm of others wakes nobody. Known are main processes and whoever was in a watched cgroup
//! when that was last read: at a change of what is watched, soon after an end, and seldom.
//! Invariant: a message that the kernel could not queue is told as a loss. Deliberately absent: what the kernel tells outside
//! of the first namespaces (nothing), starts of processes, and clean ends of processes that are not the main one.

mod filter;
mod members;
mod socket;
mod wire;

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use self::{
    members::{Member, Places},
    socket::{Ear, Heard},
    wire::Event,
};
use crate::{
    clock,
    model::{Cause, CgroupId, Exit, FailureClass, Loss, Mono, Rung, Saw, Serving, Sign, Source, Watch},
};

pub use socket::Error;

/// Members are read again so long after an end: whoever takes the place of the dead is there by then.
const SOON: Duration = Duration::from_millis(200);
/// And so seldom where nothing happens.
const SELDOM: Duration = Duration::from_secs(30);
/// Ends of processes that are not the main one are told so seldom for one cgroup, with how many were left out.
const OTHERS: Duration = Duration::from_secs(1);
/// Before another try, after a failure that need not last; doubled up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// Listens while it is `active`, until nobody takes the signs or nobody says any more what to watch.
pub async fn run(
    mut watch: watch::Receiver<Watch>,
    signs: mpsc::Sender<Sign>,
    mut active: watch::Receiver<bool>,
) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            it_is = active.wait_for(|active| *active) => if it_is.is_err() { return },
            () = signs.closed() => return,
        }
        watch.mark_changed();
        let mut known = Known::new(&signs);
        let ended = tokio::select! {
            ended = known.listen(&mut watch) => ended,
            changed = active.wait_for(|active| !*active) => match changed {
                Ok(_) => Ended::Rests,
                Err(_) => return,
            },
            () = signs.closed() => return,
        };
        let (why, until) = match ended {
            Ended::Over => return,
            Ended::Rests => (String::new(), None),
            Ended::Fault(fault) if fault.is_final() => (fault.to_string(), None),
            Ended::Fault(fault) => {
                pause = (pause * 2).min(LONGEST);
                (fault.to_string(), Some(Instant::now() + pause))
            }
        };
        if !known.tell(clock::now(), Saw::Serving(serving(Rung::Heartbeat, &why))).await {
            return;
        }
        tokio::select! {
            () = at(until) => {}
            rests = active.wait_for(|active| !*active) => if rests.is_err() { return },
            () = signs.closed() => return,
        }
    }
}

/// What it would serve here, tried for a moment.
pub async fn offer() -> Vec<Serving> {
    match Ear::open().await {
        Ok(_) => serving(Rung::ProcConnector, ""),
        Err(fault) => serving(Rung::Heartbeat, &fault.to_string()),
    }
}

/// Why it listens no more.
enum Ended {
    /// Nobody is interested any more.
    Over,
    /// A better one serves.
    Rests,
    Fault(Error),
}

fn serving(rung: Rung, why: &str) -> Vec<Serving> {
    let word = |class| Serving { class, rung, why: why.to_owned() };
    [FailureClass::Exit, FailureClass::Zombie].map(word).into()
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Who is known, and what was told of them.
struct Known {
    signs: mpsc::Sender<Sign>,
    members: BTreeMap<u32, Member>,
    places: Places,
    others: BTreeMap<CgroupId, Others>,
    /// Processes that find no room in the filter were told of.
    warned: bool,
}

/// Ends of processes of a cgroup that are not the main one.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    told_at: Option<Mono>,
    left_out: u32,
}

impl Known {
    fn new(signs: &mpsc::Sender<Sign>) -> Known {
        Known {
            signs: signs.clone(),
            members: BTreeMap::new(),
            places: Places::new(),
            others: BTreeMap::new(),
            warned: false,
        }
    }

    async fn listen(&mut self, watch: &mut watch::Receiver<Watch>) -> Ended {
        let mut ear = match Ear::open().await {
            Ok(ear) => ear,
            Err(fault) => return Ended::Fault(fault),
        };
        let mut due = Instant::now();
        if !self.tell(clock::now(), Saw::Serving(serving(Rung::ProcConnector, ""))).await {
            return Ended::Over;
        }
        loop {
            tokio::select! {
                changed = watch.changed() => {
                    if changed.is_err() {
                        return Ended::Over;
                    }
                    due = Instant::now();
                }
                () = sleep_until(due) => {
                    let wanted = watch.borrow_and_update().clone();
                    if let Err(fault) = self.look(wanted, &ear).await {
                        return Ended::Fault(fault);
                    }
                    due = Instant::now() + SELDOM;
                }
                heard = ear.hear() => match heard {
                    Ok(heard) => {
                        due = due.min(Instant::now() + SOON);
                        if !self.heard(heard).await {
                            return Ended::Over;
                        }
                    }
                    Err(fault) => return Ended::Fault(fault),
                },
            }
        }
    }

    /// Reads who is there, and lets their ends through.
    async fn look(&mut self, wanted: Watch, ear: &Ear) -> Result<(), Error> {
        let mut places = std::mem::take(&mut self.places);
        let looked = spawn_blocking(move || (members::members(&wanted, &mut places), places)).await;
        let (members, places) = looked.map_err(|fault| Error::Socket { source: io::Error::other(fault) })?;
        (self.members, self.places) = (members, places);
        self.others.retain(|cgroup, _| self.places.contains_key(cgroup));
        if self.members.len() > filter::MOST && !self.warned {
            self.warned = true;
            let (all, most) = (self.members.len(), filter::MOST);
            tracing::warn!(all, most, "not the ends of all processes are heard, of main processes they are");
        }
        let mains = self.members.iter().filter(|(_, member)| member.is_main);
        let others = self.members.iter().filter(|(_, member)| !member.is_main);
        ear.let_through(mains.chain(others).map(|(pid, _)| *pid))
    }

    async fn heard(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Events(events) => {
                for event in events {
                    let Event::Exit { at, pid, cause } = event else { continue };
                    if let Some(exit) = self.exit(at, pid, cause)
                        && !self.tell(at, Saw::Exit(exit)).await
                    {
                        return false;
                    }
                }
                true
            }
            Heard::Gap => {
                let place = "the kernel's messages on processes".to_owned();
                self.tell(clock::now(), Saw::Loss(Loss { lost: 0, place })).await
            }
        }
    }

    /// The end of a known process, where it is to be told.
    fn exit(&mut self, at: Mono, pid: u32, cause: Cause) -> Option<Exit> {
        let Member { cgroup, is_main, comm } = self.members.remove(&pid)?;
        let exit = |more| Exit { cgroup, pid, cause: Some(cause), comm, more };
        if is_main {
            return Some(exit(0));
        }
        if cause == Cause::Code(0) {
            return None;
        }
        let others = self.others.entry(cgroup).or_default();
        if others.told_at.is_some_and(|told| at.since(told) < OTHERS) {
            others.left_out += 1;
            return None;
        }
        others.told_at = Some(at);
        Some(exit(std::mem::take(&mut others.left_out)))
    }

    /// Waits for room: meanwhile the kernel queues, and says when it cannot. `false` when nobody takes it.
    async fn tell(&self, at: Mono, saw: Saw) -> bool {
        self.signs.send(Sign { at, source: Source::ProcConnector, saw }).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
