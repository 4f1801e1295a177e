//! watchdog as a unit of a lab's systemd, as on a real host: it comes back when it is killed, and its stream goes on.

use std::{
    ops::Deref,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use crate::{Lab, Stream, guard::child_of};

/// The unit of a watchdog in a lab.
pub const SERVICE: &str = "watchdog.service";
/// The unit file that is given to users.
const FILE: &str = include_str!("../../contrib/watchdog.service");
/// Where the unit writes its events: in memory, and over all its lives.
pub const EVENTS: &str = "/run/events.jsonl";

impl Lab {
    /// Writes the configuration, and starts watchdog as a unit with these lines more in its unit file. What it says, and what
    /// each that comes after it says, is one stream.
    pub fn watchdog_unit(&self, configuration: &str, more: &str) -> Result<WatchdogUnit<'_>> {
        self.configure(configuration)?;
        let events = format!("[watchdog]\nevents = [\"{EVENTS}\"]\n");
        self.sh("umask 077; mkdir -p /etc/watchdog/conf.d; touch /etc/watchdog/conf.d/events.toml")?;
        self.write("/etc/watchdog/conf.d/events.toml", &events)?;
        // systemd reads both at once
        self.write(&format!("/etc/systemd/system/{SERVICE}"), FILE)?;
        self.drop_in(SERVICE, more)?;
        let unit = WatchdogUnit::follow(self)?;
        self.start(SERVICE)?;
        Ok(unit)
    }
}

/// watchdog as a unit. It ends with its lab.
#[derive(Debug)]
pub struct WatchdogUnit<'a> {
    lab: &'a Lab,
    stream: Stream,
    /// nsenter, whose children follow the stream and the log.
    followers: [Child; 2],
}

/// What it has written so far, in all its lives.
impl Deref for WatchdogUnit<'_> {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl WatchdogUnit<'_> {
    fn follow(lab: &Lab) -> Result<WatchdogUnit<'_>> {
        let follow = |argv: &[&str]| -> Result<_> {
            let mut command = lab.command(argv[0]);
            command.args(&argv[1..]).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().with_context(|| format!("cannot run {argv:?} in the lab"))?;
            let out = child.stdout.take().context("no output to follow")?;
            Ok((child, out))
        };
        let (tail, events) = follow(&["tail", "--lines=+1", "-F", EVENTS])?;
        let journal = ["journalctl", "--follow", "--lines=all", "--output=cat", "--unit", SERVICE];
        let (journal, mut log) = follow(&journal)?;
        let stream = Stream::default();
        let readers = (stream.clone(), stream.clone());
        thread::spawn(move || readers.0.follow(events));
        thread::spawn(move || readers.1.listen(&mut log));
        Ok(WatchdogUnit { lab, stream, followers: [tail, journal] })
    }

    /// Kills it (SIGKILL to its main process). Answers when, in microseconds of CLOCK_MONOTONIC.
    pub fn kill(&self) -> Result<u64> {
        self.lab.kill_main(Signal::KILL, SERVICE)
    }

    /// Its main process, in the lab's PID namespace.
    pub fn main_pid(&self) -> Result<u32> {
        self.lab.main_pid(SERVICE)
    }

    /// Waits until another than `old` runs and is ready; answers its PID.
    pub fn until_replaced(&self, old: u32, limit: Duration) -> Result<u32> {
        self.lab.until_replaced(SERVICE, old, limit)
    }
}

impl Drop for WatchdogUnit<'_> {
    fn drop(&mut self) {
        for follower in &mut self.followers {
            // where it has ended, so has its parent
            let _gone_is_good = child_of(follower).map(|pid| kill_process(pid, Signal::KILL));
            let _never_left_a_zombie = follower.wait();
        }
    }
}
