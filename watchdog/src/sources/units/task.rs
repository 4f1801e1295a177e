use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use zbus::Message;

use super::{
    ledger::{Ask, Ledger, Out, Reader},
    system::System,
};
use crate::{
    clock,
    model::{CgroupId, FailureClass, Loss, Rung, Saw, Serving, Sign, Source, Unit, UnitState},
    systemd::{self, Connection, Error, Opened, Publisher, Reply, Said, Signal, Sockets, Way, cgroup},
};

/// How long a reader waits, whatever happens.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to connect: at first a re-exec is waited for, which takes some 100 ms; then PID 1 is in trouble.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Tries over the private socket alone, after it was lost: it comes back, and is the better way.
const LOYAL_TRIES: u32 = 6;

pub(super) enum Request {
    Read { unit: Unit, answer: oneshot::Sender<Result<UnitState, Error>> },
    Watch(Vec<Unit>),
}

pub(super) struct Task {
    sockets: Sockets,
    ledger: Ledger,
    system: System,
    signs: mpsc::Sender<Sign>,
    inbox: mpsc::Receiver<Request>,
    publisher: Publisher,
    readers: BTreeMap<Reader, Waiting>,
    next_reader: Reader,
    /// What was asked, by the serial of the call.
    asked: BTreeMap<u32, Ask>,
    last_way: Option<Way>,
    /// A reader has waited in vain, and nothing has come since.
    silent: bool,
}

struct Waiting {
    unit: Unit,
    answer: oneshot::Sender<Result<UnitState, Error>>,
    until: Instant,
}

/// Nobody is interested any more.
struct Over;

impl Task {
    pub(super) fn new(
        sockets: Sockets,
        units: Vec<Unit>,
        signs: mpsc::Sender<Sign>,
        inbox: mpsc::Receiver<Request>,
        publisher: Publisher,
    ) -> Task {
        let mut ledger = Ledger::default();
        ledger.watch(units);
        Task {
            sockets,
            ledger,
            system: System::default(),
            signs,
            inbox,
            publisher,
            readers: BTreeMap::new(),
            next_reader: 0,
            asked: BTreeMap::new(),
            last_way: None,
            silent: false,
        }
    }

    pub(super) async fn run(mut self) {
        while let Ok(opened) = self.connect().await {
            if let Err(Over) = self.serve(opened).await {
                break;
            }
        }
        self.publisher.publish(None);
    }

    /// Opens a connection, however long it takes; readers are heard meanwhile.
    async fn connect(&mut self) -> Result<Opened, Over> {
        let (mut tries, mut pause, mut told) = (0, SHORTEST_PAUSE, String::new());
        loop {
            let loyal = self.last_way == Some(Way::Private) && tries < LOYAL_TRIES;
            let ways: &[Way] = if loyal { &[Way::Private] } else { &[Way::Private, Way::Bus] };
            match systemd::open(&self.sockets, ways).await {
                Ok(opened) => return Ok(opened),
                Err(error) if !loyal && error.to_string() != told => {
                    told = error.to_string();
                    tracing::warn!(
                        why = told,
                        "systemd is not reached: nothing can be restarted until it is"
                    );
                    self.say(Saw::Working { works: false, why: told.clone() }).await?;
                    self.say(Saw::Serving(serving(false, &told))).await?;
                }
                Err(_) => {}
            }
            let again = Instant::now() + pause;
            while Instant::now() < again {
                let due = self.readers_due().map_or(again, |due| due.min(again));
                tokio::select! {
                    () = sleep_until(due) => self.dismiss_readers(),
                    request = self.inbox.recv() => self.take(request)?,
                }
            }
            tries += 1;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads one connection to its end.
    async fn serve(&mut self, opened: Opened) -> Result<(), Over> {
        let Opened { connection, mut messages } = opened;
        let works = Saw::Working { works: true, why: connection.way().name().into() };
        self.ledger.sign(clock::now(), works);
        self.ledger.sign(clock::now(), Saw::Serving(serving(true, "")));
        if self.last_way.is_some() {
            let loss = Loss { lost: 0, place: "reconnected to systemd".into() };
            self.ledger.sign(clock::now(), Saw::Loss(loss));
        }
        self.last_way = Some(connection.way());
        self.silent = false;
        self.ledger.connected();
        self.system.connected();
        self.readers.iter().for_each(|(reader, waiting)| self.ledger.read(&waiting.unit, *reader));
        self.publisher.publish(Some(connection.clone()));
        let ended = loop {
            if self.ask(&connection).await.is_err() {
                break Ok(());
            }
            if let Err(over) = self.flush().await {
                break Err(over);
            }
            let due = self.readers_due();
            let held = self.ledger.wake_at().map(instant);
            tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(Ok(message)) => {
                        self.heed_silence(&connection, false);
                        if let Some(Signal::Restarted) = self.hear(&connection, &message) {
                            break Ok(());
                        }
                    }
                    Some(Err(_)) | None => break Ok(()),
                },
                request = self.inbox.recv() => if let Err(over) = self.take(request) {
                    break Err(over);
                },
                () = at(held) => {}
                () = at(due) => {
                    self.dismiss_readers();
                    self.heed_silence(&connection, true);
                }
            }
        };
        self.publisher.publish(None);
        self.asked.clear();
        self.ledger.disconnect();
        ended?;
        self.flush().await
    }

