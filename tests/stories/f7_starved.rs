//! A slow server on a busy host is left to its work; one that hangs there is not.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, is_alert, not_restarted, play, restarts, victim};

/// Others than the victim, and each in a session of its own, for the kernel shares the CPUs out by sessions.
const HOGS: &str = "/bin/sh -c 'for i in $(seq 14); do setsid sh -c \"while :; do :; done\" & done; wait'";
/// Everything takes its time under load.
const LATER: Duration = Duration::from_secs(60);

#[test]
fn f7_a_slow_server_that_starves_is_not_restarted_and_one_that_hangs_beside_it_is() -> Result<()> {
    play(|lab| {
        // the kernel may share the CPUs out by threads (no autogroup), of which the victim has one for each client that waits
        lab.victim("victim", 7000, "Nice=5")?;
        let configuration = victim("victim", 7000) + "timeout = \"1s\"\n" + QUICK;
        let watchdog = lab.guard(&configuration, &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/burn=60")?;
        let clients = lab.traffic("http://127.0.0.1:7000/", 10, LATER)?;
        lab.service("hogs.service", HOGS, "")?;
        let seen = Cell::new(0);
        watchdog.wait_for("six heartbeats that were excused", LATER, |event| {
            let starved =
                event.data("evidence")["meaning"] == "starved" && event.data("verdict") == "unknown";
            seen.set(seen.get() + u32::from(event.is("heartbeat", "victim") && starved));
            seen.get() == 6
        })?;
        watchdog.wait_for("word of it", LATER, |event| is_alert(event, "victim", "starved"))?;
        not_restarted(&watchdog, "victim")?;
        assert_eq!(lab.main_pid("victim.service")?, old);
        lab.kill_all(Signal::STOP, "victim.service")?;
        lab.until_replaced("victim.service", old, LATER)?;
        lab.exec(&["systemctl", "kill", "--signal=KILL", "hogs.service"])?;
        drop(clients);
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let restarts = restarts(&watchdog, "victim").len();
        ensure!(restarts == 1, "{restarts} restarts, not one");
        Ok(())
    })
}
