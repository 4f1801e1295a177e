//! The probes in the kernel: loads them, tells them what to watch, and turns their records into signs.
//!
//! The object is built from `watchdog-ebpf` by `cargo xtask build-ebpf`, checked in, and embedded here. Offsets of kernel
//! structures are read from the running kernel's own type information at the load, so that one object serves all kernels.
//!
//! Invariant: a record is told as a sign, or counted in a [`Loss`](crate::model::Loss); the reader never waits for whoever takes the signs. Nothing
//! ticks but the proof that the probes still speak, where it is asked for: the count of losses is read when records came, for a
//! full ring buffer always holds some; what could not be watched is tried again after growing pauses.
//! All that makes the probes can be kept over the death of this process, and they run meanwhile; the next one adopts them.
//! Deliberately absent: whose process or socket it was (`suspicion` knows), other network namespaces than our own.

mod btf;
mod canary;
mod classic;
mod decode;
mod egress;
mod error;
mod formats;
mod found;
mod kept;
mod links;
mod load;
mod maps;
mod missing;
mod offsets;
mod proof;
mod retry;
mod serving;
mod song;
mod teller;
mod whose;

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
};

use crate::model::{Sign, Watch};

pub use error::Error;
pub use kept::Kept;
pub use missing::{Missing, Program, Refusal};
pub use serving::{serving, serving_nothing};

use egress::Egress;
use found::Found;
use kept::Note;
use links::Links;
use maps::Maps;
use proof::Proof;
use retry::Retry;
use teller::Teller;

/// Records taken from the ring buffer before others have a turn.
const BATCH: usize = 256;

/// Probes in the kernel; gone from there when dropped, unless someone keeps copies of their descriptors.
pub struct Probes {
    events: RingBuf<MapData>,
    filters: Filters,
    copies: Vec<Kept>,
    teller: Option<Teller>,
    missing: Vec<Missing>,
    prove_every: Option<Duration>,
}

/// What became of loading the probes for a moment.
#[derive(Debug)]
pub struct Trial {
    /// The programs that do not run, or why none does.
    pub loaded: Result<Vec<Missing>, Error>,
    /// What the kernel said of those that it refused.
    pub refusals: Vec<Refusal>,
}

/// Loads the probes, which watch nothing, and takes them out again.
pub fn trial() -> Trial {
    let mut refusals = Vec::new();
    let loaded = Probes::load_by(Probes::OBJECT, &Watch::default(), true, &mut refusals);
    Trial { loaded: loaded.map(|(_, missing)| missing), refusals }
}

/// What is let through by the programs in the kernel.
struct Filters {
    /// As loaded by this process.
    bpf: Option<Ebpf>,
    links: Links,
    maps: Maps,
    egress: Egress,
    /// For the next process; `None` where nothing is left to it.
    note: Option<Note>,
}

impl Probes {
    /// The object, built from `watchdog-ebpf`.
    pub const OBJECT: &[u8] = aya::include_bytes_aligned!("watchdog.bpf.o");

    /// Loads and attaches the probes, and tells them what to watch. Each program that this kernel cannot serve is left out
    /// and told. Must be called in the network namespace that is watched.
    pub fn load(watch: &Watch) -> Result<(Probes, Vec<Missing>), Error> {
        Probes::load_object(Probes::OBJECT, watch)
    }

    /// The same with another object, for tests of a freshly built one.
    pub fn load_object(object: &[u8], watch: &Watch) -> Result<(Probes, Vec<Missing>), Error> {
        Probes::load_by(object, watch, true, &mut Vec::new())
    }

    /// The same on the second rung alone, as on a kernel that tells nothing of its own structures; for tests of that.
    pub fn load_classic(object: &[u8], watch: &Watch) -> Result<(Probes, Vec<Missing>), Error> {
        Probes::load_by(object, watch, false, &mut Vec::new())
    }

    fn load_by(
        object: &[u8],
        watch: &Watch,
        typed: bool,
        refusals: &mut Vec<Refusal>,
    ) -> Result<(Probes, Vec<Missing>), Error> {
        let (mut bpf, links, missing) = load::load(object, typed, refusals)?;
        let stand_in = missing.iter().any(|missing| missing.classic);
        let mut found = Found::in_object(&mut bpf)?;
        let (note, copies) = match load::identity(object).and_then(|name| Ok((Note::new(&missing)?, name))) {
            // who stands in is not kept: the next process loads its own
            Ok(_) if stand_in => (None, vec![]),
            Ok((note, name)) => {
                let copies = kept::copies(&name, &found, &links, &note);
                (Some(note), copies.unwrap_or_else(not_kept))
            }
            Err(fault) => (None, not_kept(fault)),
        };
        let (events, mut maps) = (found.events()?, Maps::new(&mut found)?);
        if stand_in && classic::first_pids() {
            maps.for_classic(&mut bpf)?;
        }
        let filters = Filters { bpf: Some(bpf), links, maps, egress: Egress::new(), note };
        let mut probes =
            Probes { events, filters, copies, teller: None, missing: missing.clone(), prove_every: None };
        // what can be watched is; `run` says as a sign what cannot, and tries it again
        let _said_later = probes.watch(watch);
        Ok((probes, missing))
    }

