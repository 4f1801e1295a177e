//! At once after a sign, seldom without one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::stage::{SOON, WEB, not_restarted, play};

#[test]
fn a4_a_heartbeat_begins_within_100_ms_of_a_death() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(WEB, &["web"])?;
        let main = lab.main_pid("nginx.service")?;
        let worker =
            lab.sh(&format!("pgrep --parent {main} | head -1"))?.trim().parse().context("no worker")?;
        let before = lab::mono_us();
        lab.kill("KILL", worker)?;
        let suspicion = watchdog
            .wait_for("the worker's end", SOON, |e| e.is("suspicion", "web") && e.mono_us() > before)?;
        let heartbeat = watchdog.wait_for("a heartbeat", SOON, |e| {
            e.is("heartbeat", "web") && e.data("began_us").as_u64() > Some(before)
        })?;
        let began = heartbeat.data("began_us").as_u64().unwrap_or_default();
        let after = Duration::from_micros(began.saturating_sub(suspicion.mono_us()));
        ensure!(after < Duration::from_millis(100), "the heartbeat began {after:?} after the death");
        assert_eq!(lab.main_pid("nginx.service")?, main, "a worker's death is the master's business");
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn a4_a_quiet_host_is_asked_no_more_than_once_per_interval() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(&format!("{WEB}every = \"2s\"\nevery_in_use = \"2s\"\n"), &["web"])?;
        let seen = std::cell::Cell::new(0);
        watchdog.wait_for("four heartbeats", SOON, |e| {
            seen.set(seen.get() + u32::from(e.is("heartbeat", "web")));
            seen.get() == 4
        })?;
        let events = watchdog.events();
        let began: Vec<u64> = events
            .iter()
            .filter(|e| e.is("heartbeat", "web"))
            .filter_map(|e| e.data("began_us").as_u64())
            .collect();
        // The first one proves the unit; from the second on they are backstops.
        for pair in began[1..].windows(2) {
            let pause = Duration::from_micros(pair[1] - pair[0]);
            ensure!(pause >= Duration::from_secs(1), "asked again after {pause:?}");
        }
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn a4_while_all_is_well_nobody_is_woken_though_clients_are_many() -> Result<()> {
    const SECONDS: u64 = 10;
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(&format!("{WEB}every = \"1h\"\nevery_in_use = \"1h\"\n"), &["web"])?;
        let traffic = lab.traffic("http://127.0.0.1/", 50, Duration::from_secs(2))?;
        // What the beginning of the traffic sets off is over by then.
        traffic.wait_for_good(lab::mono_us() + 6_000_000, SOON)?;
        let (began, before) = (lab::mono_us(), watchdog.wake_ups()?);
        traffic.wait_for_good(began + SECONDS * 1_000_000, SOON)?;
        let woken = watchdog.wake_ups()? - before;
        ensure!(woken <= SECONDS, "it was woken {woken} times in {SECONDS} s");
        Ok(())
    })
}
