//! A drill: the fault is real, it is asked for first, and its recovery is measured beside what is promised.

use anyhow::{Context, Result, ensure};
use lab::Event;
use serde_json::Value;

use crate::stage::{QUICK, SOON, Stage, WEB, not_restarted, play, victim};

const UNIT: &str = "nginx.service";
const OFTEN: &str = "[service.web.restart]\nbackoff = \"100ms\"\nburst = 20\n";

/// nginx with a few workers, and watchdog.
fn guarded(lab: &Stage) -> Result<lab::Watchdog> {
    lab.sh("sed -i 's/^worker_processes.*/worker_processes 3;/' /etc/nginx/nginx.conf")?;
    lab.start(UNIT)?;
    lab.guard(&format!("{WEB}{QUICK}{OFTEN}"), &["web"])
}

#[test]
fn f14_a_drill_on_nginx_measures_its_recovery_from_each_fault() -> Result<()> {
    play(|lab| {
        let watchdog = guarded(lab)?;
        for (fault, done) in [
            ("kill", "nginx.service: SIGKILL sent to its main process"),
            ("stop", "nginx.service: SIGSTOP sent to all of its 4 processes"),
            ("hang", "nginx.service: SIGSTOP sent to 3 of its 4 processes"),
        ] {
            let old = lab.main_pid(UNIT)?;
            let told = lab.sh(&format!("watchdog drill web --{fault} --yes --json"))?;
            let drill: Value = serde_json::from_str(&told).context("no JSON")?;
            let incident = drill["incident"].as_str().context("no incident")?;
            ensure!(drill["recovered"] == true && drill["fault"] == fault, "{drill}");
            ensure!(drill["done"].as_str().is_some_and(|it| it.starts_with(done)), "{drill}");
            let moments = drill["moments"].as_array().context("no moments")?;
            let names: Vec<&str> = moments.iter().filter_map(|it| it["name"].as_str()).collect();
            ensure!(names == ["seen", "verdict", "request", "answer"], "{drill}");
            let after: Vec<u64> = moments.iter().filter_map(|it| it["after_us"].as_u64()).collect();
            ensure!(after.len() == 4 && after.is_sorted(), "{drill}");
            // what it measured is what the stream tells
            let request = watchdog
                .wait_for("the request", SOON, |e| e.is("action", "web") && e.data("incident") == incident)?;
            ensure!(
                moments[2]["told"].as_str().is_some_and(|it| it.contains(UNIT)),
                "{drill}, {}",
                request.0
            );
            ensure!(lab.main_pid(UNIT)? != old, "it is the old one");
            lab.until_answers("http://127.0.0.1/", SOON)?;
        }
        // who asked for it is on record
        let asked = |e: &Event| e.kind() == "command" && e.0.to_string().contains("/v1/drill");
        let audit = watchdog.wait_for("who asked", SOON, asked)?;
        ensure!(audit.0.to_string().contains("root"), "{}", audit.0);
        let text = lab.sh("watchdog drill nginx.service --kill --yes")?;
        ensure!(text.contains("promised: at once") && text.contains("RECOVERED in"), "{text}");
        Ok(())
    })
}

/// The drill is refused with this exit code and these words, and nothing is done.
fn refused(lab: &Stage, command: &str, code: i32, why: &str) -> Result<()> {
    let output = lab.run(&["sh", "-c", command])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{command}: {}: {said}", output.status);
    ensure!(said.contains(why) && output.stdout.is_empty(), "{command}: {said}");
    Ok(())
}

