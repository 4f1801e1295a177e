//! What a lab's systemd says of its units, and ways to hurt them.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::Lab;

/// How often a condition of the lab is looked at, where nothing tells of its change.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Lab {
    /// One property of a unit, as `systemctl show` prints it.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let value = self.exec(&["systemctl", "show", "--value", "--property", name, unit])?;
        Ok(value.trim_end().into())
    }

    /// The main process of a unit, in the lab's PID namespace; it must have one.
    pub fn main_pid(&self, unit: &str) -> Result<u32> {
        let pid = self.property(unit, "MainPID")?.parse().context("cannot read MainPID")?;
        ensure!(pid != 0, "{unit} has no main process: it is {}", self.property(unit, "ActiveState")?);
        Ok(pid)
    }

    /// A new unit file, known to systemd.
    pub fn unit(&self, name: &str, contents: &str) -> Result<()> {
        self.write(&format!("/etc/systemd/system/{name}"), contents)?;
        self.exec(&["systemctl", "daemon-reload"]).map(drop)
    }

    /// More settings for a unit that exists, known to systemd.
    pub fn drop_in(&self, unit: &str, contents: &str) -> Result<()> {
        self.unit(&format!("{unit}.d/lab.conf"), contents)
    }

    /// Sends a signal from a process within the lab; `pid` is of the lab's PID namespace.
    pub fn kill(&self, signal: &str, pid: u32) -> Result<()> {
        self.exec(&["kill", "-s", signal, &pid.to_string()]).map(drop)
    }

    /// Sends a signal to every process of a unit at once, behind systemd's back. Answers when, in microseconds of CLOCK_MONOTONIC.
    pub fn kill_all(&self, signal: Signal, unit: &str) -> Result<u64> {
        let pids = self.host_pids(unit)?;
        ensure!(!pids.is_empty(), "{unit} has no process to signal");
        let at = crate::net::mono_us();
        for pid in pids {
            // A child may have ended since the list was read.
            let _gone_is_good = kill_process(pid, signal);
        }
        Ok(at)
    }

    /// Sends a signal to the main process of a unit, from outside the lab. Answers when, in microseconds of CLOCK_MONOTONIC.
    pub fn kill_main(&self, signal: Signal, unit: &str) -> Result<u64> {
        let main = self.main_pid(unit)?;
        for pid in self.host_pids(unit)? {
            if inner_pid(pid)? == main {
                let at = crate::net::mono_us();
                kill_process(pid, signal)
                    .with_context(|| format!("cannot kill the main process of {unit}"))?;
                return Ok(at);
            }
        }
        bail!("the main process {main} of {unit} is not in its cgroup")
    }

    /// Looks at a condition until it holds. Fails at the limit with the condition's last word.
    pub fn until<T>(&self, limit: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            match look() {
                Ok(found) => return Ok(found),
                Err(last) if Instant::now() > deadline => {
                    return Err(last.context(format!("not within {limit:?}")));
                }
                Err(_not_yet) => thread::park_timeout(LOOK_AGAIN),
            }
        }
    }

    /// Waits until a unit is in this ActiveState.
    pub fn until_state(&self, unit: &str, state: &str, limit: Duration) -> Result<()> {
        self.until(limit, || {
            let now = self.property(unit, "ActiveState")?;
            ensure!(now == state, "{unit} is {now}, not {state}");
            Ok(())
        })
    }

    /// Waits until the unit runs with another main process than `old`; answers the new one.
    pub fn until_replaced(&self, unit: &str, old: u32, limit: Duration) -> Result<u32> {
        self.until(limit, || {
            let state = self.property(unit, "ActiveState")?;
            ensure!(state == "active", "{unit} is {state}, not active");
            let new = self.main_pid(unit)?;
            ensure!(new != old, "{unit} still has its main process {old}");
            Ok(new)
        })
    }

    fn host_pids(&self, unit: &str) -> Result<Vec<Pid>> {
        let path = self.property(unit, "ControlGroup")?;
        ensure!(!path.is_empty(), "{unit} has no cgroup");
        let procs = self.cgroup(path.trim_start_matches('/')).join("cgroup.procs");
        let list = fs::read_to_string(&procs).with_context(|| format!("cannot read {}", procs.display()))?;
        Ok(list.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect())
    }
}

/// A process's PID in the innermost PID namespace.
fn inner_pid(pid: Pid) -> Result<u32> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    pids.and_then(|pids| pids.split_whitespace().last()?.parse().ok())
        .with_context(|| format!("no NSpid in {path}"))
}
