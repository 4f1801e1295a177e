//! A cgroup, a network namespace, the probes, and puppets to act before them.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use watchdog::{
    model::{CgroupId, Port, Saw, Sign, Unit, Watch, WatchedPort},
    sources::ebpf::{Kept, Missing, Probes},
};

/// What should come comes within this; what should not come is waited for explicitly.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two services' worth of room; a test of losses fills the ring buffer, not this.
const ROOM: usize = 8192;

/// Where a test is played.
pub(crate) struct Stage {
    /// Watched, once asked for.
    pub(crate) cgroup: Cgroup,
    /// Never watched.
    pub(crate) elsewhere: Cgroup,
    watch: Watch,
    tell: watch::Sender<Watch>,
    signs: mpsc::Receiver<Sign>,
    probes: Option<Probes>,
    running: Option<JoinHandle<Result<(), watchdog::sources::ebpf::Error>>>,
}

/// Plays a test in a thread of its own, whose network namespace is empty but for `lo`.
pub(crate) fn play(act: impl AsyncFnOnce(&mut Stage) -> Result<()> + Send + 'static) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "cannot load probes: these tests need root, run them with sudo"
    );
    let thread = thread::spawn(|| -> Result<()> {
        own_network()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut stage = Stage::new()?;
            act(&mut stage).await
        })
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[allow(unsafe_code, reason = "a namespace of one's own is made for the calling thread")]
fn own_network() -> Result<()> {
    // SAFETY: no descriptor, memory or mount is unshared, only the network of this thread, which is new.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("cannot make a network namespace")?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("cannot run ip")?;
    ensure!(status.success(), "cannot bring lo up: ip ended with {status}");
    Ok(())
}

impl Stage {
    fn new() -> Result<Stage> {
        let watch = Watch::default();
        let (probes, missing) = load(&watch)?;
        ensure!(missing.is_empty(), "this kernel lacks something: {missing:?}");
        let (tell, told) = watch::channel(watch.clone());
        let (sender, signs) = mpsc::channel(ROOM);
        let _ = (told, sender);
        Ok(Stage {
            cgroup: Cgroup::new()?,
            elsewhere: Cgroup::new()?,
            watch,
            tell,
            signs,
            probes: Some(probes),
            running: None,
        })
    }

    /// Watches the stage's cgroup.
    pub(crate) fn watch_cgroup(&mut self) -> Result<()> {
        self.watch_mains(&[])
    }

    /// Watches the stage's cgroup, with these as its main processes.
    pub(crate) fn watch_mains(&mut self, mains: &[&Puppet]) -> Result<()> {
        let pids = mains.iter().map(|puppet| puppet.pid()).collect();
        self.watch.cgroups = BTreeMap::from([(self.cgroup.id()?, pids)]);
        self.apply()
    }

    /// Watches this port, and those from there on that are so many more.
    pub(crate) fn watch_ports(&mut self, first: u16, count: u16) -> Result<()> {
        let settings =
            WatchedPort { accept_after: Duration::from_secs(60), answer_after: Duration::from_secs(60) };
        self.watch.ports.extend((first..first + count).map(|port| (Port(port), settings)));
        self.apply()
    }

    /// Watches a port.
    pub(crate) fn watch_port(&mut self, port: u16, accept_ms: u64, answer_ms: u64) -> Result<()> {
        let settings = WatchedPort {
            accept_after: Duration::from_millis(accept_ms),
            answer_after: Duration::from_millis(answer_ms),
        };
        self.watch.ports.insert(Port(port), settings);
        self.apply()
    }

    fn apply(&mut self) -> Result<()> {
        match &mut self.probes {
            Some(probes) => Ok(probes.watch(&self.watch)?),
            None => bail!("the probes run already"),
        }
    }

    /// Watches the stage's cgroup as that of this unit.
    pub(crate) fn watch_unit(&mut self, unit: &Unit) -> Result<()> {
        self.watch.units = BTreeMap::from([(self.cgroup.id()?, unit.clone())]);
        self.watch_cgroup()
    }

    /// Ends the probes that do not run yet, as if their process had died, and keeps what others can go on with.
    pub(crate) fn leave(&mut self) -> Result<Vec<Kept>> {
        let mut probes = self.probes.take().context("the probes run already")?;
        Ok(probes.copies())
    }

    /// Goes on with them; answers what they watch.
    pub(crate) fn adopt(&mut self, kept: Vec<Kept>) -> Result<Watch> {
        let (probes, left) = Probes::adopt_object(&object()?, kept).map_err(anyhow::Error::msg)?;
        self.probes = Some(probes);
        Ok(left)
    }

    /// Lets the signs through from here on; what happened since the load is told too.
    pub(crate) fn run(&mut self) -> Result<()> {
        let probes = self.probes.take().context("the probes run already")?;
        let (tell, told) = watch::channel(self.watch.clone());
        let (sender, signs) = mpsc::channel(ROOM);
        (self.tell, self.signs) = (tell, signs);
        self.running = Some(tokio::spawn(probes.run(sender, told)));
        Ok(())
    }

    /// The same as [`Stage::watch_port`], while the probes run.
    pub(crate) fn watch_port_later(&mut self, port: u16, accept_ms: u64, answer_ms: u64) {
        let settings = WatchedPort {
            accept_after: Duration::from_millis(accept_ms),
            answer_after: Duration::from_millis(answer_ms),
        };
        self.watch.ports.insert(Port(port), settings);
        self.tell.send_replace(self.watch.clone());
    }

