//! Where a story is played: this machine, which is as it was before once a story is over.

use std::{cell::RefCell, fs, ops::Deref, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{Lab, Stream, Watchdog, WatchdogUnit};
use tests::is_alive;

/// What happens at once has happened within this, by emulation.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// This machine, and every watchdog that ran on it.
pub(crate) struct Stage {
    lab: Lab,
    streams: RefCell<Vec<Stream>>,
}

impl Deref for Stage {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Stage {
    pub(crate) fn new() -> Result<Stage> {
        Ok(Stage { lab: Lab::here()?, streams: RefCell::default() })
    }

    /// Writes the configuration, starts `watchdog run`, and waits until it has seen each of these services answer.
    pub(crate) fn guard(&self, configuration: &str, services: &[&str]) -> Result<Watchdog> {
        let watchdog = self.lab.watchdog(configuration)?;
        self.keep(&watchdog, services)?;
        Ok(watchdog)
    }

    /// The same with watchdog as a unit; `more` are lines of a drop-in.
    pub(crate) fn guard_unit(
        &self,
        configuration: &str,
        more: &str,
        services: &[&str],
    ) -> Result<WatchdogUnit<'_>> {
        let watchdog = self.lab.watchdog_unit(configuration, more)?;
        self.keep(&watchdog, services)?;
        Ok(watchdog)
    }

    fn keep(&self, watchdog: &Stream, services: &[&str]) -> Result<()> {
        self.streams.borrow_mut().push(watchdog.clone());
        for service in services {
            watchdog
                .wait_for(&format!("a good first answer of {service}"), SOON, |e| is_alive(e, service))?;
        }
        Ok(())
    }

    /// A victim on a port of 127.0.0.1 as `NAME.service`, enabled, started and answering.
    pub(crate) fn victim(&self, name: &str, port: u16, more: &str) -> Result<()> {
        self.service(&format!("{name}.service"), &format!("/usr/local/bin/victim {port}"), more)?;
        self.until_answers(&format!("http://127.0.0.1:{port}/"), SOON)
    }

    /// Waits until no process may be born in a cgroup, such as `full.slice`.
    pub(crate) fn is_full(&self, cgroup: &str) -> Result<()> {
        self.until(SOON, || {
            let (current, max) = (self.figure(cgroup, "pids.current")?, self.figure(cgroup, "pids.max")?);
            ensure!(current >= max, "{current} of {max} processes of {cgroup} are used");
            Ok(())
        })
    }

    /// Waits until a cgroup holds so many processes.
    pub(crate) fn holds(&self, cgroup: &str, processes: u64) -> Result<()> {
        self.until(SOON, || {
            let current = self.figure(cgroup, "pids.current")?;
            ensure!(current >= processes, "{cgroup} holds {current} processes, not {processes}");
            Ok(())
        })
    }

    fn figure(&self, cgroup: &str, name: &str) -> Result<u64> {
        let file = self.cgroup(cgroup).join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("no {name} of {cgroup}"))?;
        text.trim().parse().with_context(|| format!("{name} of {cgroup} is {text:?}"))
    }

    pub(crate) fn evidence(&self) -> Result<()> {
        for stream in self.streams.borrow().iter() {
            println!("── events");
            stream.events().iter().for_each(|event| println!("{}", event.0));
            stream.torn().iter().for_each(|line| println!("no JSON: {line}"));
            println!("── watchdog's log\n{}", stream.log());
        }
        println!("── journal\n{}", self.sh("journalctl --no-pager --output=short-precise --lines=60")?);
        Ok(())
    }

    /// Ends what still runs, and removes the units and files of the story.
    pub(crate) fn clear(&self) -> Result<()> {
        let exec = self.cgroup("exec").join("cgroup.kill");
        fs::write(&exec, "1").with_context(|| format!("cannot write {}", exec.display()))?;
        self.sh("cd /etc/systemd/system
             units=$(find . -maxdepth 1 -type f -name '*.*' -printf '%f ')
             systemctl stop $units
             for unit in $units; do rm -f \"$unit\" multi-user.target.wants/\"$unit\"; done
             rm -rf -- *.d /etc/watchdog /var/lib/watchdog /etc/victim /run/events.jsonl /run/systemd/system.control
             systemctl daemon-reload
             systemctl reset-failed")
            .map(drop)
    }
}
