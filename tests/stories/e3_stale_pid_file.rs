//! A daemon that refuses to start while the PID in its file lives, and the ways out of that without a human.

use anyhow::{Result, ensure};
use lab::{Backend, Lab};
use rustix::process::Signal;

use crate::stage::{SOON, is_alert, not_restarted, play, recovered, restarts};

/// Outside of /run, so that it outlives a boot too.
const PID_FILE: &str = "/var/lib/daemon.pid";

fn daemon(more: &str) -> String {
    format!(
        "[service.daemon]
unit = \"daemon.service\"
pid_file = \"{PID_FILE}\"
{more}
[service.daemon.heartbeat]
url = \"http://127.0.0.1:7000/\"
[service.daemon.restart]
backoff = \"100ms\"
"
    )
}

const REMOVE: &str = "stale_pid_file = \"remove\"";

fn start(lab: &Lab) -> Result<()> {
    lab.service("daemon.service", &format!("/usr/local/bin/victim once 7000 {PID_FILE}"), "")?;
    lab.until_answers("http://127.0.0.1:7000/", SOON)
}

#[test]
fn e3_e5_a_stranger_with_the_dead_mains_pid_does_not_keep_the_daemon_down() -> Result<()> {
    play(|lab| {
        start(lab)?;
        // whose a program is shows only to who could trace it
        let traces = "[Service]\nCapabilityBoundingSet=CAP_SYS_PTRACE\nReadWritePaths=/var/lib\n";
        let watchdog = lab.watchdog_unit(&daemon(REMOVE), traces, &["daemon"])?;
        let (own, dead) = (watchdog.main_pid()?, lab.main_pid("daemon.service")?);
        lab.kill("STOP", own)?;
        lab.kill_main(Signal::KILL, "daemon.service")?;
        lab.until_state("daemon.service", "failed", SOON)?;
        lab.stranger(dead)?;
        lab.kill("CONT", own)?;

        let recovered = recovered(&watchdog, "daemon", 1, SOON)?;
        let new = lab.main_pid("daemon.service")?;
        assert_eq!(lab.read(PID_FILE)?.trim(), new.to_string(), "the file is the new one's");
        assert_eq!(lab.read(&format!("/proc/{dead}/comm"))?.trim(), "sleep", "the stranger lives on");
        let restarts = restarts(&watchdog, "daemon");
        ensure!(restarts.len() == 2, "{} starts, not one in vain and one that helps", restarts.len());
        ensure!(restarts[1].data("action")["start_afresh"].is_object(), "the second begins afresh");
        // the reason is in the incident's record
        let story = recovered.data("decision").to_string();
        ensure!(story.contains("another program, started after the file was written"), "{story}");
        Ok(())
    })
}

#[test]
fn e4_e9_a_daemon_that_failed_before_watchdog_came_is_started_past_its_old_file() -> Result<()> {
    play(|lab| {
        start(lab)?;
        let dead = lab.main_pid("daemon.service")?;
        lab.kill_main(Signal::KILL, "daemon.service")?;
        lab.until_state("daemon.service", "failed", SOON)?;
        lab.stranger(dead)?;
        // as at a boot: the first start is systemd's, and fails
        lab.sh("systemctl start daemon.service; true")?;
        lab.until_state("daemon.service", "failed", SOON)?;
        let watchdog = lab.guard(&daemon(REMOVE), &[])?;
        recovered(&watchdog, "daemon", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}

#[test]
fn e1_by_default_the_stale_file_is_named_and_kept() -> Result<()> {
    play(|lab| {
        start(lab)?;
        let dead = lab.main_pid("daemon.service")?;
        lab.kill_main(Signal::KILL, "daemon.service")?;
        lab.until_state("daemon.service", "failed", SOON)?;
        lab.stranger(dead)?;
        let watchdog = lab.guard(&daemon(""), &[])?;
        let words = format!("{PID_FILE} names process {dead} (sleep)");
        watchdog.wait_for("the diagnosis", SOON, |e| is_alert(e, "daemon", &words))?;
        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "daemon"))?;
        assert_eq!(lab.read(PID_FILE)?.trim(), dead.to_string());
        Ok(())
    })
}

#[test]
fn e7_an_instance_outside_the_unit_is_named_and_its_file_kept() -> Result<()> {
    play(|lab| {
        start(lab)?;
        lab.kill_main(Signal::KILL, "daemon.service")?;
        lab.until_state("daemon.service", "failed", SOON)?;
        // by hand, and on another port: only its file speaks of it
        lab.sh(&format!("/usr/local/bin/victim once 7001 {PID_FILE} >/dev/null 2>&1 & echo $!"))?;
        lab.until_answers("http://127.0.0.1:7001/", SOON)?;
        let other = lab.read(PID_FILE)?.trim().to_owned();
        let watchdog = lab.guard(&daemon(REMOVE), &[])?;
        let words = format!("process {other} (victim)");
        watchdog.wait_for("the diagnosis", SOON, |e| is_alert(e, "daemon", &words))?;
        watchdog.wait_for("the hold", SOON, |e| {
            e.is("decision", "daemon") && e.data("decision")["hold"]["hold"]["instance"].is_object()
        })?;
        assert_eq!(restarts(&watchdog, "daemon").len(), 1, "only the start that was refused");
        assert_eq!(lab.read(PID_FILE)?.trim(), other);
        lab.until_answers("http://127.0.0.1:7001/", SOON)
    })
}

/// httpd's own way: the file is in /run/apache2, and a start beside a living PID says so and ends well.
const HTTPD: &str = "[service.httpd]
unit = \"apache2.service\"
pid_file = \"/run/apache2/apache2.pid\"
stale_pid_file = \"remove\"
[service.httpd.heartbeat]
url = \"http://127.0.0.1:8080/plain.html\"
";

#[test]
fn e6_httpd_restarts_past_a_pid_file_that_names_a_stranger() -> Result<()> {
    play(|lab| {
        lab.apache_with_php(Backend::Unix, 8080)?;
        let dead = lab.main_pid("apache2.service")?;
        lab.kill_all(Signal::KILL, "apache2.service")?;
        lab.until_state("apache2.service", "failed", SOON)?;
        lab.stranger(dead)?;
        let watchdog = lab.guard(HTTPD, &[])?;
        recovered(&watchdog, "httpd", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:8080/plain.html", SOON)?;
        assert_eq!(lab.read(&format!("/proc/{dead}/comm"))?.trim(), "sleep", "the stranger lives on");
        Ok(())
    })
}

#[test]
fn e7_a_httpd_that_was_started_by_hand_is_named_and_left_alone() -> Result<()> {
    play(|lab| {
        lab.apache_with_php(Backend::Unix, 8080)?;
        lab.kill_all(Signal::KILL, "apache2.service")?;
        lab.until_state("apache2.service", "failed", SOON)?;
        // not by apachectl: Debian's asks systemd to start the unit
        lab.sh("rm -f /run/apache2/apache2.pid; . /etc/apache2/envvars; apache2 -k start >/dev/null 2>&1")?;
        lab.until_answers("http://127.0.0.1:8080/plain.html", SOON)?;
        let by_hand = lab.read("/run/apache2/apache2.pid")?;
        let watchdog = lab.guard(HTTPD, &[])?;
        watchdog.wait_for("the holder", SOON, |e| is_alert(e, "httpd", "8080 is held by process"))?;
        not_restarted(&watchdog, "httpd")?;
        assert_eq!(lab.read("/run/apache2/apache2.pid")?, by_hand);
        lab.until_answers("http://127.0.0.1:8080/plain.html", SOON)
    })
}
