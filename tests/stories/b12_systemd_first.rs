//! Where systemd restarts by itself, watchdog only verifies: one start, not two.

use anyhow::{Result, ensure};

use crate::stage::{SOON, not_restarted, play, recovered, segfault, victim};

#[test]
fn b12_where_systemd_restarts_by_itself_watchdog_only_verifies() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "Restart=on-failure")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        segfault(lab, "victim.service")?;
        let new = lab.until_replaced("victim.service", old, SOON)?;
        let story = recovered(&watchdog, "victim", 1, SOON)?.data("decision").to_string();
        ensure!(story.contains("started again by its own Restart="), "{story}");
        assert_eq!(lab.property("victim.service", "NRestarts")?, "1");
        assert_eq!(lab.main_pid("victim.service")?, new);
        not_restarted(&watchdog, "victim")
    })
}
