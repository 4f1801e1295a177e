//! Whom the kernel has told of, who is looked at when, and what is said of it.

use std::{collections::BTreeMap, io, mem, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, Watches};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    Settings,
    error::Error,
    tail::{Look, Tail},
    watches::{Asked, Watching},
    window::Count,
};
use crate::{
    clock,
    model::{FailureClass, LogErrors, Loss, Mono, Rung, Saw, Service, Serving, Sign, Source},
};

/// What the kernel tells is heard so often at most: writers of logs are many, and lines come in crowds.
const CALM: Duration = Duration::from_millis(250);
/// Where the kernel cannot tell of new lines, they are looked for so often.
pub(super) const UNWATCHED: Duration = Duration::from_secs(5);
/// A disk that has not answered for so long hangs.
pub(super) const STUCK: Duration = Duration::from_secs(10);
/// What cannot be read is tried again after this, doubled …
const AGAIN: Duration = Duration::from_secs(1);
/// … up to this.
const SELDOM: Duration = Duration::from_secs(60);
/// Between the end of one file and the beginning of the next a log may be missing for so long.
const ROTATES: Duration = Duration::from_secs(5);
/// Bytes that are read of the kernel's queue at once.
const BUFFER: usize = 4096;
/// Words of the kernel that are taken before anything else has a turn.
const CROWD: usize = 1024;

pub(super) struct Task {
    wanted: watch::Receiver<Settings>,
    signs: mpsc::Sender<Sign>,
    followers: BTreeMap<u64, Follower>,
    /// Numbers of followers are never given twice: a look may come back late.
    numbers: u64,
    looks: JoinSet<(u64, Tail, Look)>,
    kernel: Option<EventStream<Vec<u8>>>,
    /// What the kernel tells is not heard before this.
    calm_until: Mono,
    /// Everything that it was asked for, also for nobody any more.
    watched: Asked,
    works: bool,
    why: String,
    serving: Option<Serving>,
}

/// One log of one service.
struct Follower {
    service: Service,
    /// `None` while it is looked at.
    tail: Option<Tail>,
    log: super::Log,
    /// Since when it is looked at, or when that was last over.
    since: Mono,
    due: Option<Mono>,
    /// Something came while it was looked at.
    again: bool,
    watching: Watching,
    trouble: Option<Error>,
    pause: Duration,
    /// It was there, and is missing since then.
    missing: Option<Mono>,
    /// It has been read without trouble at least once.
    seen: bool,
}

impl Task {
    pub(super) fn new(wanted: watch::Receiver<Settings>, signs: mpsc::Sender<Sign>) -> Task {
        Task {
            wanted,
            signs,
            followers: BTreeMap::new(),
            numbers: 0,
            looks: JoinSet::new(),
            kernel: None,
            calm_until: Mono(0),
            watched: Asked::new(),
            works: true,
            why: String::new(),
            serving: None,
        }
    }

