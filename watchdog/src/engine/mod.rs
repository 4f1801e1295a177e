//! The one `select!` loop: owns the two pure rooms, carries out their orders, and hands all inputs and outputs to the stream.
//!
//! Invariants: one task owns all decisions, everything else sends it events over bounded channels; signs come first, but a
//! flood of them holds up neither results nor deadlines; nothing here waits for a heartbeat, for systemd or for a reader of
//! the stream. Between events it sleeps until the earlier of the two rooms' `wake_at`.
//! Deliberately absent: decisions; those are made in its core.

mod asked;
mod core;
mod drill;
mod hands;
mod inputs;
mod memory;
mod ourselves;
mod past;
mod prepared;
mod programs;
mod reload;
mod remembered;
mod rungs;
mod settings;
mod status;
mod tables;
mod tally;
mod witness;

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

pub use self::core::{Core, Effect};
pub use memory::Recovered;
pub use prepared::Prepared;
pub use rungs::rungs;
pub use settings::Settings;
pub use tables::Table;

use self::{hands::Hands, memory::Memory, past::Past, rungs::Rungs, tally::Tally};
use crate::{
    clock,
    model::{
        Answer, Audit, Change, Changed, Command, Fact, Listener, Mono, Order, Outcome, Service, Serving,
        Sign, Status, Tick, Unit, Watch,
    },
    notify::{self, Notify},
    stream::{Kept, Record, Stream},
};

/// How many signs may wait for the engine; a source that finds no room counts what it drops and says so.
pub const SIGNS: usize = 4096;
/// How many results may wait: each belongs to an order, so there are never many.
const RESULTS: usize = 1024;
/// After so many signs in a row everything else has its turn.
const IN_A_ROW: u32 = 64;
/// Every unit is read again after this, should a signal have been lost without a trace.
const RECONCILE: Duration = Duration::from_secs(300);

/// What an order came to, or what an operator wants.
#[derive(Debug)]
pub enum Event {
    /// A heartbeat ended.
    Answer(Box<Answer>),
    /// An action was requested.
    Outcome(Outcome),
    /// A look is done.
    Fact(Fact),
    /// From an operator.
    Command(Command),
    /// The table of listeners was read; `None` where it could not be.
    Listeners(Option<Table>),
}

/// What the process asks of its engine.
pub enum Request {
    /// Other settings are in force.
    Reload {
        /// They.
        prepared: Box<Prepared>,
        /// Told once they are in force, or why they are not.
        taken: oneshot::Sender<Result<(), String>>,
    },
    /// The configuration has faults: the old one stays in force, and the stream says so.
    KeptOld {
        /// The faults, for people.
        faults: String,
    },
    /// Say that decisions are made.
    Ping {
        /// Told at once.
        alive: oneshot::Sender<()>,
    },
    /// Say what is true now.
    Status {
        /// Told at once.
        answer: oneshot::Sender<Box<Status>>,
    },
    /// An operator wants something of some services.
    Change {
        /// Who, what, of which.
        change: Box<Change>,
        /// Told once it is decided.
        answer: oneshot::Sender<Vec<Changed>>,
    },
    /// Somebody asked for a change, and the engine has no part in the answer.
    Audit(Box<Audit>),
    /// Write what is left, and end.
    Stop,
}

/// The engine.
pub struct Engine {
    core: Core,
    hands: Hands,
    stream: Stream,
    notify: Notify,
    signs: mpsc::Receiver<Sign>,
    results: mpsc::Receiver<Event>,
    watch: watch::Sender<Watch>,
    rungs: Rungs,
    serving: watch::Sender<Vec<Serving>>,
    /// How often something was suspected, or not answered well.
    suspects: watch::Sender<u64>,
    /// The last table, so that one that did not change is not told again.
    listeners: Vec<Listener>,
    memory: Memory,
    /// What the policy ordered when it came back.
    begin: Vec<Order>,
    /// Gaps of the stream after which the state was written.
    gaps: u64,
    reconcile_at: Mono,
    since: Mono,
    tally: Tally,
    /// Where what was told before is read from, and what of it `status` says.
    kept: Kept,
    past: Past,
    other_ticks: Vec<Tick>,
    /// There is no configuration.
    discovered: bool,
}

/// The channels between the engine and its sources.
pub struct Wires {
    /// What the sources see.
    pub signs: mpsc::Receiver<Sign>,
    /// What they are to watch.
    pub watch: watch::Sender<Watch>,
}

impl Engine {
    /// Everything is connected; nothing is decided yet.
    pub fn new(
        settings: Settings,
        recovered: Recovered,
        edges: Edges,
        stream: Stream,
        wires: Wires,
    ) -> Result<Engine, Error> {
        let (sender, results) = mpsc::channel(RESULTS);
        let Recovered { policy, orders: begin, memory, .. } = recovered;
        let core = Core::with(policy, settings.suspicion.clone());
        let channels = notify::Prepared::new(settings.notify.clone())?;
        let notify = Notify::start(channels, settings.state_directory.clone(), edges.units.link());
        let hands = Hands::new(&settings, edges, sender)?;
        let discovered = settings.discovered;
        Ok(Engine {
            core,
            hands,
            stream,
            notify,
            signs: wires.signs,
            results,
            watch: wires.watch,
            rungs: Rungs::default(),
            serving: watch::Sender::new(Vec::new()),
            suspects: watch::Sender::new(0),
            listeners: Vec::new(),
            memory,
            begin,
            gaps: 0,
            reconcile_at: clock::now() + RECONCILE,
            since: clock::now(),
            tally: Tally::default(),
            kept: Kept::new(&settings.state_directory),
            past: Past::default(),
            other_ticks: Vec::new(),
            discovered,
        })
    }

