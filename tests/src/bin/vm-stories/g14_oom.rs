//! The OOM killer is a cause of its own: one restart, and HTTP is not blamed.

use anyhow::{Context, Result, ensure};
use tests::{is_dead, recovered_once, victim};

use crate::stage::{SOON, Stage};

pub(crate) fn g14_an_oom_kill_is_a_class_of_its_own(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "MemoryMax=64M\nMemorySwapMax=0\n")?;
    let watchdog = stage.guard(&victim("victim", 7000), &["victim"])?;
    let old = stage.main_pid("victim.service")?;
    let answer = stage.get("http://127.0.0.1:7000/eat/256");
    ensure!(answer.is_err(), "it has eaten more than it may: {answer:?}");
    stage.until_replaced("victim.service", old, SOON)?;
    stage.until_answers("http://127.0.0.1:7000/", SOON)?;
    recovered_once(&watchdog, "victim", SOON)?;
    let systemd = stage.sh("journalctl --no-pager --unit=victim.service")?;
    ensure!(systemd.contains("Failed with result 'oom-kill'"), "it ended in another way:\n{systemd}");
    assert_eq!(stage.property("victim.service", "NRestarts")?, "0", "systemd did nothing by itself");

    let events = watchdog.events();
    let decision = events.iter().find(|e| e.is("decision", "victim") && e.0.to_string().contains("oom-kill"));
    decision.context("no decision tells of the OOM killer")?;
    let blamed = events.iter().find(|e| is_dead(e, "victim"));
    ensure!(blamed.is_none(), "a heartbeat is blamed: {}", blamed.map_or("".into(), |e| e.0.to_string()));
    Ok(())
}
