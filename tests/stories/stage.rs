//! Where a story is played: a lab of its own with the programs under test, and the evidence when it goes wrong.

use std::{
    cell::RefCell,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use anyhow::{Context, Result, ensure};
use lab::{Lab, Plan, Stream, Watchdog, WatchdogUnit};

pub(crate) use tests::{
    DAEMON, QUICK, SELDOM, SOON, WEB, is_alert, is_alive, is_dead, is_restart, not_restarted, recovered,
    recovered_once, restarts, segfault, victim,
};

/// A lab, and every watchdog that ran in it.
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
    /// Writes the configuration, starts `watchdog run`, and waits until it has seen each of these services answer.
    pub(crate) fn guard(&self, configuration: &str, services: &[&str]) -> Result<Watchdog> {
        let watchdog = self.lab.watchdog(configuration)?;
        self.keep(&watchdog);
        for service in services {
            watchdog
                .wait_for(&format!("a good first answer of {service}"), SOON, |e| is_alive(e, service))?;
        }
        Ok(watchdog)
    }

    /// The same with watchdog as a unit of the lab's systemd; `more` are lines of a drop-in.
    pub(crate) fn watchdog_unit(
        &self,
        configuration: &str,
        more: &str,
        services: &[&str],
    ) -> Result<WatchdogUnit<'_>> {
        let watchdog = self.lab.watchdog_unit(configuration, more)?;
        self.keep(&watchdog);
        for service in services {
            watchdog
                .wait_for(&format!("a good first answer of {service}"), SOON, |e| is_alive(e, service))?;
        }
        Ok(watchdog)
    }

    /// Remembers what a watchdog says, as evidence.
    pub(crate) fn keep(&self, watchdog: &Stream) {
        self.streams.borrow_mut().push(watchdog.clone());
    }

    /// Who says `flock /run/word true` waits from now on until `word.service` is stopped.
    pub(crate) fn hold_word(&self) -> Result<()> {
        self.unit("word.service", "[Service]\nExecStart=/usr/bin/flock /run/word sleep infinity\n")?;
        self.sh("systemctl start word.service; while flock --nonblock /run/word true; do sleep 0.05; done")
            .map(drop)
    }

    /// A process that has nothing to do with any service gets this PID, which must be free.
    pub(crate) fn stranger(&self, pid: u32) -> Result<()> {
        self.until(SOON, || {
            let last = pid - 1;
            let command =
                format!("echo {last} > /proc/sys/kernel/ns_last_pid; sleep 1000 >/dev/null 2>&1 & echo $!");
            let started: u32 = self.sh(&command)?.trim().parse().context("no PID")?;
            ensure!(started == pid, "another got {pid}: the stranger is {started}");
            Ok(())
        })
    }

    /// A victim on a port of 127.0.0.1 as `NAME.service`, enabled, started and answering.
    pub(crate) fn victim(&self, name: &str, port: u16, more: &str) -> Result<()> {
        self.service(&format!("{name}.service"), &format!("/usr/local/bin/victim {port}"), more)?;
        self.until_answers(&format!("http://127.0.0.1:{port}/"), SOON)
    }
}

/// Boots a lab and plays a story in it; prints the evidence when it fails.
pub(crate) fn play(story: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    play_on(&plan(), story)
}

/// The same in a lab that is booted with more.
pub(crate) fn play_on(plan: &Plan, story: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let stage = Stage { lab: plan.boot()?, streams: RefCell::default() };
    let ended = catch_unwind(AssertUnwindSafe(|| story(&stage)));
    if !matches!(ended, Ok(Ok(()))) {
        evidence(&stage).context("cannot gather the evidence")?;
    }
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// What every lab of the tests is booted with.
pub(crate) fn plan() -> Plan {
    Plan::new(KEEPER)
        .with(env!("CARGO_BIN_EXE_victim"), "/usr/local/bin/victim")
        .with(env!("CARGO_BIN_EXE_leaver"), "/usr/local/bin/leaver")
        .with(env!("CARGO_BIN_EXE_stuck-folder"), "/usr/local/bin/stuck-folder")
        .with(env!("CARGO_BIN_EXE_systemd-puppet"), "/usr/local/bin/systemd-puppet")
        .with(env!("CARGO_BIN_EXE_watchdog-under-test"), lab::PROGRAM)
}

pub(crate) const KEEPER: &str = env!("CARGO_BIN_EXE_lab-keeper");

fn evidence(stage: &Stage) -> Result<()> {
    for stream in stage.streams.borrow().iter() {
        eprintln!("── events");
        stream.events().iter().for_each(|event| eprintln!("{}", event.0));
        stream.torn().iter().for_each(|line| eprintln!("no JSON: {line}"));
        eprintln!("── watchdog's log\n{}", stream.log());
    }
    eprintln!("── journal\n{}", stage.sh("journalctl --no-pager --output=short-precise --lines=80")?);
    Ok(())
}
