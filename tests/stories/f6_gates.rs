//! A restart that would not help waits for the host, and comes when there is room again.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, not_restarted, play, recovered_once, victim};

/// A hold is looked at again after half a minute.
const AGAIN: Duration = Duration::from_secs(50);

#[test]
fn f6_a_dead_service_is_not_started_into_a_full_disk_and_is_when_there_is_room() -> Result<()> {
    play(|lab| {
        lab.sh("mkdir -p /var/lib/victim; mount -t tmpfs -o size=1m tmpfs /var/lib/victim")?;
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.sh("dd if=/dev/zero of=/var/lib/victim/full bs=4k 2>/dev/null || true")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        let held = watchdog.wait_for("a hold", SOON, |event| {
            event.is("decision", "victim") && event.data("decision")["hold"]["hold"]["gate"].is_object()
        })?;
        ensure!(held.0.to_string().contains("/var/lib/victim has 0 % of its blocks free"), "{}", held.0);
        not_restarted(&watchdog, "victim")?;
        lab.until_state("victim.service", "failed", SOON)?;
        lab.sh("rm /var/lib/victim/full")?;
        lab.until_state("victim.service", "active", AGAIN)?;
        recovered_once(&watchdog, "victim", SOON).map(drop)
    })
}
