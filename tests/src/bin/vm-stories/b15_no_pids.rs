//! A restart costs watchdog no process: it is asked of systemd, over D-Bus.

use anyhow::{Context, Result, ensure};
use lab::SERVICE;
use rustix::process::Signal;
use tests::{recovered_once, victim};

use crate::stage::{SOON, Stage};

pub(crate) fn b15_where_watchdog_may_not_fork_a_restart_still_works(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let watchdog = stage.guard_unit(&victim("victim", 7000), "", &["victim"])?;
    // Those that live go on living; there will be no other.
    stage.exec(&["systemctl", "set-property", "--runtime", SERVICE, "TasksMax=1"])?;
    stage.is_full(&format!("system.slice/{SERVICE}"))?;
    dies_and_comes_back(stage, &watchdog)
}

pub(crate) fn b15_with_no_pids_left_beside_watchdog_a_restart_still_works(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let more = "[Service]\nSlice=full.slice\n";
    let watchdog = stage.guard_unit(&victim("victim", 7000), more, &["victim"])?;
    let hog = "/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep infinity & done; wait'";
    stage.service("hog.service", hog, "Slice=full.slice\n")?;
    stage.exec(&["systemctl", "set-property", "--runtime", "full.slice", "TasksMax=10"])?;
    stage.is_full("full.slice")?;
    dies_and_comes_back(stage, &watchdog)
}

/// Its threads: its own, and those that write the log, the events and what is kept of them, and wait for the disk. The one that
/// stores can be missed.
pub(crate) fn b15_started_with_too_few_tasks_it_says_so_and_starts_as_soon_as_there_is_room(
    stage: &Stage,
) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let watchdog = stage.guard_unit(&victim("victim", 7000), "", &["victim"])?;
    let first = watchdog.main_pid()?;
    watchdog_may_have(stage, 1)?;
    watchdog.kill()?;
    for tasks in 1..=4 {
        watchdog_may_have(stage, tasks)?;
        let before = starts(stage)?;
        stage.until(SOON, || {
            // one may have begun with the room of before
            let since = starts(stage)? - before;
            ensure!(since >= 2, "with room for {tasks} it was started {since} times");
            Ok(())
        })?;
    }
    let old = stage.main_pid("victim.service")?;
    stage.kill_main(Signal::KILL, "victim.service")?;
    watchdog_may_have(stage, 5)?;
    watchdog.until_replaced(first, SOON)?;
    stage.until_replaced("victim.service", old, SOON)?;
    recovered_once(&watchdog, "victim", SOON)?;
    let log = watchdog.log();
    ensure!(log.contains("TasksMax="), "it did not say what it lacks:\n{log}");
    ensure!(!log.contains("panicked"), "it fell where it could have said what it lacks:\n{log}");
    Ok(())
}

fn watchdog_may_have(stage: &Stage, tasks: u32) -> Result<()> {
    stage.exec(&["systemctl", "set-property", "--runtime", SERVICE, &format!("TasksMax={tasks}")]).map(drop)
}

/// How often systemd started it again by itself.
fn starts(stage: &Stage) -> Result<u32> {
    stage.property(SERVICE, "NRestarts")?.parse().context("cannot read NRestarts")
}

fn dies_and_comes_back(stage: &Stage, watchdog: &lab::Stream) -> Result<()> {
    let own = stage.main_pid(SERVICE)?;
    let old = stage.main_pid("victim.service")?;
    stage.kill_main(Signal::KILL, "victim.service")?;
    stage.until_replaced("victim.service", old, SOON)?;
    stage.until_answers("http://127.0.0.1:7000/", SOON)?;
    recovered_once(watchdog, "victim", SOON)?;
    assert_eq!(stage.main_pid(SERVICE)?, own, "watchdog itself went on");
    Ok(())
}
