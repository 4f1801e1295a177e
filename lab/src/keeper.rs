//! The keeper: one process per lab that starts it, waits for the end of its leash, and clears everything away.
//!
//! Invariant: a lab lives no longer than its keeper, and its keeper no longer than its leash: the standard input, whose
//! other end the creator holds, so that a creator killed in any way lets go of it. Were the keeper itself killed, the lab's
//! processes die with it (parent-death signals), and the next keeper removes what is left of the cgroup. Deliberately
//! absent: signal handlers.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            fs::MetadataExt,
            net::{UnixDatagram, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use crate::cgroup;

/// Where each lab keeps its PID, its sockets and its console while it lives.
pub(crate) const STATE: &str = "/run/watchdog-lab";

/// The first argument of a program that is asked to be a keeper.
pub const SUBCOMMAND: &str = "keeper";

/// systemd boots in half a second; a machine that swaps may need more.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// What a keeper is told to start.
pub(crate) struct Order {
    /// Stays until `down`, or as long as its creator.
    pub(crate) loose: bool,
    /// The cached root file system.
    pub(crate) root: PathBuf,
    /// Files of the host, and where the lab sees them.
    pub(crate) binds: Vec<(PathBuf, String)>,
}

impl Order {
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments =
            vec![if self.loose { "loose" } else { "leashed" }.into(), self.root.clone().into()];
        for (what, at) in &self.binds {
            arguments.extend([what.clone().into(), at.into()]);
        }
        arguments
    }

    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Order> {
        let loose = arguments.next().context("the keeper needs its leash")? == "loose";
        let root = arguments.next().context("the keeper needs a root file system")?.into();
        let mut binds = Vec::new();
        while let (Some(what), Some(at)) = (arguments.next(), arguments.next()) {
            binds.push((what.into(), at.to_string_lossy().into_owned()));
        }
        Ok(Order { loose, root, binds })
    }
}

/// The main function of a program that serves as keeper: `arguments` are those after [`SUBCOMMAND`].
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.peekable();
    if arguments.next_if(|a| a == "init").is_some() {
        return as_init(arguments);
    }
    match Order::parse(arguments).and_then(|order| keep(&order)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed {}", format!("{error:#}").replace('\n', "\n  ")));
            ExitCode::FAILURE
        }
    }
}

fn as_init(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let state = arguments.next().map(PathBuf::from).unwrap_or_default();
    let error = match Order::parse(arguments) {
        Ok(order) => crate::init::become_systemd(&order, &state).err(),
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        let _the_console_is_all_we_have = writeln!(io::stderr(), "{error:#}");
    }
    ExitCode::FAILURE
}

fn keep(order: &Order) -> Result<()> {
    // A terminal's Ctrl-C and a runner's kill of the process group must end the creator, not the one who clears up.
    let _already_leads_a_session = rustix::process::setsid();
    let place = Place::claim()?;
    let ended = place.start(order).and_then(|mut init| {
        let ended = place.watch(order.loose, &mut init);
        place.kill(&mut init).and(ended)
    });
    let console = fs::read_to_string(place.state.join("console")).unwrap_or_default();
    cgroup::remove(&place.cgroup)?;
    let down = place.release()?;
    drop(down); // whoever asked for the end hears of it now that nothing is left
    ended.map_err(|e| if console.is_empty() { e } else { anyhow!("{e:#}; its console said:\n{console}") })
}

/// A name with its state directory and its cgroup.
struct Place {
    name: String,
    state: PathBuf,
    cgroup: PathBuf,
    /// Whoever connects asks for the end, and hears the connection end with the lab.
    down: UnixListener,
    /// What systemd tells of itself; there before the lab is, which shows it inside.
    notify: UnixDatagram,
    /// Locked as long as the keeper lives.
    _lock: File,
}

impl Place {
    /// Takes a name, and removes what killed keepers have left behind.
    fn claim() -> Result<Place> {
        let _all = lock_all()?;
        for entry in fs::read_dir(STATE).with_context(|| format!("cannot read {STATE}"))? {
            sweep(&entry.context("cannot read a lab's state")?.path())?;
        }
        // The keeper's own PID: no two labs that live have the same name, and one that has ended is not taken for a new one.
        let name = format!("lab-{}", std::process::id());
        let state = Path::new(STATE).join(&name);
        fs::create_dir(&state).with_context(|| format!("cannot make {}", state.display()))?;
        let lock = File::create(state.join("lock")).context("cannot take a lab's lock")?;
        flock(&lock, FlockOperation::LockExclusive).context("cannot take a lab's lock")?;
        let down = UnixListener::bind(state.join("down")).context("cannot listen for `down`")?;
        let notify = UnixDatagram::bind(state.join("notify")).context("cannot listen for systemd")?;
        let cgroup = cgroup::directory(&name)?;
        fs::create_dir_all(cgroup.join("exec"))
            .with_context(|| format!("cannot make the cgroup {}", cgroup.display()))?;
        Ok(Place { name, state, cgroup, down, notify, _lock: lock })
    }

