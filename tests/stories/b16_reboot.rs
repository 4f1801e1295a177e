//! The last rung: a service that nothing cures may have the host rebooted, where that was asked for and the host has been up for
//! long enough. The lab's reboot.target does nothing, and shows that it was started.

use anyhow::{Result, ensure};
use lab::{Event, Lab, mono_us};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, is_alert, play, recovered, victim};

/// Serves while its file is there, else ends with code 3.
const PROGRAM: &str = "/bin/sh -c 'test -e /etc/well && exec /usr/local/bin/victim 7000; exit 3'";

const RESTART: &str = "[service.daemon.restart]
burst = 1
within = \"1s\"
backoff = \"100ms\"
backoff_max = \"1s\"
[service.daemon.restart.ladder]
reboot = true
reboot_after = \"1s\"
reboot_every = \"1h\"
";

const HARMLESS: &str = "[Unit]\nDescription=A reboot that does nothing\n";

const HOUR_US: u64 = 3_600_000_000;

/// A service that works, guarded, and then does not any more.
fn break_it(lab: &Stage) -> Result<lab::Watchdog> {
    lab.write("/etc/systemd/system/reboot.target", HARMLESS)?;
    lab.sh("systemctl is-system-running --wait || true; touch /etc/well")?; // no reboot before the boot is over
    lab.service("daemon.service", PROGRAM, "")?; // systemd reads its files anew
    lab.sh("systemctl show --property Description reboot.target | grep 'does nothing'")?;
    lab.until_answers("http://127.0.0.1:7000/", SOON)?;
    let watchdog = lab.guard(&(victim("daemon", 7000) + RESTART), &["daemon"])?;
    lab.sh("rm /etc/well")?;
    lab.kill_main(Signal::KILL, "daemon.service")?;
    Ok(watchdog)
}

/// PID 1 as old as the kernel: that of a host, not of a container.
fn as_on_a_host(lab: &Lab) -> Result<()> {
    lab.sh("awk '{ $22 = 1; print }' /proc/1/stat >/run/stat; mount --bind /run/stat /proc/1/stat").map(drop)
}

fn is_held(event: &Event) -> bool {
    event.is("decision", "daemon") && event.data("decision")["hold"]["hold"]["reboot"].is_object()
}

fn is_reboot(event: &Event) -> bool {
    event.is("action", "daemon") && event.data("action") == "reboot"
}

fn stays_up(lab: &Lab, watchdog: &lab::Stream) -> Result<()> {
    watchdog.wait_for("a reboot that is not done", SOON, |event| {
        is_held(event) && event.0.to_string().contains("the host has been up for")
    })?;
    ensure!(watchdog.count(is_reboot) == 0, "a reboot was asked for");
    lab.sh("! systemctl is-active reboot.target").map(drop)
}

#[test]
fn b16_what_nothing_cures_has_the_host_rebooted_where_it_has_been_up_for_long_enough() -> Result<()> {
    play(|lab| {
        as_on_a_host(lab)?;
        let young = mono_us() < HOUR_US;
        let watchdog = break_it(lab)?;
        if young && mono_us() < HOUR_US {
            stays_up(lab, &watchdog)?;
        } else {
            let reboot = watchdog.wait_for("a reboot", SOON, is_reboot)?;
            let told = watchdog.wait_for("an alert of it", SOON, |e| is_alert(e, "daemon", "is rebooted"))?;
            ensure!(told.mono_us() <= reboot.mono_us(), "it was told after it was done");
            let quarantine = watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "daemon"))?;
            ensure!(reboot.mono_us() >= quarantine.mono_us() + 1_000_000, "before its time: {}", reboot.0);
            watchdog.wait_for("systemd's reply", SOON, |e| {
                e.is("outcome", "daemon") && e.data("order") == reboot.data("id")
            })?;
            lab.until_state("reboot.target", "active", SOON)?;
            ensure!(watchdog.count(is_reboot) == 1, "more than one reboot was asked for");
        }
        lab.sh("touch /etc/well; systemctl start daemon.service")?;
        // by the operator's start, or by one of ours that came before it
        let is_over =
            |e: &Event| e.is("recovered", "daemon") || e.data("decision")["end"]["end"] == "superseded";
        watchdog.wait_for("an end of it", SOON, is_over).map(drop)
    })
}

#[test]
fn b16_a_container_is_as_old_as_its_pid_1_and_stays_up_before_its_hour() -> Result<()> {
    play(|lab| {
        let watchdog = break_it(lab)?;
        stays_up(lab, &watchdog)?;
        lab.sh("touch /etc/well")?;
        recovered(&watchdog, "daemon", 1, SOON).map(drop)
    })
}
