use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{self, IsTerminal as _},
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

use super::{
    Exit, Where, check, complain, control, ladder,
    lock::{self, Lock},
    probing::Probing,
    reload::Reload,
    say,
    supervisor::Supervisor,
    survival, unconfigured,
};
use crate::{
    clock,
    config::{self, Loaded},
    engine::{self, Edges, Engine, Recovered, Request, SIGNS, Wires},
    heartbeat,
    model::Watch,
    sources::{
        ebpf::Kept,
        logs::Logs,
        sock_diag::{self, SockDiag},
        units::Units,
    },
    stream::{Stream, Tap},
    suspicion::Suspicions,
};

/// How long a disk may take to give what was kept.
const DISK: Duration = Duration::from_secs(10);
/// The thread that may wait is kept once it is there: on a host without a task to spare there would be no other.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// So many who ask for a reload over the control socket may wait for it.
const RELOADS: usize = 4;

/// For so long at most the end of a thread is waited for.
const LET_GO: Duration = Duration::from_millis(100);

/// `watchdog run`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Events go where `events` of the configuration says. By default that is standard output: one JSON object a line, or in words where
that is a terminal, without what only says that all is well. Where there is no configuration at all, it observes what `watchdog discover` finds, and restarts
nothing.

Exit code:
  0   it was told to stop
  66  --config names what is not there
  69  this host was not booted with systemd, or the connection to it was lost for good
  70  a fault of watchdog's own
  71  the system refused something that it cannot do without
  75  another watchdog runs
  77  not root, or others may write to the configuration
  78  faults in the configuration"
)]
pub(super) struct Run {
    #[command(flatten)]
    place: Where,
    /// Decide and record, do not act, whatever `mode` says
    #[arg(long)]
    observe: bool,
}

