//! Tells people: exec, webhook, mail.
//!
//! What is told to whom, how often and when again: `book`. In which words: `notice`, `text`. By which way: `exec`, `webhook`, `mail`.
//!
//! Invariants: [`Notify::offer`] never waits, whatever a channel does: what its queue cannot take is counted and said. A message has
//! a deadline, and so have all its tries together; each try comes back as a [`Notified`] for the stream. No secret of a channel is in
//! an error, in a message or in what is kept.
//! Deliberately absent: decisions, and waking anybody who was not asked for; a recovery is told to those who were told of the failure.

mod book;
mod error;
mod exec;
mod kept;
mod lane;
mod mail;
mod notice;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod webhook;
mod wire;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};

pub use error::Error;
pub use settings::{Carrier, Channel, Exec, Mail, MailTls, Rules, Secret, Settings, Way, Webhook};

use self::{
    book::{Book, Message},
    notice::Moment,
    text::Words,
};
use crate::{
    clock,
    model::{Decision, Fate, Mono, Notified, Tell},
    systemd::Link,
};

/// How much may wait for the task: more than this happens at once only where all of a large host fails.
const TELLS: usize = 256;
/// How many records may wait for the engine.
const SAID: usize = 256;
/// A disk that does not give what was kept within this is not waited for.
const DISK: Duration = Duration::from_secs(5);

/// Channels of which all that can fail or takes long is done: issuers are read.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    settings: Settings,
    ready: BTreeMap<String, Arc<Ready>>,
}

/// A channel that can be used again and again.
#[derive(Debug)]
struct Ready {
    way: ReadyWay,
    timeout: Duration,
}

#[derive(Debug)]
enum ReadyWay {
    Exec(exec::Runs),
    Webhook(webhook::Hook),
    Mail(mail::Post),
}

impl Prepared {
    /// Reads what the channels need; takes as long as a disk does.
    ///
    /// # Errors
    /// A channel that could never be used.
    pub fn new(settings: Settings) -> Result<Prepared, Error> {
        let ready = |channel: &Channel| {
            let way = match &channel.way {
                Way::Exec(exec) => ReadyWay::Exec(exec::Runs::new(exec)),
                Way::Webhook(webhook) => ReadyWay::Webhook(webhook::Hook::new(webhook)?),
                Way::Mail(mail) => ReadyWay::Mail(mail::Post::new(mail)?),
            };
            Ok((channel.name.clone(), Arc::new(Ready { way, timeout: channel.timeout })))
        };
        let ready = settings.channels.iter().map(ready).collect::<Result<_, Error>>()?;
        Ok(Prepared { settings, ready })
    }

    /// Sends each channel a message that says that it is a test, all at once, and what became of it.
    pub async fn test(&self, link: &Link) -> Vec<(String, Result<(), Error>)> {
        let host = host();
        let words = Arc::new(text::test(&host));
        let sent = self.ready.iter().map(|(name, ready)| {
            let (words, host) = (words.clone(), host.clone());
            async move { (name.clone(), ready.send(&words, &host, link).await) }
        });
        futures_util::future::join_all(sent).await
    }
}

impl Ready {
    async fn send(&self, words: &Words, host: &str, link: &Link) -> Result<(), Error> {
        let (who, sending): (&str, futures_util::future::BoxFuture<'_, Result<(), Error>>) = match &self.way {
            ReadyWay::Exec(runs) => {
                // it has a deadline of its own, at which its processes are killed; this one is for a systemd that hangs
                let input = words.json.to_string();
                let run = async move { runs.run(link, input.as_bytes(), &words.facts, self.timeout).await };
                (runs.who(), Box::pin(run))
            }
            ReadyWay::Webhook(hook) => (hook.who(), Box::pin(hook.send(words))),
            ReadyWay::Mail(post) => (post.who(), Box::pin(post.send(words, host, link, self.timeout))),
        };
        let patience = match self.way {
            ReadyWay::Exec(_) => self.timeout.saturating_mul(2),
            ReadyWay::Webhook(_) | ReadyWay::Mail(_) => self.timeout,
        };
        match timeout(patience, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(Error::Late { who: who.to_owned(), after: self.timeout }),
        }
    }
}

