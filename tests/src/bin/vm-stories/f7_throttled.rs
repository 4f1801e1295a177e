//! A service that is kept from running by its own CPUQuota= is left to its work; one that hangs under the same quota is not.

use std::cell::Cell;

use anyhow::{Result, ensure};
use lab::Event;
use rustix::process::Signal;
use tests::{QUICK, is_dead, not_restarted, restarts, victim};

use crate::stage::{SOON, Stage};

/// A second of CPU time takes twenty with it.
const QUOTA: &str = "CPUQuota=5%\n";

pub(crate) fn f7_a_service_that_is_throttled_is_not_restarted_and_one_that_hangs_so_is(
    stage: &Stage,
) -> Result<()> {
    stage.victim("victim", 7000, QUOTA)?;
    let configuration = format!("{}{QUICK}timeout = \"4s\"\n", victim("victim", 7000));
    let watchdog = stage.guard(&configuration, &["victim"])?;
    let old = stage.main_pid("victim.service")?;
    stage.get_within("http://127.0.0.1:7000/mode/burn=1000", SOON)?;
    let seen = Cell::new(0);
    watchdog.wait_for("three late heartbeats, excused by the quota", SOON, |event| {
        seen.set(seen.get() + u32::from(is_excused(event)));
        seen.get() == 3
    })?;
    not_restarted(&watchdog, "victim")?;
    let taken = watchdog.events().into_iter().find(|event| is_dead(event, "victim"));
    ensure!(taken.is_none(), "slowness is taken for death: {}", taken.map_or("".into(), |e| e.0.to_string()));
    ensure!(stage.main_pid("victim.service")? == old, "it was restarted by another");
    stage.kill_all(Signal::STOP, "victim.service")?;
    stage.until_replaced("victim.service", old, SOON)?;
    stage.until_answers("http://127.0.0.1:7000/", SOON)?;
    let restarts = restarts(&watchdog, "victim").len();
    ensure!(restarts == 1, "{restarts} restarts, not one");
    Ok(())
}

/// A late heartbeat during which the unit stood still for its quota, most of the time.
fn is_excused(event: &Event) -> bool {
    let evidence = event.data("evidence");
    let figure = |name: &str| evidence[name].as_u64();
    let throttled = figure("throttled_us").zip(figure("window_us")).is_some_and(|(it, of)| it >= of / 2);
    event.is("heartbeat", "victim")
        && event.data("verdict") == "unknown"
        && evidence["meaning"] == "starved"
        && throttled
}
