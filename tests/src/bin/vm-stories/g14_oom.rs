//! The OOM killer is a cause of its own: one restart, and HTTP is not blamed.

use anyhow::{Context, Result, ensure};
use tests::{recovered_once, victim};

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
    // Not the heartbeats: until its listener is there, those of the new run fail, and that leads to nothing.
    let acts = events.iter().find(|e| e.is("decision", "victim") && e.data("decision")["act"].is_object());
    let act = &acts.context("no decision to act")?.data("decision")["act"];
    ensure!(act["action"]["start"].is_object(), "a unit that has ended is started: {act}");
    let rule = act["rule"].as_str().context("no rule")?;
    ensure!(rule.contains("oom-kill") && !rule.contains("heartbeat"), "something else is blamed: {rule}");
    Ok(())
}