/// Tells people, in a task of its own.
#[derive(Debug)]
pub struct Notify {
    tells: mpsc::Sender<Tell>,
    dropped: Arc<AtomicU64>,
    channels: watch::Sender<Prepared>,
    said: mpsc::Receiver<Notified>,
    task: JoinHandle<()>,
}

impl Notify {
    /// Goes on where a process before this one has stopped; what is kept is in this folder.
    pub fn start(prepared: Prepared, folder: PathBuf, link: Link) -> Notify {
        let (tells, heard) = mpsc::channel(TELLS);
        let (says, said) = mpsc::channel(SAID);
        let (channels, replaced) = watch::channel(prepared);
        let dropped = Arc::new(AtomicU64::new(0));
        let task = Task {
            book: Book::default(),
            prepared: Prepared::default(),
            tells: heard,
            dropped: dropped.clone(),
            replaced,
            says,
            link,
            folder,
            host: host(),
            sending: JoinSet::new(),
            writing: None,
            changed: false,
            write_fails: false,
        };
        Notify { tells, dropped, channels, said, task: tokio::spawn(task.run()) }
    }

    /// Something that people may want to know. Never waits.
    pub fn offer(&self, tell: &Tell) {
        let is_news = match &tell.decision {
            Decision::Act { .. } | Decision::Alert { .. } | Decision::End(_) => true,
            Decision::Hold { .. } | Decision::LeaveAlone { .. } => false,
        };
        if is_news
            && !self.channels.borrow().settings.channels.is_empty()
            && self.tells.try_send(tell.clone()).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Other channels and rules are in force.
    pub fn replace(&self, prepared: Prepared) {
        self.channels.send_replace(prepared);
    }

    /// What became of telling people, for the stream. Waits for ever where nothing does any more.
    pub async fn said(&mut self) -> Notified {
        match self.said.recv().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }

    /// The same without waiting.
    pub fn try_said(&mut self) -> Option<Notified> {
        self.said.try_recv().ok()
    }

    /// Keeps what is not told yet for the next process, for at most this long.
    pub async fn close(self, within: Duration) {
        let Notify { tells, said, task, channels, dropped: _ } = self;
        drop((tells, said));
        if timeout(within, task).await.is_err() {
            tracing::warn!("who is to be told was not kept: the disk is stuck");
        }
        drop(channels);
    }
}

struct Task {
    book: Book,
    prepared: Prepared,
    tells: mpsc::Receiver<Tell>,
    dropped: Arc<AtomicU64>,
    replaced: watch::Receiver<Prepared>,
    says: mpsc::Sender<Notified>,
    link: Link,
    folder: PathBuf,
    host: String,
    sending: JoinSet<(String, Result<(), Error>)>,
    writing: Option<JoinHandle<Result<(), Error>>>,
    /// The book is not kept as it stands.
    changed: bool,
    write_fails: bool,
}

impl Task {
    async fn run(mut self) {
        self.resume().await;
        self.replace().await;
        loop {
            self.send();
            self.keep();
            self.say_dropped().await;
            let wake_at = self.book.wake_at();
            let pause = wake_at.map(|at| Instant::now() + at.since(clock::now()));
            tokio::select! {
                biased;
                Some(ended) = self.sending.join_next() => self.sent(ended).await,
                ended = end_of(&mut self.writing) => self.kept(ended),
                Ok(()) = self.replaced.changed() => self.replace().await,
                tell = self.tells.recv() => match tell {
                    Some(tell) => {
                        let now = moment();
                        self.changed |= self.book.hear(now, &tell);
                    }
                    None => break,
                },
                () = until(pause) => {}
            }
        }
        end_of_some(&mut self.writing).await;
        self.keep();
        end_of_some(&mut self.writing).await;
    }

