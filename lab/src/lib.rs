//! A throw-away host: systemd as PID 1 in private namespaces, over a cached root file system with real servers.
//!
//! Invariant: a lab leaves nothing behind, however its creator ends: no process, no cgroup, no mount; and it changes
//! nothing outside itself. It needs root. Deliberately absent: images and daemons of a container engine. What it lacks:
//! resource limits, where the host's controllers belong to cgroup v1; any network but its own loopback.
//!
//! [`Plan::boot`] starts one that ends with its owner, [`Plan::leave`] one that stays until [`Lab::down`].

mod cgroup;
mod guard;
mod init;
pub mod keeper;
mod net;
mod rootfs;
mod servers;
mod service;
pub mod tools;
mod units;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

pub use guard::{CONFIGURATION, Event, Footprint, PROGRAM, Stream, WakeUps, Watchdog};
pub use net::{Reply, Request, Traffic, mono_us};
pub use rootfs::{prepare, target_directory};
pub use servers::{Backend, WORKS};
pub use service::{EVENTS, SERVICE, WatchdogUnit};

/// PATH within a lab: root's own.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command in a lab that takes longer than this is stuck.
const COMMAND_LIMIT: &str = "120";

/// What a lab is booted with.
#[derive(Clone, Debug)]
pub struct Plan {
    keeper: PathBuf,
    binds: Vec<(PathBuf, String)>,
}

impl Plan {
    /// `keeper` is a program that calls [`keeper::main`] when its first argument is [`keeper::SUBCOMMAND`].
    pub fn new(keeper: impl Into<PathBuf>) -> Plan {
        Plan { keeper: keeper.into(), binds: Vec::new() }
    }

    /// Shows a file of the host within the lab, at the absolute path `at`.
    pub fn with(mut self, file: impl Into<PathBuf>, at: &str) -> Plan {
        self.binds.push((file.into(), at.into()));
        self
    }

    /// Boots a lab that ends when the value is dropped or this process ends. Builds the root file system first where needed.
    pub fn boot(&self) -> Result<Lab> {
        let mut keeper = self.start_keeper(false)?;
        let name = first_word(&mut keeper)?;
        let mut lab = Lab::attach(&name)?;
        lab.keeper = Some(keeper);
        Ok(lab)
    }

    /// Boots a lab that stays until [`Lab::down`].
    pub fn leave(&self) -> Result<Lab> {
        let mut keeper = self.start_keeper(true)?;
        Lab::attach(&first_word(&mut keeper)?)
    }

    fn start_keeper(&self, loose: bool) -> Result<Child> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "cannot boot a lab: it needs root, for its namespaces and mounts: run this with sudo"
        );
        let order = keeper::Order { loose, root: prepare()?, binds: self.binds.clone() };
        Command::new(&self.keeper)
            .arg(keeper::SUBCOMMAND)
            .args(order.arguments())
            .stdin(if loose { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(if loose { Stdio::null() } else { Stdio::inherit() })
            .current_dir("/")
            .spawn()
            .with_context(|| format!("cannot run the keeper {}", self.keeper.display()))
    }
}

/// Waits until the keeper says that its lab is ready, and which it is.
fn first_word(keeper: &mut Child) -> Result<String> {
    let out = keeper.stdout.take().context("the keeper has no output")?;
    let mut lines = BufReader::new(out);
    let mut line = String::new();
    lines.read_line(&mut line).context("cannot hear the keeper")?;
    if let Some(name) = line.strip_prefix("ready ") {
        return Ok(name.trim().into());
    }
    lines.read_to_string(&mut line).context("cannot hear the keeper")?;
    keeper.wait().context("cannot wait for the keeper")?;
    bail!("{}", line.trim().strip_prefix("failed ").unwrap_or("the keeper ended without a word"))
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
    /// Its systemd, in the host's PID namespace.
    init: u32,
    cgroup: PathBuf,
    /// Holds the leash; `None` for a lab that stays.
    keeper: Option<Child>,
}

