//! At once after a sign, seldom without one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::stage::{DAEMON, SELDOM, SOON, WEB, not_restarted, play, recovered_once};

#[test]
fn a4_a_heartbeat_follows_a_death_though_the_next_backstop_is_far() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}"), &["web"])?;
        let main = lab.main_pid("nginx.service")?;
        let worker =
            lab.sh(&format!("pgrep --parent {main} | head -1"))?.trim().parse().context("no worker")?;
        let before = lab::mono_us();
        lab.kill("KILL", worker)?;
        let suspicion = watchdog
            .wait_for("the worker's end", SOON, |e| e.is("suspicion", "web") && e.mono_us() > before)?;
        watchdog.wait_for("a heartbeat", SOON, |e| {
            e.is("heartbeat", "web") && e.data("began_us").as_u64() >= Some(suspicion.mono_us())
        })?;
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
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}"), &["web"])?;
        let traffic = lab.traffic("http://127.0.0.1/", 50, Duration::from_secs(2))?;
        // What the beginning of the traffic sets off is over by then.
        traffic.wait_for_good(lab::mono_us() + 6_000_000, SOON)?;
        let (began, before) = (lab::mono_us(), watchdog.wake_ups()?);
        traffic.wait_for_good(began + SECONDS * 1_000_000, SOON)?;
        let woken = watchdog.wake_ups()?.since(&before);
        ensure!(woken <= SECONDS, "it was woken {woken} times in {SECONDS} s");
        Ok(())
    })
}

/// A daemon on port 7000 with a child that forks workers without end, some hundred a second, all of which end well.
const FORKS: &str = "/bin/sh -c '(while :; do /bin/sleep 0.005; printf x >>/run/ended; done) & exec /usr/local/bin/victim 7000'";

#[test]
fn a4_workers_that_come_and_go_wake_nobody_and_the_death_of_their_main_process_does() -> Result<()> {
    const SECONDS: u64 = 10;
    play(|lab| {
        lab.service("daemon.service", FORKS, "Restart=no")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let watchdog = lab.guard(&format!("{DAEMON}{SELDOM}"), &["daemon"])?;
        let ended = || -> Result<u64> {
            lab.sh("wc -c </run/ended")?.trim().parse().context("no count of the workers")
        };
        let until = |at: u64| {
            lab.until(SOON, || {
                ensure!(lab::mono_us() >= at, "it is too early");
                Ok(())
            })
        };
        // What the beginning sets off is over by then.
        until(lab::mono_us() + 3_000_000)?;
        let (began, before, workers) = (lab::mono_us(), watchdog.wake_ups()?, ended()?);
        until(began + SECONDS * 1_000_000)?;
        let (woken, workers) = (watchdog.wake_ups()?.since(&before), ended()? - workers);
        ensure!(workers > 50 * SECONDS, "only {workers} workers came and went in {SECONDS} s");
        ensure!(woken <= SECONDS, "it was woken {woken} times in {SECONDS} s");

        lab.kill("KILL", lab.main_pid("daemon.service")?)?;
        watchdog.wait_for("the main process's end", SOON, |e| e.is("suspicion", "daemon"))?;
        recovered_once(&watchdog, "daemon", SOON).map(drop)
    })
}