impl Run {
    pub(super) fn main(self) -> Exit {
        survival::one_heap();
        if !rustix::process::geteuid().is_root() {
            complain("not root: it loads probes into the kernel and restarts units; try `sudo watchdog run`");
            return Exit::NoPermission;
        }
        let kept = survival::kept();
        // the one thing that it cannot do without: there is nothing else to restart services through
        if !sd_notify::booted().unwrap_or(false) {
            complain(
                "this host was not booted with systemd (there is no /run/systemd/system): there is nothing to restart \
                 services through; run it where systemd is the first process",
            );
            return Exit::Unavailable;
        }
        let loaded = match self.load() {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let _log = log_to_stderr();
        survival::spare();
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_keep_alive(FOR_EVER)
            .build()
        {
            Ok(runtime) => runtime,
            Err(fault) => {
                complain(format_args!("cannot start: {fault}"));
                return Exit::System;
            }
        };
        if let Err(fault) = runtime.block_on(thread_that_waits()) {
            complain(format_args!(
                "cannot start the thread that waits for disks: {fault} (is TasksMax= or a ulimit reached?)"
            ));
            return Exit::System;
        }
        // before the lock, which tells others that we run: a signal that comes during the start waits for its end
        let signals = match runtime.block_on(async { Signals::new() }) {
            Ok(signals) => signals,
            Err(fault) => {
                complain(format_args!("cannot listen to signals: {fault}"));
                return Exit::System;
            }
        };
        let lock = match Lock::take(Path::new(lock::HOST), &loaded.settings.state_directory) {
            Ok(lock) => lock,
            Err(fault @ lock::Error::Held { .. }) => {
                complain(fault);
                return Exit::AnotherRuns;
            }
            Err(fault @ lock::Error::Io { .. }) => {
                complain(fault);
                return Exit::System;
            }
        };
        lock.without_state.iter().for_each(complain);
        let exit = runtime.block_on(self.keep(loaded.settings, kept, signals));
        drop(lock);
        exit
    }

    fn load(&self) -> Result<Loaded, Exit> {
        let loaded = match config::load(self.place.config.as_deref()) {
            Err(faults) if faults.are_absence() => unconfigured::loaded(),
            other => other,
        };
        let mut loaded = loaded.map_err(|faults| {
            say::faults(&faults);
            Exit::Configuration(faults.exit_code())
        })?;
        loaded.warnings.iter().for_each(complain);
        loaded.checked_only.iter().for_each(|key| complain(format_args!("not yet in this version: {key}")));
        loaded.settings.policy.host.observe |= self.observe;
        Ok(loaded)
    }

    /// Runs until it is told to stop, or until something that it cannot do without is lost.
    async fn keep(&self, settings: engine::Settings, kept: Vec<Kept>, mut signals: Signals) -> Exit {
        let mut supervisor = Supervisor::new();
        let reload = Reload {
            config: self.place.config.clone(),
            observe: self.observe,
            discovered: Arc::new(AtomicBool::new(settings.discovered)),
            state_directory: settings.state_directory.clone(),
            control_socket: settings.control_socket.clone(),
        };
        let mut under_way = None;
        let booted = look_again(settings.discovered);
        tokio::pin!(booted);
        let mut looks_again = true;
        let started = tokio::select! {
            started = start(settings, kept) => started,
            () = signals.stop.asked() => return Exit::Ok,
        };
        let Parts { requests, mut engine, mut units, tap } = match started {
            Ok(parts) => parts,
            Err(exit) => return exit,
        };
        let (reloads, mut asked_to_reload) = mpsc::channel(RELOADS);
        let _place = control::serve(&reload.control_socket, requests.clone(), reloads, tap);
        supervisor.ready();
        let lost = loop {
            tokio::select! {
                biased;
                ended = &mut engine => {
                    complain(format_args!("the engine ended by itself ({ended:?}): please report this"));
                    return Exit::Software;
                }
                ended = &mut units => {
                    let why = ended.err().map_or("it ended by itself".to_owned(), |fault| fault.to_string());
                    break format!("the task that hears systemd is lost ({why}): please report this");
                }
                () = signals.stop.asked() => {
                    supervisor.stopping();
                    requests.send(Request::Stop).await.ok();
                    return match engine.await {
                        Ok(()) => Exit::Ok,
                        Err(fault) => {
                            complain(format_args!("the engine did not end well: {fault}"));
                            Exit::Software
                        }
                    };
                }
                Some(()) = signals.hang_up.recv(), if under_way.is_none() => {
                    supervisor.reloading();
                    under_way = Some(tokio::spawn(reload.clone().run(requests.clone(), None)));
                }
                Some(asked) = asked_to_reload.recv(), if under_way.is_none() => {
                    supervisor.reloading();
                    under_way = Some(tokio::spawn(reload.clone().run(requests.clone(), Some(asked))));
                }
                () = &mut booted, if looks_again && under_way.is_none() => {
                    looks_again = false;
                    supervisor.reloading();
                    under_way = Some(tokio::spawn(reload.clone().run(requests.clone(), None)));
                }
                () = end_of(&mut under_way) => {
                    under_way = None;
                    supervisor.ready();
                }
                () = supervisor.ping(&requests) => {}
            }
        };
        complain(lost);
        requests.send(Request::Stop).await.ok();
        engine.await.ok();
        Exit::Unavailable // never half a daemon: a supervisor starts a whole one
    }
}

/// What runs; none of it ends by itself as long as all is well.
struct Parts {
    requests: mpsc::Sender<Request>,
    engine: JoinHandle<()>,
    units: JoinHandle<()>,
    tap: Tap,
}

/// Connects everything before anything is decided. Sources that do not work are no reason to end: others see less, or later,
/// and the table of rungs says so.
async fn start(settings: engine::Settings, kept: Vec<Kept>) -> Result<Parts, Exit> {
    let (signs, seen) = mpsc::channel(SIGNS);
    let (watch, watched) = watch::channel(Watch::default());
    let sockets = SockDiag::open().unwrap_or_else(|fault| {
        complain(fault);
        SockDiag::later()
    });
    let first = Suspicions::new(settings.suspicion.clone());
    let (probing, left) = Probing::begin(first.watch(), kept, signs.clone());
    let stream = Stream::open(&settings.stream, &settings.state_directory).map_err(|fault| {
        complain(fault);
        Exit::System
    })?;
    let tap = stream.tap();
    let wanted = settings.policy.services.values().map(|guard| guard.unit.clone()).collect();
    let (units, task) = Units::start(wanted, signs.clone());
    let (logs, _ends_with_the_engine) = Logs::start(settings.logs.clone(), signs.clone());
    let edges = Edges { units: units.clone(), sockets, logs };
    let wires = Wires { signs: seen, watch };
    let recovered = recovered(&settings).await;
    recovered.warnings.iter().for_each(complain);
    let mut engine = Engine::new(settings, recovered, edges, stream, wires).map_err(|fault| {
        complain(fault);
        Exit::Configuration(78)
    })?;
    engine.inherit(&left);
    Supervisor::tick().into_iter().chain(probing.tick()).for_each(|tick| engine.also_ticks(tick));
    units.watch(engine.units().into_iter().collect()).await;
    // beside the engine, which takes what comes meanwhile
    tokio::spawn(async move { check::rivals(&units).await.iter().for_each(complain) });
    ladder::start(engine.serving(), &watched, &signs);
    tokio::spawn(sock_diag::run(watched.clone(), signs.clone(), engine.serving(), heartbeat::own_ends));
    engine.also_ticks(sock_diag::queues_tick());
    tokio::spawn(sock_diag::watch_queues(watched.clone(), signs, engine.suspects()));
    tokio::spawn(probing.run(watched));
    let (requests, asked) = mpsc::channel(4);
    Ok(Parts { requests, engine: tokio::spawn(engine.run(asked)), units: task, tap })
}

/// Those that come before they are awaited are kept.
struct Signals {
    stop: Stop,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        let stop =
            Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Signals { stop, hang_up: signal(SignalKind::hangup())? })
    }
}

