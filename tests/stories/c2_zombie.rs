//! A main process that is dead and stays in the table, for its parent never reaps it: systemd holds the unit for active, and it is
//! restarted all the same, whether a heartbeat says that it is gone or nobody asks.

use anyhow::{Context, Result, ensure};
use lab::{Event, Stream};

use crate::stage::{SOON, Stage, play, recovered_once, victim};

/// From the death to the request for the restart, on a machine that is busy with other things.
const LIMIT_US: u64 = 1_000_000;

/// Starts a forking daemon whose parent never reaps it.
fn start(lab: &Stage) -> Result<()> {
    let more = "Type=forking\nPIDFile=/run/victim.pid";
    lab.service("victim.service", "/usr/local/bin/victim orphan 7000 /run/victim.pid", more)?;
    lab.until_answers("http://127.0.0.1:7000/", SOON)
}

/// Kills it, and waits until it is back. Answers what its recovery says.
fn dies(lab: &Stage, watchdog: &Stream) -> Result<Event> {
    let old = lab.main_pid("victim.service")?;
    lab.kill("KILL", old)?;
    lab.until_replaced("victim.service", old, SOON)?;
    let recovered = recovered_once(watchdog, "victim", SOON)?;
    lab.until_answers("http://127.0.0.1:7000/", SOON)?;
    ensure!(recovered.0.to_string().contains("SIGKILL"), "it does not say what ended it: {}", recovered.0);
    let at = |what: &str, is: &dyn Fn(&Event) -> bool| -> Result<u64> {
        let event =
            watchdog.events().into_iter().find(|event| is(event)).with_context(|| format!("no {what}"))?;
        event.data("mono_us").as_u64().context("no time")
    };
    let died = at("death", &|e| e.is("suspicion", "victim") && e.data("why")["main_exit"].is_object())?;
    let acted = at("restart", &|e| e.data("action")["restart"].is_object())?;
    ensure!(acted - died < LIMIT_US, "restarted {} µs after the death", acted - died);
    Ok(recovered)
}

#[test]
fn c2_a_dead_main_process_that_nobody_reaps_is_restarted() -> Result<()> {
    play(|lab| {
        start(lab)?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        dies(lab, &watchdog).map(drop)
    })
}

#[test]
fn c2_without_a_heartbeat_a_dead_main_process_that_nobody_reaps_is_restarted_too() -> Result<()> {
    play(|lab| {
        start(lab)?;
        let watchdog = lab.guard("[service.victim]\nunit = \"victim.service\"\n", &[])?;
        watchdog.wait_for("the unit", SOON, |e| e.data("saw")["unit"]["active"] == "active")?;
        let recovered = dies(lab, &watchdog)?;
        ensure!(recovered.0.to_string().contains("nobody reaps it"), "{}", recovered.0);
        Ok(())
    })
}