    /// The next sign.
    pub(crate) async fn next(&mut self) -> Result<Sign> {
        if self.running.is_none() {
            self.run()?;
        }
        let sign = timeout(PATIENCE, self.signs.recv()).await.context("no sign came")?;
        sign.context("the probes ended")
    }

    /// What the next sign saw.
    pub(crate) async fn saw(&mut self) -> Result<Saw> {
        Ok(self.next().await?.saw)
    }

    /// The next sign that is wanted; others are passed over.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Saw) -> bool) -> Result<Sign> {
        loop {
            let sign = self.next().await?;
            if wanted(&sign.saw) {
                return Ok(sign);
            }
        }
    }

    /// Everything that is seen within this time.
    pub(crate) async fn all_within(&mut self, time: Duration) -> Result<Vec<Saw>> {
        if self.running.is_none() {
            self.run()?;
        }
        let mut seen = vec![];
        let end = tokio::time::Instant::now() + time;
        while let Ok(sign) = tokio::time::timeout_at(end, self.signs.recv()).await {
            seen.push(sign.context("the probes ended")?.saw);
        }
        Ok(seen)
    }

    /// A process in the watched cgroup.
    pub(crate) fn puppet(&self) -> Result<Puppet> {
        Puppet::new(&self.cgroup.path)
    }

    /// A process that nobody watches.
    pub(crate) fn stranger(&self) -> Result<Puppet> {
        Puppet::new(&self.elsewhere.path)
    }
}

fn load(watch: &Watch) -> Result<(Probes, Vec<Missing>)> {
    Ok(Probes::load_object(&object()?, watch)?)
}

/// The object under test: the embedded one, unless another was built for this machine's toolchain.
pub(crate) fn object() -> Result<Vec<u8>> {
    match env::var_os("WATCHDOG_BPF_OBJECT") {
        Some(path) => fs::read(&path).with_context(|| format!("cannot read {}", path.display())),
        None => Ok(Probes::OBJECT.to_vec()),
    }
}

/// A cgroup that is removed with everything in it.
pub(crate) struct Cgroup {
    path: PathBuf,
}

static CGROUPS: AtomicU32 = AtomicU32::new(0);

impl Cgroup {
    fn new() -> Result<Cgroup> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?;
            (words.next()? == "cgroup2").then_some(place)
        });
        let mount = mount.context("there is no cgroup2 file system")?;
        let number = CGROUPS.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(mount).join(format!("watchdog-kernel-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Cgroup { path })
    }

    pub(crate) fn id(&self) -> Result<CgroupId> {
        Ok(CgroupId(fs::metadata(&self.path)?.ino()))
    }

    /// A process some levels below.
    pub(crate) fn puppet_below(&self, path: &str) -> Result<Puppet> {
        let below = self.path.join(path);
        fs::create_dir_all(&below)?;
        Puppet::new(&below)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        remove(&self.path);
    }
}

/// Children first. A cgroup can be removed once the last of its killed processes is gone.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let end = std::time::Instant::now() + PATIENCE;
    while fs::remove_dir(path).is_err() && path.exists() && std::time::Instant::now() < end {
        thread::yield_now();
    }
}

const PUPPET: &str = env!("CARGO_BIN_EXE_puppet");

/// A process that does as it is told.
pub(crate) struct Puppet {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a puppet did.
pub(crate) struct Done {
    /// When, in nanoseconds of CLOCK_MONOTONIC.
    pub(crate) at: u64,
    /// What came of it.
    pub(crate) number: u64,
}

impl Puppet {
    fn new(cgroup: &Path) -> Result<Puppet> {
        Puppet::start(cgroup, &[PUPPET])
    }

    /// In a network namespace of its own.
    pub(crate) fn far_away(stage: &Stage) -> Result<Puppet> {
        let with_lo = "ip link set lo up && exec \"$0\"";
        Puppet::start(&stage.cgroup.path, &["unshare", "--net", "sh", "-c", with_lo, PUPPET])
    }

    /// In a PID namespace of its own, below an `unshare` that waits for it.
    pub(crate) fn in_pid_namespace(stage: &Stage) -> Result<Puppet> {
        Puppet::start(&stage.cgroup.path, &["unshare", "--pid", "--fork", PUPPET])
    }

    /// The one child of the process that was started.
    pub(crate) fn only_child(&self) -> Result<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        children.trim().parse().with_context(|| format!("the children of {pid} are {children:?}"))
    }

    /// Joins the cgroup first, so that whatever is started is born there.
    fn start(cgroup: &Path, command: &[&str]) -> Result<Puppet> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(cgroup.join("cgroup.procs")).args(command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = shell.spawn().context("cannot start a puppet")?;
        let orders = child.stdin.take().context("no orders")?;
        let answers = BufReader::new(child.stdout.take().context("no answers")?);
        let mut puppet = Puppet { child, orders, answers };
        puppet.act("threads 0")?;
        Ok(puppet)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has something done, and waits for it.
    pub(crate) fn act(&mut self, order: &str) -> Result<Done> {
        self.last_act(order)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let parts = line.trim().split_once(' ');
        let done =
            parts.and_then(|(at, number)| Some(Done { at: at.parse().ok()?, number: number.parse().ok()? }));
        done.with_context(|| format!("{order:?} was answered by {line:?}"))
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Has something done that is not answered, for it ends the puppet.
    pub(crate) fn last_act(&mut self, order: &str) -> Result<()> {
        Ok(writeln!(self.orders, "{order}")?)
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
