//! Writes records as JSON Lines to sinks that never block; reads them back.
//!
//! Invariant: [`Stream::write`] hands a line to bounded queues and returns, however slow or dead a reader is. Each sink has a
//! thread of its own, which may wait as long as it likes. A line is never cut: it is written whole, or left out and counted,
//! and the count is said in the place of the gap.
//! Deliberately absent: decisions, storage that outlives a full disk (`store`), and any knowledge of who reads.

mod data;
mod drain;
mod found;
mod journal;
mod kept;
mod line;
mod lines;
mod message;
mod queue;
mod record;
mod said;
mod schema;
mod sentence;
mod settings;
mod tap;
mod terminal;
mod words;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;

pub use kept::{Incident, Kept, incidents_of};
pub use line::{Line, SCHEMA_VERSION, read};
pub use record::{Record, Said};
pub use schema::schema;
pub use sentence::{held, sentence, timed};
pub use settings::{Settings, Sink};
pub use tap::{Lines, Tap};
pub use words::{alike, span};

use crate::{
    clock,
    model::{Loss, Service, Unit},
};
use drain::Out;
use line::Stamp;
use queue::Queue;
use terminal::Terminal;

/// Of journald's native protocol.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// A thread that copies bytes needs little.
const STACK: usize = 256 * 1024;

/// What can go wrong with the event stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sink cannot be opened.
    #[error("cannot open the event file {}: {source} (see [watchdog] events)", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write events to standard output: {0} (is it closed? see [watchdog] events)")]
    Stdout(#[source] io::Error),
    /// A folder, a socket or a disk.
    #[error("cannot write events to {}: it is neither a file nor a pipe (see [watchdog] events)", path.display())]
    NoFile {
        /// What was given.
        path: PathBuf,
    },
    /// No thread for a sink.
    #[error("cannot start the thread that writes to {sink}: {source} (is TasksMax= or a ulimit reached?)")]
    Thread {
        /// The sink.
        sink: Sink,
        /// Why.
        source: io::Error,
    },
    /// A line is no record.
    #[error("cannot read this line as a record: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// A line of another version of the schema.
    #[error("cannot read a record of schema version {got}: this program reads version {SCHEMA_VERSION}")]
    Version {
        /// The line's.
        got: u64,
    },
    /// A line of a type that this program does not know, or whose data is of another type.
    #[error(
        "cannot read a record of type {kind:?}: this program does not know it, or the data is of another type"
    )]
    Kind {
        /// The line's.
        kind: String,
    },
}

/// The event stream. Dropped without [`Stream::close`], it writes on in the background what it holds.
pub struct Stream {
    stamp: Arc<Stamp>,
    sinks: Vec<Running>,
    tap: Tap,
    gaps_said: Arc<AtomicU64>,
}

struct Running {
    sink: Sink,
    queue: Arc<Queue>,
}

/// Sinks that are open, and that nothing is written to yet.
pub struct Opened(Vec<(Sink, Box<dyn Out>)>);

impl Opened {
    /// Opens every sink, which may take as long as a disk does. journald and a pipe without a reader may come later; all else
    /// that cannot be opened is an error.
    /// What is kept in the state directory is one of them.
    pub fn open(settings: &Settings, state_directory: &Path) -> Result<Opened, Error> {
        Opened::with(settings, state_directory, false)
    }

    fn with(settings: &Settings, state_directory: &Path, patient: bool) -> Result<Opened, Error> {
        let kept = Sink::Kept(state_directory.to_owned());
        let mut outs: Vec<(Sink, Box<dyn Out>)> = Vec::new();
        for sink in settings.sinks.iter().chain([&kept]) {
            outs.push((
                sink.clone(),
                match sink {
                    Sink::Stdout if io::stdout().is_terminal() => {
                        Box::new(Terminal::new(lines::stdout()?, TimeZone::system()))
                    }
                    Sink::Stdout => Box::new(lines::stdout()?),
                    Sink::File(path) => Box::new(lines::file(path, patient)?),
                    Sink::Journald => Box::new(journal::Journal::new(JOURNAL.into())),
                    Sink::Kept(folder) => Box::new(kept::Keeper::new(folder)),
                },
            ));
        }
        Ok(Opened(outs))
    }
}

