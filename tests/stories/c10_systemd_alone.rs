//! Units are stopped and started by jobs of systemd, and by nothing else.

use anyhow::Result;

use crate::stage::{QUICK, SOON, play, recovered_once, restarts, victim};

#[test]
fn c10_units_are_stopped_and_started_by_systemd_alone() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "ExecStop=/bin/touch /run/stopped-by-systemd")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        let new = lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        lab.sh("test -e /run/stopped-by-systemd")?;
        let cgroup = lab.property("victim.service", "ControlGroup")?;
        assert_eq!(lab.read(&format!("/sys/fs/cgroup{cgroup}/cgroup.procs"))?.trim(), new.to_string());
        assert_eq!(lab.sh("pgrep --full --count '^/usr/local/bin/victim'")?.trim(), "1");
        assert_eq!(restarts(&watchdog, "victim").len(), 1);
        Ok(())
    })
}
