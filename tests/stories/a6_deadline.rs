//! One deadline for the whole answer: a server that trickles misses it, and the verdict says in which phase.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{QUICK, SOON, is_dead, play, recovered_once, victim};

#[test]
fn a6_a_server_that_trickles_fails_at_the_deadline_in_the_body() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/trickle")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let dead = watchdog.wait_for("the verdict", SOON, |e| is_dead(e, "victim"))?;
        ensure!(dead.data("phase") == "body", "{}", dead.0);
        let took = Duration::from_micros(dead.data("took_us").as_u64().unwrap_or_default());
        // the whole answer would take ten seconds
        ensure!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&took), "it took {took:?}");
        Ok(())
    })
}
