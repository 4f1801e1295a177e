//! Success is a new main process, an active unit and a good answer; anything less is none.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, is_restart, play, recovered, victim};

#[test]
fn d9_a_started_unit_that_does_not_answer_has_not_recovered() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "timeout = \"1s\"
[service.victim.restart]
grace = \"1s\"
burst = 9
backoff = \"1s\"
backoff_max = \"1s\"
";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        lab.write("/etc/victim/7000", "silent")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        let seen = std::cell::Cell::new(0);
        watchdog.wait_for("a second try", SOON, |e| {
            seen.set(seen.get() + u32::from(is_restart(e, "victim")));
            seen.get() == 2
        })?;
        lab.until(SOON, || {
            let state = lab.property("victim.service", "ActiveState")?;
            ensure!(state == "active", "systemd is content with it, and calls it {state}");
            Ok(())
        })?;
        ensure!(!watchdog.events().iter().any(|e| e.is("recovered", "victim")), "nothing answered yet");
        lab.sh("rm /etc/victim/7000")?;
        recovered(&watchdog, "victim", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
