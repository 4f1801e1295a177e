//! `watchdog doctor`: by what failures would be seen on this host, what is missing for better, and what to do.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, play, victim};

/// Runs it with these words before it; answers its exit code and what it found.
fn doctor(lab: &Stage, before: &[&str]) -> Result<(Option<i32>, Value)> {
    let Output { status, stdout, stderr } =
        lab.run(&[before, &[lab::PROGRAM, "doctor", "--json"]].concat())?;
    let report = serde_json::from_slice(&stdout);
    Ok((status.code(), report.with_context(|| format!("{status}: {}", String::from_utf8_lossy(&stderr)))?))
}

fn rung<'a>(report: &'a Value, class: &str) -> &'a str {
    let all = report["rungs"].as_array();
    let found = all.and_then(|all| all.iter().find(|it| it["class"] == class));
    found.and_then(|it| it["rung"].as_str()).unwrap_or_default()
}

fn finds(report: &Value, words: &str) -> bool {
    let all = report["findings"].as_array();
    all.is_some_and(|all| all.iter().any(|it| it["what"].as_str().is_some_and(|what| what.contains(words))))
}

#[test]
fn doctor_sees_the_best_rungs_where_the_probes_load_makes_no_file_and_tells_what_the_daemon_has() -> Result<()>
{
    play(|lab| {
        let (_, report) = doctor(lab, &[])?;
        for class in ["exit", "sender", "listener_lost", "accept_stall", "answer_stall"] {
            ensure!(rung(&report, class) == "tp_btf", "{class}: {report}");
        }
        ensure!(report["systemd"] == "private socket", "{report}");
        ensure!(finds(&report, "PID and network namespace"), "a lab has namespaces of its own: {report}");
        ensure!(report["running"].is_null() && report["units"] == json!([]), "{report}");
        lab.sh("test ! -e /run/watchdog/control.sock; test ! -e /run/watchdog/lock")?;

        // root has everything here, the unit has not
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        watchdog.wait_for("the rungs", SOON, |e| e.kind() == "sign.serving")?;
        let (code, report) = doctor(lab, &[])?;
        let class = "server_errors";
        ensure!(rung(&report, class) == "cgroup_skb", "root: {report}");
        let running = &report["running"];
        ensure!(rung(running, class) != "cgroup_skb" && rung(running, "exit") == "tp_btf", "{report}");
        ensure!(code == Some(1), "the daemon sees by less: {code:?}");
        let unit = &report["units"][0];
        ensure!(
            unit["unit"] == "watchdog.service" && unit["has"] == json!(["CAP_BPF", "CAP_PERFMON"]),
            "{report}"
        );
        let lacks: Vec<&str> = unit["lacks"]
            .as_array()
            .context("no list")?
            .iter()
            .filter_map(|it| it["capability"].as_str())
            .collect();
        ensure!(lacks.contains(&"CAP_NET_ADMIN") && lacks.contains(&"CAP_SYS_PTRACE"), "{lacks:?}");
        Ok(())
    })
}

#[test]
fn doctor_says_that_a_filter_of_system_calls_denies_the_probes() -> Result<()> {
    play(|lab| {
        let run = [
            "systemd-run",
            "--quiet",
            "--wait",
            "--pipe",
            "--property=SystemCallFilter=~bpf",
            "--property=SystemCallErrorNumber=EPERM",
        ];
        let (code, report) = doctor(lab, &run)?;
        ensure!(code == Some(1), "{code:?}: {report}");
        ensure!(finds(&report, "filter of system calls"), "{report}");
        for (class, by) in [("accept_stall", "sock_diag"), ("zombie", "pidfd")] {
            ensure!(rung(&report, class) == by, "{class}: {report}");
        }
        let (code, report) = doctor(lab, &[&run[..4], &["--property=SystemCallFilter=~bpf"]].concat())?;
        ensure!(code == Some(1) && rung(&report, "zombie") == "pidfd", "killed for it: {code:?}: {report}");
        Ok(())
    })
}

#[test]
fn doctor_says_which_capabilities_are_missing() -> Result<()> {
    play(|lab| {
        let without =
            ["setpriv", "--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-bpf,-sys_admin,-perfmon"];
        let (code, report) = doctor(lab, &without)?;
        ensure!(code == Some(1) && finds(&report, "CAP_BPF and CAP_PERFMON"), "{code:?}: {report}");
        Ok(())
    })
}

#[test]
fn doctor_says_that_tracefs_is_not_mounted() -> Result<()> {
    play(|lab| {
        let hidden = "mount -t tmpfs tmpfs /sys/kernel/tracing || true; mount -t tmpfs tmpfs /sys/kernel/debug || true; exec \"$@\"";
        let (_, report) = doctor(lab, &["unshare", "--mount", "sh", "-ec", hidden, "sh"])?;
        ensure!(finds(&report, "tracefs"), "{report}");
        Ok(())
    })
}

#[test]
fn doctor_that_is_not_root_says_so() -> Result<()> {
    play(|lab| {
        let output = lab.run(&["setpriv", "--reuid=nobody", "--clear-groups", lab::PROGRAM, "doctor"])?;
        ensure!(output.status.code() == Some(77), "{}", output.status);
        ensure!(String::from_utf8_lossy(&output.stderr).contains("sudo watchdog doctor"));
        Ok(())
    })
}
