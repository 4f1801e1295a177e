//! A cgroup, a network namespace, the probes, and puppets to act before them.

mod cgroup;
mod puppet;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
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
    model::{FailureClass, Port, Rung, Saw, Serving, Sign, Stall, Unit, Watch, WatchedPort},
    sources::{
        ebpf::{Cost, Kept, Missing, Probes},
        sock_diag,
    },
};

pub(crate) use self::{cgroup::Cgroup, puppet::Puppet};

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
    by: By,
    running: Option<JoinHandle<Result<(), watchdog::sources::ebpf::Error>>>,
    /// By what is seen what happens: nothing, for the looks at the table of sockets to begin.
    serving: watch::Sender<Vec<Serving>>,
}

/// By what is seen what happens on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The probes in the kernel.
    Probes,
    /// Looks at the kernel's table of sockets.
    Table,
}

/// Plays a test in a thread of its own, whose network namespace is empty but for `lo`.
pub(crate) fn play(act: impl AsyncFnOnce(&mut Stage) -> Result<()> + Send + 'static) -> Result<()> {
    play_by(By::Probes, act)
}

/// The same, seen by this.
pub(crate) fn play_by(
    by: By,
    act: impl AsyncFnOnce(&mut Stage) -> Result<()> + Send + 'static,
) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "cannot load probes: these tests need root, run them with sudo"
    );
    let thread = thread::spawn(move || -> Result<()> {
        own_network()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut stage = Stage::new(by)?;
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
    fn new(by: By) -> Result<Stage> {
        let watch = Watch::default();
        let probes = match by {
            By::Probes => {
                let (probes, missing) = load(&watch)?;
                ensure!(missing.is_empty(), "this kernel lacks something: {missing:?}");
                Some(probes)
            }
            By::Table => None,
        };
        let (tell, told) = watch::channel(watch.clone());
        let (sender, signs) = mpsc::channel(ROOM);
        let _ = (told, sender);
        Ok(Stage {
            cgroup: Cgroup::new()?,
            elsewhere: Cgroup::new()?,
            watch,
            tell,
            signs,
            probes,
            by,
            running: None,
            serving: watch::Sender::new(vec![Serving {
                class: FailureClass::AcceptStall,
                rung: Rung::Heartbeat,
                why: String::new(),
            }]),
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

    /// Reads the answers of the cgroup of this name below the stage's.
    pub(crate) fn watch_answers(&mut self, below: &str) -> Result<()> {
        self.watch.answers.insert(self.cgroup.control_group(below)?);
        self.apply()
    }

    /// Reads no answers any more, while the probes run.
    pub(crate) fn watch_no_answers(&mut self) {
        self.watch.answers.clear();
        self.tell.send_replace(self.watch.clone());
    }

    /// What the programs have cost so far.
    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.probes.as_ref().map(Probes::costs).unwrap_or_default()
    }

    fn apply(&mut self) -> Result<()> {
        match &mut self.probes {
            Some(probes) => Ok(probes.watch(&self.watch)?),
            None if self.by == By::Table && self.running.is_none() => Ok(()),
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

    /// The programs that do not run, of probes that tell nothing yet.
    pub(crate) fn missing(&self) -> Result<&[Missing]> {
        Ok(self.probes.as_ref().context("the probes run already")?.missing())
    }

    /// Has the second rung in the place of the probes that do not run yet.
    pub(crate) fn load_classic(&mut self) -> Result<()> {
        self.probes = Some(Probes::load_classic(&object()?, &self.watch)?.0);
        Ok(())
    }

    /// The probes, which do not run yet.
    pub(crate) fn probes(&mut self) -> Result<&mut Probes> {
        self.probes.as_mut().context("the probes run already")
    }

    /// Lets the signs through from here on; what happened since the load is told too.
    pub(crate) fn run(&mut self) -> Result<()> {
        let (tell, told) = watch::channel(self.watch.clone());
        let (sender, signs) = mpsc::channel(ROOM);
        (self.tell, self.signs) = (tell, signs);
        self.running = Some(match self.by {
            By::Probes => {
                let probes = self.probes.take().context("the probes run already")?;
                tokio::spawn(probes.run(sender, told))
            }
            By::Table => {
                let looks = sock_diag::run(told, sender, self.serving.subscribe(), BTreeSet::new);
                tokio::spawn(async move {
                    looks.await;
                    Ok(())
                })
            }
        });
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

    /// The next sign of the stage: programs are run elsewhere on this machine too.
    pub(crate) async fn next(&mut self) -> Result<Sign> {
        self.find(|saw| !matches!(saw, Saw::CommandRun(_))).await
    }

    async fn any(&mut self) -> Result<Sign> {
        if self.running.is_none() {
            self.run()?;
        }
        let sign = timeout(PATIENCE, self.signs.recv()).await.context("no sign came")?;
        sign.context("the probes ended")
    }

    /// The next stall in the accept queue of a port, with its moment.
    pub(crate) async fn accept_stall(&mut self) -> Result<(u64, Stall)> {
        let sign = self.find(|saw| matches!(saw, Saw::AcceptStall(_))).await?;
        let Saw::AcceptStall(stall) = sign.saw else { unreachable!("found by its kind") };
        Ok((sign.at.0, stall))
    }

    /// What the next sign saw.
    pub(crate) async fn saw(&mut self) -> Result<Saw> {
        Ok(self.next().await?.saw)
    }

    /// The next sign that is wanted; others are passed over.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Saw) -> bool) -> Result<Sign> {
        loop {
            let sign = self.any().await?;
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
        seen.retain(|saw| !matches!(saw, Saw::CommandRun(_)));
        Ok(seen)
    }

    /// Everything that is seen until this is over, and what it comes to.
    pub(crate) async fn all_until<T>(&mut self, over: impl Future<Output = T>) -> Result<(Vec<Saw>, T)> {
        if self.running.is_none() {
            self.run()?;
        }
        let (mut seen, mut over) = (vec![], std::pin::pin!(over));
        loop {
            tokio::select! {
                biased;
                sign = self.signs.recv() => {
                    let saw = sign.context("the probes ended")?.saw;
                    // whoever runs such a program on this machine
                    if !matches!(saw, Saw::CommandRun(_)) {
                        seen.push(saw);
                    }
                }
                is = &mut over => return Ok((seen, is)),
            }
        }
    }

    /// What is watched.
    pub(crate) fn watched(&self) -> &Watch {
        &self.watch
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
