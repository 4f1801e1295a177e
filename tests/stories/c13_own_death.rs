//! watchdog itself dies: systemd brings it back at once, and nothing that it guards has noticed.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::SERVICE;

use crate::stage::{SOON, not_restarted, play, victim};

#[test]
fn c13_killed_it_runs_again_within_a_second_and_services_are_untouched() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + crate::stage::WEB;
        let watchdog = lab.watchdog_unit(&configuration, "", &["victim", "web"])?;
        let mains = [lab.main_pid("victim.service")?, lab.main_pid("nginx.service")?];
        let old = watchdog.main_pid()?;
        let killed = watchdog.kill()?;
        watchdog.until_replaced(old, SOON)?;
        let ready: u64 = lab.property(SERVICE, "ActiveEnterTimestampMonotonic")?.parse()?;
        let down = Duration::from_micros(ready.saturating_sub(killed));
        eprintln!("running again after {down:?}");
        ensure!(ready > killed && down < Duration::from_secs(1), "it was away for {down:?}");
        ensure!(
            mains == [lab.main_pid("victim.service")?, lab.main_pid("nginx.service")?],
            "a new main process"
        );
        not_restarted(&watchdog, "victim")?;
        not_restarted(&watchdog, "web")
    })
}
