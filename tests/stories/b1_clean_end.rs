//! A clean end that no operator asked for: told at once, and brought back where `restart.on` says so.

use anyhow::Result;

use crate::stage::{SOON, Stage, WEB, is_alert, not_restarted, play, recovered_once, victim};

const ALWAYS: &str = "[service.web.restart]\non = \"always\"\n";

#[test]
fn b1_a_clean_end_is_told_at_once_and_left_alone_by_default() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        lab.kill("TERM", lab.main_pid("nginx.service")?)?;
        lab.until_state("nginx.service", "inactive", SOON)?;
        watchdog.wait_for("an alert", SOON, |e| is_alert(e, "web", "clean"))?;
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn b1_with_always_a_sigterm_by_hand_is_undone() -> Result<()> {
    play(|lab| comes_back(lab, |lab| lab.kill("TERM", lab.main_pid("nginx.service")?)))
}

#[test]
fn b1_with_always_nginxs_own_stop_is_undone() -> Result<()> {
    play(|lab| comes_back(lab, |lab| lab.exec(&["nginx", "-s", "stop"]).map(drop)))
}

fn comes_back(lab: &Stage, end: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    lab.nginx()?;
    let watchdog = lab.guard(&format!("{WEB}{ALWAYS}"), &["web"])?;
    let old = lab.main_pid("nginx.service")?;
    end(lab)?;
    lab.until_replaced("nginx.service", old, SOON)?;
    recovered_once(&watchdog, "web", SOON)?;
    lab.until_answers("http://127.0.0.1/", SOON)
}

#[test]
fn b1_with_always_an_exit_with_code_0_is_undone() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + "[service.victim.restart]\non = \"always\"\n";
        let watchdog = lab.guard(&configuration, &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        let _it_ends_without_an_answer = lab.get("http://127.0.0.1:7000/exit/0");
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON).map(drop)
    })
}
