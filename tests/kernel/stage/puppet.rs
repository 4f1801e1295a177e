//! The process that a test moves by its strings, and how it is told what to do.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Stage;

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
    pub(super) fn new(cgroup: &Path) -> Result<Puppet> {
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
    pub(crate) fn start(cgroup: &Path, command: &[&str]) -> Result<Puppet> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(cgroup.join("cgroup.procs")).args(command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = shell.spawn().context("cannot start a puppet")?;
        let orders = child.stdin.take().context("no orders")?;
        let answers = BufReader::new(child.stdout.take().context("no answers")?);
        let mut puppet = Puppet { child, orders, answers };
        puppet.act("ready")?;
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

    /// Has neither answered nor ended.
    pub(crate) fn is_busy(&self) -> Result<bool> {
        let mut answers = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
        Ok(poll(&mut answers, Some(&Timespec::default()))? == 0)
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