/// SIGTERM, SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Over when what listens is worth another look; never where a configuration says what is watched.
async fn look_again(discovered: bool) {
    match discovered {
        true => unconfigured::booted().await,
        false => std::future::pending().await,
    }
}

/// Waits for the end of this task; for ever where there is none.
async fn end_of(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(task) => task.await.unwrap_or_else(|fault| tracing::warn!(%fault, "not reloaded")),
        None => std::future::pending().await,
    }
}

/// What was kept, unless the disk takes too long to give it.
async fn recovered(settings: &engine::Settings) -> Recovered {
    let (folder, policy, seed) = (settings.state_directory.clone(), settings.policy.clone(), seed());
    let read = tokio::task::spawn_blocking(move || Recovered::read(&folder, &policy, seed));
    let folder = settings.state_directory.display();
    let why = match tokio::time::timeout(DISK, read).await {
        Ok(Ok(recovered)) => return recovered,
        Ok(Err(fault)) => format!("cannot read what is kept in {folder}: {fault}"),
        Err(_) => format!("{folder} cannot be read within {DISK:?} (is the disk stuck?)"),
    };
    let why = format!("{why}; budgets begin afresh, and are not kept over a restart of watchdog");
    Recovered::afresh(&settings.policy, seed, why)
}

/// The seed of every jitter; recorded in the stream's `.state`.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Whoever reads standard error and hangs does not hold up a decision: lines beyond the queue are dropped.
/// Where the host has no task left for the thread that writes, lines are written at once: better late than not at all.
fn log_to_stderr() -> Option<WorkerGuard> {
    let (writer, guard) = match room_for_a_thread() {
        Ok(()) => {
            let (writer, guard) = tracing_appender::non_blocking(io::stderr());
            (BoxMakeWriter::new(writer), Some(guard))
        }
        Err(_) => (BoxMakeWriter::new(io::stderr), None),
    };
    let level = EnvFilter::try_from_env("WATCHDOG_LOG").unwrap_or_else(|_| EnvFilter::new("watchdog=info"));
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(level).with_writer(writer).with_ansi(coloured).init();
    guard
}

/// Takes the one thread that the runtime cannot do without, before anything else is begun: it panics where there is none.
async fn thread_that_waits() -> io::Result<()> {
    room_for_a_thread()?;
    tokio::task::spawn_blocking(|| ()).await.map_err(io::Error::other)
}

/// Those who start threads in other crates take it for granted that they can.
fn room_for_a_thread() -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(rustix::thread::gettid)?;
    let id = thread.join().map_err(|_| io::Error::other("it panicked"))?;
    // it takes up the room until the kernel has let go of it, a moment after its end
    let task = format!("/proc/self/task/{}", id.as_raw_nonzero());
    let until = clock::now() + LET_GO;
    while Path::new(&task).exists() && clock::now() < until {
        std::thread::yield_now();
    }
    Ok(())
}
