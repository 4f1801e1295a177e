//! A pause between restarts that grows.

use anyhow::{Result, bail, ensure};

use crate::stage::{SOON, is_restart, play, victim};

#[test]
fn a22_g6_the_first_restart_comes_at_once_and_the_pause_before_each_further_one_doubles() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "[service.victim.restart]\nburst = 5\nbackoff = \"1s\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        // From now on it ends as soon as it is started.
        lab.drop_in("victim.service", "[Service]\nExecStart=\nExecStart=/bin/false\n")?;
        lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
        let seen = std::cell::Cell::new(0);
        watchdog.wait_for("four restarts", SOON, |e| {
            seen.set(seen.get() + u32::from(is_restart(e, "victim")));
            seen.get() == 4
        })?;
        // (when it was decided, when the pause before it was to be over) of each, in microseconds
        let (mut paused, mut tries) = (None, Vec::new());
        for event in watchdog.events().iter().filter(|event| event.is("decision", "victim")) {
            let decision = event.data("decision");
            if decision["hold"]["hold"] == "backoff" {
                paused = decision["hold"]["until_us"].as_u64();
            } else if decision["act"].is_object() {
                tries.push((event.mono_us(), paused.take()));
            }
        }
        ensure!(tries[0].1.is_none(), "the first restart did not come at once: {tries:?}");
        for (pair, whole) in tries.windows(2).zip([1_000_000, 2_000_000, 4_000_000]) {
            let [(before, _), (now, until)] = pair else { bail!("no pair") };
            ensure!(now - before >= whole / 2, "{whole} us, with jitter, were due: {tries:?}");
            // where it took so long to fail that the pause was over, there was nothing to wait for
            ensure!(until.is_none_or(|until| until - before <= whole), "{whole} us were due: {tries:?}");
        }
        Ok(())
    })
}
