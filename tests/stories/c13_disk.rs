//! The disk of watchdog's own state is full.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, play, recovered_once, victim};

#[test]
fn c13_a_full_disk_holds_no_restart_up_and_is_told_until_it_has_room_again() -> Result<()> {
    play(|lab| {
        lab.sh("mkdir -p /var/lib/watchdog; mount -t tmpfs -o size=512k tmpfs /var/lib/watchdog")?;
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.sh("cat /dev/zero >/var/lib/watchdog/fill 2>/dev/null || test -s /var/lib/watchdog/fill")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        recovered_once(&watchdog, "victim", SOON)?;
        let works = |e: &lab::Event, works: bool| {
            let told = &e.data("saw")["working"]["works"];
            e.kind() == "sign.working" && e.data("source") == "store" && *told == works
        };
        watchdog.wait_for("the word that nothing is stored", SOON, |e| works(e, false))?;
        lab.sh("rm /var/lib/watchdog/fill")?;
        watchdog.wait_for("the word that it is again", Duration::from_secs(60), |e| works(e, true))?;
        ensure!(watchdog.count(|e| works(e, false)) == 1, "told more than once");
        Ok(())
    })
}

/// It is brought back by systemd, which must not be in vain.
#[test]
fn c13_a_state_directory_that_is_full_or_read_only_keeps_no_watchdog_from_its_work() -> Result<()> {
    play(|lab| {
        lab.sh("mkdir -p /var/lib/watchdog; mount -t tmpfs -o size=512k tmpfs /var/lib/watchdog")?;
        lab.sh("cat /dev/zero >/var/lib/watchdog/fill 2>/dev/null || test -s /var/lib/watchdog/fill")?;
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        recovered_once(&watchdog, "victim", SOON)?;
        watchdog.signal(Signal::TERM)?;
        watchdog.wait()?;
        lab.sh("mount -o remount,ro /var/lib/watchdog")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        recovered_once(&watchdog, "victim", SOON).map(drop)
    })
}
