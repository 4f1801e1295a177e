//! What others are doing is respected: a package manager at work, a debugger, a frozen unit, a unit that is disabled, reloads.

use anyhow::{Result, ensure};
use lab::{Event, SERVICE, Stream, mono_us};
use rustix::process::Signal;

use crate::stage::{
    QUICK, SOON, is_alive, is_dead, is_restart, not_restarted, play, recovered_once, restarts, victim,
};

/// What a package does between two steps of its installation.
const POSTINST: &str = "#!/bin/sh
kill -KILL $(systemctl show --value --property=MainPID victim.service)
flock /run/word true
";

#[test]
fn f10_while_dpkg_is_at_work_nothing_is_started_and_then_it_is() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.write("/tmp/deb/DEBIAN/control", "Package: upgrade\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: kills a service\n")?;
        lab.write("/tmp/deb/DEBIAN/postinst", POSTINST)?;
        lab.sh("chmod -R 755 /tmp/deb; dpkg-deb --build /tmp/deb /tmp/upgrade.deb")?;
        lab.hold_word()?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;

        lab.sh("systemd-run --unit=upgrade --property=Type=exec dpkg --install /tmp/upgrade.deb")?;
        let held = watchdog.wait_for("that it waits for dpkg", SOON, |e| is_held(e, "victim", "package"))?;
        ensure!(held.0.to_string().contains("dpkg"), "it does not say who is at work: {}", held.0);
        for look in 0..2 {
            let after = mono_us();
            watchdog.wait_for(&format!("another look ({look})"), SOON, |e| {
                e.is("fact", "victim")
                    && e.mono_us() > after
                    && e.data("known")["others"]["package"].is_string()
            })?;
        }
        not_restarted(&watchdog, "victim")?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "failed");

        lab.exec(&["systemctl", "stop", "word.service"])?;
        recovered_once(&watchdog, "victim", SOON)?;
        let status = lab.sh("dpkg-query --show --showformat='${Status}' upgrade")?;
        ensure!(status.contains("install ok installed"), "dpkg did not end well: {status}");
        Ok(())
    })
}

#[test]
fn f10_a_package_that_restarts_its_service_itself_costs_no_restart_of_ours() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let watchdog = lab.guard(crate::stage::WEB, &["web"])?;
        let old = lab.main_pid("nginx.service")?;
        // what `apt reinstall nginx` does to the unit: stopped by prerm, started by postinst, within dpkg
        lab.write("/tmp/deb/DEBIAN/control", "Package: upgrade\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: restarts a service\n")?;
        lab.write("/tmp/deb/DEBIAN/preinst", "#!/bin/sh\ndeb-systemd-invoke stop nginx.service\n")?;
        lab.write("/tmp/deb/DEBIAN/postinst", "#!/bin/sh\ndeb-systemd-invoke start nginx.service\n")?;
        lab.sh("chmod -R 755 /tmp/deb; dpkg-deb --build /tmp/deb /tmp/upgrade.deb; dpkg --install /tmp/upgrade.deb")?;
        let new = lab.main_pid("nginx.service")?;
        ensure!(new != old, "the package did not restart nginx");
        let after = mono_us();
        watchdog.wait_for("a good answer of the new one", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > after - 5_000_000
        })?;
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn g5_a_debugger_holds_a_restart_and_once_it_is_gone_the_service_goes_on() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK + "timeout = \"1s\"\n"), &["victim"])?;
        let main = lab.main_pid("victim.service")?;
        // ptrace(PTRACE_ATTACH), which stops it, and a long look at it
        let attach = format!("syscall(101, 16, {main}, 0, 0) == 0 or die $!; sleep 1000");
        lab.exec(&["systemd-run", "--unit=debugger", "--property=Type=exec", "perl", "-e", &attach])?;
        let held = watchdog
            .wait_for("that it waits for the debugger", SOON, |e| is_held(e, "victim", "debugger"))?;
        ensure!(held.0.to_string().contains("perl"), "it does not say who is attached: {}", held.0);
        lab.sh(&format!("systemctl stop debugger.service; kill -CONT {main}"))?;
        watchdog.wait_for("that it is well again", SOON, |e| e.is("recovered", "victim"))?;
        ensure!(lab.main_pid("victim.service")? == main, "it was restarted");
        not_restarted(&watchdog, "victim")
    })
}

#[test]
fn g5_a_frozen_unit_is_left_alone_and_well_again_once_it_is_thawed() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK + "timeout = \"1s\"\n"), &["victim"])?;
        lab.exec(&["systemctl", "freeze", "victim.service"])?;
        watchdog.wait_for("that it is held", SOON, |e| {
            e.is("decision", "victim") && e.data("decision")["hold"]["hold"] == "frozen"
        })?;
        lab.exec(&["systemctl", "thaw", "victim.service"])?;
        watchdog.wait_for("that it is well again", SOON, |e| e.is("recovered", "victim"))?;
        not_restarted(&watchdog, "victim")
    })
}

