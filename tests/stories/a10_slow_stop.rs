//! A stop that is slow, or longer than its deadline, still ends in a start.

use std::time::Duration;

use anyhow::Result;

use crate::stage::{QUICK, SOON, is_restart, play, recovered_once, victim};

#[test]
fn a10_f5_a_stop_of_50_s_ends_in_a_start() -> Result<()> {
    stops("", Duration::from_secs(50) + SOON)
}

#[test]
fn a10_e8_a_stop_longer_than_its_deadline_still_ends_in_a_start_of_one_copy() -> Result<()> {
    // well before the 50 s are over
    stops("[service.victim.restart]\nstop_timeout = \"5s\"\n", SOON)
}

fn stops(restart: &str, within: Duration) -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "ExecStopPost=/bin/sleep 50")?;
        let configuration = victim("victim", 7000) + QUICK + "timeout = \"1s\"\n" + restart;
        let watchdog = lab.guard(&configuration, &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        watchdog.wait_for("the restart", SOON, |e| is_restart(e, "victim"))?;
        lab.until_replaced("victim.service", old, within)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        assert_eq!(lab.sh("pgrep --full --count '^/usr/local/bin/victim'")?.trim(), "1", "one copy runs");
        Ok(())
    })
}
