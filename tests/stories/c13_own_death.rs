//! watchdog itself dies: systemd brings it back at once, nothing that it guards has noticed, and nothing was missed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Event, SERVICE, Stream};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, WEB, not_restarted, play, recovered_once, victim};

/// Long enough for a test to do something meanwhile.
const AWAY: &str = "[Service]\nRestartSec=3s\n";

#[test]
fn c13_killed_it_runs_again_at_once_and_services_are_untouched() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&(victim("victim", 7000) + WEB), "", &["victim", "web"])?;
        let mains = || -> Result<_> { Ok([lab.main_pid("victim.service")?, lab.main_pid("nginx.service")?]) };
        let (before, all) = (mains()?, kept(lab)?);
        for life in 1..=3 {
            let old = watchdog.main_pid()?;
            let killed = watchdog.kill()?;
            watchdog.until_replaced(old, SOON)?;
            let ready: u64 = lab.property(SERVICE, "ActiveEnterTimestampMonotonic")?.parse()?;
            let down = Duration::from_micros(ready.saturating_sub(killed));
            eprintln!("life {life}: running again after {down:?}");
            ensure!(ready > killed, "it did not come back");
        }
        assert_eq!(lab.property(SERVICE, "RestartUSec")?, "250ms", "systemd's pause before each life");
        ensure!(mains()? == before, "a service has another main process");
        assert_eq!(kept(lab)?, all, "descriptors that systemd keeps: none was kept twice");
        not_restarted(&watchdog, "victim")?;
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn c13_a_death_that_it_missed_is_told_by_its_successor_with_who_killed_and_mended() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), AWAY, &["victim"])?;
        let (own, old) = (watchdog.main_pid()?, lab.main_pid("victim.service")?);
        watchdog.kill()?;
        lab.until_state(SERVICE, "activating", SOON)?;
        lab.kill("KILL", old)?;
        lab.until_state("victim.service", "failed", SOON)?;
        let dead = lab::mono_us();
        watchdog.until_replaced(own, SOON)?;
        lab.until_replaced("victim.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let recovered = recovered_once(&watchdog, "victim", SOON)?;
        let exit = watchdog.wait_for("the end of the victim", SOON, |e| e.is("sign.exit", "victim"))?;
        ensure!(
            exit.mono_us() < dead && says(&exit, "\"signal\":9"),
            "it is not the kernel's word: {}",
            exit.0
        );
        let sent = watchdog.wait_for("the signal", SOON, |e| e.is("sign.signal", "victim"))?;
        ensure!(says(&sent, "\"comm\":\"kill\""), "it does not say who sent it: {}", sent.0);
        ensure!(
            says(&recovered, "SIGKILL") && says(&recovered, "kill"),
            "it does not say why: {}",
            recovered.0
        );
        Ok(())
    })
}

#[test]
fn c13_a_successor_with_another_configuration_watches_what_that_says() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        let watchdog = lab.watchdog_unit(&victim("one", 7001), "", &["one"])?;
        let own = watchdog.main_pid()?;
        lab.configure(&victim("two", 7002))?;
        watchdog.kill()?;
        watchdog.until_replaced(own, SOON)?;
        watchdog.wait_for("a good answer", SOON, |e| crate::stage::is_alive(e, "two"))?;
        let (one, two) = (lab.main_pid("one.service")?, lab.main_pid("two.service")?);
        lab.kill("KILL", one)?;
        lab.kill("KILL", two)?;
        lab.until_replaced("two.service", two, SOON)?;
        let recovered = recovered_once(&watchdog, "two", SOON)?;
        ensure!(says(&recovered, "SIGKILL"), "it does not say why: {}", recovered.0);
        assert_eq!(lab.property("one.service", "ActiveState")?, "failed", "nobody guards it any more");
        Ok(())
    })
}

#[test]
fn c13_what_is_kept_and_is_none_of_ours_is_set_aside_with_a_warning() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        let old = watchdog.main_pid()?;
        watchdog.kill()?;
        let own = watchdog.until_replaced(old, SOON)?;
        let names =
            lab.sh(&format!("tr '\\0' '\\n' < /proc/{own}/environ | sed -n 's/^LISTEN_FDNAMES=//p'"))?;
        let names: Vec<&str> = names.trim().split(':').collect();
        let all = kept(lab)?;
        assert_eq!(names.len().to_string(), all, "{names:?}");
        let ours = names[0].split_inclusive('-').take(2).collect::<String>();
        let another_abi: Vec<String> = names.iter().map(|name| name.replace(&ours, "watchdog-1-")).collect();

        let none_of_ours = format!("there is no {ours}");
        for (names, why) in [(names.join(" "), "EVENTS is no map"), (another_abi.join(" "), &none_of_ours)] {
            lab.exec(&["systemctl", "stop", SERVICE])?;
            let leave = format!("[Service]\nNotifyAccess=all\nExecStartPre=/usr/local/bin/leaver {names}\n");
            lab.drop_in(SERVICE, &leave)?;
            lab.exec(&["systemctl", "start", SERVICE])?;
            let warning =
                format!("what systemd has kept is set aside, and the probes are loaded anew: {why}");
            says_log(lab, &watchdog, &warning)?;
            assert_eq!(kept(lab)?, all, "what is none of ours is kept no more");
        }
        let old = lab.main_pid("victim.service")?;
        lab.kill("KILL", old)?;
        lab.until_replaced("victim.service", old, SOON)?;
        let exit = watchdog.wait_for("the end of the victim", SOON, |e| e.is("sign.exit", "victim"))?;
        ensure!(says(&exit, "\"signal\":9"), "{}", exit.0);
        recovered_once(&watchdog, "victim", SOON).map(drop)
    })
}

