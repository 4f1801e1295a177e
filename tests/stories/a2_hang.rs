//! A process that lives, with its port open, and does not answer: found by the kernel under traffic, by the backstop without.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, is_dead, play, recovered_once, victim};

const URL: &str = "http://127.0.0.1:7000/";
/// Clients that are many and patient enough to wait for a while.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn a2_a_stopped_process_under_traffic_is_found_at_once() -> Result<()> {
    play(|lab| {
        hangs(lab, "", true, Duration::from_millis(3_800), |lab| lab.kill_all(Signal::STOP, "victim.service"))
    })
}

#[test]
fn a2_a_stopped_process_without_traffic_is_found_by_the_backstop() -> Result<()> {
    play(|lab| {
        let limit = Duration::from_millis(2_000 + 3_800);
        hangs(lab, "every = \"2s\"\nevery_in_use = \"2s\"\n", false, limit, |lab| {
            lab.kill_all(Signal::STOP, "victim.service")
        })
    })
}

#[test]
fn a2_a_backend_that_accepts_and_never_answers_under_traffic_is_found() -> Result<()> {
    play(|lab| hangs(lab, "", true, Duration::from_millis(4_700), fall_silent))
}

#[test]
fn a2_a_backend_that_accepts_and_never_answers_without_traffic_is_found_by_the_backstop() -> Result<()> {
    play(|lab| {
        hangs(
            lab,
            "every = \"2s\"\nevery_in_use = \"2s\"\n",
            false,
            Duration::from_millis(2_000 + 3_800),
            fall_silent,
        )
    })
}

fn fall_silent(lab: &Stage) -> Result<u64> {
    lab.get("http://127.0.0.1:7000/mode/silent")?;
    Ok(lab::mono_us())
}

fn hangs(
    lab: &Stage,
    more: &str,
    traffic: bool,
    verdict_within: Duration,
    hurt: impl FnOnce(&Stage) -> Result<u64>,
) -> Result<()> {
    lab.victim("victim", 7000, "")?;
    let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
    let traffic = if traffic { Some(lab.traffic(URL, 20, PATIENCE)?) } else { None };
    if let Some(traffic) = &traffic {
        traffic.wait_for_good(lab::mono_us() + 1_000_000, SOON)?;
    }
    let old = lab.main_pid("victim.service")?;
    let hurt = hurt(lab)?;
    lab.until_replaced("victim.service", old, SOON)?;
    recovered_once(&watchdog, "victim", SOON)?;
    let verdict = watchdog.wait_for("a verdict", SOON, |e| is_dead(e, "victim") && e.mono_us() > hurt)?;
    let took = Duration::from_micros(verdict.mono_us() - hurt);
    ensure!(took <= verdict_within, "the verdict came {took:?} after the fault");
    lab.until_answers(URL, SOON)?;
    if let Some(traffic) = traffic {
        traffic.wait_for_good(lab::mono_us(), SOON)?;
    }
    Ok(())
}