    pub(super) async fn run(mut self) {
        self.wanted.mark_changed();
        loop {
            self.look();
            let now = clock::now();
            let wake = self.wake_at().map(|at| Instant::now() + at.since(now));
            let (due, listens) = (wake.unwrap_or_else(Instant::now), now >= self.calm_until);
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = self.wanted.borrow_and_update().clone();
                    self.replace(&wanted);
                }
                Some(done) = self.looks.join_next() => {
                    if let Ok((number, tail, look)) = done {
                        self.looked(number, tail, look).await;
                        tokio::task::yield_now().await;
                    }
                }
                told = next(self.kernel.as_mut()), if listens => self.told(told).await,
                () = tokio::time::sleep_until(due), if wake.is_some() => {}
                () = self.signs.closed() => return,
            }
            self.say().await;
        }
    }

    fn replace(&mut self, wanted: &Settings) {
        let mut new: Vec<_> =
            wanted.iter().flat_map(|(service, logs)| logs.iter().map(move |log| (service, log))).collect();
        self.followers.retain(|_, follower| {
            let same =
                new.iter().position(|(service, log)| (*service, *log) == (&follower.service, &follower.log));
            same.map(|at| new.remove(at)).is_some()
        });
        for (service, log) in new {
            self.numbers += 1;
            self.followers.insert(self.numbers, Follower::new(service.clone(), log.clone()));
        }
        if self.followers.is_empty() {
            (self.kernel, self.watched) = (None, Asked::new());
        }
    }

    /// Begins to look at whoever is due.
    fn look(&mut self) {
        let now = clock::now();
        for (number, follower) in &mut self.followers {
            if follower.tail.is_none() {
                if now.since(follower.since) >= STUCK {
                    follower.trouble.get_or_insert(Error::Stuck { path: follower.log.path.clone() });
                }
                continue;
            }
            if follower.due.is_none_or(|due| due > now) {
                continue;
            }
            let Some(mut tail) = follower.tail.take() else { continue };
            (follower.since, follower.due, follower.again) = (now, None, false);
            let mut watches = watches(&mut self.kernel);
            let number = *number;
            self.looks.spawn_blocking(move || {
                let look = match &mut watches {
                    Ok(watches) => tail.look(Ok(watches)),
                    Err(fault) => tail.look(Err(mem::replace(fault, io::ErrorKind::Other.into()))),
                };
                (number, tail, look)
            });
        }
    }

    async fn looked(&mut self, number: u64, tail: Tail, look: Look) {
        let Look { trouble, more, watching, unwatched, found } = look;
        self.watched.extend(watching.asked.clone());
        if let Some(follower) = self.followers.get_mut(&number) {
            let now = clock::now();
            follower.looked(now, tail, trouble);
            follower.watching = watching;
            if unwatched {
                follower.wait(now + UNWATCHED);
            }
            if more || follower.again {
                follower.due = Some(now);
            }
            if let Some(found) = found {
                let saw = follower.found(found);
                self.tell(saw).await;
            }
        }
        self.forget();
    }

    /// Watches that nobody needs any more are given back, unless a look is under way that may need them.
    fn forget(&mut self) {
        if !self.looks.is_empty() {
            return;
        }
        let needed = |watch: &i32| self.followers.values().any(|it| it.watching.asked.contains_key(watch));
        let (keep, unneeded): (Asked, Asked) =
            mem::take(&mut self.watched).into_iter().partition(|(watch, _)| needed(watch));
        self.watched = keep;
        let Some(mut kernel) = self.kernel.as_ref().map(EventStream::watches) else { return };
        for watch in unneeded.into_values() {
            let _most_have_gone_off = kernel.remove(watch);
        }
    }

    /// The kernel told of something, and maybe of more.
    async fn told(&mut self, first: Option<io::Result<EventOwned>>) {
        let mut overrun = false;
        let mut one = Some(first);
        for _ in 0..CROWD {
            match one {
                Some(Some(Ok(event))) => overrun |= self.heard(&event),
                Some(Some(Err(_)) | None) => {
                    // a kernel that speaks no more is asked anew
                    (self.kernel, self.watched) = (None, Asked::new());
                    overrun = true;
                }
                None => break,
            }
            one = next(self.kernel.as_mut()).now_or_never();
        }
        let now = clock::now();
        self.calm_until = now + CALM;
        if overrun {
            self.followers.values_mut().for_each(|follower| follower.touch(now));
            self.tell(Saw::Loss(Loss { lost: 0, place: "the kernel's queue of words on logs".into() })).await;
        }
    }

    /// Whoever it is about is looked at; `true` where the queue has overflowed.
    fn heard(&mut self, event: &EventOwned) -> bool {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            return true;
        }
        if event.mask.contains(EventMask::IGNORED) {
            return false; // the end of a watch, which was told before
        }
        let (now, watch) = (clock::now(), event.wd.get_watch_descriptor_id());
        for follower in self.followers.values_mut() {
            let own = follower.watching.asked.contains_key(&watch);
            let named = event.name.as_ref().is_none_or(|name| *name == follower.watching.name);
            // what a look that is under way has asked for is not known yet
            if follower.tail.is_none() || (own && named) {
                follower.touch(now);
            }
        }
        false
    }

    /// What has changed of what can be seen.
    async fn say(&mut self) {
        let troubles: Vec<String> =
            self.followers.values().filter_map(|it| it.trouble.as_ref()).map(Error::to_string).collect();
        let why = troubles.join("; ");
        if why != self.why {
            self.works = why.is_empty();
            self.why.clone_from(&why);
            if !self.works {
                tracing::warn!(why, "not every log is followed");
            }
            self.tell(Saw::Working { works: self.works, why: why.clone() }).await;
        }
        let some = self.followers.values().any(|follower| follower.seen && follower.trouble.is_none());
        let rung = if some { Rung::Log } else { Rung::Heartbeat };
        let serving = Serving { class: FailureClass::ServerErrors, rung, why };
        let known = self.followers.values().all(|follower| follower.seen || follower.trouble.is_some());
        let before = self.serving.as_ref();
        if known && before.map_or(!self.followers.is_empty(), |before| *before != serving) {
            self.serving = Some(serving.clone());
            self.tell(Saw::Serving(vec![serving])).await;
        }
    }

    async fn tell(&self, saw: Saw) {
        // where nobody takes it any more, the loop ends
        self.signs.send(Sign { at: clock::now(), source: Source::Logs, saw }).await.ok();
    }

    fn wake_at(&self) -> Option<Mono> {
        let now = clock::now();
        let of = |follower: &Follower| match (&follower.tail, &follower.trouble) {
            (Some(_), _) => follower.due,
            (None, None) => Some(follower.since + STUCK),
            (None, Some(_)) => None,
        };
        let calm = Some(self.calm_until).filter(|until| *until > now);
        self.followers.values().filter_map(of).chain(calm).min()
    }
}

