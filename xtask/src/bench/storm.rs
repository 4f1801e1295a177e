//! A death in the middle of a storm, until systemd has begun to start the unit anew: more than until it was asked to.

use std::time::Duration;

use ::lab::Lab;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{LIMIT, UNIT, URL, since};

/// Where the test program is in the lab.
pub(super) const PROGRAM: &str = "/usr/local/bin/storm";
/// A service that is watched, and whose main process keeps a signal for ever: each further one is a record.
pub(super) const NOISY: &str = "noisy.service";
/// Its part of the configuration.
pub(super) const CONFIGURATION: &str = "[service.noisy]\nunit = \"noisy.service\"\n";

/// Runs of these measurements at most: the records of a run that are read from the stream are kept in memory.
const RUNS: usize = 5;

/// Milliseconds; beside 20,000 ends a second of processes and threads that nobody watches.
pub(super) fn of_ends(lab: &Lab, runs: usize) -> Result<Vec<f64>> {
    let storms = [("vforks", "vforks 100000000 1 10000"), ("threads", "threads 100000000 10000")];
    for (name, order) in storms {
        begin(lab, name, order)?;
    }
    let took = (0..runs).map(|_| death(lab)).collect();
    for (name, _) in storms {
        lab.exec(&["systemctl", "stop", name])?;
    }
    took
}

/// Milliseconds; beside 50,000 signals a second to a main process that is watched.
pub(super) fn of_records(lab: &Lab, runs: usize) -> Result<Vec<f64>> {
    let one = || {
        begin(lab, "signals", &format!("signals {} 1 75000 50000", lab.main_pid(NOISY)?))?;
        let took = death(lab)?;
        lab.until_state("signals.service", "inactive", LIMIT)?;
        Ok(took)
    };
    (0..runs.min(RUNS)).map(|_| one()).collect()
}

fn begin(lab: &Lab, name: &str, order: &str) -> Result<()> {
    lab.exec(&["systemd-run", "--quiet", "--collect", "--unit", name, PROGRAM, order]).map(drop)
}

fn death(lab: &Lab) -> Result<f64> {
    let old = lab.main_pid(UNIT)?;
    let killed = lab.kill_main(Signal::KILL, UNIT)?;
    lab.until_replaced(UNIT, old, LIMIT)?;
    lab.first_good(URL, LIMIT)?;
    let started = lab.property(UNIT, "ExecMainStartTimestampMonotonic")?;
    let started: u64 = started.parse().context("cannot read when the unit was started")?;
    ensure!(started > killed, "{UNIT} was started before it was killed");
    lab.until(Duration::from_secs(5), || {
        ensure!(lab.property(UNIT, "Job")?.is_empty(), "{UNIT} has a job still");
        Ok(())
    })?;
    Ok(since(killed, started))
}
