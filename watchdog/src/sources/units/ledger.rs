use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    time::Duration,
};

use super::kept::Kept;
use crate::{
    model::{
        ActiveState, CgroupId, Job, JobKind, JobResult, JobStep, Mono, Saw, Sign, Source, Unit, UnitState,
    },
    systemd::{Said, unit_of},
};

/// How long a new job is held back for its kind, and with it all that came after it. PID 1 tells it within a fraction of
/// this, or only when it has forked, some 10 ms later.
const HOLD: Duration = Duration::from_millis(1);

/// What systemd is to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Everything about a unit, for this reader, or for us alone.
    All(Unit, Option<Reader>),
    /// What a job does.
    Job(u32),
    /// Whether the new incarnation lives where the last one did: one look at a directory instead of milliseconds of PID 1,
    /// in which it would rather start the unit. Not there, or still the old directory: everything is asked for.
    Home { unit: Unit, path: String, before: Option<CgroupId> },
}

/// One who waits for a unit's state.
pub(super) type Reader = u64;

/// What leaves, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Out {
    Sign(Sign),
    Answer(Reader, Box<UnitState>),
}

/// What is known of all units. Pure: messages in, signs and questions out, in the order of the messages.
///
/// Invariant: nothing overtakes. A new job waits a moment for its kind, and everything behind it waits with it; a unit
/// that sockets can start waits until it is known whether they listen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    watched: BTreeSet<Unit>,
    kept: BTreeMap<Unit, Kept>,
    told: BTreeMap<Unit, UnitState>,
    jobs: BTreeMap<u32, Kind>,
    queue: VecDeque<Out>,
    asks: VecDeque<Ask>,
}

/// What is known of a job's kind, while that is of interest.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Asked for; signs wait for it until then.
    Asked(Mono),
    /// `None`: it was over before it could be read.
    Known(Option<JobKind>),
}

impl Ledger {
    /// Watches these units and no others; those that are new are asked for.
    pub(super) fn watch(&mut self, units: Vec<Unit>) {
        self.watched = units.into_iter().collect();
        self.told.retain(|unit, _| self.watched.contains(unit));
        let sockets: BTreeSet<Unit> =
            self.watched.iter().flat_map(|unit| self.sockets(unit)).cloned().collect();
        self.kept.retain(|unit, _| self.watched.contains(unit) || sockets.contains(unit));
        for unit in &self.watched {
            if !self.kept.contains_key(unit) {
                self.asks.push_back(Ask::All(unit.clone(), None));
                self.kept.insert(unit.clone(), Kept::blank(unit));
            } else if !self.told.contains_key(unit) {
                self.asks.push_back(Ask::All(unit.clone(), None)); // was read or listened to before, but not told
            }
        }
    }

    /// A new connection stands: everything is asked and told again.
    pub(super) fn connected(&mut self) {
        self.asks.clear();
        self.told.clear();
        self.reconcile();
    }

    /// Asks for everything again, when systemd has read its files again. It does not say by itself what is new in them.
    pub(super) fn reconcile(&mut self) {
        for (unit, kept) in &mut self.kept {
            kept.outdated = true;
            self.asks.push_back(Ask::All(unit.clone(), None));
        }
    }

    /// The connection is gone, and with it the replies to all that was asked; what waits for them waits no longer.
    pub(super) fn disconnect(&mut self) {
        self.asks.clear();
        self.jobs.clear();
        let lacking: BTreeSet<Unit> =
            self.kept.keys().filter(|unit| self.lacks_sockets(unit)).cloned().collect();
        self.queue.retain(|out| out.unit().is_none_or(|unit| !lacking.contains(unit)));
    }

    /// Asks for everything about a unit, to be answered behind all signs that come before the reply.
    pub(super) fn read(&mut self, unit: &Unit, reader: Reader) {
        self.asks.push_back(Ask::All(unit.clone(), Some(reader)));
    }

    /// The next question to systemd.
    pub(super) fn next_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// The next thing to leave, unless it has to wait; a state that was told before is not told again.
    pub(super) fn next(&mut self, now: Mono) -> Option<Out> {
        while !self.waits(now, self.queue.front()?) {
            let mut out = self.queue.pop_front()?;
            if let Some(state) = out.state_mut() {
                state.socket_activated = self.listens(&state.unit);
            }
            if let Out::Sign(Sign { saw: Saw::Unit(state), .. }) = &out {
                if self.told.get(&state.unit) == Some(&**state) {
                    continue;
                }
                self.told.insert(state.unit.clone(), (**state).clone());
            }
            return Some(out);
        }
        None
    }

