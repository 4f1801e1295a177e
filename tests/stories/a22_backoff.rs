//! A pause between restarts that grows.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{SOON, is_restart, play, restarts, victim};

#[test]
fn a22_g6_the_first_restart_comes_at_once_and_the_pause_before_each_further_one_doubles() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "[service.victim.restart]\nburst = 5\nbackoff = \"1s\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        // From now on it ends as soon as it is started.
        lab.drop_in("victim.service", "[Service]\nExecStart=\nExecStart=/bin/false\n")?;
        let killed = lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
        let seen = std::cell::Cell::new(0);
        watchdog.wait_for("four restarts", SOON, |e| {
            seen.set(seen.get() + u32::from(is_restart(e, "victim")));
            seen.get() == 4
        })?;
        let times: Vec<u64> = restarts(&watchdog, "victim").iter().map(|e| e.mono_us()).collect();
        let first = Duration::from_micros(times[0] - killed);
        ensure!(first < Duration::from_millis(100), "the first restart came {first:?} after the death");
        for (pair, whole) in times.windows(2).zip([1, 2, 4]) {
            let (pause, whole) = (Duration::from_micros(pair[1] - pair[0]), Duration::from_secs(whole));
            ensure!(pause >= whole / 2, "a pause of {pause:?} where {whole:?}, with jitter, was due");
            ensure!(
                pause <= whole + Duration::from_millis(500),
                "a pause of {pause:?} where {whole:?} was due"
            );
        }
        Ok(())
    })
}
