//! Where the kernel gives less, failures are seen by other ways, and it is told by which.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Event, Stream, mono_us};
use rustix::process::Signal;

use crate::stage::{QUICK, SELDOM, SOON, Stage, is_alive, not_restarted, play, recovered_once, victim};

/// Refused as by a filter that gives an error, and punished by death; the unit's own filter would not go with it.
const DENIED: &str = "SystemCallFilter=\nSystemCallFilter=~bpf:EPERM\n";
const DEADLY: &str = "SystemCallFilter=\nSystemCallErrorNumber=kill\nSystemCallFilter=~bpf\n";

/// The rung that serves a class, and why no better one does, in the last record of it.
fn serving(event: &Event, class: &str) -> Option<(String, String)> {
    let table = event.data("saw")["serving"].as_array()?;
    let row = table.iter().find(|row| row["class"] == class)?;
    let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Some((word("rung"), word("why")))
}

/// Waits until this class is served by this rung, with these words on why no better one serves.
fn until_served(watchdog: &Stream, class: &str, rung: &str, words: &[&str]) -> Result<()> {
    let is_so = |(by, why): (String, String)| by == rung && words.iter().all(|word| why.contains(word));
    watchdog
        .wait_for(&format!("{class} by {rung}, for {words:?}"), SOON, |event| {
            event.kind() == "sign.serving" && serving(event, class).is_some_and(is_so)
        })
        .map(drop)
}

/// Restarted once, by an event: the heartbeat's turn is far away.
fn a_death_is_acted_upon(lab: &Stage, watchdog: &Stream) -> Result<()> {
    let old = lab.main_pid("victim.service")?;
    let died = mono_us();
    lab.kill_main(Signal::KILL, "victim.service")?;
    lab.until_replaced("victim.service", old, SOON)?;
    let recovered = recovered_once(watchdog, "victim", SOON)?;
    ensure!(recovered.0.to_string().contains("SIGKILL"), "it does not say what killed it: {}", recovered.0);
    let after = Duration::from_micros(recovered.mono_us() - died);
    ensure!(after < Duration::from_secs(5), "it took {after:?}");
    Ok(())
}

/// Waits until every class is served by the rung that is said here; prints the table.
fn until_table(name: &str, watchdog: &Stream, wanted: &[(&str, &str)]) -> Result<()> {
    let is_wanted = |event: &Event| {
        let by = |class: &str| serving(event, class).map(|(rung, _)| rung);
        wanted.iter().all(|(class, rung)| by(class).as_deref() == Some(rung))
    };
    let told = watchdog
        .wait_for(&format!("the table of {name}"), SOON, |e| e.kind() == "sign.serving" && is_wanted(e))?;
    eprintln!("{name}");
    for row in told.data("saw")["serving"].as_array().into_iter().flatten() {
        eprintln!("  {row}");
    }
    Ok(())
}

#[test]
fn f1_which_rung_serves_which_class_is_told() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + SELDOM;
        let watchdog = lab.watchdog_unit(&configuration, "", &["victim"])?;
        let all = ["exit", "sender", "stop_request", "oom_kill", "zombie", "stopped", "listener_lost"];
        let all = all.into_iter().chain(["accept_stall", "answer_stall"]);
        until_table("all probes", &watchdog, &all.map(|class| (class, "tp_btf")).collect::<Vec<_>>())
    })?;
    // the lab is no first PID namespace, and has no memory controller
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + SELDOM;
        let watchdog = lab.watchdog_unit(&configuration, &format!("[Service]\n{DENIED}"), &["victim"])?;
        let without = [
            ("exit", "systemd"),
            ("sender", "heartbeat"),
            ("stop_request", "heartbeat"),
            ("oom_kill", "systemd"),
            ("zombie", "pidfd"),
            ("stopped", "heartbeat"),
        ];
        until_table("bpf() denied", &watchdog, &without)
    })
}

#[test]
fn f1_without_bpf_and_descriptors_of_processes_proc_is_looked_at() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + SELDOM;
        let filter = "[Service]\nSystemCallFilter=\nSystemCallFilter=~bpf:EPERM pidfd_open:ENOSYS\n";
        let watchdog = lab.watchdog_unit(&configuration, filter, &["victim"])?;
        until_served(&watchdog, "zombie", "procfs", &["descriptors of processes"])?;
        a_death_is_acted_upon(lab, &watchdog)
    })
}

#[test]
fn f1_without_bpf_a_death_is_still_acted_upon_at_once() -> Result<()> {
    for filter in [DENIED, DEADLY] {
        play(|lab| {
            lab.victim("victim", 7000, "")?;
            let configuration = victim("victim", 7000) + SELDOM;
            let watchdog = lab.watchdog_unit(&configuration, &format!("[Service]\n{filter}"), &["victim"])?;
            until_served(&watchdog, "exit", "systemd", &["bpf", "first PID namespace"])?;
            until_served(&watchdog, "sender", "heartbeat", &["bpf"])?;
            until_served(&watchdog, "zombie", "pidfd", &[])?;
            ensure!(watchdog.log().contains("SystemCallFilter="), "the log does not say: {}", watchdog.log());
            a_death_is_acted_upon(lab, &watchdog)?;
            watchdog.wait_for("the end that its descriptor told", SOON, |e| {
                e.is("sign.exit", "victim") && e.data("source") == "pidfd"
            })?;
            ensure!(lab.property("watchdog.service", "NRestarts")? == "0", "it died");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn f1_without_bpf_an_operators_stop_is_respected() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + QUICK + "[service.victim.restart]\non = \"always\"\n";
        let watchdog = lab.watchdog_unit(&configuration, &format!("[Service]\n{DENIED}"), &["victim"])?;
        let at = mono_us();
        lab.exec(&["systemctl", "restart", "victim.service"])?;
        watchdog.wait_for("a good answer after it", SOON, |e| is_alive(e, "victim") && e.mono_us() > at)?;
        lab.exec(&["systemctl", "stop", "victim.service"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
        })?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "inactive");
        not_restarted(&watchdog, "victim")
    })
}

#[test]
fn f1_a_systemd_that_is_not_reached_is_waited_for() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.configure(&(victim("victim", 7000) + SELDOM))?;
        // both ways to it are shut
        let away = "mv /run/systemd/private /run/systemd/private.away; mv /run/dbus/system_bus_socket /run/dbus/away";
        lab.sh(away)?;
        let watchdog = lab.watchdog_with(&[])?;
        lab.keep(&watchdog);
        watchdog.wait_for("that systemd is not reached", SOON, |e| {
            e.kind() == "sign.working"
                && e.data("source") == "units"
                && e.data("saw")["working"]["works"] == false
        })?;
        let back = "mv /run/systemd/private.away /run/systemd/private; mv /run/dbus/away /run/dbus/system_bus_socket";
        lab.sh(back)?;
        watchdog.wait_for("a good answer", SOON, |e| is_alive(e, "victim"))?;
        ensure!(
            watchdog.log().contains("systemd is not reached"),
            "the log does not say: {}",
            watchdog.log()
        );
        a_death_is_acted_upon(lab, &watchdog)
    })
}
