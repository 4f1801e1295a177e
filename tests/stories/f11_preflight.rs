//! A sick server with a broken configuration is left sick: a restart would make it a dead one.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::stage::{QUICK, SOON, WEB, is_alert, not_restarted, play, recovered_once};

/// A hold is looked at again after half a minute.
const AGAIN: Duration = Duration::from_secs(50);
const BROKEN: &str = "/etc/nginx/conf.d/broken.conf";

#[test]
fn f11_a_broken_configuration_keeps_the_sick_instance() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let configuration = WEB.replacen("\n", "\npreflight = [\"/usr/sbin/nginx\", \"-t\"]\n", 1) + QUICK;
        let watchdog = lab.guard(&configuration, &["web"])?;
        let sick = lab.main_pid("nginx.service")?;
        lab.sh(
            "sed -i 's,location / {,location = / { return 500; } location / {,' /etc/nginx/sites-enabled/lab",
        )?;
        lab.sh("systemctl reload nginx; sed -i 's,return 500;,,' /etc/nginx/sites-enabled/lab")?;
        lab.write(BROKEN, "no_such_directive on;\n")?;
        let told = watchdog.wait_for("word of the configuration", SOON, |event| {
            is_alert(event, "web", "its configuration is invalid")
        })?;
        ensure!(told.0.to_string().contains("unknown directive"), "{}", told.0);
        watchdog.wait_for("a hold", SOON, |event| {
            event.is("decision", "web") && event.data("decision")["hold"]["hold"]["preflight"].is_object()
        })?;
        assert_eq!(lab.main_pid("nginx.service")?, sick);
        not_restarted(&watchdog, "web")?;
        lab.sh(&format!("rm {BROKEN}"))?;
        lab.until_replaced("nginx.service", sick, AGAIN)?;
        recovered_once(&watchdog, "web", SOON)?;
        ensure!(
            lab.sh("ls /run/watchdog")?.lines().all(|name| !name.starts_with("preflight")),
            "its output is left"
        );
        Ok(())
    })
}
