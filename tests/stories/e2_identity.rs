//! A PID that lives proves nothing: it may be another program's by now.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, WEB, play, recovered_once};

#[test]
fn e2_a_stranger_with_the_dead_mains_pid_is_not_taken_for_it() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let dead = lab.main_pid("nginx.service")?;
        lab.kill_all(Signal::KILL, "nginx.service")?;
        lab.until_state("nginx.service", "failed", SOON)?;
        lab.stranger(dead)?;
        let watchdog = lab.guard(WEB, &[])?;
        let new = lab.until_replaced("nginx.service", dead, SOON)?;
        ensure!(new != dead, "a new main process");
        recovered_once(&watchdog, "web", SOON)?;
        assert_eq!(lab.read(&format!("/proc/{dead}/comm"))?.trim(), "sleep", "the stranger lives on");
        Ok(())
    })
}
