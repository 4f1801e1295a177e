//! A process that lives without its port is no service.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{DAEMON, SELDOM, SOON, play, recovered_once};

#[test]
fn c3_a_daemon_that_lives_without_its_port_is_restarted() -> Result<()> {
    play(|lab| {
        lab.victim("daemon", 7000, "")?;
        let watchdog = lab.guard(&format!("{DAEMON}{SELDOM}"), &["daemon"])?;
        let old = lab.main_pid("daemon.service")?;
        let closed = lab::mono_us();
        lab.get("http://127.0.0.1:7000/close")?;
        let lost = watchdog.wait_for("the suspicion", SOON, |e| {
            e.is("suspicion", "daemon") && e.data("why")["listener_lost"] == 7000
        })?;
        let after = Duration::from_micros(lost.mono_us() - closed);
        ensure!(after < Duration::from_secs(1), "suspected after {after:?}");
        lab.until_replaced("daemon.service", old, SOON)?;
        recovered_once(&watchdog, "daemon", SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
