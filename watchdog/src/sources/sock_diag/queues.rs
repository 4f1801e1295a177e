//! The accept queues of Unix sockets, which no hook of the kernel's shows.
//!
//! Looked at when something is suspected or answers badly, for a stall of a backend shows at its front end first; and each 15 s
//! while all is well. A queue whose first client is another at the next look moves.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};

use super::SockDiag;
use crate::{
    clock,
    model::{Mono, Saw, Sign, Source, Tick, UnixStall, Watch},
};

/// While all is well.
const SELDOM: Duration = Duration::from_secs(15);
/// While connections wait that were told of: they may be taken, and others may wait.
const STALLED: Duration = Duration::from_secs(1);
/// Whatever is suspected, a look is no more often than this.
const OFTEN: Duration = Duration::from_millis(100);

/// What [`watch()`] does while all is well.
pub fn tick() -> Tick {
    Tick {
        what: "the accept queues of Unix sockets are looked at, where any are watched".to_owned(),
        every: SELDOM,
    }
}

/// Connections that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) inode: u32,
    pub(super) path: PathBuf,
    /// The inode of the client that has waited longest.
    pub(super) first: u32,
    pub(super) waiting: u32,
}

/// Pure. What looks at the queues come to.
#[derive(Debug, Default)]
struct Queues {
    watched: BTreeMap<PathBuf, Duration>,
    /// By the listener's inode.
    waiting: BTreeMap<u32, Waiting>,
    looked_at: Option<Mono>,
    /// A look is wanted before its time.
    wanted: bool,
}

#[derive(Debug)]
struct Waiting {
    first: u32,
    since: Mono,
    after: Duration,
    told: bool,
}

impl Queues {
    fn watch(&mut self, watched: &BTreeMap<PathBuf, Duration>) {
        self.watched.clone_from(watched);
        self.wanted = true;
    }

    /// `None`: only when something else is watched.
    fn due(&self) -> Option<Mono> {
        if self.watched.is_empty() {
            return None;
        }
        let Some(looked_at) = self.looked_at else { return Some(Mono(0)) };
        let regular = looked_at + if self.wanted { OFTEN } else { SELDOM };
        let next = self.waiting.values().map(|it| match it.told {
            true => looked_at + STALLED,
            false => (it.since + it.after).max(looked_at + OFTEN),
        });
        Some(next.fold(regular, Mono::min))
    }

    fn look(&mut self, now: Mono, queues: &[Queue]) -> Vec<Saw> {
        (self.looked_at, self.wanted) = (Some(now), false);
        let mut before = std::mem::take(&mut self.waiting);
        let mut saw = Vec::new();
        for Queue { inode, path, first, waiting } in queues.iter().filter(|queue| queue.waiting > 0) {
            let Some(after) = self.watched.get(path).copied() else { continue };
            let mut it = match before.remove(inode) {
                Some(it) if it.first == *first => Waiting { after, ..it },
                Some(_) | None => Waiting { first: *first, since: now, after, told: false },
            };
            let age = now.since(it.since);
            if age >= after && !it.told {
                it.told = true;
                saw.push(Saw::UnixStall(UnixStall { path: path.clone(), age, waiting: *waiting }));
            }
            self.waiting.insert(*inode, it);
        }
        saw
    }
}

/// Looks until nobody takes the signs, or nobody says any more what to watch. `suspects` changes whenever something is
/// suspected.
pub async fn watch(
    mut watched: watch::Receiver<Watch>,
    signs: mpsc::Sender<Sign>,
    mut suspects: watch::Receiver<u64>,
) {
    let mut queues = Queues::default();
    let mut sockets = None;
    let mut works = true;
    watched.mark_changed();
    loop {
        let pause = queues.due().map(|due| due.since(clock::now()));
        tokio::select! {
            changed = watched.changed() => {
                if changed.is_err() {
                    return;
                }
                let watch = watched.borrow_and_update();
                if watch.unix != queues.watched {
                    queues.watch(&watch.unix);
                }
                continue;
            }
            changed = suspects.changed() => {
                if changed.is_err() {
                    return;
                }
                queues.wanted = true;
                continue;
            }
            () = async { match pause {
                Some(pause) => sleep(pause).await,
                None => std::future::pending().await,
            } } => {}
            () = signs.closed() => return,
        }
        let at = clock::now();
        let mut open = sockets.take();
        let look = spawn_blocking(move || {
            let read = match &mut open {
                Some(sockets) => SockDiag::queues(sockets),
                None => SockDiag::open().and_then(|sockets| open.insert(sockets).queues()),
            };
            (open, read)
        });
        let (read, why) = match look.await {
            Ok((open, Ok(read))) => {
                sockets = open;
                (read, None)
            }
            Ok((open, Err(fault))) => {
                sockets = open;
                (Vec::new(), Some(fault.to_string()))
            }
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        if let Some(why) = &why
            && works
        {
            tracing::warn!(why, "the queues of Unix sockets are not known");
        }
        works = why.is_none();
        for saw in queues.look(at, &read) {
            if signs.send(Sign { at, source: Source::SockDiag, saw }).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn ms(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    /// `accept_after` of /run/php.sock is 250 ms. Each change holds from its time on (`FIRST=WAITING`, or nothing), and is looked
    /// at when that is due; `?` is a suspicion.
    fn check(changes: &[(u64, &str)], expected: Expect) {
        let mut queues = Queues::default();
        queues.watch(&[("/run/php.sock".into(), Duration::from_millis(250))].into());
        let (mut text, mut table) = (String::new(), vec![]);
        for (index, (from, change)) in changes.iter().enumerate() {
            match change.split_once('=') {
                _ if *change == "?" => queues.wanted = true,
                None => table.clear(),
                Some((first, waiting)) => {
                    let number = |text: &str| text.parse().unwrap();
                    let path = "/run/php.sock".into();
                    table = vec![Queue { inode: 1, path, first: number(first), waiting: number(waiting) }];
                }
            }
            let end = ms(changes.get(index + 1).map_or(20_000, |(at, _)| *at));
            while let Some(at) = queues.due().map(|at| at.max(ms(*from))).filter(|at| *at < end) {
                text += &format!("{:?}", at.since(Mono(0)));
                for saw in queues.look(at, &table) {
                    let Saw::UnixStall(UnixStall { path, age, waiting }) = saw else { panic!("{saw:?}") };
                    text += &format!(" {waiting} wait at {} for {age:?}", path.display());
                }
                text += "\n";
            }
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn all_being_well_a_look_comes_each_15_seconds() {
        check(
            &[(0, "")],
            expect![[r#"
            0ns
            15s
        "#]],
        );
    }

    #[test]
    fn f2_a_queue_whose_first_client_stays_is_told_once() {
        check(
            &[(0, ""), (1_000, "7=3"), (2_000, "?"), (5_000, "")],
            expect![[r#"
            0ns
            2s
            2.25s 3 wait at /run/php.sock for 250ms
            3.25s
            4.25s
            5.25s
        "#]],
        );
    }

    #[test]
    fn a_queue_that_moves_is_never_told() {
        check(
            &[(0, ""), (1_000, "7=3"), (1_000, "?"), (1_200, "8=5"), (1_400, "9=5"), (1_600, "")],
            expect![[r#"
                0ns
                1s
                1.25s
                1.5s
                1.75s
                16.75s
            "#]],
        );
    }
}
