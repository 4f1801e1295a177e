//! Takes the evidence of an incident before it is gone: what shows of a unit in /proc, in its cgroup and in its logs, as a text
//! for people in a file of its own.
//!
//! Invariants: it reads and never stops, traces or signals a process. One thread does all of it, whose answer is waited for
//! until the deadline and no longer: a read that hangs in the kernel holds up this thread and nothing else, and while it does, others are
//! told so at once. Each file, each part of it, their number and their sum are bounded; the oldest goes. Files are
//! root's alone. Deliberately absent: environments and memory, which hold secrets, and any decision.
//!
//! So there is no core either. Who takes one stops the process for as long as its memory is large, and reads as root (gdb) files
//! and tables that a service which was broken into has laid out; a signal on which the kernel dumps (SIGABRT) is an end of its
//! own, on which `Restart=`, `OnFailure=` and the unit's clients act before our restart comes, and which nobody can call off.
//!
//! What a restart takes away is read first; then the answer is given, and the end of journal and logs, which stay, is added.

mod cgroup;
mod error;
mod files;
mod journal;
mod kernel;
mod logs;
mod page;
mod processes;
mod shelf;
mod sockets;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

pub use error::Error;

use crate::{
    clock,
    model::{IncidentId, Moment, Mono, Recorded, Service, Unit, UnitState},
};
use worker::{Task, Worker};

/// So many recordings may wait for the one before them.
const WAITING: usize = 32;

/// `[watchdog.recorder]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `kinds`.
    pub kinds: BTreeSet<Kind>,
    /// `within`: from the order to the answer.
    pub within: Duration,
    /// `size`: of one file, in bytes.
    pub size: usize,
    /// `files`: so many are kept.
    pub files: usize,
    /// `total`: so many bytes are kept in all files.
    pub total: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let kinds = Kind::ALL.iter().map(|(_, kind)| *kind).collect();
        let within = Duration::from_secs(2);
        Settings { kinds, within, size: 1 << 20, files: 100, total: 64 << 20 }
    }
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Each process: its state, since when it runs, its CPU time, memory and number of threads.
    Processes,
    /// Each thread: where it waits in the kernel, and in which system call.
    Threads,
    /// Each thread: its stack in the kernel.
    Stacks,
    /// Open files of each process, and locks that are held or waited for.
    Files,
    /// Sockets of the unit, with their queues.
    Sockets,
    /// What the host is short of.
    Pressure,
    /// Memory, CPU time, tasks and pressure of the unit's cgroup.
    Cgroup,
    /// The last lines of the unit's journal.
    Journal,
    /// The last lines of the logs that the service names.
    Logs,
}

impl Kind {
    /// All kinds, as the configuration names them.
    pub const ALL: [(&str, Kind); 9] = [
        ("processes", Kind::Processes),
        ("threads", Kind::Threads),
        ("stacks", Kind::Stacks),
        ("files", Kind::Files),
        ("sockets", Kind::Sockets),
        ("pressure", Kind::Pressure),
        ("cgroup", Kind::Cgroup),
        ("journal", Kind::Journal),
        ("logs", Kind::Logs),
    ];
}

/// Of what the evidence is taken.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The service.
    pub service: Service,
    /// Its unit.
    pub unit: Unit,
    /// As systemd described it last.
    pub state: Option<UnitState>,
    /// The incident.
    pub incident: IncidentId,
    /// Before what.
    pub moment: Moment,
    /// The logs of the service.
    pub logs: Vec<PathBuf>,
}

/// Records what it is given, one after the other.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    settings: Arc<Settings>,
    /// The thread; begun with the first recording, for most hosts need none for weeks.
    tasks: Option<SyncSender<Task>>,
    progress: Progress,
    number: u64,
}

/// What the thread is at.
type Progress = Arc<Mutex<Option<Doing>>>;

#[derive(Clone, Debug)]
struct Doing {
    number: u64,
    until: Mono,
    what: String,
    file: Option<PathBuf>,
}

impl Recorder {
    /// Keeps its files in this folder, which is made with the first of them.
    pub fn new(folder: PathBuf, settings: Settings) -> Recorder {
        Recorder {
            folder,
            settings: Arc::new(settings),
            tasks: None,
            progress: Progress::default(),
            number: 0,
        }
    }

    /// Other settings hold from the next recording on.
    pub fn replace(&mut self, settings: Settings) {
        self.settings = Arc::new(settings);
    }

    /// Records it. The answer comes before `within` is over: with the file, and what is not in it if the time was too short.
    pub fn record(
        &mut self,
        subject: Subject,
    ) -> impl Future<Output = Result<Recorded, Error>> + Send + use<> {
        let began = clock::now();
        let within = self.settings.within * 9 / 10; // the rest is for the way of the answer
        let until = began + within;
        self.number += 1;
        let (number, progress) = (self.number, self.progress.clone());
        let (answer, told) = oneshot::channel();
        let (incident, moment) = (subject.incident, subject.moment);
        let settings = self.settings.clone();
        let sent = self.send(Task { number, subject, settings, began, until, answer });
        async move {
            sent?;
            match timeout(within, told).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Error::Gone),
                Err(_) => match doing(&progress).filter(|doing| doing.number == number) {
                    Some(Doing { what, file: Some(path), .. }) => {
                        let took = clock::now().since(began);
                        Ok(Recorded { incident, moment, path, took, missing: Some(what) })
                    }
                    Some(Doing { what, file: None, .. }) => Err(Error::Late { what }),
                    None => Err(Error::Late { what: "others are recorded".to_owned() }),
                },
            }
        }
    }

    fn send(&mut self, task: Task) -> Result<(), Error> {
        if let Some(stuck) = doing(&self.progress).filter(|doing| doing.until < task.began) {
            return Err(Error::Stuck { what: stuck.what });
        }
        let tasks = match self.tasks.take() {
            Some(tasks) => tasks,
            None => self.begin()?,
        };
        match self.tasks.insert(tasks).try_send(task) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Error::Busy),
            Err(TrySendError::Disconnected(_)) => {
                self.tasks = None; // the next one begins another thread
                Err(Error::Gone)
            }
        }
    }

    fn begin(&self) -> Result<SyncSender<Task>, Error> {
        let (tasks, receiver) = mpsc::sync_channel(WAITING);
        let worker = Worker::new(self.folder.clone(), self.progress.clone());
        let thread = thread::Builder::new().name("recorder".into());
        thread.spawn(move || worker.run(&receiver)).map_err(|source| Error::NoThread { source })?;
        Ok(tasks)
    }
}

fn doing(progress: &Progress) -> Option<Doing> {
    progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
