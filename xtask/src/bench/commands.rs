//! How soon each command answers on a host with many services, of which each listens.

use std::fmt::Write as _;

use ::lab::{Lab, mono_us};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{LIMIT, end, table::Table};

const SERVICES: u16 = 200;
/// The port of the first of them.
const FIRST: u16 = 8000;
/// Milliseconds, as PRODUCT promises for every command.
const PROMISED: f64 = 50.0;
/// So many in a row, so that what it takes to enter the lab is divided by them.
const IN_A_ROW: usize = 10;

/// Without those that wait for what they order (`restart`, `drill`, `notify --test`), and `replay`, which takes as long as the
/// stream that it is given.
const COMMANDS: [&str; 16] = [
    "--help",
    "status",
    "status --json",
    "status 'many-1?'",
    "check",
    "check --json",
    "check many-7",
    "discover",
    "why many-7",
    "events",
    "events --json",
    "doctor",
    "schema events",
    "notify",
    "pause many-7",
    "resume '*'",
];

pub(super) fn measure(lab: &Lab, table: &mut Table, runs: usize) -> Result<()> {
    let watchdog = lab.watchdog(&configuration(lab)?)?;
    lab.until(LIMIT, || {
        let said = lab.sh("watchdog status --json || test $? -le 4")?;
        let said: Value = serde_json::from_str(&said).context("no JSON")?;
        let up = said["services"].as_array().map(|all| all.iter().filter(|it| it["stage"] == "up").count());
        ensure!(up == Some(SERVICES.into()), "{up:?} of them are up");
        Ok(())
    })?;
    // something to tell of
    lab.kill_main(Signal::KILL, &format!("many-@{}.service", FIRST + 7))?;
    watchdog
        .wait_for("recovery", LIMIT, |event| event.is("recovered", "many-7"))
        .with_context(|| watchdog.log())?;
    for command in COMMANDS {
        // what some of them end with says how the services are
        let line =
            format!("for i in $(seq {IN_A_ROW}); do watchdog {command} >/dev/null || test $? -le 4; done");
        let took = super::times(runs, || {
            let began = mono_us();
            lab.sh(&line)?;
            Ok(super::since(began, mono_us()) / IN_A_ROW as f64)
        })?;
        table.row(
            &format!("watchdog {command}, of {SERVICES} services"),
            &took,
            Some((PROMISED, f64::INFINITY)),
        );
    }
    end(watchdog)?;
    lab.sh("systemctl stop 'many-@*.service'").map(drop)
}

/// Units that answer, each on its own port.
fn configuration(lab: &Lab) -> Result<String> {
    lab.unit("many-@.service", "[Service]\nExecStart=/usr/local/bin/victim %i\n")?;
    let mut configuration = String::new();
    let mut units = String::new();
    for number in 0..SERVICES {
        let port = FIRST + number;
        let _ = write!(
            configuration,
            "[service.many-{number}]\nunit = \"many-@{port}.service\"\n[service.many-{number}.heartbeat]\n\
             url = \"http://127.0.0.1:{port}/\"\n"
        );
        let _ = write!(units, " many-@{port}.service");
    }
    lab.sh(&format!("systemctl start{units}"))?;
    Ok(configuration)
}
