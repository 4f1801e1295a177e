//! A `watchdog run` within a lab, and its event stream as it comes.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read},
    ops::Deref,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Lab;

/// Where the program is in a lab.
pub const PROGRAM: &str = "/usr/local/bin/watchdog";
/// Where its configuration is by default.
pub const CONFIGURATION: &str = "/etc/watchdog/watchdog.toml";

impl Lab {
    /// Writes the configuration and starts `watchdog run` with it.
    pub fn watchdog(&self, configuration: &str) -> Result<Watchdog> {
        self.configure(configuration)?;
        self.watchdog_with(&[])
    }

    /// Starts `watchdog run` with these arguments.
    pub fn watchdog_with(&self, arguments: &[&str]) -> Result<Watchdog> {
        let mut command = self.command(PROGRAM);
        command.arg("run").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run watchdog in the lab")?;
        let stream = Stream::default();
        let out = child.stdout.take().context("watchdog has no output")?;
        let mut err = child.stderr.take().context("watchdog has no errors")?;
        let readers = (stream.clone(), stream.clone());
        let readers = vec![
            thread::spawn(move || readers.0.follow(out)),
            thread::spawn(move || readers.1.listen(&mut err)),
        ];
        Ok(Watchdog { child, stream, readers })
    }

    /// Writes watchdog's configuration, readable by root alone. A lab shares its host's pressure, which is that of whatever
    /// builds beside it: only a configuration with gates of its own has any.
    pub fn configure(&self, configuration: &str) -> Result<()> {
        self.sh("umask 077; mkdir -p /etc/watchdog; touch /etc/watchdog/watchdog.toml")?;
        let gates = match configuration.contains("[service.") && !configuration.contains("[watchdog.gates]") {
            true => "\n[watchdog.gates]\nmemory = \"off\"\nio = \"off\"\ncpu = \"off\"\n",
            false => "",
        };
        self.write(CONFIGURATION, &format!("{configuration}{gates}"))
    }
}

/// A running `watchdog run`.
#[derive(Debug)]
pub struct Watchdog {
    /// nsenter, whose child is watchdog.
    child: Child,
    stream: Stream,
    readers: Vec<JoinHandle<()>>,
}

/// What it has written so far.
impl Deref for Watchdog {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl Watchdog {
    /// What it has written so far, to be kept.
    pub fn stream(&self) -> Stream {
        self.stream.clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.host_pid()?;
        kill_process(pid, signal).context("cannot signal watchdog")
    }

    /// How often each of its threads went to sleep since it began: as often as it was woken.
    pub fn wake_ups(&self) -> Result<WakeUps> {
        let tasks = format!("/proc/{}/task", self.host_pid()?.as_raw_nonzero());
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            let task = task.with_context(|| format!("cannot read {tasks}"))?;
            // A thread may end between the list and this.
            let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
            let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count =
                switches.and_then(|count| count.trim().parse().ok()).context("no count of switches")?;
            threads.insert(task.file_name(), count);
        }
        Ok(WakeUps(threads))
    }

    /// What it holds now.
    pub fn footprint(&self) -> Result<Footprint> {
        let own = format!("/proc/{}", self.host_pid()?.as_raw_nonzero());
        let status =
            fs::read_to_string(format!("{own}/status")).with_context(|| format!("cannot read {own}"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.with_context(|| format!("no {name} in {own}/status"))
        };
        let descriptors =
            fs::read_dir(format!("{own}/fd")).with_context(|| format!("cannot read {own}/fd"))?;
        Ok(Footprint {
            anonymous_kib: number("RssAnon")?,
            threads: number("Threads")?,
            descriptors: descriptors.filter_map(|entry| kind(&own, &entry.ok()?.path())).collect(),
        })
    }

    /// Waits for its end; answers how it ended.
    pub fn wait(mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("cannot wait for watchdog")?;
        for reader in self.readers.drain(..) {
            reader.join().ok().context("a reader of watchdog's output panicked")?;
        }
        Ok(status)
    }

    /// Its PID on the host.
    pub fn host_pid(&self) -> Result<Pid> {
        child_of(&self.child).context("watchdog has ended")
    }
}

/// The program behind an nsenter.
pub(crate) fn child_of(nsenter: &Child) -> Result<Pid> {
    let outer = nsenter.id();
    let path = format!("/proc/{outer}/task/{outer}/children");
    let children = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let pid = children.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    pid.context("it has ended")
}

/// How often each thread of a watchdog was woken.
#[derive(Clone, Debug)]
pub struct WakeUps(BTreeMap<OsString, u64>);

impl WakeUps {
    /// How often threads were woken since `before`. One that has ended was woken for that.
    pub fn since(&self, before: &WakeUps) -> u64 {
        let woken = self.0.iter().map(|(thread, now)| now - before.0.get(thread).unwrap_or(&0));
        let ended = before.0.keys().filter(|thread| !self.0.contains_key(*thread));
        woken.sum::<u64>() + ended.map(|_| 1).sum::<u64>()
    }
}

/// What a watchdog holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory that is its own, in KiB: pages of the program's file come and go as the host likes.
    pub anonymous_kib: u64,
    /// Its threads.
    pub threads: u64,
    /// What its open descriptors are of.
    pub descriptors: Vec<String>,
}

