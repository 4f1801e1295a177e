//! The unit's own listeners are found by themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SELDOM, SOON, Stage, is_alive, play, recovered_once};

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

/// The unit is asked and watched where it listens itself, whatever loopback address the name would lead to.
fn is_asked_at(lab: &Stage, address: &str) -> Result<()> {
    let page = format!("http://{address}/");
    lab.until_answers(&page, SOON)?;
    let configuration = "[service.daemon]
unit = \"daemon.service\"
[service.daemon.heartbeat]
url = \"http://daemon.example.com:7000/\"
body = \"It works!\"
";
    let watchdog = lab.guard(&format!("{configuration}{SELDOM}"), &["daemon"])?;
    let alive = watchdog.wait_for("a heartbeat", SOON, |e| is_alive(e, "daemon"))?;
    ensure!(alive.data("asked") == address, "{}", alive.0);
    let traffic = lab.traffic(&page, 20, Duration::from_secs(2))?;
    traffic.wait_for_good(lab::mono_us(), SOON)?;
    let old = lab.main_pid("daemon.service")?;
    let stopped = lab.kill_all(Signal::STOP, "daemon.service")?;
    watchdog.wait_for("the stall", SOON, |e| e.kind() == "sign.accept_stall" && e.mono_us() > stopped)?;
    lab.until_replaced("daemon.service", old, SOON)?;
    recovered_once(&watchdog, "daemon", SOON)?;
    traffic.wait_for_good(lab::mono_us(), SOON).map(drop)
}

#[test]
fn c4_an_own_listener_of_ipv6_is_found() -> Result<()> {
    play(|lab| {
        lab.service("daemon.service", "/usr/local/bin/victim [::1]:7000", "")?;
        is_asked_at(lab, "[::1]:7000")
    })
}

#[test]
fn c4_a_listener_that_systemd_made_is_its_services() -> Result<()> {
    play(|lab| {
        lab.unit("daemon.socket", "[Socket]\nListenStream=127.0.0.7:7000\n")?;
        lab.unit("daemon.service", "[Service]\nExecStart=/usr/local/bin/victim inherited 7000\n")?;
        lab.exec(&["systemctl", "start", "daemon.socket", "daemon.service"])?;
        is_asked_at(lab, "127.0.0.7:7000")
    })
}
