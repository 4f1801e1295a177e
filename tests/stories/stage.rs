//! Where a story is played: a lab of its own with the programs under test, and the evidence when it goes wrong.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{Event, Lab, Plan, Stream, Watchdog, WatchdogUnit};

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

    /// A victim on a port of 127.0.0.1 as `NAME.service`, enabled, started and answering.
    pub(crate) fn victim(&self, name: &str, port: u16, more: &str) -> Result<()> {
        self.service(&format!("{name}.service"), &format!("/usr/local/bin/victim {port}"), more)?;
        self.until_answers(&format!("http://127.0.0.1:{port}/"), SOON)
    }
}

/// What happens at once has happened within this, also on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Keys of a heartbeat that is asked each second: what nothing in the kernel shows is found soon.
pub(crate) const QUICK: &str = "every = \"1s\"\nevery_in_use = \"1s\"\n";

/// nginx's part of a configuration; more keys of its heartbeat may follow, and more tables.
pub(crate) const WEB: &str = "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://127.0.0.1/\"
";

/// A victim's part of a configuration that asks no more than a connection of it.
pub(crate) const DAEMON: &str = "[service.daemon]
unit = \"daemon.service\"
[service.daemon.heartbeat]
url = \"tcp://127.0.0.1:7000\"
";

/// A victim's part of a configuration; more keys of its heartbeat may follow, and more tables.
pub(crate) fn victim(name: &str, port: u16) -> String {
    format!(
        "[service.{name}]
unit = \"{name}.service\"
[service.{name}.heartbeat]
url = \"http://127.0.0.1:{port}/\"
body = \"It works!\"
"
    )
}

/// Ends a victim by SIGSEGV. It takes two: Rust's own handler of the first gives way, and lets the program go on.
pub(crate) fn segfault(lab: &Lab, unit: &str) -> Result<()> {
    let main = lab.main_pid(unit)?;
    lab.sh(&format!("while kill -SEGV {main} 2>/dev/null; do sleep 0.01; done")).map(drop)
}

/// A good heartbeat of this service.
pub(crate) fn is_alive(event: &Event, service: &str) -> bool {
    event.is("heartbeat", service) && event.data("verdict") == "alive"
}

/// A heartbeat of this service that says dead.
pub(crate) fn is_dead(event: &Event, service: &str) -> bool {
    event.is("heartbeat", service) && event.data("verdict") == "dead"
}

/// An order to restart or start this service's unit, carried out.
pub(crate) fn is_restart(event: &Event, service: &str) -> bool {
    let action = event.data("action");
    event.is("action", service) && (action["restart"].is_object() || action["start"].is_object())
}

/// Every order to restart or start this service's unit so far.
pub(crate) fn restarts(watchdog: &Stream, service: &str) -> Vec<Event> {
    watchdog.events().into_iter().filter(|event| is_restart(event, service)).collect()
}

/// Waits until the service has recovered, for the `count`th time.
pub(crate) fn recovered(watchdog: &Stream, service: &str, count: usize, limit: Duration) -> Result<Event> {
    let seen = Cell::new(0);
    watchdog.wait_for(&format!("recovery {count} of {service}"), limit, |event| {
        seen.set(seen.get() + usize::from(event.is("recovered", service)));
        seen.get() == count
    })
}

/// Waits until the service has recovered; it must be its only incident, at the cost of one restart.
pub(crate) fn recovered_once(watchdog: &Stream, service: &str, limit: Duration) -> Result<Event> {
    let recovered = recovered(watchdog, service, 1, limit)?;
    let restarts = restarts(watchdog, service);
    ensure!(restarts.len() == 1, "{} restarts of {service}, not one", restarts.len());
    let incidents: BTreeSet<String> = watchdog
        .events()
        .iter()
        .filter(|event| event.service() == service && event.data("incident").is_string())
        .map(|event| event.data("incident").to_string())
        .collect();
    ensure!(incidents.len() == 1, "{incidents:?} are more incidents of {service} than one");
    Ok(recovered)
}

/// A sentence that is meant to wake someone.
pub(crate) fn is_alert(event: &Event, service: &str, words: &str) -> bool {
    event.is("decision", service)
        && event.0.to_string().contains("alert")
        && event.0.to_string().contains(words)
}

/// No restart of this service was ordered.
pub(crate) fn not_restarted(watchdog: &Stream, service: &str) -> Result<()> {
    let restarts = restarts(watchdog, service);
    ensure!(restarts.is_empty(), "{service} was restarted: {}", restarts[0].0);
    Ok(())
}

/// Boots a lab and plays a story in it; prints the evidence when it fails.
pub(crate) fn play(story: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let stage = Stage { lab: plan().boot()?, streams: RefCell::default() };
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
