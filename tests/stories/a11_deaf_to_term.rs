//! A stop that would never end is ended by killing what is left, and the start follows.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{QUICK, SOON, is_restart, play, recovered_once, victim};

#[test]
fn a11_f5_a_process_that_ignores_sigterm_for_ever_is_killed_and_started() -> Result<()> {
    play(|lab| {
        let command = r#"/bin/sh -c 'trap "" TERM; exec /usr/local/bin/victim 7000'"#;
        lab.service("victim.service", command, "TimeoutStopSec=infinity")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let more = format!("{QUICK}[service.victim.restart]\nstop_timeout = \"2s\"\n");
        let watchdog = lab.guard(&(victim("victim", 7000) + &more), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        let asked = watchdog.wait_for("the restart", SOON, |e| is_restart(e, "victim"))?;
        lab.until_replaced("victim.service", old, SOON)?;
        let down = Duration::from_micros(lab::mono_us() - asked.mono_us());
        ensure!(down >= Duration::from_secs(2), "it had {down:?}, not its two seconds, to stop");
        recovered_once(&watchdog, "victim", SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
