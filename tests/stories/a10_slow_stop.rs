//! A stop that is slow, or longer than its deadline, still ends in a start.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{QUICK, is_restart, play, recovered_once, victim};

#[test]
fn a10_f5_a_stop_of_50_s_ends_in_a_start() -> Result<()> {
    stops(50, "", Duration::from_secs(52))
}

#[test]
fn a10_e8_a_stop_longer_than_its_deadline_still_ends_in_a_start_of_one_copy() -> Result<()> {
    stops(50, "[service.victim.restart]\nstop_timeout = \"5s\"\n", Duration::from_secs(7))
}

fn stops(seconds: u32, restart: &str, within: Duration) -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, &format!("ExecStopPost=/bin/sleep {seconds}"))?;
        let configuration = victim("victim", 7000) + QUICK + "timeout = \"1s\"\n" + restart;
        let watchdog = lab.guard(&configuration, &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        let limit = within + Duration::from_secs(10);
        let asked = watchdog.wait_for("the restart", limit, |e| is_restart(e, "victim"))?;
        lab.until_replaced("victim.service", old, limit)?;
        lab.until_answers("http://127.0.0.1:7000/", limit)?;
        let down = Duration::from_micros(lab::mono_us() - asked.mono_us());
        ensure!(down < within, "it was down for {down:?}");
        recovered_once(&watchdog, "victim", limit)?;
        assert_eq!(lab.sh("pgrep --full --count '^/usr/local/bin/victim'")?.trim(), "1", "one copy runs");
        Ok(())
    })
}
