//! A plain `kill` of the main process is a clean end: left alone, with its sender, also where systemd calls it a failure.

use anyhow::{Result, ensure};

use crate::stage::{SOON, not_restarted, play, victim};

#[test]
fn d5_a_plain_kill_is_a_clean_end_and_its_sender_is_told() -> Result<()> {
    killed("", "inactive")
}

#[test]
fn d5_a_plain_kill_is_a_clean_end_though_its_execstop_fails_and_systemd_says_failed() -> Result<()> {
    killed("ExecStop=/bin/kill -WINCH ${MAINPID}", "failed")
}

fn killed(more: &str, state: &str) -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, more)?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let main = lab.main_pid("victim.service")?;
        lab.sh(&format!("setpriv --reuid=0 bash -c 'kill {main}'"))?;
        lab.until_state("victim.service", state, SOON)?;
        let told = watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
        })?;
        ensure!(told.0.to_string().contains("bash"), "it does not say who sent the signal: {}", told.0);
        assert_eq!(lab.property("victim.service", "ActiveState")?, state);
        not_restarted(&watchdog, "victim")
    })
}