    /// Takes one message; gives back what it was where that ends the connection.
    fn hear(&mut self, connection: &Connection, message: &Message) -> Option<Signal> {
        let now = clock::now();
        let signal = Signal::of(connection, message)?;
        self.system.heard(&signal);
        self.publisher.runs(self.system.runs());
        match signal {
            Signal::Changed { path, complete } => {
                if self.ledger.matters(&path)
                    && let Some(said) = Signal::said(message)
                {
                    self.ledger.changed(now, &path, &said, complete);
                }
            }
            Signal::JobNew { id, unit } => self.ledger.job_new(now, id, &unit),
            Signal::JobRemoved { id, unit, result } => self.ledger.job_removed(now, id, &unit, result),
            Signal::Booted => {}
            Signal::Reloaded | Signal::FilesChanged => self.ledger.reconcile(),
            Signal::Restarted => return Some(Signal::Restarted),
            Signal::Reply(serial) if self.system.answered(serial, || systemd::system_state(message).ok()) => {
                self.publisher.runs(self.system.runs());
            }
            Signal::Reply(serial) => match self.asked.remove(&serial) {
                Some(Ask::All(unit, reader)) => self.replied(&unit, reader, message),
                Some(Ask::Home { .. }) => {} // asked for as everything
                Some(Ask::Job(id)) => self.ledger.job_is(now, id, systemd::job_kind(message)),
                None => {} // to a call of another on this connection
            },
        }
        None
    }

    fn replied(&mut self, unit: &Unit, reader: Option<Reader>, message: &Message) {
        let about = unit.to_string();
        let error = match Reply::of_all(message) {
            Reply::All(mut said) => {
                complete(&mut said);
                return self.ledger.replied(clock::now(), unit, reader, *said);
            }
            Reply::Refused { error, text } => Error::Refused { about, error, text },
            Reply::Malformed(source) => Error::Malformed { about, source: Box::new(source) },
        };
        tracing::warn!(%unit, %error, "cannot read a unit");
        self.ledger.refused(clock::now(), unit);
        if let Some(waiting) = reader.and_then(|reader| self.readers.remove(&reader)) {
            let _ = waiting.answer.send(Err(error)); // the reader may have gone
        }
    }

