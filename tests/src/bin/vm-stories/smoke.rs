//! What must be seen on every kernel and by whatever serves there: a death, hangs, a lost port, an operator's stop. Their
//! heartbeats' backstops are hours away, so that only an event can lead to them.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use tests::{SELDOM, is_alive, not_restarted, recovered_once, victim};

use crate::stage::{SOON, Stage};

const URL: &str = "http://127.0.0.1:7000/";
/// Clients that are many and patient enough to wait for a while.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn a1_a_death_is_followed_by_one_restart(stage: &Stage) -> Result<()> {
    replaced(stage, false, |stage| stage.kill_main(Signal::KILL, "victim.service").map(drop))
}

pub(crate) fn a2_a_stopped_process_under_traffic_is_found(stage: &Stage) -> Result<()> {
    replaced(stage, true, |stage| stage.kill_all(Signal::STOP, "victim.service").map(drop))
}

pub(crate) fn a2_requests_that_are_never_answered_are_found(stage: &Stage) -> Result<()> {
    replaced(stage, true, |stage| stage.get_within(&format!("{URL}mode/silent"), SOON).map(drop))
}

pub(crate) fn c3_a_daemon_that_lives_without_its_port_is_restarted(stage: &Stage) -> Result<()> {
    replaced(stage, false, |stage| stage.get_within(&format!("{URL}close"), SOON).map(drop))
}

pub(crate) fn d4_an_operators_stop_is_left_alone(stage: &Stage) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let configuration = victim("victim", 7000) + SELDOM + "[service.victim.restart]\non = \"always\"\n";
    let watchdog = stage.guard(&configuration, &["victim"])?;
    stage.exec(&["systemctl", "stop", "victim.service"])?;
    watchdog.wait_for("that it is left alone", SOON, |e| {
        e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
    })?;
    let at = lab::mono_us();
    stage.exec(&["systemctl", "start", "victim.service"])?;
    watchdog.wait_for("that it is watched again", SOON, |e| is_alive(e, "victim") && e.mono_us() > at)?;
    not_restarted(&watchdog, "victim")
}

/// A victim is hurt, found, and replaced once.
fn replaced(stage: &Stage, under_traffic: bool, hurt: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    stage.victim("victim", 7000, "")?;
    let watchdog = stage.guard(&(victim("victim", 7000) + SELDOM), &["victim"])?;
    let traffic = if under_traffic { Some(stage.traffic(URL, 5, PATIENCE)?) } else { None };
    if let Some(traffic) = &traffic {
        traffic.wait_for_good(lab::mono_us(), SOON)?;
    }
    let old = stage.main_pid("victim.service")?;
    hurt(stage)?;
    stage.until_replaced("victim.service", old, SOON)?;
    recovered_once(&watchdog, "victim", SOON)?;
    stage.until_answers(URL, SOON)
}
