//! Sites of one server: a single broken one is told, and restarts nothing for the others.

use anyhow::Result;
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, WEB, is_alert, not_restarted, play, recovered};

#[test]
fn b9_a_single_broken_site_restarts_nothing_and_c14_no_unit_file_is_touched() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let files = "cd /; sha256sum $(find usr/lib/systemd etc/systemd -type f | sort)";
        let before = lab.sh(files)?;
        let heartbeat = WEB.replace("[service.web.heartbeat]", "[[service.web.heartbeat]]");
        let site = "[[service.web.heartbeat]]
url = \"http://127.0.0.1/shop\"
status = [\"200\"]
on_failure = \"alert\"
";
        let watchdog = lab.guard(&format!("{heartbeat}{site}{QUICK}"), &["web"])?;
        let main = lab.main_pid("nginx.service")?;
        watchdog.wait_for("the alert", SOON, |e| {
            is_alert(e, "web", "no restart, for this heartbeat only alerts")
        })?;
        not_restarted(&watchdog, "web")?;
        assert_eq!(lab.main_pid("nginx.service")?, main);

        lab.kill_main(Signal::KILL, "nginx.service")?;
        recovered(&watchdog, "web", 1, SOON)?;
        assert_eq!(lab.sh(files)?, before, "a unit file has changed");
        Ok(())
    })
}
