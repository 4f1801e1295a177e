//! An operator's "hands off": who, when and why; it outlives watchdog, and ends by itself.

use anyhow::{Context, Result, ensure};
use lab::Event;
use serde_json::Value;

use crate::stage::{SOON, Stage, play, restarts, victim};

fn status(lab: &Stage) -> Result<Value> {
    // the exit code says how the worst service is
    serde_json::from_str(&lab.sh("watchdog status --json || test $? -le 4")?).context("no JSON")
}

#[test]
fn a18_a_pause_outlives_watchdog_and_says_who_why_and_until_when() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        let watchdog = lab.watchdog_unit(&victim("web", 7001), "", &["web"])?;
        lab.sh("watchdog pause web --for ever --reason 'a debugger is attached'")?;
        let before = status(lab)?["services"][0]["pause"].clone();
        ensure!(before["reason"] == "a debugger is attached", "{before}");
        ensure!(
            before["by"].as_str().is_some_and(|by| by.starts_with("root (uid 0, by watchdog")),
            "{before}"
        );

        let old = watchdog.main_pid()?;
        watchdog.kill()?;
        watchdog.until_replaced(old, SOON)?;
        lab.until(SOON, || {
            let after = status(lab)?["services"][0]["pause"].clone();
            ensure!(after["since_wall_us"] == before["since_wall_us"], "{after}, before {before}");
            ensure!(after["by"] == before["by"] && after["reason"] == before["reason"], "{after}");
            Ok(())
        })?;
        let text = lab.sh("watchdog status || test $? -le 4")?;
        ensure!(text.contains("until it is resumed (a debugger is attached)"), "{text}");

        lab.sh("systemctl kill --signal=KILL web.service")?;
        let waits = |e: &Event| e.is("decision", "web") && e.0.to_string().contains("\"hold\":\"pause\"");
        watchdog.wait_for("the hold", SOON, waits)?;
        ensure!(restarts(&watchdog, "web").is_empty(), "it was restarted in its pause");
        lab.sh("watchdog resume web")?;
        lab.until_answers("http://127.0.0.1:7001/", SOON)?;
        ensure!(lab.sh("watchdog resume web")?.contains("was not paused"));
        Ok(())
    })
}

#[test]
fn a18_a_pause_ends_by_itself() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        let watchdog = lab.guard(&victim("web", 7001), &["web"])?;
        let body = r#"{"services": ["web"], "for": "3s", "reason": "curl"}"#;
        let curl = "curl -sS --unix-socket /run/watchdog/control.sock";
        let said = lab.sh(&format!("{curl} --json '{body}' http://watchdog/v1/pause"))?;
        ensure!(said.contains("\"done\":true"), "{said}");
        lab.sh("systemctl kill --signal=KILL web.service")?;
        let paused = |e: &Event| e.0.to_string().contains("\"reason\":\"curl\"") && e.is("command", "web");
        let paused = watchdog.wait_for("the pause", SOON, paused)?;
        let back = watchdog.wait_for("the restart after it", SOON, |e| e.is("recovered", "web"))?;
        ensure!(back.mono_us() >= paused.mono_us() + 3_000_000, "it was restarted in its pause");
        Ok(())
    })
}
