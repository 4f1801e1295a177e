//! A port that a process outside the unit holds: nothing is started beside it, and the holder is named.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{SOON, is_alert, not_restarted, play, recovered, victim};

#[test]
fn c8_a_port_held_from_outside_the_unit_means_no_second_copy() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        lab.until_state("victim.service", "failed", SOON)?;
        lab.victim("foreign", 7000, "")?;

        let watchdog = lab.guard(&victim("victim", 7000), &[])?;
        watchdog.wait_for("an alert", SOON, |e| is_alert(e, "victim", "foreign.service"))?;
        not_restarted(&watchdog, "victim")?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "failed");

        lab.exec(&["systemctl", "stop", "foreign.service"])?;
        recovered(&watchdog, "victim", 1, Duration::from_secs(45))?;
        lab.until_state("victim.service", "active", SOON)
    })
}

#[test]
fn c8_a_sibling_that_shared_the_port_all_along_is_no_foreign_holder() -> Result<()> {
    play(|lab| {
        let program = "/usr/local/bin/victim shared 7000";
        lab.service("one.service", program, "")?;
        lab.service("two.service", program, "")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let watchdog = lab.guard(&victim("one", 7000), &["one"])?;
        let old = lab.main_pid("one.service")?;
        lab.kill_main(Signal::KILL, "one.service")?;
        lab.until_replaced("one.service", old, SOON)?;
        recovered(&watchdog, "one", 1, SOON)?;
        let alerts = watchdog.events().into_iter().find(|e| is_alert(e, "one", "two.service"));
        assert_eq!(alerts, None);
        Ok(())
    })
}