    /// Goes on with probes that another process loaded, whose copies these are, and says what they watch. The error says why
    /// they are not to be used: they are of another version, or incomplete, or none of ours.
    pub fn adopt(kept: Vec<Kept>) -> Result<(Probes, Watch), String> {
        Probes::adopt_object(Probes::OBJECT, kept)
    }

    /// The same with another object, for tests of a freshly built one.
    pub fn adopt_object(object: &[u8], kept: Vec<Kept>) -> Result<(Probes, Watch), String> {
        let identity = load::identity(object).map_err(|fault| fault.to_string())?;
        let kept::Left { mut found, links, note } = kept::take(&identity, kept)?;
        let mut all = || -> Result<_, Error> {
            let (events, mut maps) = (found.events()?, Maps::new(&mut found)?);
            maps.read()?;
            Ok((events, maps))
        };
        let (events, maps) = all().map_err(|fault| fault.to_string())?;
        let units = note.units().iter().cloned().collect();
        let watch = Watch { units, ..maps.watched().clone() };
        let missing = note.missing().to_vec();
        let filters = Filters { bpf: None, links, maps, egress: Egress::new(), note: Some(note) };
        Ok((Probes { events, filters, copies: vec![], teller: None, missing, prove_every: None }, watch))
    }

    /// Under what names copies of such probes are kept.
    pub fn kept_names() -> Vec<String> {
        load::identity(Probes::OBJECT).map(|identity| kept::names(&identity)).unwrap_or_default()
    }

    /// The programs that do not run.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Copies of all that makes these probes, once, each under its name: whoever keeps them keeps the probes running, and
    /// [`Probes::adopt`] takes them back. None where they are kept already.
    pub fn copies(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.copies)
    }

    /// Tells what waits in the ring buffer already: before anything else is told, for it happened before.
    pub fn catch_up(&mut self, signs: &mpsc::Sender<Sign>) -> Result<(), Error> {
        let teller = self.teller.get_or_insert_with(|| Teller::new(signs.clone()));
        while signs.capacity() > 0
            && let Some(record) = self.events.next()
        {
            teller.record(&record, |cgroup| self.filters.maps.name(cgroup));
        }
        teller.lost(self.filters.maps.lost()?);
        Ok(())
    }

    /// Once they run, it is proved so often, and at once, that they speak.
    pub fn prove_every(&mut self, time: Duration) {
        self.prove_every = Some(time);
    }

    /// Lets a program run no more, as a fault would, for tests of the proof.
    pub fn cut(&mut self, program: Program) {
        self.filters.links.cut(program);
    }

    /// From now on these are watched, and nothing else. Ports that stay keep what is known of them.
    pub fn watch(&mut self, watch: &Watch) -> Result<(), Error> {
        self.filters.watch(watch)
    }

    /// What ran how often and for how long, where `kernel.bpf_stats_enabled` is on; not of programs that were adopted.
    pub fn costs(&self) -> Vec<Cost> {
        let programs = Program::ALL.into_iter().filter_map(|program| {
            let info = self.filters.bpf.as_ref()?.program(program.name())?.info().ok()?;
            Some(Cost { program, runs: info.run_count(), took: info.run_time() })
        });
        programs.collect()
    }

    /// Tells every sign until nobody takes them or nobody says any more what to watch. When the channel is full, signs are
    /// counted and their loss is told once there is room.
    pub async fn run(
        self,
        signs: mpsc::Sender<Sign>,
        mut watch: watch::Receiver<Watch>,
    ) -> Result<(), Error> {
        let Probes { events, mut filters, copies, teller, missing, prove_every } = self;
        drop(copies); // nobody took them
        let mut ring = readable(events)?;
        let births = Births::new(filters.egress.births());
        let mut teller = teller.unwrap_or_else(|| Teller::new(signs.clone()));
        let (mut retry, mut proof) = (Retry::default(), Proof::new(prove_every, missing));
        watch.mark_changed();
        loop {
            tokio::select! {
                changed = watch.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let wanted = watch.borrow_and_update().clone();
                    let done = filters.watch(&wanted);
                    retry.after(&done);
                    teller.works(done);
                }
                () = retry.due() => {
                    let wanted = watch.borrow().clone();
                    let done = filters.watch(&wanted);
                    retry.after(&done);
                    teller.works(done);
                }
                () = births.come() => {
                    let done = filters.born();
                    if done.is_err() {
                        retry.after(&done);
                        teller.works(done);
                    }
                }
                ready = ring.readable_mut() => {
                    let mut guard = ready.map_err(|source| Error::Ring { source })?;
                    let all = drain(guard.get_inner_mut(), &mut proof, &mut teller, &filters.maps);
                    if all {
                        guard.clear_ready();
                    }
                    teller.lost(filters.maps.lost()?);
                    if all && !teller.owes_a_word() {
                        proof.turn(&mut filters, &mut teller, true);
                    }
                    tokio::task::yield_now().await;
                }
                // one that is heard at once must not hide the one before it
                () = proof.due(), if !teller.owes_a_word() => {
                    // what waits there was told in time
                    if drain(ring.get_mut(), &mut proof, &mut teller, &filters.maps) {
                        teller.lost(filters.maps.lost()?);
                        proof.turn(&mut filters, &mut teller, false);
                    }
                    tokio::task::yield_now().await;
                }
                there_is_room = teller.room(), if teller.owes() => {
                    if !there_is_room {
                        return Ok(());
                    }
                }
                () = signs.closed() => return Ok(()),
            }
        }
    }
}

