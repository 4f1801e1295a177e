//! Clients in a lab's network namespace: one request, and steady traffic.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::{
    thread::{LinkNameSpaceType, move_into_link_name_space},
    time::{ClockId, clock_gettime},
};

use crate::Lab;

/// A client waits this long for an answer, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that wants to know the very moment asks again after this.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Microseconds of CLOCK_MONOTONIC: the clock of the event stream.
pub fn mono_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// One request of a stream of traffic.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was sent, in microseconds of CLOCK_MONOTONIC.
    pub sent: u64,
    /// When its end came, in microseconds of CLOCK_MONOTONIC.
    pub ended: u64,
    /// The status, or why there is none.
    pub status: std::result::Result<u16, String>,
}

impl Request {
    /// It was answered, and not with a 5xx.
    pub fn good(&self) -> bool {
        self.status.as_ref().is_ok_and(|status| *status < 500)
    }
}

impl Lab {
    /// Runs `work` on a thread that is in the lab's network namespace, and in the host's for all else.
    pub fn in_network<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let network = self.network()?;
        thread::scope(|scope| {
            let done = scope.spawn(move || enter(&network).map(|()| work())).join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// One request to a server of the lab: `url` is `http://ADDRESS:PORT/PATH`.
    pub fn get(&self, url: &str) -> Result<Reply> {
        self.get_within(url, PATIENCE)
    }

    /// One request that is given up after `patience`.
    pub fn get_within(&self, url: &str, patience: Duration) -> Result<Reply> {
        let goal = Goal::parse(url)?;
        self.in_network(|| goal.ask(patience))?.with_context(|| format!("cannot get {url}"))
    }

    /// Asks again and again until the answer is good; answers when that was, in microseconds of CLOCK_MONOTONIC.
    pub fn first_good(&self, url: &str, limit: Duration) -> Result<u64> {
        let goal = Goal::parse(url)?;
        let deadline = Instant::now() + limit;
        self.in_network(|| {
            loop {
                match goal.ask(limit) {
                    Ok(reply) if reply.status < 500 => return Ok(mono_us()),
                    answer if Instant::now() > deadline => {
                        let last = answer.map_or_else(|e| format!("{e:#}"), |reply| reply.status.to_string());
                        bail!("no good answer from {url} within {limit:?}: {last}");
                    }
                    Ok(_) | Err(_) => thread::park_timeout(ASK_AGAIN),
                }
            }
        })?
    }

    /// Asks `rate` times a second until the traffic is stopped. Each client gives up after `patience`.
    pub fn traffic(&self, url: &str, rate: u32, patience: Duration) -> Result<Traffic> {
        let goal = Goal::parse(url)?;
        let network = self.network()?;
        let (stop, stopped) = channel();
        let log = Arc::new(Log::default());
        let mine = log.clone();
        let thread = thread::spawn(move || {
            let begun = enter(&network);
            if begun.is_ok() {
                steadily(&stopped, &goal, Duration::from_secs(1) / rate, patience, &mine);
            }
            begun
        });
        Ok(Traffic { log, stop: Some(stop), thread: Some(thread) })
    }

    fn network(&self) -> Result<File> {
        let path = format!("/proc/{}/ns/net", self.init());
        File::open(&path).with_context(|| format!("cannot open {path}"))
    }
}

fn enter(network: &File) -> Result<()> {
    move_into_link_name_space(std::os::fd::AsFd::as_fd(network), Some(LinkNameSpaceType::Network))
        .context("cannot enter the lab's network")
}

fn steadily(stopped: &Receiver<()>, goal: &Goal, pause: Duration, patience: Duration, log: &Log) {
    thread::scope(|scope| {
        let mut next = Instant::now();
        loop {
            // A thread each: a client that waits for its answer does not keep the next one from asking.
            scope.spawn(move || {
                let sent = mono_us();
                let status = goal.ask(patience).map(|reply| reply.status).map_err(|e| format!("{e:#}"));
                log.add(Request { sent, ended: mono_us(), status });
            });
            next += pause;
            match stopped.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
}

/// Clients that ask a server at a steady rate.
#[derive(Debug)]
pub struct Traffic {
    log: Arc<Log>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Traffic {
    /// What came of the requests that have ended so far, in the order of their ends.
    pub fn requests(&self) -> Vec<Request> {
        self.log.read()
    }

    /// Waits for a request sent after `since` (microseconds of CLOCK_MONOTONIC) that was answered well.
    pub fn wait_for_good(&self, since: u64, limit: Duration) -> Result<Request> {
        self.log.wait(limit, |r| r.sent >= since && r.good()).context("no good answer to the traffic in time")
    }

    /// Ends the traffic; answers all of its requests.
    pub fn stop(mut self) -> Result<Vec<Request>> {
        self.end()?;
        Ok(self.requests())
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(done)) => done,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.stop.take()); // the thread ends by itself
    }
}

/// Requests that have ended.
#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    grown: Condvar,
}

impl Log {
    fn add(&self, request: Request) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.grown.notify_all();
    }

    fn read(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait(&self, limit: Duration, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        let deadline = Instant::now() + limit;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = requests.iter().find(|r| wanted(r)) {
                return Some(found.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            requests = self.grown.wait_timeout(requests, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whom to ask for what.
struct Goal {
    address: SocketAddr,
    path: String,
}

impl Goal {
    fn parse(url: &str) -> Result<Goal> {
        let rest =
            url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
        let address = address.parse().with_context(|| format!("{url} holds no address and port"))?;
        Ok(Goal { address, path: format!("/{path}") })
    }

    fn ask(&self, patience: Duration) -> Result<Reply> {
        let deadline = Instant::now() + patience;
        let mut stream = TcpStream::connect_timeout(&self.address, patience).context("cannot connect")?;
        let request = format!("GET {} HTTP/1.0\r\nHost: lab\r\n\r\n", self.path);
        stream.write_all(request.as_bytes()).context("cannot send")?;
        let mut bytes = Vec::new();
        let mut part = [0; 16384];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(left)).context("cannot set a time limit")?;
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&part[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => bail!("no answer within {patience:?}"),
                Err(e) => return Err(e).context("cannot read"),
            }
        }
        parse_reply(&bytes).ok_or_else(|| anyhow!("{} bytes that are no HTTP answer", bytes.len()))
    }
}

fn parse_reply(bytes: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, body: body.into() })
}