    fn start(&self, order: &Order) -> Result<Child> {
        let console = File::create(self.state.join("console")).context("cannot make the lab's console")?;
        let own = std::env::current_exe().context("cannot find the keeper's program")?;
        let mut command = cgroup::command_in(&self.cgroup, "setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--fork", "--kill-child=KILL"]);
        command.args(["--mount", "--pid", "--cgroup", "--net", "--uts", "--ipc", "--"]);
        command.arg(own).args([SUBCOMMAND, "init"]).arg(&self.state);
        command.args(order.arguments()).stdin(Stdio::null());
        command.stdout(console.try_clone().context("cannot share the lab's console")?).stderr(console);
        command.spawn().context("cannot start the lab's first process")
    }

    /// Says "ready" when systemd has booted; comes back when the leash ends, someone asks for the end, or systemd is gone.
    fn watch(&self, loose: bool, init: &mut Child) -> Result<()> {
        let notify = &self.notify;
        let process = Pid::from_raw(init.id().cast_signed()).context("the lab has no PID")?;
        let process = pidfd_open(process, PidfdFlags::empty()).context("cannot watch the lab")?;
        let leash = io::stdin();

        let mut booting = Some(Instant::now() + BOOT_LIMIT);
        loop {
            // systemd goes on telling after its boot, and would stand still if nobody took what it says.
            let mut wanted = vec![
                (process.as_fd(), Woken::Ended),
                (self.down.as_fd(), Woken::Down),
                (notify.as_fd(), Woken::Notify),
            ];
            wanted.extend((!loose).then_some((leash.as_fd(), Woken::Leash)));
            match wait(&wanted, booting)? {
                None => bail!("cannot boot a lab: systemd was not ready after {BOOT_LIMIT:?}"),
                Some(Woken::Ended) if booting.is_some() => bail!("cannot boot a lab: it ended at once"),
                Some(Woken::Ended | Woken::Down) => return Ok(()),
                Some(Woken::Leash) => {
                    if leash.lock().read(&mut [0]).context("cannot read the leash")? == 0 {
                        return Ok(());
                    }
                }
                Some(Woken::Notify) => {
                    let mut message = [0; 4096];
                    let length = notify.recv(&mut message).context("cannot hear systemd")?;
                    let ready = message[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1");
                    if ready && booting.take().is_some() {
                        say(&format!("ready {}", self.name));
                    }
                }
            }
        }
    }

    /// The kernel ends a PID namespace with its first process, which the outer process waits for and reaps.
    fn kill(&self, outer: &mut Child) -> Result<()> {
        if outer.try_wait().context("cannot look at the lab's outer process")?.is_some() {
            return Ok(());
        }
        let first =
            fs::read_to_string(self.state.join("init")).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        match first {
            Some(first) => kill_process(first, Signal::KILL).context("cannot kill the lab's systemd")?,
            None => outer.kill().context("cannot kill the lab's outer process")?,
        }
        outer.wait().context("cannot wait for the lab's end").map(drop)
    }

    fn release(self) -> Result<UnixListener> {
        fs::remove_dir_all(&self.state).with_context(|| format!("cannot remove {}", self.state.display()))?;
        // The last one leaves nothing of the folder; where others live it is not empty, and stays.
        let _others_live = fs::remove_dir(STATE);
        Ok(self.down)
    }
}

/// The folder of all labs, locked: names are taken one after the other. Whoever was the last may have just removed it.
fn lock_all() -> Result<File> {
    loop {
        fs::create_dir_all(STATE).with_context(|| format!("cannot make {STATE}: a lab needs root"))?;
        let Ok(all) = File::open(STATE) else { continue };
        flock(&all, FlockOperation::LockExclusive).context("cannot lock the folder of all labs")?;
        let locked = all.metadata().context("cannot read the folder of all labs")?.ino();
        if fs::metadata(STATE).is_ok_and(|now| now.ino() == locked) {
            return Ok(all);
        }
    }
}

#[derive(Clone, Copy)]
enum Woken {
    Ended,
    Down,
    Leash,
    Notify,
}

/// Which of these is ready first; `None` at the deadline.
fn wait(wanted: &[(BorrowedFd<'_>, Woken)], deadline: Option<Instant>) -> Result<Option<Woken>> {
    let mut polled: Vec<PollFd<'_>> =
        wanted.iter().map(|(fd, _)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let limit = deadline.map(|d| d.saturating_duration_since(Instant::now()));
    let limit =
        limit.map(|d| Timespec { tv_sec: d.as_secs().cast_signed(), tv_nsec: d.subsec_nanos().into() });
    poll(&mut polled, limit.as_ref()).context("cannot wait")?;
    Ok(polled.iter().zip(wanted).find(|(fd, _)| !fd.revents().is_empty()).map(|(_, (_, woken))| *woken))
}

/// Removes a lab whose keeper no longer lives.
fn sweep(state: &Path) -> Result<()> {
    let Ok(lock) = File::open(state.join("lock")) else { return Ok(()) };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    cgroup::remove(&cgroup::directory(&name)?)?;
    fs::remove_dir_all(state).with_context(|| format!("cannot remove {}", state.display()))
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _the_creator_may_be_gone = writeln!(out, "{line}").and_then(|()| out.flush());
}
