//! From a fault to the suspicion of it, by what the kernel tells: the backstop is an hour away.

use std::{
    cell::Cell,
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use ::lab::{Event, Lab, Watchdog, mono_us};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{LIMIT, end, memory::Limit, since, table::Table, times};

const URL: &str = "http://127.0.0.1:7001/";
const ADDRESS: &str = "127.0.0.1:7001";
const UNIT: &str = "sensor.service";
/// Milliseconds; the defaults.
const ACCEPT_AFTER: f64 = 250.0;
const ANSWER_AFTER: f64 = 1000.0;
/// More than one sample of an `answer_after` takes, so that the next connection is sampled.
const APART: Duration = Duration::from_millis(120);

/// Errors of one port are told once in a second.
const TOLD_AGAIN: Duration = Duration::from_millis(1100);
/// Each of them leaves a parent behind that its unit's stop must end.
const ZOMBIES: usize = 20;

const CONFIGURATION: &str = r#"
[watchdog.budget]
restarts = 100000
[service.sensor]
unit = "sensor.service"
[service.sensor.heartbeat]
url = "http://127.0.0.1:7001/"
timeout = "300ms"
retry_after = "50ms"
every = "1h"
every_in_use = "1h"
[service.sensor.restart]
burst = 1000
backoff = "10ms"
backoff_max = "10ms"
"#;

pub(super) fn measure(lab: &Lab, table: &mut Table, runs: usize) -> Result<()> {
    lab.service(UNIT, "/usr/local/bin/victim 7001", "")?;
    lab.drop_in(UNIT, "[Unit]\nStartLimitIntervalSec=0\n")?;
    lab.first_good(URL, LIMIT)?;
    let watchdog = lab.watchdog(CONFIGURATION)?;
    watchdog.wait_for("a good heartbeat", LIMIT, is_alive).with_context(|| watchdog.log())?;
    let mut seen = |name: &str, promised, one: &dyn Fn() -> Result<f64>| -> Result<()> {
        let all = times(runs, || {
            let before = recoveries(&watchdog);
            let took = one()?;
            recovered(&watchdog, before)?;
            lab.first_good(URL, LIMIT)?;
            Ok(took)
        })?;
        table.row(name, &all, Some(promised));
        Ok(())
    };
    seen("port closed to suspicion", (20.0, 100.0), &|| {
        let closed = mono_us();
        lab.get(&format!("{URL}close"))?;
        Ok(since(closed, suspected(&watchdog, "listener_lost", closed)?))
    })?;
    seen("not accepted: connection to suspicion, beyond accept_after", (15.0, 60.0), &|| {
        lab.get(&format!("{URL}mode/deaf"))?;
        let (_client, sent) = request(lab)?;
        Ok(since(sent, suspected(&watchdog, "accept_stall", sent)?) - ACCEPT_AFTER)
    })?;
    seen("not answered: request to suspicion, beyond 1.25 answer_after", (50.0, 200.0), &|| {
        lab.get(&format!("{URL}mode/silent"))?;
        rest(APART);
        let (_client, sent) = request(lab)?;
        Ok(since(sent, suspected(&watchdog, "answer_stall", sent)?) - 1.25 * ANSWER_AFTER)
    })?;
    seen("a client's 500: request to suspicion", (20.0, 100.0), &|| {
        lab.get(&format!("{URL}mode/500"))?;
        rest(TOLD_AGAIN);
        let (_client, sent) = request(lab)?;
        Ok(since(sent, suspected(&watchdog, "server_errors", sent)?))
    })?;
    // last: what a death leaves quiet for a second would hide a listener's end
    seen("exit: kernel's time of the death to restart request", (3.0, 20.0), &|| {
        let killed = lab.kill_main(Signal::KILL, UNIT)?;
        let died =
            watchdog.wait_for("the death", LIMIT, |e| e.kind() == "sign.exit" && e.mono_us() >= killed)?;
        Ok(since(died.mono_us(), requested(&watchdog, killed)?))
    })?;
    match Limit::new(lab)? {
        Some(limit) => seen("OOM: kernel's time of the kill to restart request", (100.0, 300.0), &|| {
            limit.set(lab, UNIT)?;
            let ate = mono_us();
            if let Ok(answer) = lab.get(&format!("{URL}eat/256")) {
                bail!("it has eaten more than it may: {answer:?}");
            }
            let is_kill = |e: &Event| !e.data("saw")["oom_kill"].is_null() && e.mono_us() >= ate;
            let killed = watchdog.wait_for("the kill", LIMIT, is_kill)?;
            Ok(since(killed.mono_us(), requested(&watchdog, ate)?))
        })?,
        None => {
            println!("OOM is not measured: this host's tree of cgroups has no memory controller of version 1")
        }
    }
    end(watchdog)?;
    lab.exec(&["systemctl", "disable", "--now", UNIT])?;
    zombie(lab, table, runs.min(ZOMBIES))
}

/// From the death of a main process that its parent never reaps to the request for the restart.
fn zombie(lab: &Lab, table: &mut Table, runs: usize) -> Result<()> {
    let more = "Type=forking\nPIDFile=/run/sensor.pid";
    lab.service(UNIT, "/usr/local/bin/victim orphan 7001 /run/sensor.pid", more)?;
    lab.first_good(URL, LIMIT)?;
    let watchdog = lab.watchdog(CONFIGURATION)?;
    watchdog.wait_for("a good heartbeat", LIMIT, is_alive).with_context(|| watchdog.log())?;
    let all = times(runs, || {
        let before = recoveries(&watchdog);
        let killed = lab.kill_main(Signal::KILL, UNIT)?;
        let asked = requested(&watchdog, killed)?;
        recovered(&watchdog, before)?;
        lab.first_good(URL, LIMIT)?;
        Ok(since(killed, asked))
    })?;
    table.row("zombie main process: death to restart request", &all, Some((100.0, 300.0)));
    end(watchdog)?;
    lab.exec(&["systemctl", "disable", "--now", UNIT]).map(drop)
}

fn is_alive(event: &Event) -> bool {
    event.is("heartbeat", "sensor") && event.data("verdict") == "alive"
}

/// The kernel looks again no sooner.
fn rest(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// A client that waits; and when it asked, in microseconds of CLOCK_MONOTONIC.
fn request(lab: &Lab) -> Result<(TcpStream, u64)> {
    lab.in_network(|| {
        let sent = mono_us();
        let mut client = TcpStream::connect(ADDRESS).context("cannot connect")?;
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").context("cannot send")?;
        Ok((client, sent))
    })?
}

/// When the policy was told of this suspicion.
fn suspected(watchdog: &Watchdog, why: &str, after: u64) -> Result<u64> {
    let taken = |event: &Event| event.data("taken_us").as_u64().filter(|taken| *taken >= after);
    let event = watchdog.wait_for(why, LIMIT, |event| {
        event.is("suspicion", "sensor") && !event.data("why")[why].is_null() && taken(event).is_some()
    })?;
    taken(&event).context("it does not say when")
}

/// When the restart after this moment was asked for.
fn requested(watchdog: &Watchdog, after: u64) -> Result<u64> {
    let outcome =
        watchdog.wait_for("the request", LIMIT, |e| e.is("outcome", "sensor") && e.mono_us() >= after)?;
    let requested = outcome.data("requested_us").as_u64();
    requested.context("the outcome does not say when")
}

/// How often it has recovered.
fn recoveries(watchdog: &Watchdog) -> usize {
    watchdog.count(|event| event.is("recovered", "sensor"))
}

/// Waits until it has recovered more often than `before`.
fn recovered(watchdog: &Watchdog, before: usize) -> Result<()> {
    let seen = Cell::new(0);
    let more = |event: &Event| {
        seen.set(seen.get() + usize::from(event.is("recovered", "sensor")));
        seen.get() > before
    };
    watchdog.wait_for("recovery", LIMIT, more).map(drop)
}
