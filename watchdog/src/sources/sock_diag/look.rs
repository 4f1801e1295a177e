//! Pure. What looks at the table of sockets come to: the second rung for lost listeners and for stalls.
//!
//! The kernel tells how long ago data was last sent and received on each connection, so that an age is exact at the first look:
//! a stall is found when the oldest connection is too old, however rarely it was looked before.
//! Not seen: a client that came and went between two looks, and a request that was read and that arrived in the same jiffy in
//! which the server last sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use crate::model::{CgroupId, Mono, Port, Saw, Stall, Watch, WatchedPort};

/// Listeners are looked at each `accept_after`, as far as that is between these.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_millis(500);
/// Connections are walked each `answer_after`, as far as that is between these: a walk takes a millisecond or two.
const WALK_OFTEN: Duration = Duration::from_millis(500);
const WALK_SELDOM: Duration = Duration::from_secs(5);
/// A server that binds its port anew is without a listener for a moment.
const REBIND: Duration = Duration::from_millis(100);
/// A jiffy of the slowest usual clock (100 Hz): so exact are the kernel's ages.
const JIFFY: Duration = Duration::from_millis(10);
const IN_USE: Duration = Duration::from_secs(5);

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// No other socket ever has it.
    pub(super) cookie: u64,
    pub(super) port: Port,
    /// Of its creator.
    pub(super) cgroup: Option<CgroupId>,
    /// Connections that wait for an accept.
    pub(super) queue: u32,
}

/// A living connection to a port of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// No other socket ever has it.
    pub(super) cookie: u64,
    pub(super) port: Port,
    pub(super) peer: SocketAddr,
    /// A process has it.
    pub(super) accepted: bool,
    /// Bytes that the server has not read.
    pub(super) unread: u32,
    /// Bytes that the server has written, and the client does not take.
    pub(super) not_taken: u32,
    /// Bytes, ever.
    pub(super) received: u64,
    /// Bytes, ever.
    pub(super) sent: u64,
    pub(super) received_ago: Duration,
    /// Since it was connected, where nothing was sent.
    pub(super) sent_ago: Duration,
}

/// What is known of all ports.
#[derive(Debug, Default)]
pub(super) struct Looks {
    ports: BTreeMap<Port, Watching>,
    cgroups: BTreeSet<CgroupId>,
    /// Every listener of the last look; none before the first.
    listeners: Option<BTreeSet<u64>>,
    looked_at: Mono,
}

#[derive(Debug)]
struct Watching {
    settings: WatchedPort,
    listeners: BTreeSet<u64>,
    /// Since when it is without a listener that it had; not told yet.
    lost_at: Option<Mono>,
    /// Connections in all accept queues of this port.
    queue: u32,
    /// Since when the queue holds none but connections that were broken off.
    broken_since: Option<Mono>,
    stalled: bool,
    /// When its queue is worth a look, while connections wait there.
    queue_due: Mono,
    walk_due: Mono,
    /// Its connections at the last walk; none before the first.
    clients: Option<BTreeSet<u64>>,
    in_use_at: Option<Mono>,
    /// Requests that were told to be late, by their arrival.
    told: BTreeMap<u64, Mono>,
    told_at: Option<Mono>,
}

impl Looks {
    /// From now on these are watched, and nothing else. Ports that stay keep what is known of them.
    pub(super) fn watch(&mut self, now: Mono, watch: &Watch) {
        self.cgroups = watch.cgroups.keys().copied().collect();
        self.ports.retain(|port, _| watch.ports.contains_key(port));
        for (port, settings) in &watch.ports {
            match self.ports.get_mut(port) {
                Some(known) => known.settings = *settings,
                None => {
                    self.ports.insert(*port, Watching::new(now, *settings));
                }
            }
        }
    }

    /// When the table must be looked at next; `None` while nothing is watched.
    pub(super) fn due(&self) -> Option<Mono> {
        let shortest = self.ports.values().map(|port| port.settings.accept_after).min();
        let shortest = shortest.or_else(|| (!self.cgroups.is_empty()).then_some(SELDOM))?;
        let regular = match self.listeners {
            Some(_) => self.looked_at + shortest.clamp(OFTEN, SELDOM),
            None => self.looked_at,
        };
        Some(self.ports.values().filter_map(Watching::due).fold(regular, Mono::min))
    }

