//! `status` tells apart what is easily taken for one: enabled, active, healthy.

use anyhow::{Context, Result, ensure};

use crate::stage::{SOON, play, victim};

#[test]
fn b11_enabled_active_and_healthy_are_three_things() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        let two = victim("two", 7002)
            .replace("[service.two.heartbeat]", "only_if_enabled = false\n[service.two.heartbeat]");
        lab.sh("rm /etc/systemd/system/multi-user.target.wants/two.service; systemctl daemon-reload")?;
        let _watchdog = lab.guard(&(victim("one", 7001) + &two), &["one", "two"])?;
        let columns = |service: &str| -> Result<Vec<String>> {
            let text = lab.sh(&format!("{} status || true", lab::PROGRAM))?;
            let head = text.lines().find(|line| line.starts_with("SERVICE")).context("no head")?;
            ensure!(
                head.split_whitespace().take(4).eq(["SERVICE", "ENABLED", "ACTIVE", "HEALTHY"]),
                "{text}"
            );
            let row = text.lines().find(|line| line.starts_with(&format!("{service} "))).context("no row")?;
            Ok(row.split_whitespace().skip(1).take(3).map(str::to_owned).collect())
        };
        let until = |service: &str, wanted: [&str; 3]| {
            lab.until(SOON, || {
                let now = columns(service)?;
                ensure!(now == wanted, "{service} is {now:?}, not {wanted:?}");
                Ok(())
            })
        };
        until("one", ["yes", "yes", "yes"])?;
        until("two", ["no", "yes", "yes"])?;
        lab.sh("systemctl stop one.service")?;
        until("one", ["yes", "no", "no"])
    })
}