#[test]
fn b10_a_unit_that_is_disabled_or_masked_is_left_alone_and_kept_again_once_it_is_enabled() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        // where packages have it: what is in /etc cannot be masked
        lab.sh("rm /etc/systemd/system/multi-user.target.wants/victim.service
            mkdir -p /usr/local/lib/systemd/system
            mv /etc/systemd/system/victim.service /usr/local/lib/systemd/system/
            systemctl daemon-reload; systemctl enable victim.service")?;
        let watchdog =
            lab.guard(&(victim("victim", 7000) + "[service.victim.restart]\nburst = 9\n"), &["victim"])?;
        let rounds = [("disable", "enable"), ("mask", "unmask"), ("mask --runtime", "unmask --runtime")];
        for (count, (off, on)) in rounds.into_iter().enumerate() {
            lab.sh(&format!("systemctl {off} victim.service"))?;
            let after = mono_us();
            lab.kill_main(Signal::KILL, "victim.service")?;
            watchdog.wait_for("that it is held", SOON, |e| {
                e.is("decision", "victim")
                    && e.mono_us() > after
                    && e.data("decision")["hold"]["hold"] == "disabled"
            })?;
            ensure!(restarts(&watchdog, "victim").len() == count, "it was started after {off}");
            lab.sh(&format!("systemctl {on} victim.service"))?;
            crate::stage::recovered(&watchdog, "victim", count + 1, SOON)?;
            ensure!(restarts(&watchdog, "victim").len() == count + 1, "not started by itself after {on}");
        }
        Ok(())
    })
}

#[test]
fn d8_a_drop_in_counts_for_systemds_words_are_read_and_no_file() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "SuccessExitStatus=4")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.unit("victim.service.d/mqoverride.conf", "[Service]\nSuccessExitStatus=3\n")?;
        let _it_ends = lab.get("http://127.0.0.1:7000/exit/3");
        ended_cleanly(&watchdog)
    })
}

#[test]
fn d8_a_drop_in_counts_also_for_an_end_that_is_heard_of_before_its_settings_are_read() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "SuccessExitStatus=4")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        // it hears of both in one go
        lab.kill_all(Signal::STOP, SERVICE)?;
        lab.unit("victim.service.d/mqoverride.conf", "[Service]\nSuccessExitStatus=3\n")?;
        let _it_ends = lab.get("http://127.0.0.1:7000/exit/3");
        lab.until_state("victim.service", "inactive", SOON)?;
        lab.kill_all(Signal::CONT, SERVICE)?;
        ended_cleanly(&watchdog)
    })
}

fn ended_cleanly(watchdog: &Stream) -> Result<()> {
    let decided = watchdog.wait_for("what is to be done", SOON, |e| {
        let decision = e.data("decision");
        e.is("decision", "victim") && (decision["leave_alone"].is_object() || decision["act"].is_object())
    })?;
    ensure!(decided.0.to_string().contains("a clean end"), "the drop-in was not read: {}", decided.0);
    not_restarted(watchdog, "victim")
}

#[test]
fn d11_a_unit_that_says_when_it_is_ready_and_when_it_reloads_is_given_that_time() -> Result<()> {
    play(|lab| {
        lab.sh("mkfifo /run/word")?;
        let script = "exec 3<>/run/word
(while read -r word <&3; do systemd-notify \"$word\"; done) &
read -r _ < /run/ready
systemd-notify --ready
exec victim 7000
";
        lab.write("/run/notifies.sh", script)?;
        lab.write("/run/ready", "yes\n")?;
        let unit = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh /run/notifies.sh\n[Install]\nWantedBy=multi-user.target\n";
        lab.unit("victim.service", unit)?;
        lab.start("victim.service")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let more = "timeout = \"1s\"\n[service.victim.restart]\ngrace = \"6s\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK + more), &["victim"])?;

        // it is started, and not again while it is not ready
        lab.sh("rm /run/ready; mkfifo /run/ready")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        watchdog.wait_for("its start", SOON, |e| is_restart(e, "victim"))?;
        lab.until_state("victim.service", "activating", SOON)?;
        lab.sh("echo yes > /run/ready")?;
        recovered_once(&watchdog, "victim", SOON)?;

        // it reloads, and does not answer meanwhile
        lab.sh("echo RELOADING=1 > /run/word")?;
        lab.until_state("victim.service", "reloading", SOON)?;
        lab.get("http://127.0.0.1:7000/mode/silent")?;
        let after = mono_us();
        failures(&watchdog, after)?;
        lab.get("http://127.0.0.1:7000/mode/well")?;
        lab.sh("echo READY=1 > /run/word")?;
        watchdog.wait_for("that it answers again", SOON, |e| is_alive(e, "victim") && e.mono_us() > after)?;
        ensure!(restarts(&watchdog, "victim").len() == 1, "restarted while it reloaded");

        // a reload without an end is none
        lab.sh("echo RELOADING=1 > /run/word")?;
        lab.until_state("victim.service", "reloading", SOON)?;
        lab.get("http://127.0.0.1:7000/mode/silent")?;
        let began = mono_us();
        let again =
            watchdog.wait_for("its restart", SOON, |e| is_restart(e, "victim") && e.mono_us() > began)?;
        ensure!(
            again.mono_us() - began > 4_000_000,
            "restarted {} us after its reload began",
            again.mono_us() - began
        );
        Ok(())
    })
}

/// Two heartbeats in a row say dead: without a reload it would be restarted now.
fn failures(watchdog: &Stream, after: u64) -> Result<()> {
    let first =
        watchdog.wait_for("a failed heartbeat", SOON, |e| is_dead(e, "victim") && e.mono_us() > after)?;
    watchdog
        .wait_for("another one", SOON, |e| is_dead(e, "victim") && e.mono_us() > first.mono_us() + 100_000)
        .map(drop)
}

/// A plan that waits, for this.
fn is_held(event: &Event, service: &str, hold: &str) -> bool {
    event.is("decision", service) && event.data("decision")["hold"]["hold"][hold].is_object()
}
