//! The thread that records.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, mpsc::Receiver},
};

use tokio::sync::oneshot;

use super::{
    Doing, Error, Kind, Progress, Settings, Subject, cgroup, files, journal::Journal, kernel, logs,
    page::Page, processes, shelf, sockets,
};
use crate::{
    clock,
    model::{Moment, Mono, Recorded},
    systemd::cgroup::{mount, of, pids},
};

/// So many processes of a unit are looked at.
const PIDS: usize = 256;

/// One recording.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) subject: Subject,
    pub(super) settings: Arc<Settings>,
    pub(super) began: Mono,
    pub(super) until: Mono,
    pub(super) answer: oneshot::Sender<Result<Recorded, Error>>,
}

pub(super) struct Worker {
    folder: PathBuf,
    progress: Progress,
    journal: Journal,
}

impl Worker {
    pub(super) fn new(folder: PathBuf, progress: Progress) -> Worker {
        Worker { folder, progress, journal: Journal::default() }
    }

    /// Until nobody has anything to record any more.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            if task.until <= clock::now() {
                continue; // nobody waits for it any more
            }
            let what = format!("the folder {}", self.folder.display());
            self.say(Some(Doing { number: task.number, until: task.until, what, file: None }));
            self.record(task);
            self.say(None);
        }
    }

    fn say(&self, doing: Option<Doing>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    fn record(&mut self, task: Task) {
        let Task { number, subject, settings, began, until, answer } = task;
        let opened = shelf::open(&self.folder, clock::wall(), &subject);
        let (path, file) = match opened {
            Ok(opened) => opened,
            Err(fault) => return drop(answer.send(Err(fault))),
        };
        let what = "the first lines".to_owned();
        self.say(Some(Doing { number, until, what, file: Some(path.clone()) }));
        let mut page = Page::new(path.clone(), file, settings.size, until, self.progress.clone());
        let passing = passing(&mut page, &settings, &subject);
        let took = clock::now().since(began);
        let answered = passing.map(|missing| {
            let (incident, moment) = (subject.incident, subject.moment);
            Recorded { incident, moment, path, took, missing }
        });
        let written = answered.is_ok();
        answer.send(answered).ok();
        if written && let Err(fault) = self.lasting(&mut page, &settings, &subject) {
            tracing::warn!(%fault, "the evidence is not whole");
        }
        page.at(|| format!("the folder {}", self.folder.display()));
        shelf::tidy(&self.folder, &settings);
    }

    /// What is still there after a restart.
    fn lasting(&mut self, page: &mut Page, settings: &Settings, subject: &Subject) -> Result<(), Error> {
        if settings.kinds.contains(&Kind::Journal) {
            page.at(|| "the journal".to_owned());
            let lines = self.journal.last(&subject.unit, page.room(), page.until());
            page.part(&format!("the journal of {}", subject.unit), &lines)?;
        }
        if settings.kinds.contains(&Kind::Logs) {
            for path in &subject.logs {
                page.at(|| path.display().to_string());
                let lines = if page.is_over() {
                    "not read: no time was left".into()
                } else {
                    logs::last(path, page.room())
                };
                page.part(&format!("the end of {}", path.display()), &lines)?;
            }
        }
        Ok(())
    }
}

/// What a restart takes away: what is told quickly and never hangs comes first. Gives back what is not in it.
fn passing(page: &mut Page, settings: &Settings, subject: &Subject) -> Result<Option<String>, Error> {
    let wants = |kind: Kind| settings.kinds.contains(&kind);
    page.part("evidence", &first_lines(subject))?;
    if wants(Kind::Pressure) {
        page.part("the host", &cgroup::host())?;
    }
    let directory = subject.state.as_ref().and_then(|state| of(&mount().ok()?, state));
    let Some(directory) = directory else {
        page.part("the unit", "it has no cgroup any more: no process of it is left")?;
        return Ok(None);
    };
    if wants(Kind::Cgroup) {
        page.part("the unit's cgroup", &cgroup::figures(&directory))?;
    }
    let pids = pids(&directory, PIDS);
    if wants(Kind::Processes) {
        page.at(|| "the list of processes".to_owned());
        page.part("processes", &processes::table(&pids))?;
    }
    let mut missing = None;
    let mut late = |page: &Page, what: &str| -> bool {
        let over = page.is_over();
        if over && missing.is_none() {
            missing = Some(format!("no time was left for {what}"));
        }
        over
    };
    if wants(Kind::Threads) || wants(Kind::Stacks) {
        for pid in &pids {
            if late(page, "the threads of all processes") {
                break;
            }
            let text = kernel::threads(page, *pid, wants(Kind::Threads), wants(Kind::Stacks));
            page.part(&format!("threads of process {pid}"), &text)?;
        }
    }
    if wants(Kind::Files) && !late(page, "locks") {
        page.at(|| "/proc/locks".to_owned());
        page.part("locks", &files::locks(&pids))?;
    }
    let mut own = files::Own::default();
    if wants(Kind::Files) || wants(Kind::Sockets) {
        for pid in &pids {
            if late(page, "the files of all processes") {
                break;
            }
            page.at(|| format!("the files of process {pid}"));
            let open = files::open(*pid, &mut own);
            if wants(Kind::Files) {
                page.part(&format!("open files of process {pid}"), &open)?;
            }
        }
    }
    if wants(Kind::Sockets) && !late(page, "sockets") {
        page.at(|| "the tables of sockets".to_owned());
        page.part("sockets", &sockets::of(&pids, &own, page.until()))?;
    }
    if wants(Kind::Processes) {
        for pid in &pids {
            if late(page, "the details of all processes") {
                break;
            }
            // last, for it waits for a lock that a stuck process may hold
            page.at(|| format!("the command line of process {pid}"));
            page.part(&format!("process {pid}"), &processes::details(*pid))?;
        }
    }
    Ok(missing)
}

fn first_lines(subject: &Subject) -> String {
    let Subject { service, unit, state, incident, moment, logs: _ } = subject;
    let moment = match moment {
        Moment::Restart => "before a restart",
        Moment::Kill => "before a kill, for its stop takes too long",
        Moment::Death => "after its end",
    };
    let now = jiff::Timestamp::from_microsecond(clock::wall().0).unwrap_or_default();
    let mut text = format!("service {service}, unit {unit}, incident {incident}, {moment}\n{now}\n");
    if let Some(state) = state {
        let main = state.main_pid.map_or("none".to_owned(), |pid| pid.to_string());
        let run = state.incarnation.map_or("none".to_owned(), |run| run.to_string());
        text += &format!("incarnation {run}, main process {main}, {:?} ({})\n", state.active, state.sub);
    }
    text
}
