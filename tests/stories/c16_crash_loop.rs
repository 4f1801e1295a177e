//! A program that cannot start, whoever tries: recognised by the third run, told with its last words, and tried on slowly until
//! somebody mends it.

use anyhow::{Result, ensure};
use lab::{Lab, Stream};
use rustix::process::Signal;

use crate::stage::{SOON, is_alert, not_restarted, play, recovered, restarts, victim};

/// Serves while its file is there, else says so and ends with code 3.
const PROGRAM: &str =
    "/bin/sh -c 'test -e /etc/well && exec /usr/local/bin/victim 7000; echo cannot open /etc/well; exit 3'";

const RESTART: &str = "[service.daemon.restart]
burst = 3
within = \"10s\"
backoff = \"100ms\"
backoff_max = \"1s\"
";

fn start(lab: &Lab, more: &str) -> Result<()> {
    lab.sh("touch /etc/well")?;
    lab.service("daemon.service", PROGRAM, more)?;
    lab.until_answers("http://127.0.0.1:7000/", SOON)
}

fn break_it(lab: &Lab) -> Result<()> {
    lab.sh("rm /etc/well")?;
    lab.kill_main(Signal::KILL, "daemon.service").map(drop)
}

fn told(watchdog: &Stream) -> Result<()> {
    let alert = watchdog.wait_for("the crash loop", SOON, |e| is_alert(e, "daemon", "crash loop"))?;
    let text = alert.0.to_string();
    ensure!(text.contains("exit code 3") && text.contains("cannot open /etc/well"), "{text}");
    Ok(())
}

#[test]
fn c16_g7_a_program_that_cannot_start_is_told_with_its_last_words_and_comes_back_when_mended() -> Result<()> {
    play(|lab| {
        start(lab, "")?;
        let watchdog = lab.guard(&(victim("daemon", 7000) + RESTART), &["daemon"])?;
        break_it(lab)?;
        told(&watchdog)?;
        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "daemon"))?;
        ensure!(restarts(&watchdog, "daemon").len() == 3, "three tries, and then a pause");
        lab.sh("touch /etc/well")?;
        recovered(&watchdog, "daemon", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}

#[test]
fn c15_f5_systemds_start_limit_costs_our_budget_too_and_is_cleared_when_it_is_our_turn() -> Result<()> {
    play(|lab| {
        start(lab, "Restart=always\nRestartSec=50ms")?;
        lab.drop_in("daemon.service", "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=1h\n")?;
        let watchdog = lab.guard(&(victim("daemon", 7000) + RESTART), &["daemon"])?;
        break_it(lab)?;
        told(&watchdog)?;
        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "daemon"))?;
        lab.until_state("daemon.service", "failed", SOON)?;
        lab.sh("journalctl --unit daemon.service --grep 'Start request repeated too quickly'")?;
        not_restarted(&watchdog, "daemon")?;
        lab.sh("touch /etc/well")?;
        recovered(&watchdog, "daemon", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}

#[test]
fn c15_a_loop_of_systemds_own_without_a_limit_is_told_and_left_to_systemd() -> Result<()> {
    play(|lab| {
        start(lab, "Restart=always\nRestartSec=200ms")?;
        lab.drop_in("daemon.service", "[Unit]\nStartLimitIntervalSec=0\n")?;
        let watchdog = lab.guard(&(victim("daemon", 7000) + RESTART), &["daemon"])?;
        break_it(lab)?;
        told(&watchdog)?;
        not_restarted(&watchdog, "daemon")?;
        lab.sh("touch /etc/well")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