    async fn resume(&mut self) {
        let folder = self.folder.clone();
        let read = timeout(DISK, spawn_blocking(move || kept::read(&folder))).await;
        let why = match read {
            Ok(Ok(Ok(None))) => return,
            Ok(Ok(Ok(Some((book, same_boot))))) => {
                self.book.resume(moment(), book, same_boot);
                return;
            }
            Ok(Ok(Err(fault))) => fault.to_string(),
            Ok(Err(fault)) => Error::from(fault).to_string(),
            Err(_) => "the disk is stuck".to_owned(),
        };
        tracing::warn!(%why, "who was told is not known: somebody may be told twice");
    }

    async fn replace(&mut self) {
        self.prepared = self.replaced.borrow_and_update().clone();
        let Settings { rules, channels } = &self.prepared.settings;
        let given_up = self.book.replace(clock::now(), rules.clone(), channels);
        self.changed |= !channels.is_empty() || !given_up.is_empty();
        self.say(given_up).await;
    }

    fn send(&mut self) {
        let due = self.book.due(clock::now());
        for message in due {
            self.changed = true;
            let Some(ready) = self.prepared.ready.get(&message.channel).cloned() else { continue };
            let words = self.words(&message);
            let (host, link) = (self.host.clone(), self.link.clone());
            let sending = tokio::spawn(async move { ready.send(&words, &host, &link).await });
            let channel = message.channel;
            self.sending
                .spawn(async move { (channel, sending.await.unwrap_or_else(|died| Err(died.into()))) });
        }
    }

    fn words(&self, message: &Message) -> Words {
        text::words(message, &self.host, &TimeZone::system())
    }

    async fn sent(&mut self, ended: Result<(String, Result<(), Error>), tokio::task::JoinError>) {
        let Ok((channel, ended)) = ended else { return }; // it only waits for another task
        if let Err(fault) = &ended {
            tracing::warn!(%channel, %fault, "not told");
        }
        self.changed = true;
        let said = self.book.done(clock::now(), &channel, ended.map_err(|fault| fault.to_string()));
        self.say(said).await;
    }

    async fn say(&mut self, said: Vec<Notified>) {
        for notified in said {
            self.says.send(notified).await.ok(); // at the end nobody listens any more
        }
    }

    async fn say_dropped(&mut self) {
        let count = self.dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            let (at, fate): (Mono, Fate) = (clock::now(), Fate::Dropped { count });
            let nobody =
                Notified { at, service: None, incident: None, channel: None, about: Vec::new(), fate };
            self.say(vec![nobody]).await;
        }
    }

    /// Begins to write the book down, unless that is under way.
    fn keep(&mut self) {
        if self.changed && self.writing.is_none() {
            self.changed = false;
            let (folder, book) = (self.folder.clone(), self.book.clone());
            self.writing = Some(spawn_blocking(move || kept::write(&folder, book)));
        }
    }

    fn kept(&mut self, ended: Result<Result<(), Error>, tokio::task::JoinError>) {
        self.writing = None;
        let fault = ended.map_err(Error::from).and_then(|written| written).err();
        if let Some(fault) = fault.as_ref().filter(|_| !self.write_fails) {
            tracing::warn!(%fault, "after a restart of watchdog somebody may be told twice, or not at all");
        }
        self.write_fails = fault.is_some();
    }
}

fn moment() -> Moment {
    Moment { mono: clock::now(), wall: clock::wall() }
}

/// As this host calls itself.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Waits for the end of a task; for ever where there is none.
async fn end_of<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of a task, where there is one.
async fn end_of_some<T>(task: &mut Option<JoinHandle<T>>) {
    if let Some(task) = task.take() {
        task.await.ok();
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