    /// When [`Ledger::next`] gives something though no message came.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        let job = self.queue.front()?.unknown_job()?;
        match self.jobs.get(&job)? {
            Kind::Asked(until) => Some(*until),
            Kind::Known(_) => None,
        }
    }

    /// Whether a change at this object path is of interest, asked before the message is read in full.
    pub(super) fn matters(&self, path: &str) -> bool {
        unit_of(path).is_some_and(|unit| self.named(unit.as_str()).next().is_some())
    }

    /// Properties of the unit at this object path changed; until `complete` more of the same change follows.
    pub(super) fn changed(&mut self, now: Mono, path: &str, said: &Said, complete: bool) {
        let Some(own_name) = unit_of(path) else { return };
        let units: Vec<Unit> = self.named(own_name.as_str()).cloned().collect();
        for unit in units {
            let Some(kept) = self.kept.get_mut(&unit) else { continue };
            kept.change(said.clone(), complete);
            if !complete || !kept.known {
                continue; // half of a change is told to nobody
            }
            if kept.wants_a_look(self.told.get(&unit)) {
                match kept.likely_home() {
                    Some((path, before)) => {
                        self.asks.push_back(Ask::Home { unit: unit.clone(), path, before });
                    }
                    None => {
                        kept.looked_at = true;
                        self.asks.push_back(Ask::All(unit.clone(), None));
                    }
                }
            }
            self.tell(now, &unit);
        }
    }

    /// A new incarnation was found where the last one lived.
    pub(super) fn housed(&mut self, now: Mono, unit: &Unit, path: &str, cgroup: CgroupId) {
        if let Some(kept) = self.kept.get_mut(unit).filter(|kept| kept.is_homeless()) {
            kept.housed(path, cgroup);
            self.tell(now, unit);
        }
    }

    /// A job was queued on a unit of this own name.
    pub(super) fn job_new(&mut self, now: Mono, id: u32, own_name: &str) {
        for unit in self.watched_as(own_name) {
            let kind = self.kind(now, id);
            self.sign(now, Saw::Job(Job { unit, id, step: JobStep::New(kind) }));
        }
    }

    /// A job ended on a unit of this own name.
    pub(super) fn job_removed(&mut self, now: Mono, id: u32, own_name: &str, result: JobResult) {
        for unit in self.watched_as(own_name) {
            let Some(kept) = self.kept.get_mut(&unit).filter(|kept| kept.known) else { continue };
            let active = kept.state.active;
            kept.state.job.take_if(|job| job.id == id);
            self.sign(
                now,
                Saw::Job(Job { unit: unit.clone(), id, step: JobStep::Removed { result, active } }),
            );
            self.tell(now, &unit);
        }
        self.forget_jobs();
    }

    /// systemd said everything about a unit.
    pub(super) fn replied(&mut self, now: Mono, unit: &Unit, reader: Option<Reader>, said: Said) {
        let kept = self.kept.entry(unit.clone()).or_insert_with(|| Kept::blank(unit));
        kept.replace(said);
        for socket in kept.sockets.clone() {
            if !self.kept.contains_key(&socket) {
                self.asks.push_back(Ask::All(socket.clone(), None));
                self.kept.insert(socket.clone(), Kept::blank(&socket));
            }
        }
        self.tell(now, unit);
        if let Some(reader) = reader
            && let Some(kept) = self.kept.get(unit)
        {
            self.queue.push_back(Out::Answer(reader, Box::new(kept.state.clone())));
        }
    }

    /// systemd would not say anything about a unit. What waits for it waits no longer.
    pub(super) fn refused(&mut self, now: Mono, unit: &Unit) {
        let Some(kept) = self.kept.get_mut(unit) else { return };
        let was_known = std::mem::replace(&mut kept.known, true);
        (kept.looked_at, kept.outdated) = (false, false);
        if was_known {
            self.tell(now, unit);
        }
    }

    /// What a job does; `None` when it was over before it could be read.
    pub(super) fn job_is(&mut self, now: Mono, id: u32, kind: Option<JobKind>) {
        self.jobs.insert(id, Kind::Known(kind));
        self.queue.iter_mut().for_each(|out| out.learn_job(id, kind));
        let theirs = |kept: &Kept| kept.state.job.is_some_and(|job| job.id == id);
        let units: Vec<Unit> =
            self.kept.iter().filter(|(_, kept)| theirs(kept)).map(|(unit, _)| unit.clone()).collect();
        units.iter().for_each(|unit| self.tell(now, unit));
        self.forget_jobs();
    }

    /// Puts a sign behind all others.
    pub(super) fn sign(&mut self, at: Mono, saw: Saw) {
        self.queue.push_back(Out::Sign(Sign { at, source: Source::Units, saw }));
    }

    /// Tells the state of a unit, or of those that wait behind it where it is a socket.
    fn tell(&mut self, now: Mono, unit: &Unit) {
        if let Some(id) = self.kept.get(unit).and_then(|kept| kept.state.job).map(|job| job.id) {
            let kind = self.kind(now, id);
            if let Some(job) = self.kept.get_mut(unit).and_then(|kept| kept.state.job.as_mut()) {
                job.kind = kind;
            }
        }
        let concerned = |(other, kept): &(&Unit, &Kept)| {
            self.watched.contains(*other)
                && kept.known
                && !kept.is_passing(self.told.get(*other))
                && (*other == unit || kept.sockets.contains(unit))
        };
        let states: Vec<UnitState> =
            self.kept.iter().filter(concerned).map(|(_, kept)| kept.state.clone()).collect();
        for state in states {
            self.sign(now, Saw::Unit(Box::new(state)));
        }
    }

    /// What is known of a job's kind; at first sight it is asked for.
    fn kind(&mut self, now: Mono, id: u32) -> Option<JobKind> {
        match self.jobs.entry(id) {
            Entry::Occupied(entry) => match entry.get() {
                Kind::Asked(_) => None,
                Kind::Known(kind) => *kind,
            },
            Entry::Vacant(entry) => {
                entry.insert(Kind::Asked(now + HOLD));
                self.asks.push_front(Ask::Job(id));
                None
            }
        }
    }

    /// A job that is neither on a unit nor asked about is of no interest any more.
    fn forget_jobs(&mut self) {
        let on_units: BTreeSet<u32> =
            self.kept.values().filter_map(|kept| kept.state.job).map(|job| job.id).collect();
        self.jobs.retain(|id, kind| matches!(kind, Kind::Asked(_)) || on_units.contains(id));
    }

    fn waits(&self, now: Mono, out: &Out) -> bool {
        let for_kind = out.unknown_job().and_then(|job| self.jobs.get(&job));
        matches!(for_kind, Some(Kind::Asked(until)) if now < *until)
            || out.unit().is_some_and(|unit| self.lacks_sockets(unit))
    }

    fn lacks_sockets(&self, unit: &Unit) -> bool {
        self.sockets(unit).any(|socket| self.kept.get(socket).is_some_and(|kept| !kept.known))
    }

    fn listens(&self, unit: &Unit) -> bool {
        self.sockets(unit)
            .any(|socket| self.kept.get(socket).is_some_and(|kept| kept.state.active == ActiveState::Active))
    }

    fn sockets(&self, unit: &Unit) -> impl Iterator<Item = &Unit> {
        self.kept.get(unit).into_iter().flat_map(|kept| &kept.sockets)
    }

    fn named(&self, own_name: &str) -> impl Iterator<Item = &Unit> {
        self.kept.iter().filter(move |(_, kept)| kept.own_name == own_name).map(|(unit, _)| unit)
    }

    fn watched_as(&self, own_name: &str) -> Vec<Unit> {
        self.named(own_name).filter(|unit| self.watched.contains(*unit)).cloned().collect()
    }
}