    /// Every listener of this moment.
    pub(super) fn listeners(&mut self, now: Mono, all: &[Open]) -> Vec<Saw> {
        let mut saw = Vec::new();
        let known = self.listeners.replace(all.iter().map(|open| open.cookie).collect());
        self.looked_at = now;
        let first = known.is_none();
        let known = known.unwrap_or_default();
        let watched = |open: &&Open| {
            self.ports.contains_key(&open.port) || open.cgroup.is_some_and(|it| self.cgroups.contains(&it))
        };
        let new = all.iter().filter(|open| !first && !known.contains(&open.cookie));
        let up: BTreeSet<Port> = new.filter(watched).map(|open| open.port).collect();
        saw.extend(up.into_iter().map(Saw::ListenerUp));
        for (port, watching) in &mut self.ports {
            let own = all.iter().filter(|open| open.port == *port);
            watching.listeners(now, *port, own, &mut saw);
        }
        saw
    }

    /// Ports whose connections must be walked now.
    pub(super) fn to_walk(&self, now: Mono) -> BTreeSet<Port> {
        let due = self.ports.iter().filter(|(_, it)| it.walk_due <= now || it.queue_is_due(now));
        due.map(|(port, _)| *port).collect()
    }

    /// Every living connection of `walked` at this moment; `ours` are no clients.
    pub(super) fn connections(
        &mut self,
        now: Mono,
        walked: &BTreeSet<Port>,
        all: &[Client],
        ours: impl Fn(SocketAddr) -> bool,
    ) -> Vec<Saw> {
        let mut saw = Vec::new();
        for port in walked {
            let Some(watching) = self.ports.get_mut(port) else { continue };
            let mut own: Vec<&Client> = all.iter().filter(|client| client.port == *port).collect();
            let waiting = own.iter().filter(|client| !client.accepted).count();
            own.retain(|client| !ours(client.peer));
            watching.walk_due = now + watching.settings.answer_after.clamp(WALK_OFTEN, WALK_SELDOM);
            watching.in_use(now, *port, &own, &mut saw);
            // one that came after the look at the queue is old by the next one
            if watching.queue > 0 {
                watching.accepts(now, *port, &own, waiting, &mut saw);
            }
            watching.answers(now, *port, &own, &mut saw);
        }
        saw
    }
}

impl Watching {
    fn new(now: Mono, settings: WatchedPort) -> Watching {
        Watching {
            settings,
            listeners: BTreeSet::new(),
            lost_at: None,
            queue: 0,
            broken_since: None,
            stalled: false,
            queue_due: now,
            walk_due: now,
            clients: None,
            in_use_at: None,
            told: BTreeMap::new(),
            told_at: None,
        }
    }

    fn due(&self) -> Option<Mono> {
        let queue = (self.queue > 0).then_some(self.queue_due);
        let lost = self.lost_at.map(|at| at + REBIND);
        [Some(self.walk_due), queue, lost].into_iter().flatten().min()
    }

    fn queue_is_due(&self, now: Mono) -> bool {
        self.queue > 0 && self.queue_due <= now
    }

