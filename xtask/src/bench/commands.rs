//! How soon a command answers on a host with many services.

use std::fmt::Write as _;

use ::lab::{Lab, mono_us};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{LIMIT, end, table::Table};

const SERVICES: usize = 200;
/// Milliseconds, as PRODUCT promises for every command.
const PROMISED: f64 = 50.0;
/// So many in a row, so that what it takes to enter the lab is divided by them.
const IN_A_ROW: usize = 20;

pub(super) fn measure(lab: &Lab, table: &mut Table, runs: usize) -> Result<()> {
    let watchdog = lab.watchdog(&configuration(lab)?)?;
    lab.until(LIMIT, || {
        let said = lab.sh("watchdog status --json || test $? -le 4")?;
        let said: Value = serde_json::from_str(&said).context("no JSON")?;
        let up = said["services"].as_array().map(|all| all.iter().filter(|it| it["stage"] == "up").count());
        ensure!(up == Some(SERVICES), "{up:?} of them are up");
        Ok(())
    })?;
    for command in ["status", "status --json", "status 'many-1?'", "pause many-7", "resume '*'"] {
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
    end(watchdog)
}

/// Units that live and do nothing, each with a heartbeat at the one that answers.
fn configuration(lab: &Lab) -> Result<String> {
    lab.unit(
        "many-@.service",
        "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
    )?;
    let mut configuration = String::new();
    let mut units = String::new();
    for number in 0..SERVICES {
        let _ = write!(
            configuration,
            "[service.many-{number}]\nunit = \"many-@{number}.service\"\n[service.many-{number}.heartbeat]\n\
             url = \"http://127.0.0.1:7000/\"\nconnect = \"127.0.0.1:7000\"\n"
        );
        let _ = write!(units, " many-@{number}.service");
    }
    lab.sh(&format!("systemctl start{units}"))?;
    Ok(configuration)
}
