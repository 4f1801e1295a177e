//! A restart that would not help waits for the host, unless the service itself is what the host suffers from.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{Event, Stream};
use rustix::process::Signal;
use tests::{QUICK, not_restarted, recovered, recovered_once, restarts, victim};

use crate::stage::{SOON, Stage};

/// A hold is looked at again after half a minute, and averages forget slowly.
const AGAIN: Duration = Duration::from_secs(150);

/// No gate but that of memory, for the host has little CPU; the story ends a hold, not the clock.
const MEMORY: &str = "[watchdog.gates]\nio = \"off\"\ncpu = \"off\"\nhold_for = \"30m\"\n";

pub(crate) fn f6_a_service_that_leaks_is_the_pressure_and_is_restarted(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "MemoryHigh=40M\n")?;
    // While it leaks it is slow, and no worse: only the end of it is a fault.
    let patient = "timeout = \"25s\"\n";
    let configuration = format!("{}{QUICK}{patient}{MEMORY}", victim("victim", 7000));
    let watchdog = stage.guard(&configuration, &["victim"])?;
    let old = stage.main_pid("victim.service")?;
    leak(stage, 7000)?;
    stage.get_within("http://127.0.0.1:7000/mode/500", SOON)?;
    stage.until_replaced("victim.service", old, AGAIN)?;
    // Slow answers while it leaked may have been incidents of their own, which ended by themselves.
    recovered(&watchdog, "victim", 1, SOON)?;
    assert_eq!(restarts(&watchdog, "victim").len(), 1);
    // It was closed, but for the unit's own part in it.
    let own = watchdog.events().into_iter().find_map(|event| own_memory(&event));
    ensure!(own >= Some(5_000), "the unit's own part in the pressure is {own:?}");
    ensure!(held(&watchdog).is_none(), "it was held all the same");
    Ok(())
}

pub(crate) fn f6_memory_pressure_from_elsewhere_holds_a_restart_until_it_is_over(
    stage: &Stage,
) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    stage.victim("glutton", 7001, "MemoryHigh=40M\n")?;
    let watchdog = stage.guard(&format!("{}{QUICK}{MEMORY}", victim("victim", 7000)), &["victim"])?;
    let old = stage.main_pid("victim.service")?;
    leak(stage, 7001)?;
    stage.get("http://127.0.0.1:7000/mode/500")?;
    let event = watchdog.wait_for("a hold", SOON, |event| gate(event).is_some())?;
    ensure!(gate(&event).is_some_and(|why| why.contains("memory pressure")), "{}", event.0);
    not_restarted(&watchdog, "victim")?;
    ensure!(stage.main_pid("victim.service")? == old, "it was restarted by another");
    stage.exec(&["systemctl", "stop", "glutton.service"])?;
    stage.until_replaced("victim.service", old, AGAIN)?;
    recovered_once(&watchdog, "victim", SOON).map(drop)
}

pub(crate) fn f6_with_no_tasks_left_nothing_is_started_until_there_are_some(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "Slice=full.slice\n")?;
    let watchdog = stage.guard(&victim("victim", 7000), &["victim"])?;
    let hog = "/bin/sh -c 'for i in $(seq 60); do sleep infinity & done; wait'";
    stage.service("hog.service", hog, "Slice=full.slice\n")?;
    stage.holds("full.slice", 61)?; // a shell that is refused a process ends, and takes the others with it
    stage.exec(&["systemctl", "set-property", "--runtime", "full.slice", "TasksMax=50"])?;
    stage.is_full("full.slice")?;
    stage.kill_main(Signal::KILL, "victim.service")?;
    let event = watchdog.wait_for("a hold", SOON, |event| gate(event).is_some())?;
    ensure!(gate(&event).is_some_and(|why| why.contains("no tasks are left to /full.slice")), "{}", event.0);
    not_restarted(&watchdog, "victim")?;
    stage.exec(&["systemctl", "stop", "hog.service"])?;
    stage.until_state("victim.service", "active", AGAIN)?;
    recovered_once(&watchdog, "victim", SOON).map(drop)
}

/// Has a victim take more than it may have, and waits until the whole host is told to suffer.
fn leak(stage: &Stage, port: u16) -> Result<()> {
    let url = format!("http://127.0.0.1:{port}/eat/256");
    // It is slowed down further and further, and never answers.
    let answer = stage.get_within(&url, Duration::from_secs(2));
    ensure!(answer.is_err(), "it has eaten at ease: {answer:?}");
    stage.until(SOON, || {
        let text =
            fs::read_to_string("/proc/pressure/memory").context("cannot read /proc/pressure/memory")?;
        let average = text.strip_prefix("some avg10=").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let average: f64 = average.context("no avg10")?;
        ensure!(average > 60.0, "memory pressure is {average}");
        Ok(())
    })
}

/// Why a gate holds the service back.
fn gate(event: &Event) -> Option<&str> {
    let gate = &event.data("decision")["hold"]["hold"]["gate"];
    event.is("decision", "victim").then(|| gate["why"].as_str())?
}

fn held(watchdog: &Stream) -> Option<Event> {
    watchdog.events().into_iter().find(|event| gate(event).is_some())
}

/// Hundredths of a percent, as they were looked up where the gate would be closed.
fn own_memory(event: &Event) -> Option<u64> {
    event.data("known")["pressure"]["memory"]["own"].as_u64()
}
