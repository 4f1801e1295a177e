//! A process that lives, with its port open, and does not answer: found by the kernel under traffic, by the backstop without.

use std::time::Duration;

use anyhow::Result;
use lab::Stream;
use rustix::process::Signal;

use crate::stage::{SELDOM, SOON, Stage, play, recovered_once, victim};

const URL: &str = "http://127.0.0.1:7000/";
/// Clients that are many and patient enough to wait for a while.
const PATIENCE: Duration = Duration::from_secs(2);
const OFTEN: &str = "every = \"2s\"\nevery_in_use = \"2s\"\n";

#[test]
fn a2_a_stopped_process_under_traffic_is_found_at_once() -> Result<()> {
    play(|lab| hangs_under_traffic(lab, stopped))
}

#[test]
fn a2_a_stopped_process_without_traffic_is_found_by_the_backstop() -> Result<()> {
    play(|lab| hangs_alone(lab, stopped))
}

#[test]
fn a2_a_backend_that_accepts_and_never_answers_under_traffic_is_found() -> Result<()> {
    play(|lab| hangs_under_traffic(lab, fall_silent))
}

#[test]
fn a2_a_backend_that_accepts_and_never_answers_without_traffic_is_found_by_the_backstop() -> Result<()> {
    play(|lab| hangs_alone(lab, fall_silent))
}

fn stopped(lab: &Stage) -> Result<()> {
    lab.kill_all(Signal::STOP, "victim.service").map(drop)
}

fn fall_silent(lab: &Stage) -> Result<()> {
    lab.get("http://127.0.0.1:7000/mode/silent").map(drop)
}

fn hangs_under_traffic(lab: &Stage, hurt: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    lab.victim("victim", 7000, "")?;
    let watchdog = lab.guard(&(victim("victim", 7000) + SELDOM), &["victim"])?;
    let traffic = lab.traffic(URL, 20, PATIENCE)?;
    traffic.wait_for_good(lab::mono_us() + 1_000_000, SOON)?;
    replaced(lab, &watchdog, hurt)?;
    watchdog.wait_for("the stall", SOON, |e| {
        let why = e.data("why");
        e.is("suspicion", "victim") && (why["accept_stall"].is_object() || why["answer_stall"].is_object())
    })?;
    traffic.wait_for_good(lab::mono_us(), SOON).map(drop)
}

fn hangs_alone(lab: &Stage, hurt: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    lab.victim("victim", 7000, "")?;
    let watchdog = lab.guard(&(victim("victim", 7000) + OFTEN), &["victim"])?;
    replaced(lab, &watchdog, hurt)
}

/// It is hurt, found, and replaced once.
fn replaced(lab: &Stage, watchdog: &Stream, hurt: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let old = lab.main_pid("victim.service")?;
    hurt(lab)?;
    lab.until_replaced("victim.service", old, SOON)?;
    recovered_once(watchdog, "victim", SOON)?;
    lab.until_answers(URL, SOON)
}