impl Follower {
    fn new(service: Service, log: super::Log) -> Follower {
        let now = clock::now();
        Follower {
            service,
            tail: Some(Tail::new(log.clone())),
            log,
            since: now,
            due: Some(now),
            again: false,
            watching: Watching::default(),
            trouble: None,
            pause: AGAIN,
            missing: None,
            seen: false,
        }
    }

    fn touch(&mut self, now: Mono) {
        match self.tail {
            Some(_) => self.due = Some(now),
            None => self.again = true,
        }
    }

    fn looked(&mut self, now: Mono, tail: Tail, trouble: Option<Error>) {
        self.tail = Some(tail);
        self.since = now;
        self.trouble = None;
        match trouble {
            None => (self.seen, self.pause, self.missing) = (true, AGAIN, None),
            Some(fault @ Error::Missing { .. }) if self.seen => {
                let since = *self.missing.get_or_insert(now);
                if now.since(since) < ROTATES {
                    self.wait(since + ROTATES); // the next file is about to come
                    return;
                }
                self.trouble = Some(fault);
            }
            // told by the folder, or by nothing at all
            Some(
                fault @ (Error::Missing { .. }
                | Error::Link { .. }
                | Error::NoFile { .. }
                | Error::Format { .. }
                | Error::Unwatched { .. }),
            ) => self.trouble = Some(fault),
            Some(
                fault @ (Error::Denied { .. }
                | Error::Forbidden { .. }
                | Error::Io { .. }
                | Error::Stuck { .. }),
            ) => {
                self.wait(now + self.pause);
                self.pause = (self.pause * 2).min(SELDOM);
                self.trouble = Some(fault);
            }
        }
    }

    fn wait(&mut self, until: Mono) {
        self.due = Some(self.due.map_or(until, |due| due.min(until)));
    }

    fn found(&self, found: Count) -> Saw {
        let fits = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Saw::LogErrors(LogErrors {
            service: self.service.clone(),
            path: self.log.path.clone(),
            errors: fits(found.errors),
            lines: fits(found.lines),
        })
    }
}

/// The way to ask the kernel for watches; opened where it is not yet.
fn watches(kernel: &mut Option<EventStream<Vec<u8>>>) -> io::Result<Watches> {
    if let Some(kernel) = kernel {
        return Ok(kernel.watches());
    }
    let opened = Inotify::init()?.into_event_stream(vec![0; BUFFER])?;
    Ok(kernel.insert(opened).watches())
}

/// The next word; never, where nothing was asked.
async fn next(kernel: Option<&mut EventStream<Vec<u8>>>) -> Option<io::Result<EventOwned>> {
    match kernel {
        Some(kernel) => kernel.next().await,
        None => std::future::pending().await,
    }
}