    fn listeners<'a>(
        &mut self,
        now: Mono,
        port: Port,
        own: impl Iterator<Item = &'a Open>,
        saw: &mut Vec<Saw>,
    ) {
        let before = std::mem::take(&mut self.listeners);
        self.queue = 0;
        for open in own {
            self.listeners.insert(open.cookie);
            self.queue += open.queue;
        }
        if !self.listeners.is_empty() {
            self.lost_at = None;
            if before.difference(&self.listeners).next().is_some() {
                let left = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
                saw.push(Saw::ListenerDown { port, left });
            }
        } else if !before.is_empty() {
            self.lost_at = Some(now);
        } else if self.lost_at.is_some_and(|at| now.since(at) >= REBIND) {
            self.lost_at = None;
            saw.push(Saw::ListenerDown { port, left: 0 });
        }
        if self.queue == 0 {
            self.broken_since = None;
            self.over(port, saw);
        }
    }

    fn over(&mut self, port: Port, saw: &mut Vec<Saw>) {
        if std::mem::take(&mut self.stalled) {
            saw.push(Saw::StallOver(port));
        }
    }

    /// The first walk tells who is there, not who comes.
    fn in_use(&mut self, now: Mono, port: Port, own: &[&Client], saw: &mut Vec<Saw>) {
        let before = self.clients.replace(own.iter().map(|client| client.cookie).collect());
        let Some(before) = before else { return };
        let new = own.iter().any(|client| !before.contains(&client.cookie));
        if new && self.in_use_at.is_none_or(|at| now.since(at) >= IN_USE) {
            self.in_use_at = Some(now);
            saw.push(Saw::InUse(port));
        }
    }

    /// `visible` of the queue are living connections, ours among them.
    fn accepts(&mut self, now: Mono, port: Port, own: &[&Client], visible: usize, saw: &mut Vec<Saw>) {
        let after = self.settings.accept_after;
        let waiting = || own.iter().filter(|client| !client.accepted);
        let oldest = waiting().map(|client| client.sent_ago).max();
        // Those whose clients broke them off stand in the queue and are in no table: that they do not move is only seen by a
        // queue that is never empty, of none but them.
        let broken = self.queue.saturating_sub(u32::try_from(visible).unwrap_or(u32::MAX));
        self.broken_since = match oldest {
            None if broken > 0 => self.broken_since.or(Some(now)),
            None | Some(_) => None,
        };
        let stall = match (oldest, self.broken_since) {
            (Some(age), _) if age >= after => {
                Some((age, u32::try_from(waiting().count()).unwrap_or(u32::MAX)))
            }
            (None, Some(since)) if now.since(since) >= 2 * after => Some((now.since(since), broken)),
            (Some(_) | None, _) => None,
        };
        self.queue_due = now
            + match (stall, oldest) {
                (Some(_), _) | (None, None) => after.clamp(OFTEN, SELDOM),
                (None, Some(age)) => after.saturating_sub(age) + JIFFY / 2,
            };
        match stall {
            Some((age, waiting)) if !self.stalled => {
                self.stalled = true;
                saw.push(Saw::AcceptStall(Stall { port, age, waiting }));
            }
            Some(_) => {}
            None => self.over(port, saw),
        }
    }

    /// A client waits when it sent bytes and the server, since then, sent none, or has not even read them; unless the server has
    /// bytes that the client does not take, or has answered another connection since. Told once for each arrival of bytes.
    fn answers(&mut self, now: Mono, port: Port, own: &[&Client], saw: &mut Vec<Saw>) {
        let after = self.settings.answer_after;
        self.told.retain(|cookie, _| own.iter().any(|client| client.cookie == *cookie));
        let answered = own.iter().filter(|client| client.sent > 0).map(|client| client.sent_ago).min();
        let waits = |client: &&&Client| {
            client.accepted
                && client.received > 0
                && client.not_taken == 0
                && (client.sent == 0 || client.unread > 0 || client.received_ago < client.sent_ago)
                && answered.is_none_or(|ago| ago + JIFFY >= client.received_ago)
        };
        let (mut waiting, mut oldest, mut news) = (0, Duration::ZERO, Vec::new());
        for client in own.iter().filter(waits) {
            let age = client.received_ago;
            if age < after {
                self.walk_due = self.walk_due.min(now + (after.saturating_sub(age) + JIFFY / 2));
                continue;
            }
            waiting += 1;
            oldest = oldest.max(age);
            let arrived = Mono(now.0.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
            let same = |told: &Mono| arrived.since(*told).max(told.since(arrived)) <= 2 * JIFFY;
            if !self.told.get(&client.cookie).is_some_and(same) {
                news.push((client.cookie, arrived));
            }
        }
        if news.is_empty() {
            return;
        }
        if let Some(at) = self.told_at.filter(|at| now.since(*at) < after) {
            self.walk_due = self.walk_due.min(at + after);
            return;
        }
        self.told_at = Some(now);
        self.told.extend(news);
        saw.push(Saw::AnswerStall(Stall { port, age: oldest, waiting }));
    }
}

#[cfg(test)]
mod tests;