#[test]
fn f14_a_drill_is_refused_where_nothing_would_bring_the_service_back() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.victim("other", 7001, "")?;
        lab.victim("sick", 7002, "")?;
        let once = |name: &str| format!("[service.{name}.restart]\nburst = 1\n");
        let configuration = victim("victim", 7000)
            + QUICK
            + &once("victim")
            + &victim("other", 7001)
            + QUICK
            + &victim("sick", 7002)
            + QUICK
            + &once("sick")
            + "grace = \"500ms\"\n";
        let watchdog = lab.guard(&configuration, &["victim", "other", "sick"])?;
        lab.write("/etc/victim/7002", "500")?;
        lab.get("http://127.0.0.1:7002/mode/500")?;
        let old = lab.main_pid("other.service")?;

        refused(lab, "watchdog drill other", 64, "say --yes")?;
        refused(lab, "watchdog drill nobody --yes", 64, "\"nobody\"")?;
        refused(lab, "watchdog drill '*' --yes", 64, "one service")?;
        refused(lab, "setpriv --reuid=65534 --clear-groups watchdog drill other --yes", 77, "not root")?;
        lab.sh("watchdog pause other --for 10m --reason 'a debugger is attached'")?;
        refused(lab, "watchdog drill other --kill --yes", 75, "paused")?;
        lab.sh("watchdog resume other; systemctl stop other.service")?;
        lab.until(SOON, || refused(lab, "watchdog drill other --hang --yes", 75, "is not active"))?;
        lab.start("other.service")?;
        not_restarted(&watchdog, "other")?;
        ensure!(lab.main_pid("other.service")? != old, "it was started anew by an operator");

        // its only restart is spent by the first
        lab.sh("watchdog drill victim --kill --yes")?;
        refused(lab, "watchdog drill victim --kill --yes", 75, "used up")?;

        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "sick"))?;
        let old = lab.main_pid("sick.service")?;
        for fault in ["kill", "stop", "hang"] {
            refused(lab, &format!("watchdog drill sick --{fault} --yes"), 75, "it is in quarantine")?;
        }
        ensure!(lab.main_pid("sick.service")? == old, "it was hurt in quarantine");
        Ok(())
    })
}

/// How many processes of nginx are stopped (T).
fn frozen(lab: &Stage) -> Result<usize> {
    Ok(lab.sh("ps -C nginx -o stat=")?.lines().filter(|state| state.starts_with('T')).count())
}

#[test]
fn f14_whoever_ends_a_drill_leaves_no_process_stopped() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        // the verdict is far away: the drill is ended before it
        let watchdog = lab.guard(&(WEB.to_owned() + "timeout = \"1m\"\n"), &["web"])?;
        for (fault, signal) in [("stop", "INT"), ("hang", "TERM"), ("stop", "HUP")] {
            lab.sh(&format!(
                "systemd-run --quiet --unit={signal} --remain-after-exit --property=StandardError=file:/run/{signal} {} drill web \
                 --{fault} --yes",
                lab::PROGRAM
            ))?;
            lab.until(SOON, || {
                ensure!(
                    lab.read(&format!("/run/{signal}"))?.contains("waiting for its recovery"),
                    "no harm yet"
                );
                Ok(())
            })?;
            ensure!(frozen(lab)? > 0, "nothing is stopped");
            let unit = format!("{signal}.service");
            lab.exec(&["systemctl", "kill", &format!("--signal={signal}"), &unit])?;
            lab.until(SOON, || {
                ensure!(lab.property(&unit, "SubState")? != "running", "it goes on");
                Ok(())
            })?;
            // exited, EX_TEMPFAIL
            let how = (lab.property(&unit, "ExecMainCode")?, lab.property(&unit, "ExecMainStatus")?);
            assert_eq!(how, ("1".into(), "75".into()), "{}", lab.read(&format!("/run/{signal}"))?);
            let said = lab.read(&format!("/run/{signal}"))?;
            ensure!(said.contains("interrupted: its ") && said.contains("go on (SIGCONT)"), "{said}");
            ensure!(frozen(lab)? == 0, "left stopped by SIG{signal}");
            lab.until_answers("http://127.0.0.1/", SOON)?;
            // well again, as the next drill demands
            lab.until(SOON, || lab.sh("watchdog status web").map(drop))?;
        }
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn f14_a_drill_is_refused_where_watchdog_only_observes() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let observe = "[watchdog]\nmode = \"observe\"\n".to_owned();
        lab.guard(&(observe + &victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        refused(lab, "watchdog drill victim --stop --yes", 75, "observe")?;
        ensure!(lab.main_pid("victim.service")? == old, "it was hurt");
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