    /// Takes over what a watchdog before this one watched; before it runs.
    pub fn inherit(&mut self, left: &Watch) {
        self.core.inherit(left);
    }

    /// The units that must be watched.
    pub fn units(&self) -> BTreeSet<Unit> {
        self.core.policy().units()
    }

    /// By what each class of failures is seen: all classes, in their order. Nothing before the first source has spoken.
    pub fn serving(&self) -> watch::Receiver<Vec<Serving>> {
        self.serving.subscribe()
    }

    /// Changes whenever a service is suspected, or did not answer well: for what is looked at only then.
    pub fn suspects(&self) -> watch::Receiver<u64> {
        self.suspects.subscribe()
    }

    /// Runs until it is told to stop, or until a source that cannot be missed is gone.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        self.watch.send_replace(self.core.watch().clone());
        self.name_units();
        self.past.read(self.kept.clone(), self.core.policy().settings().services.into_keys().collect());
        for order in std::mem::take(&mut self.begin) {
            self.order(order);
        }
        self.tell_state();
        let mut in_a_row = 0;
        loop {
            if in_a_row == IN_A_ROW {
                in_a_row = 0;
                match self.give_turns(&mut requests) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(()) => break,
                }
            }
            if self.stream.gaps_said() > self.gaps {
                self.gaps = self.stream.gaps_said();
                self.tell_state(); // a replay may begin anew here
            }
            if self.rungs.is_news() && self.signs.is_empty() {
                self.tell_rungs(); // of what is said together, one record
            }
            // what is known already comes first: a table read now answers for all of it
            if self.hands.tables.is_due() && self.signs.is_empty() && self.results.is_empty() {
                self.hands.read_listeners(self.core.suspicions());
            }
            let wake_at = self.wake_at();
            let pause = wake_at.since(clock::now());
            tokio::select! {
                biased;
                () = self.memory.went_on() => {
                    self.remembered();
                    continue;
                }
                sign = self.signs.recv() => match sign {
                    Some(sign) => {
                        in_a_row += 1;
                        self.sign(&sign);
                        continue;
                    }
                    None => break,
                },
                event = self.results.recv() => match event {
                    Some(event) => self.event(event),
                    None => break,
                },
                notified = self.notify.said() => self.write(&Record::from(&notified)),
                request = requests.recv() => match self.request(request) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(()) => break,
                },
                () = tokio::time::sleep_until(Instant::now() + pause) => self.wake(),
            }
            in_a_row = 0;
        }
        if !self.memory.close(clock::now(), self.core.policy(), Duration::from_secs(2)) {
            tracing::warn!("the last state was not stored: the disk is stuck");
        }
        self.notify.close(Duration::from_secs(1)).await;
        let unwritten = self.stream.close(Duration::from_secs(2));
        if unwritten > 0 {
            tracing::warn!(unwritten, "records were not written: their readers are stuck");
        }
    }

    /// What has waited behind signs: results, the table of listeners, requests, deadlines.
    fn give_turns(&mut self, requests: &mut mpsc::Receiver<Request>) -> ControlFlow<()> {
        while let Ok(event) = self.results.try_recv() {
            self.event(event);
        }
        while let Some(notified) = self.notify.try_said() {
            self.write(&Record::from(&notified));
        }
        if self.hands.tables.is_overdue() {
            self.hands.read_listeners(self.core.suspicions());
        }
        self.remembered();
        self.tell_rungs();
        if let Ok(request) = requests.try_recv() {
            self.request(Some(request))?;
        }
        if self.wake_at() <= clock::now() {
            self.wake();
        }
        ControlFlow::Continue(())
    }

    fn request(&mut self, request: Option<Request>) -> ControlFlow<()> {
        match request {
            Some(Request::Reload { prepared, taken }) => {
                taken.send(self.reload(*prepared)).ok();
            }
            Some(Request::KeptOld { faults }) => self.kept_old(faults),
            Some(Request::Ping { alive }) => {
                alive.send(()).ok();
            }
            Some(Request::Status { answer }) => {
                answer.send(Box::new(self.status())).ok();
            }
            Some(Request::Change { change, answer }) => {
                answer.send(self.change(*change)).ok();
            }
            Some(Request::Audit(audit)) => self.write(&Record::audit(clock::now(), *audit)),
            Some(Request::Stop) | None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn wake_at(&self) -> Mono {
        let own = self.core.wake_at().into_iter().chain(self.memory.wake_at());
        own.fold(self.reconcile_at, Mono::min)
    }
}

/// Why the engine cannot run with these settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A heartbeat cannot be prepared.
    #[error("cannot prepare heartbeat {number} of service {service}: {source}")]
    Heartbeat {
        /// Which service.
        service: Service,
        /// Which of its heartbeats, counted from 1.
        number: usize,
        /// Why.
        source: crate::heartbeat::Error,
    },
    /// A channel to people cannot be used.
    #[error(transparent)]
    Notify(#[from] notify::Error),
    /// The stream cannot be opened.
    #[error(transparent)]
    Stream(#[from] crate::stream::Error),
}

pub use hands::Edges;