impl Out {
    /// The unit whose state it tells.
    fn unit(&self) -> Option<&Unit> {
        match self {
            Out::Answer(_, state) | Out::Sign(Sign { saw: Saw::Unit(state), .. }) => Some(&state.unit),
            Out::Sign(_) => None,
        }
    }

    fn state_mut(&mut self) -> Option<&mut UnitState> {
        match self {
            Out::Answer(_, state) | Out::Sign(Sign { saw: Saw::Unit(state), .. }) => Some(state),
            Out::Sign(_) => None,
        }
    }

    /// The job that it names without saying what it does.
    fn unknown_job(&self) -> Option<u32> {
        match self {
            Out::Answer(_, state) | Out::Sign(Sign { saw: Saw::Unit(state), .. }) => {
                state.job.filter(|job| job.kind.is_none()).map(|job| job.id)
            }
            Out::Sign(Sign { saw: Saw::Job(Job { id, step: JobStep::New(None), .. }), .. }) => Some(*id),
            Out::Sign(_) => None,
        }
    }

    fn learn_job(&mut self, id: u32, kind: Option<JobKind>) {
        if self.unknown_job() != Some(id) {
            return;
        }
        if let Some(job) = self.state_mut().and_then(|state| state.job.as_mut()) {
            job.kind = kind;
        }
        if let Out::Sign(Sign { saw: Saw::Job(Job { step, .. }), .. }) = self {
            *step = JobStep::New(kind);
        }
    }
}