impl Lab {
    /// A lab that is already running.
    pub fn attach(name: &str) -> Result<Lab> {
        let state = Path::new(keeper::STATE).join(name);
        let init = fs::read_to_string(state.join("init"))
            .with_context(|| format!("cannot find the lab {name}: `cargo xtask lab up` starts one"))?;
        let init = init.trim().parse().context("cannot read the lab's PID")?;
        Ok(Lab { name: name.into(), init, cgroup: cgroup::directory(name)?, keeper: None })
    }

    /// This very machine, whose first process is systemd: a virtual machine that is thrown away. What a test leaves behind
    /// stays there.
    pub fn here() -> Result<Lab> {
        let cgroup = cgroup::mount()?;
        let own = cgroup.join("exec");
        fs::create_dir_all(&own).with_context(|| format!("cannot make the cgroup {}", own.display()))?;
        Ok(Lab { name: "this machine".into(), init: 1, cgroup, keeper: None })
    }

    /// Its name, for [`Lab::attach`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The PID of its systemd, as the host sees it.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// The directory of a cgroup of the lab, such as `system.slice/nginx.service`, as the host sees it.
    pub fn cgroup(&self, inner: &str) -> PathBuf {
        self.cgroup.join(inner)
    }

    /// A command that runs within all of the lab's namespaces and in its cgroup `/exec`, with no input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = cgroup::command_in(&self.cgroup.join("exec"), "nsenter");
        // By name, for `--all` leaves out those that are the same: the program is always a child of its nsenter.
        command.args([
            "--target",
            &self.init.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
        ]);
        command.arg("--").arg(program);
        command
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")])
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, whatever that is.
    pub fn run(&self, argv: &[&str]) -> Result<Output> {
        let mut command = self.command("timeout");
        command.args(["--kill-after=1", COMMAND_LIMIT]).args(argv);
        command.output().with_context(|| format!("cannot run {argv:?} in {}", self.name))
    }

    /// Runs a command that must succeed; answers what it printed.
    pub fn exec(&self, argv: &[&str]) -> Result<String> {
        let output = self.run(argv)?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{argv:?} in {}: {}\n{out}{err}", self.name, output.status);
        Ok(out.into_owned())
    }

    /// Runs a line of shell that must succeed; answers what it printed.
    pub fn sh(&self, line: &str) -> Result<String> {
        self.exec(&["sh", "-ec", line])
    }

    /// Writes a file and the directories above it, from within: a link in the lab leads to the lab's own files.
    pub fn write(&self, path: &str, contents: &str) -> Result<()> {
        let mut command = self.command("sh");
        command.args(["-ec", r#"mkdir -p "$(dirname "$1")"; cat > "$1""#, "sh", path]);
        let mut child = command.stdin(Stdio::piped()).spawn().context("cannot enter the lab")?;
        let mut input = child.stdin.take().context("cannot write to the lab")?;
        input.write_all(contents.as_bytes()).with_context(|| format!("cannot write {path}"))?;
        drop(input);
        let status = child.wait().context("cannot wait for the lab")?;
        ensure!(status.success(), "cannot write {path} in {}", self.name);
        Ok(())
    }

    /// Reads a text file.
    pub fn read(&self, path: &str) -> Result<String> {
        self.exec(&["cat", path])
    }

    /// Ends the lab and waits until nothing is left of it.
    pub fn down(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let status = keeper.wait().context("cannot wait for the keeper")?;
            ensure!(status.success(), "cannot clear {} away: {status}", self.name);
            return Ok(());
        }
        let place = Path::new(keeper::STATE).join(&self.name).join("down");
        let mut keeper = UnixStream::connect(place).with_context(|| format!("cannot reach {}", self.name))?;
        // Nothing is ever sent: the connection ends with the keeper.
        let _reset_means_the_same = keeper.read(&mut [0]);
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keeper.is_some() {
            let _the_keeper_has_said_why = self.end();
        }
    }
}
