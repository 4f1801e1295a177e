//! `watchdog status`: every service at a glance, for people, programs and scripts; and who may look.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::stage::{SOON, Stage, play, victim};

/// Runs it with these words before and after; it must end with this code. Answers what it printed.
fn status(lab: &Stage, before: &[&str], after: &[&str], code: i32) -> Result<String> {
    let Output { status, stdout, stderr } = lab.run(&[before, &[lab::PROGRAM, "status"], after].concat())?;
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.code() == Some(code), "{status}, not {code}: {out}{err}");
    Ok(format!("{out}{err}"))
}

fn json(lab: &Stage, code: i32) -> Result<Value> {
    serde_json::from_str(&status(lab, &[], &["--json"], code)?).context("no JSON")
}

#[test]
fn a20_status_says_how_every_service_is_and_its_exit_code_the_worst() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        lab.configure(&(victim("one", 7001) + &victim("two", 7002)))?;
        let said = status(lab, &[], &[], 69)?;
        ensure!(said.contains("no watchdog runs"), "{said}");

        let _watchdog = lab.guard(&(victim("one", 7001) + &victim("two", 7002)), &["one", "two"])?;
        let now = json(lab, 0)?;
        ensure!(now["services"].as_array().is_some_and(|all| all.len() == 2), "{now}");
        ensure!(now["rungs"].as_array().is_some_and(|all| all.len() == 10), "{now}");
        let text = status(lab, &[], &["two.service"], 0)?;
        let has = |service: &str| text.lines().any(|line| line.starts_with(&format!("{service} ")));
        ensure!(has("two") && !has("one") && !text.contains('\x1b'), "{text}");
        ensure!(status(lab, &[], &["three"], 64)?.contains("one, two"));

        lab.sh("systemctl stop two.service")?;
        lab.until(SOON, || json(lab, 2).map(drop))?;
        let now = json(lab, 2)?;
        ensure!(
            now["services"][1]["stage"] == "stopped" && now["services"][1]["active"] == "inactive",
            "{now}"
        );
        status(lab, &[], &["one"], 0).map(drop)
    })
}

#[test]
fn a20_what_curl_reads_from_the_control_socket_is_metrics() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        let _watchdog = lab.guard(&victim("one", 7001), &["one"])?;
        let metrics = lab.sh("curl -sSf --unix-socket /run/watchdog/control.sock http://watchdog/metrics")?;
        let wanted = [
            "watchdog_service_healthy{service=\"one\",unit=\"one.service\"} 1",
            "watchdog_rung{class=\"exit\",rung=",
            "watchdog_restarts_total{service=\"one\"} 0",
            "# EOF",
        ];
        for line in wanted {
            ensure!(metrics.contains(line), "no {line:?} in {metrics}");
        }
        Ok(())
    })
}

#[test]
fn a20_only_root_and_the_group_may_look() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.sh("groupadd --system watchdog")?;
        let watchdog = lab.guard(&victim("one", 7001), &["one"])?;
        let nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];
        let member = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=watchdog"];
        ensure!(status(lab, &nobody, &[], 77)?.contains("group watchdog"));
        status(lab, &member, &[], 0)?;
        // the file lets everybody in; the kernel knows who they are
        lab.sh("chmod 666 /run/watchdog/control.sock")?;
        ensure!(status(lab, &nobody, &[], 77)?.contains("group watchdog"));
        status(lab, &member, &[], 0)?;

        watchdog.signal(rustix::process::Signal::TERM)?;
        watchdog.wait()?;
        lab.sh("test ! -e /run/watchdog/control.sock")?;
        Ok(())
    })
}

#[test]
fn a20_what_a_killed_watchdog_left_is_no_hindrance() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        let watchdog = lab.guard(&victim("one", 7001), &["one"])?;
        watchdog.signal(rustix::process::Signal::KILL)?;
        watchdog.wait()?;
        lab.sh("test -S /run/watchdog/control.sock")?;
        ensure!(status(lab, &[], &[], 69)?.contains("no watchdog runs"));
        let _next = lab.guard(&victim("one", 7001), &["one"])?;
        status(lab, &[], &[], 0).map(drop)
    })
}
