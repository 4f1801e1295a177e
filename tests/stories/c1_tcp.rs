//! A daemon that speaks no HTTP.

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{DAEMON, SOON, play, recovered_once};

#[test]
fn c1_a_tcp_daemon_that_dies_is_started_again() -> Result<()> {
    play(|lab| {
        lab.victim("daemon", 7000, "")?;
        let watchdog = lab.guard(DAEMON, &["daemon"])?;
        let old = lab.main_pid("daemon.service")?;
        lab.kill_main(Signal::KILL, "daemon.service")?;
        lab.until_replaced("daemon.service", old, SOON)?;
        recovered_once(&watchdog, "daemon", SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
