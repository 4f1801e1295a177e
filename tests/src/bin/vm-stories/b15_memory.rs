//! Where memory runs out, watchdog is among the last to be hurt: by its unit, and by itself where that says nothing and lets it.

use anyhow::Result;
use lab::SERVICE;
use tests::victim;

use crate::stage::{SOON, Stage};

pub(crate) fn b15_the_kernel_kills_others_first(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let of_itself = "[Service]\nOOMScoreAdjust=0\nCapabilityBoundingSet=CAP_SYS_RESOURCE\n";
    let watchdog = stage.guard_unit(&victim("victim", 7000), of_itself, &["victim"])?;
    let own = watchdog.main_pid()?;
    assert_eq!(score(stage, own)?, "-900");
    stage.drop_in(SERVICE, "[Service]\nOOMScoreAdjust=-950\n")?;
    watchdog.kill()?;
    let next = watchdog.until_replaced(own, SOON)?;
    assert_eq!(score(stage, next)?, "-950", "what its unit says is lower, and stands");
    stage.drop_in(SERVICE, "")?;
    watchdog.kill()?;
    let shipped = watchdog.until_replaced(next, SOON)?;
    assert_eq!(score(stage, shipped)?, "-900", "the unit as it is shipped, which may not raise itself");
    Ok(())
}

fn score(stage: &Stage, pid: u32) -> Result<String> {
    Ok(stage.read(&format!("/proc/{pid}/oom_score_adj"))?.trim().to_owned())
}
