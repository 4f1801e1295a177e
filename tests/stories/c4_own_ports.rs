//! The unit's own listeners are found by themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, is_alive, play, recovered_once};

#[test]
fn c4_the_units_own_listener_is_asked_and_watched_without_being_named() -> Result<()> {
    play(|lab| {
        // The name's port on another address than loopback's usual one, and a stranger there.
        lab.service("stranger.service", "/usr/local/bin/victim 127.0.0.1:7000", "")?;
        lab.service("daemon.service", "/usr/local/bin/victim 127.0.0.7:7000", "")?;
        lab.until_answers("http://127.0.0.1:7000/mode/500", SOON)?;
        lab.until_answers("http://127.0.0.7:7000/", SOON)?;
        let configuration = "[service.daemon]
unit = \"daemon.service\"
[service.daemon.heartbeat]
url = \"http://daemon.example.com:7000/\"
body = \"It works!\"
";
        let watchdog = lab.guard(configuration, &["daemon"])?;
        let alive = watchdog.wait_for("a heartbeat", SOON, |e| is_alive(e, "daemon"))?;
        ensure!(alive.data("asked") == "127.0.0.7:7000", "{}", alive.0);
        let traffic = lab.traffic("http://127.0.0.7:7000/", 20, Duration::from_secs(2))?;
        let old = lab.main_pid("daemon.service")?;
        let stopped = lab.kill_all(Signal::STOP, "daemon.service")?;
        watchdog.wait_for("the stall", SOON, |e| e.kind() == "sign.accept_stall" && e.mono_us() > stopped)?;
        lab.until_replaced("daemon.service", old, SOON)?;
        recovered_once(&watchdog, "daemon", SOON)?;
        traffic.wait_for_good(lab::mono_us(), SOON).map(drop)
    })
}
