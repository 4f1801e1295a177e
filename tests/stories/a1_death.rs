//! A main process that dies of any unclean cause: the unit is active again and answers, after one restart in one incident.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, WEB, play, recovered_once, segfault, victim};

#[test]
fn a1_a_dead_main_process_is_restarted_once() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        let old = lab.main_pid("nginx.service")?;
        lab.kill_main(Signal::KILL, "nginx.service")?;
        lab.until_replaced("nginx.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1/", SOON)?;
        let recovered = recovered_once(&watchdog, "web", SOON)?;
        ensure!(
            recovered.0.to_string().contains("SIGKILL"),
            "it does not say what killed it: {}",
            recovered.0
        );
        assert_eq!(lab.property("nginx.service", "NRestarts")?, "0", "systemd did nothing by itself");
        Ok(())
    })
}

#[test]
fn a1_an_exit_code_other_than_zero_is_a_death() -> Result<()> {
    play(|lab| dies(lab, |lab| lab.get("http://127.0.0.1:7000/exit/3").map(drop), "code 3"))
}

#[test]
fn a1_an_abort_is_a_death() -> Result<()> {
    play(|lab| dies(lab, |lab| lab.get("http://127.0.0.1:7000/abort").map(drop), "SIGABRT"))
}

#[test]
fn a1_a_segmentation_fault_is_a_death() -> Result<()> {
    play(|lab| dies(lab, |lab| segfault(lab, "victim.service"), "SIGSEGV"))
}

fn dies(lab: &Stage, hurt: impl FnOnce(&Stage) -> Result<()>, told: &str) -> Result<()> {
    lab.victim("victim", 7000, "")?;
    let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
    let old = lab.main_pid("victim.service")?;
    let _it_dies_without_an_answer = hurt(lab);
    lab.until_replaced("victim.service", old, SOON)?;
    let recovered = recovered_once(&watchdog, "victim", SOON)?;
    ensure!(recovered.0.to_string().contains(told), "it does not say what ended it: {}", recovered.0);
    lab.until_answers("http://127.0.0.1:7000/", SOON)
}
