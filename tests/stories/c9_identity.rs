//! Whose process it was is told by its cgroup, never by its name.

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{SOON, not_restarted, play, recovered_once, victim};

#[test]
fn c9_of_two_services_of_one_program_only_the_dead_one_is_restarted() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        lab.victim("stranger", 7003, "")?;
        let watchdog = lab.guard(&(victim("one", 7001) + &victim("two", 7002)), &["one", "two"])?;
        let (one, two) = (lab.main_pid("one.service")?, lab.main_pid("two.service")?);
        lab.kill_main(Signal::KILL, "stranger.service")?;
        lab.kill_main(Signal::KILL, "one.service")?;
        lab.until_replaced("one.service", one, SOON)?;
        recovered_once(&watchdog, "one", SOON)?;
        assert_eq!(lab.main_pid("two.service")?, two);
        assert_eq!(lab.property("stranger.service", "ActiveState")?, "failed", "nobody watches it");
        not_restarted(&watchdog, "two")
    })
}