impl Filters {
    /// Watches what can be watched, and looks for the listeners of new ports even where something else failed.
    fn watch(&mut self, wanted: &Watch) -> Result<(), Error> {
        let watched = self.maps.watch(wanted);
        if let Some(note) = &mut self.note
            && let Err(fault) = note.write(wanted.units.iter().map(|(cgroup, unit)| (*cgroup, unit.clone())))
        {
            tracing::warn!(%fault, "not noted for the next watchdog: which units are watched");
        }
        let seeded = match self.maps.seed_owed() {
            true => load::seed(&self.links),
            false => Ok(()),
        };
        if seeded.is_ok() {
            self.maps.seeded();
        }
        let tied = match self.links.egress() {
            Some(program) => self.egress.watch(program, &wanted.answers),
            None => Ok(()),
        };
        // what can be tried again is said first: it is what may end
        match (watched, seeded.and(tied)) {
            (Err(Error::TooMany { .. }) | Ok(()), Err(later)) => Err(later),
            (watched, Ok(()) | Err(_)) => watched,
        }
    }

    /// Cgroups were made that may be those of units that start.
    fn born(&mut self) -> Result<(), Error> {
        match self.links.egress() {
            Some(program) => self.egress.born(program),
            None => Ok(()),
        }
    }
}

/// New cgroups.
struct Births(Option<AsyncFd<OwnedFd>>);

impl Births {
    fn new(births: Option<OwnedFd>) -> Births {
        Births(births.and_then(|births| readable(births).ok()))
    }

    /// Waits until there are some to be read; for ever where none are told. May be dropped at any await.
    async fn come(&self) {
        match &self.0 {
            Some(births) => match births.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

/// Takes records until there are none, or others must have a turn; whether it was all.
fn drain(ring: &mut RingBuf<MapData>, proof: &mut Proof, teller: &mut Teller, maps: &Maps) -> bool {
    let mut taken = 0;
    while taken < BATCH
        && let Some(record) = ring.next()
    {
        if !proof.hears(&record) {
            teller.record(&record, |cgroup| maps.name(cgroup));
        }
        taken += 1;
    }
    taken < BATCH
}

/// They run all the same, and end with this process.
fn not_kept(fault: io::Error) -> Vec<Kept> {
    tracing::warn!(%fault, "the probes cannot be left to the next watchdog");
    vec![]
}

#[allow(unsafe_code, reason = "tokio asks for the promise that the descriptor stays open")]
fn readable<T: AsRawFd>(it: T) -> Result<AsyncFd<T>, Error> {
    // SAFETY: ring buffers and what tells of births own their descriptor, give the same one each time, and are owned by the
    // AsyncFd in turn.
    let registered = unsafe { AsyncFd::register_with_interest(it, Interest::READABLE) };
    registered.map_err(|source| Error::Ring { source: source.into() })
}

/// What a program of the probes has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Which.
    pub program: Program,
    /// How often it ran.
    pub runs: u64,
    /// For how long, all runs together.
    pub took: Duration,
}
