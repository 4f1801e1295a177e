//! While one unit stops for a long time, all others are looked after.

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, is_restart, play, recovered_once, victim};

#[test]
fn a8_a_unit_that_takes_long_to_stop_delays_no_other() -> Result<()> {
    play(|lab| {
        // it stops for as long as it is not given the word
        lab.victim("slow", 7000, "ExecStopPost=/usr/bin/flock /run/word true")?;
        lab.hold_word()?;
        lab.victim("quick", 7001, "")?;
        let configuration = victim("slow", 7000) + QUICK + "timeout = \"1s\"\n" + &victim("quick", 7001);
        let watchdog = lab.guard(&configuration, &["slow", "quick"])?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        watchdog.wait_for("the restart of the slow one", SOON, |e| is_restart(e, "slow"))?;
        lab.until_state("slow.service", "deactivating", SOON)?;

        let old = lab.main_pid("quick.service")?;
        lab.kill_main(Signal::KILL, "quick.service")?;
        lab.until_replaced("quick.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1:7001/", SOON)?;
        recovered_once(&watchdog, "quick", SOON)?;
        assert_eq!(lab.property("slow.service", "ActiveState")?, "deactivating", "the other still stops");
        Ok(())
    })
}