#[test]
fn c13_a_restart_goes_on_with_the_probes_and_a_stop_leaves_none() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        let all = kept(lab)?;
        lab.exec(&["systemctl", "restart", SERVICE])?;
        says_log(lab, &watchdog, "goes on with the probes of the watchdog before")?;
        assert_eq!(kept(lab)?, all);
        lab.exec(&["systemctl", "stop", SERVICE])?;
        assert_eq!(kept(lab)?, "0");
        Ok(())
    })
}

#[test]
fn c13_a_systemd_that_is_replaced_goes_on_keeping_them() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        let all = kept(lab)?;
        ensure!(all != "0", "nothing is kept");
        lab.exec(&["systemctl", "daemon-reexec"])?;
        assert_eq!(kept(lab)?, all);
        let own = watchdog.main_pid()?;
        watchdog.kill()?;
        watchdog.until_replaced(own, SOON)?;
        says_log(lab, &watchdog, "goes on with the probes of the watchdog before")
    })
}

#[test]
fn c13_a_stop_by_an_operator_that_it_missed_is_respected() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        // says by its exit code that it was stopped, which systemd calls a failure
        let java = "/bin/sh -c 'trap \"exit 143\" TERM; while :; do sleep 1 & wait $!; done'";
        lab.service("java.service", java, "")?;
        let configuration = victim("victim", 7000)
            + "[service.victim.restart]\non = \"always\"\n[service.java]\nunit = \"java.service\"\n";
        let watchdog = lab.watchdog_unit(&configuration, AWAY, &["victim"])?;
        watchdog.wait_for("java to be seen", SOON, |e| e.is("sign.unit", "java"))?;
        let own = watchdog.main_pid()?;
        let killed = watchdog.kill()?;
        lab.until_state(SERVICE, "activating", SOON)?;
        lab.exec(&["systemctl", "stop", "victim.service", "java.service"])?;
        watchdog.until_replaced(own, SOON)?;
        for service in ["victim", "java"] {
            watchdog.wait_for("that it is left alone", SOON, |e| {
                e.is("decision", service) && e.mono_us() > killed && says(e, "leave_alone")
            })?;
            not_restarted(&watchdog, service)?;
        }
        assert_eq!(lab.property("victim.service", "ActiveState")?, "inactive");
        assert_eq!(lab.property("java.service", "ActiveState")?, "failed");
        Ok(())
    })
}

#[test]
fn c13_hung_it_is_replaced() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let hasty = "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n";
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), hasty, &["victim"])?;
        let own = watchdog.main_pid()?;
        // while it decides, systemd hears of it
        let pinged = || -> Result<u64> { Ok(lab.property(SERVICE, "WatchdogTimestampMonotonic")?.parse()?) };
        let first = pinged()?;
        lab.until(SOON, || {
            ensure!(pinged()? > first + 2_000_000, "it has not pinged for longer than it may");
            Ok(())
        })?;
        assert_eq!(watchdog.main_pid()?, own, "it was replaced while it was well");
        lab.kill_all(Signal::STOP, SERVICE)?;
        watchdog.until_replaced(own, SOON)?;
        says_log(lab, &watchdog, "goes on with the probes of the watchdog before")
    })
}

#[test]
fn b15_its_memory_is_locked_and_others_are_killed_before_it() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        let own = watchdog.main_pid()?;
        let status = lab.read(&format!("/proc/{own}/status"))?;
        let kb = |key: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        eprintln!("locked {} kB, resident {} kB", kb("VmLck:")?, kb("VmRSS:")?);
        ensure!(kb("VmLck:")? > 0, "its memory may be swapped out:\n{status}");
        let score = lab.read(&format!("/proc/{own}/oom_score_adj"))?;
        // a host that does not let it says so
        ensure!(
            score.trim() == "-900" || watchdog.log().contains("the OOM killer may take it early"),
            "{score}"
        );
        Ok(())
    })
}

/// Waits until watchdog's log holds these words.
fn says_log(lab: &Stage, watchdog: &Stream, words: &str) -> Result<()> {
    lab.until(SOON, || {
        ensure!(watchdog.log().contains(words), "it did not say {words:?}");
        Ok(())
    })
}

/// How many descriptors systemd keeps for watchdog.
fn kept(lab: &Stage) -> Result<String> {
    lab.property(SERVICE, "NFileDescriptorStore")
}

fn says(event: &Event, words: &str) -> bool {
    event.0.to_string().contains(words)
}