/// How one sink fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    /// The sink.
    pub sink: Sink,
    /// Lines that wait to be written.
    pub queued: usize,
    /// Lines left out since the start.
    pub lost: u64,
    /// What the sink suffers from at present.
    pub fault: Option<String>,
}

impl Stream {
    /// Opens every sink and starts its thread. Services are looked after though a file cannot be opened yet: it is tried again
    /// while lines wait for it.
    pub fn open(settings: &Settings, state_directory: &Path) -> Result<Stream, Error> {
        Stream::start(Stamp::new(), Opened::with(settings, state_directory, true)?.0)
    }

    /// Over whatever these write to.
    fn start(stamp: Stamp, outs: Vec<(Sink, Box<dyn Out>)>) -> Result<Stream, Error> {
        let stamp = Arc::new(stamp);
        let tap = Tap::new(stamp.clone());
        let mut stream = Stream { stamp, sinks: Vec::new(), tap, gaps_said: Arc::new(AtomicU64::new(0)) };
        stream.sinks =
            outs.into_iter().map(|(sink, out)| stream.running(sink, out)).collect::<Result<_, _>>()?;
        Ok(stream)
    }

    /// These sinks and no others from now on. One that runs stays, with what waits for it, and opens its file again; one that
    /// goes writes what it holds in the background. After an error all is as before.
    pub fn replace(&mut self, opened: Opened) -> Result<(), Error> {
        let (stay, come): (Vec<_>, Vec<_>) =
            opened.0.into_iter().partition(|(sink, _)| self.sinks.iter().any(|it| it.sink == *sink));
        let come: Vec<Running> =
            come.into_iter().map(|(sink, out)| self.running(sink, out)).collect::<Result<_, _>>()?;
        self.sinks.retain(|running| stay.iter().any(|(sink, _)| *sink == running.sink));
        self.reopen();
        self.sinks.extend(come);
        Ok(())
    }

    fn running(&self, sink: Sink, mut out: Box<dyn Out>) -> Result<Running, Error> {
        let queue = Arc::new(Queue::default());
        let running = Running { sink: sink.clone(), queue: queue.clone() };
        let (stamp, said, of) = (self.stamp.clone(), self.gaps_said.clone(), sink.clone());
        let drain = move || {
            let gap = |lost| {
                let place = format!("events: {of}");
                of.encode(&stamp.line(&Record::loss(clock::now(), &Loss { lost, place })))
            };
            drain::drain(&of, &queue, out.as_mut(), gap, &said);
        };
        let thread = thread::Builder::new().name(format!("events-{}", sink.word())).stack_size(STACK);
        thread.spawn(drain).map_err(|source| Error::Thread { sink, source })?;
        Ok(running)
    }

    /// Hands a record to every sink; never waits for one. What a full queue cannot take is counted and said later.
    pub fn write(&self, record: &Record) {
        let line = self.stamp.line(record);
        let json = line.to_json();
        let plain: Arc<[u8]> = lines::terminated(&json).into();
        self.tap.send(&plain);
        for running in &self.sinks {
            running.queue.push(match running.sink {
                Sink::Stdout | Sink::File(_) => plain.clone(),
                Sink::Kept(_) if kept::is_kept(record) => plain.clone(),
                Sink::Kept(_) => continue,
                Sink::Journald => journal::datagram(&line, &json).into(),
            });
        }
    }

    /// The unit behind each service: a record that names the service alone is one of its unit's too.
    pub fn know(&self, units: BTreeMap<Service, Unit>) {
        self.stamp.know(units);
    }

    /// For those who look on.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Opens the files again, for logrotate. Returns at once.
    pub fn reopen(&self) {
        self.sinks.iter().for_each(|running| running.queue.reopen());
    }

    /// How often a gap has been said in a sink. When this grows, a record of the whole state belongs into the stream.
    pub fn gaps_said(&self) -> u64 {
        self.gaps_said.load(Ordering::Acquire)
    }

    /// How each sink fares, for `status`.
    pub fn state(&self) -> Vec<SinkState> {
        self.sinks.iter().map(|running| running.queue.state(&running.sink)).collect()
    }

    /// Writes what is left, for at most this long, and returns how many lines were left unwritten.
    pub fn close(self, within: Duration) -> u64 {
        self.sinks.iter().for_each(|running| running.queue.close());
        let deadline = Instant::now() + within;
        self.sinks.iter().map(|running| running.queue.wait_until(deadline)).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
