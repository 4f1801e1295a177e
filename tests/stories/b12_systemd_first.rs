//! Where systemd restarts by itself, watchdog only verifies: one start, not two.

use anyhow::Result;

use crate::stage::{SOON, not_restarted, play, segfault, victim};

#[test]
fn b12_where_systemd_restarts_by_itself_watchdog_only_verifies() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "Restart=on-failure")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        segfault(lab, "victim.service")?;
        let new = lab.until_replaced("victim.service", old, SOON)?;
        watchdog.wait_for("the end of the incident, by another hand than ours", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("superseded")
        })?;
        assert_eq!(lab.property("victim.service", "NRestarts")?, "1");
        assert_eq!(lab.main_pid("victim.service")?, new);
        not_restarted(&watchdog, "victim")
    })
}