/// What a descriptor is of, without numbers, and which table of sockets it stands in; nothing where it was closed meanwhile.
fn kind(own: &str, descriptor: &Path) -> Option<String> {
    let of = fs::read_link(descriptor).ok()?.to_string_lossy().into_owned();
    let socket = of.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
    let stands_in = |table: &&str| {
        let table = fs::read_to_string(format!("{own}/net/{table}")).unwrap_or_default();
        socket
            .is_some_and(|inode| table.lines().any(|line| line.split_whitespace().any(|word| word == inode)))
    };
    let table = ["tcp", "tcp6", "udp", "unix", "netlink", "packet"].into_iter().find(stands_in);
    Some(of.replace(|digit: char| digit.is_ascii_digit(), "") + table.unwrap_or_default())
}

/// One record of the event stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(pub Value);

impl Event {
    /// Its type without `watchdog.`, such as `heartbeat` or `sign.exit`.
    pub fn kind(&self) -> &str {
        let kind = self.0["type"].as_str().unwrap_or_default();
        kind.strip_prefix("watchdog.").unwrap_or(kind)
    }

    /// The service.
    pub fn service(&self) -> &str {
        self.0["subject"].as_str().unwrap_or_default()
    }

    /// One field of `data`.
    pub fn data(&self, field: &str) -> &Value {
        &self.0["data"][field]
    }

    /// When it happened, in microseconds of CLOCK_MONOTONIC.
    pub fn mono_us(&self) -> u64 {
        self.data("mono_us").as_u64().unwrap_or_default()
    }

    /// It is of this kind and this service.
    pub fn is(&self, kind: &str, service: &str) -> bool {
        self.kind() == kind && self.service() == service
    }
}

/// The event stream and the log of one watchdog; outlives it.
#[derive(Clone, Debug, Default)]
pub struct Stream(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Debug, Default)]
struct Heard {
    events: Vec<Event>,
    /// Lines that are no JSON.
    torn: Vec<String>,
    log: String,
    ended: bool,
}

impl Stream {
    /// Every event so far.
    pub fn events(&self) -> Vec<Event> {
        self.lock(|heard| heard.events.clone())
    }

    /// How many of the events so far are `wanted`.
    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.lock(|heard| heard.events.iter().filter(|event| wanted(event)).count())
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        self.lock(|heard| heard.log.clone())
    }

    /// Lines on its standard output that are no JSON.
    pub fn torn(&self) -> Vec<String> {
        self.lock(|heard| heard.torn.clone())
    }

    /// Waits for the first event, of those that came and those that come, for which `wanted` holds.
    pub fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        let deadline = Instant::now() + limit;
        let (heard, grown) = &*self.0;
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        loop {
            if let Some(event) = heard.events[seen..].iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            seen = heard.events.len();
            ensure!(!heard.ended, "watchdog ended before {what}");
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                bail!("watchdog did not tell of {what} within {limit:?}");
            };
            heard = grown.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn follow(&self, out: impl Read) {
        for line in BufReader::new(out).lines().map_while(std::result::Result::ok) {
            self.change(|heard| match serde_json::from_str(&line) {
                Ok(event) => heard.events.push(Event(event)),
                Err(_) => heard.torn.push(line),
            });
        }
        self.change(|heard| heard.ended = true);
    }

    pub(crate) fn listen(&self, err: &mut impl Read) {
        for line in BufReader::new(err).lines().map_while(std::result::Result::ok) {
            self.change(|heard| {
                heard.log.push_str(&line);
                heard.log.push('\n');
            });
        }
    }

    fn lock<T>(&self, read: impl FnOnce(&mut Heard) -> T) -> T {
        read(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, write: impl FnOnce(&mut Heard)) {
        self.lock(write);
        self.0.1.notify_all();
    }
}
