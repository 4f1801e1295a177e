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
    let is_kill = |e: &&lab::Event| e.data("saw")["oom_kill"].is_object();
    let sign = events.iter().find(is_kill).context("no sign of the kill")?;
    if sign.data("source") == "ebpf" {
        ensure!(sign.data("saw")["oom_kill"]["pid"] == old, "another was killed: {}", sign.0);
        let end = events.iter().find(|e| e.data("why")["main_exit"].is_object()).context("no end")?;
        let (told, ended) = (sign.data("mono_us").as_u64(), end.data("mono_us").as_u64());
        ensure!(told < ended, "the kill comes before the end: {told:?} {ended:?}");
        let rule = act["rule"].as_str().context("no rule")?;
        ensure!(rule.contains("killed by the kernel for want of memory"), "the cause is not told: {rule}");
    } else {
        let seen = watchdog.log().contains("cannot load the probes");
        ensure!(
            seen && sign.data("source") == "procfs",
            "by the counter where there are no probes: {}",
            sign.0
        );
    }
    let rule = act["rule"].as_str().context("no rule")?;
    ensure!(rule.contains("oom-kill") && !rule.contains("heartbeat"), "something else is blamed: {rule}");
    Ok(())
}
