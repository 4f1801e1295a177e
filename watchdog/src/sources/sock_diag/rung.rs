//! Looks at the table of sockets again and again, while nothing better sees what it shows.
//!
//! What ticks, and only then: the listeners each shortest `accept_after`, between 250 and 500 ms, for some 50 us; the connections
//! of all watched ports each `answer_after`, between 0.5 and 5 s, in two walks of a millisecond or two.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};

use super::{Error, SockDiag, look::Looks};
use crate::{
    clock,
    model::{FailureClass, Loss, Mono, Rung, Saw, Serving, Sign, Source, Watch},
};

/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// So many in a row are no accident: it sees nothing.
const BLIND: u32 = 3;

const CLASSES: [FailureClass; 3] =
    [FailureClass::ListenerLost, FailureClass::AcceptStall, FailureClass::AnswerStall];

/// What a source that works sees, or one that does not, for this reason.
pub fn serving(works: bool, why: &str) -> Vec<Serving> {
    let (rung, why) = if works { (Rung::SockDiag, "") } else { (Rung::Heartbeat, why) };
    CLASSES.map(|class| Serving { class, rung, why: why.to_owned() }).into()
}

/// Looks while nothing better is said to serve, until nobody takes the signs or nobody says any more what to watch. `ours` are
/// the ends of watchdog's own connections.
pub async fn run(
    mut watch: watch::Receiver<Watch>,
    signs: mpsc::Sender<Sign>,
    mut serving: watch::Receiver<Vec<Serving>>,
    ours: fn() -> BTreeSet<SocketAddr>,
) {
    loop {
        tokio::select! {
            needed = serving.wait_for(|serving| is_needed(serving)) => if needed.is_err() { return },
            () = signs.closed() => return,
        }
        let mut post = Post { signs: &signs, failed: 0, serves: None };
        let mut eyes = Some(Eyes { sockets: None, looks: Looks::default(), ours });
        watch.mark_changed();
        while is_needed(&serving.borrow_and_update()) {
            let due = eyes.as_ref().and_then(|eyes| eyes.looks.due());
            let pause = match (due, post.failed) {
                (None, _) => None,
                (Some(due), 0) => Some(due.since(clock::now())),
                (Some(_), _) => Some(AGAIN),
            };
            let told = tokio::select! {
                changed = watch.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = watch.borrow_and_update().clone();
                    if let Some(eyes) = &mut eyes {
                        eyes.looks.watch(clock::now(), &wanted);
                    }
                    true
                }
                () = pause_of(pause) => {
                    let Some(mut open) = eyes.take() else { return };
                    match spawn_blocking(move || { let saw = open.look(); (open, saw) }).await {
                        Ok((open, saw)) => {
                            eyes = Some(open);
                            post.tell(saw).await
                        }
                        // it panicked, which is logged; what it knew is gone with it
                        Err(fault) => {
                            let mut looks = Looks::default();
                            looks.watch(clock::now(), &watch.borrow());
                            eyes = Some(Eyes { sockets: None, looks, ours });
                            post.lost(fault.to_string()).await
                        }
                    }
                }
                changed = serving.changed() => changed.is_ok(),
                () = signs.closed() => false,
            };
            if !told {
                return;
            }
        }
        if !post.serving(None, "").await {
            return;
        }
    }
}

/// One of the classes is seen by this rung at best. Before anyone has said by what, it is not.
fn is_needed(serving: &[Serving]) -> bool {
    serving.iter().any(|it| CLASSES.contains(&it.class) && it.rung >= Rung::SockDiag)
}

async fn pause_of(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// What looks, on a thread that may wait.
struct Eyes {
    sockets: Option<SockDiag>,
    looks: Looks,
    ours: fn() -> BTreeSet<SocketAddr>,
}

impl Eyes {
    fn look(&mut self) -> Result<Vec<(Mono, Saw)>, Error> {
        let sockets = match &mut self.sockets {
            Some(sockets) => sockets,
            None => self.sockets.insert(SockDiag::open()?),
        };
        let at = clock::now();
        let all = sockets.open_now()?;
        let mut saw = dated(at, self.looks.listeners(at, &all));
        let ports = self.looks.to_walk(at);
        if !ports.is_empty() {
            let at = clock::now();
            let all = sockets.clients(&ports)?;
            let ours = (self.ours)();
            let found = self.looks.connections(at, &ports, &all, |peer| ours.contains(&peer));
            saw.extend(dated(at, found));
        }
        Ok(saw)
    }
}

fn dated(at: Mono, saw: Vec<Saw>) -> Vec<(Mono, Saw)> {
    saw.into_iter().map(|saw| (at, saw)).collect()
}

/// Tells, and waits for room: what is not looked at meanwhile is in the table still.
struct Post<'a> {
    signs: &'a mpsc::Sender<Sign>,
    /// Looks in a row.
    failed: u32,
    serves: Option<Rung>,
}

impl Post<'_> {
    async fn tell(&mut self, saw: Result<Vec<(Mono, Saw)>, Error>) -> bool {
        match saw {
            Ok(saw) => {
                self.failed = 0;
                if !self.serving(Some(Rung::SockDiag), "").await {
                    return false;
                }
                for (at, saw) in saw {
                    if !self.send(at, saw).await {
                        return false;
                    }
                }
                true
            }
            Err(fault) => self.lost(fault.to_string()).await,
        }
    }

    async fn lost(&mut self, why: String) -> bool {
        self.failed = self.failed.saturating_add(1);
        if self.failed == 1 {
            tracing::warn!(why, "a look at the table of sockets failed");
            let loss = Loss { lost: 0, place: "table of sockets".to_owned() };
            if !self.send(clock::now(), Saw::Loss(loss)).await {
                return false;
            }
        }
        self.failed < BLIND || self.serving(Some(Rung::Heartbeat), &why).await
    }

    /// Says by what the classes are seen, where that is news; `None`: not by this source, as long as it rests.
    async fn serving(&mut self, rung: Option<Rung>, why: &str) -> bool {
        if self.serves == rung {
            return true;
        }
        self.serves = rung;
        let rung = rung.unwrap_or(Rung::Heartbeat);
        let serving = CLASSES.map(|class| Serving { class, rung, why: why.to_owned() });
        self.send(clock::now(), Saw::Serving(serving.into())).await
    }

    async fn send(&self, at: Mono, saw: Saw) -> bool {
        self.signs.send(Sign { at: at.whole(), source: Source::SockDiag, saw }).await.is_ok()
    }
}
