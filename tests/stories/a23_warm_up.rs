//! A service that warms up is asked at once and often, and its failures do not count yet.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, is_dead, play, recovered_once, victim};

#[test]
fn a23_a_service_that_warms_up_for_four_seconds_is_not_restarted_again() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.write("/etc/victim/7000", "warm-up=4")?;
        let old = lab.main_pid("victim.service")?;
        let killed = lab.kill_main(Signal::KILL, "victim.service")?;
        let new = lab.until_replaced("victim.service", old, SOON)?;
        let recovered = recovered_once(&watchdog, "victim", SOON)?;
        ensure!(recovered.mono_us() - killed > 4_000_000, "recovered means that it answers");
        assert_eq!(lab.main_pid("victim.service")?, new);
        let refused = watchdog.events().iter().filter(|e| is_dead(e, "victim")).count();
        ensure!(refused >= 5, "it was asked only {refused} times while it warmed up");
        Ok(())
    })
}