    /// Sends what the ledger wants to know.
    async fn ask(&mut self, connection: &Connection) -> Result<(), Error> {
        if self.system.wants() {
            self.system.asked(connection.ask_system_state().await?);
        }
        while let Some(ask) = self.ledger.next_ask() {
            let serial = match &ask {
                Ask::All(unit, _) => connection.ask_all(unit).await?,
                Ask::Job(id) => connection.ask_job(*id).await?,
                Ask::Home { unit, path, before } => match number(path).filter(|id| Some(*id) != *before) {
                    Some(id) => {
                        self.ledger.housed(clock::now(), unit, path, id);
                        continue;
                    }
                    None => connection.ask_all(unit).await?,
                },
            };
            let asked = match ask {
                Ask::Home { unit, .. } => Ask::All(unit, None),
                Ask::All(..) | Ask::Job(_) => ask,
            };
            self.asked.insert(serial, asked);
        }
        Ok(())
    }

    /// Lets out what need not wait.
    async fn flush(&mut self) -> Result<(), Over> {
        while let Some(out) = self.ledger.next(clock::now()) {
            match out {
                Out::Sign(sign) => self.signs.send(sign).await.map_err(|_| Over)?,
                Out::Answer(reader, state) => {
                    if let Some(waiting) = self.readers.remove(&reader) {
                        let _ = waiting.answer.send(Ok(*state)); // the reader may have gone
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, request: Option<Request>) -> Result<(), Over> {
        match request {
            Some(Request::Watch(units)) => self.ledger.watch(units),
            Some(Request::Read { unit, answer }) => {
                let reader = self.next_reader;
                self.next_reader += 1;
                self.ledger.read(&unit, reader);
                self.readers.insert(reader, Waiting { unit, answer, until: Instant::now() + PATIENCE });
            }
            None => return Err(Over),
        }
        Ok(())
    }

    fn readers_due(&self) -> Option<Instant> {
        self.readers.values().map(|waiting| waiting.until).min()
    }

    fn dismiss_readers(&mut self) {
        let now = Instant::now();
        for (_, waiting) in self.readers.extract_if(.., |_, waiting| waiting.until <= now) {
            let error = Error::NoReply { about: waiting.unit.to_string(), after: PATIENCE };
            let _ = waiting.answer.send(Err(error)); // the reader may have gone
        }
    }

    /// A PID 1 that has crashed keeps its connections, and never answers again.
    fn heed_silence(&mut self, connection: &Connection, silent: bool) {
        if self.silent != silent {
            self.silent = silent;
            let why = if silent { "systemd does not answer" } else { connection.way().name() };
            self.ledger.sign(clock::now(), Saw::Working { works: !silent, why: why.into() });
            self.ledger.sign(clock::now(), Saw::Serving(serving(!silent, "systemd does not answer")));
        }
    }

    /// Says something while nothing is queued: there is no connection.
    async fn say(&self, saw: Saw) -> Result<(), Over> {
        let sign = Sign { at: clock::now(), source: Source::Units, saw };
        self.signs.send(sign).await.map_err(|_| Over)
    }
}

/// systemd reaps main processes, and says how they ended; of any other process it says nothing.
pub fn serving(works: bool, why: &str) -> Vec<Serving> {
    let (rung, why) = if works { (Rung::Systemd, "") } else { (Rung::Heartbeat, why) };
    vec![Serving { class: FailureClass::Exit, rung, why: why.to_owned() }]
}

/// Before version 252 systemd does not tell ControlGroupId: it is the inode of the directory.
fn complete(said: &mut Said) {
    if said.cgroup.is_none()
        && let Some(path) = said.cgroup_path.as_deref().filter(|path| !path.is_empty())
    {
        said.cgroup = number(path).map(Some);
    }
}

/// The number of the cgroup at this path, if there is one.
fn number(path: &str) -> Option<CgroupId> {
    let opened = cgroup::mount().and_then(|mount| cgroup::Cgroup::open(&mount, path));
    opened.ok().map(|it| it.id())
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

fn instant(when: crate::model::Mono) -> Instant {
    Instant::now() + when.since(clock::now())
}
