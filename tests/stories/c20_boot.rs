//! A service that dies while the host boots is left to the boot, and started once that is over.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::{Context, Result, ensure};
use lab::{CONFIGURATION, EVENTS, Event, SERVICE};

use crate::stage::{SOON, Stage, is_restart, plan, play_on, victim};

const CONTRIB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/watchdog.service");

/// Nothing can be done from outside before the boot is over, so a unit of the boot does the harm.
const BOOT: &str = "#!/bin/sh
until grep -q '\"verdict\":\"alive\"' /run/events.jsonl; do sleep 0.1; done
kill -KILL \"$(systemctl show --value --property MainPID daemon.service)\"
until grep -q '\"hold\":\"boot\"' /run/events.jsonl; do sleep 0.1; done
systemctl is-active daemon.service >/run/at-the-hold || true
";

const FILES: [(&str, &str); 4] = [
    ("/usr/local/bin/boot", BOOT),
    ("/etc/systemd/system/boot.service", "[Service]\nType=oneshot\nExecStart=/usr/local/bin/boot\n"),
    ("/etc/systemd/system/daemon.service", "[Service]\nExecStart=/usr/local/bin/victim 7000\n"),
    (
        "/etc/systemd/system/multi-user.target.d/c20.conf",
        "[Unit]\nWants=daemon.service watchdog.service boot.service\n",
    ),
];

/// Whoever reloads the unit that is shipped is told whether the new configuration is in force.
fn reloads(lab: &Stage) -> Result<()> {
    let reload = || lab.run(&["systemctl", "reload", SERVICE]);
    ensure!(
        reload()?.status.success(),
        "a good configuration is not taken: {}",
        lab.exec(&["journalctl", "-u", SERVICE])?
    );
    lab.write("/etc/watchdog/conf.d/fault.toml", "[service.daemon]\nunti = 3\n")?;
    ensure!(!reload()?.status.success(), "nobody was told that the configuration has a fault");
    assert_eq!(lab.property(SERVICE, "ActiveState")?, "active", "the old one stays in force");
    lab.sh("rm /etc/watchdog/conf.d/fault.toml")?;
    ensure!(reload()?.status.success(), "the mended configuration is not taken");
    Ok(())
}

#[test]
fn c20_a_service_that_dies_during_the_boot_is_started_once_that_is_over() -> Result<()> {
    let folder = tempfile::tempdir().context("no folder")?;
    let gates = "[watchdog.gates]\nmemory = \"off\"\nio = \"off\"\ncpu = \"off\"\n";
    let configuration = format!("[watchdog]\nevents = [\"{EVENTS}\"]\n{gates}{}", victim("daemon", 7000));
    let mut plan = plan().with(CONTRIB, &format!("/etc/systemd/system/{SERVICE}"));
    for (number, (at, text)) in FILES.into_iter().chain([(CONFIGURATION, &*configuration)]).enumerate() {
        let file = folder.path().join(number.to_string());
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let mode = if text == BOOT { 0o755 } else { 0o600 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).context("cannot set the mode")?;
        plan = plan.with(file, at);
    }
    play_on(&plan, |lab| {
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let text = lab.read(EVENTS)?;
        let events = text.lines().map(|line| serde_json::from_str(line).map(Event));
        let events = events.collect::<Result<Vec<Event>, _>>().context("no JSON")?;
        let held = |event: &&Event| event.data("decision")["hold"]["hold"] == "boot";
        let held = events.iter().find(held).context("nothing was held for the boot")?.mono_us();
        let starts: Vec<u64> =
            events.iter().filter(|event| is_restart(event, "daemon")).map(Event::mono_us).collect();
        let booted = lab.exec(&["systemctl", "show", "--value", "--property", "FinishTimestampMonotonic"])?;
        let booted: u64 = booted.trim().parse().context("no end of the boot")?;
        ensure!(held < booted, "held at {held} µs, after the boot, which was over at {booted} µs");
        ensure!(starts.len() == 1, "{} starts", starts.len());
        ensure!(starts[0] >= booted, "started at {} µs, before the boot was over ({booted} µs)", starts[0]);
        assert_eq!(lab.read("/run/at-the-hold")?.trim(), "failed");
        reloads(lab)
    })
}
