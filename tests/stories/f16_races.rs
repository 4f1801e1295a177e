//! The operator wins every race.

use anyhow::{Result, ensure};

use crate::stage::{SOON, is_restart, play, restarts, victim};

/// Each is a death and a stop within the same milliseconds; `WATCHDOG_RACES` asks for more (1000 take some minutes).
const RACES: u32 = 60;

#[test]
fn f16_a_stop_in_the_same_millisecond_as_our_restart_stays_a_stop() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.drop_in("victim.service", "[Unit]\nStartLimitIntervalSec=0\n")?;
        let more = "[service.victim.restart]\nburst = 1000\nbackoff = \"10ms\"\nbackoff_max = \"10ms\"\n";
        let configuration = format!("[watchdog.budget]\nrestarts = 1000\n{}{more}", victim("victim", 7000));
        let watchdog = lab.guard(&configuration, &["victim"])?;
        let races = std::env::var("WATCHDOG_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(RACES);
        for race in 0..races {
            let main = lab.main_pid("victim.service")?;
            // The stop comes before, with, and after our start: from 0 to some 14 ms after the death.
            let pause = f64::from(race % 15) / 1000.0;
            let began = lab::mono_us();
            lab.sh(&format!("kill -KILL {main}; sleep {pause}; systemctl stop victim.service"))?;
            watchdog.wait_for("that the stop is respected", SOON, |e| {
                e.is("decision", "victim")
                    && e.mono_us() > began // not that of the race before
                    && e.0.to_string().contains("leave_alone")
            })?;
            let state = lab.property("victim.service", "ActiveState")?;
            ensure!(state != "active", "race {race}: the unit is {state} after the operator's stop");
            let job = lab.property("victim.service", "Job")?;
            ensure!(job.is_empty(), "race {race}: job {job} will change that");
            lab.exec(&["systemctl", "start", "victim.service"])?;
        }
        Ok(())
    })
}

#[test]
fn f16_a_stop_of_a_failed_unit_in_back_off_means_leave_it_down() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "[service.victim.restart]\nburst = 9\nbackoff = \"2s\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        lab.drop_in("victim.service", "[Service]\nExecStart=\nExecStart=/bin/false\n")?;
        lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
        watchdog.wait_for("the first try", SOON, |e| is_restart(e, "victim"))?;
        let held = watchdog.wait_for("the pause", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("\"backoff\"")
        })?;
        lab.exec(&["systemctl", "stop", "victim.service"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim")
                && e.mono_us() > held.mono_us()
                && e.0.to_string().contains("leave_alone")
        })?;
        let tried = restarts(&watchdog, "victim").len();
        // Longer than the pause would have been.
        lab.until(SOON, || {
            ensure!(lab::mono_us() > held.mono_us() + 3_000_000, "the pause is not over");
            Ok(())
        })?;
        assert_eq!(restarts(&watchdog, "victim").len(), tried, "it was left alone");
        Ok(())
    })
}
