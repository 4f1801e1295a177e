//! `watchdog why` and `watchdog events`: what happened, with the evidence, the rule and the times, whether a watchdog runs or not.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{SOON, Stage, play, recovered, recovered_once, victim};

/// Runs a command of watchdog that must end with this code; answers what it printed.
pub(crate) fn say(lab: &Stage, arguments: &[&str], code: i32) -> Result<String> {
    let Output { status, stdout, stderr } = lab.run(&[&[lab::PROGRAM], arguments].concat())?;
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    ensure!(status.code() == Some(code), "{arguments:?}: {status}, not {code}: {said}");
    Ok(said)
}

/// Without the line breaks that only make it fit.
fn unbroken(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The story is told once it is kept, which is soon: the writer has a thread of its own.
fn told(lab: &Stage, service: &str, words: &[&str]) -> Result<String> {
    let mut text = String::new();
    lab.until(SOON, || {
        text = unbroken(&say(lab, &["why", service], 0)?);
        let missing = words.iter().find(|word| !text.contains(**word));
        ensure!(missing.is_none(), "no {missing:?} in {text}");
        Ok(())
    })?;
    ensure!(!text.contains('\x1b'), "colours without a terminal: {text}");
    Ok(text)
}

#[test]
fn g12_why_tells_a_death_a_hang_and_an_operators_stop_also_when_nobody_runs() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.configure(&victim("victim", 7000))?;
        ensure!(say(lab, &["why", "victim"], 0)?.contains("no incident"));
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        ensure!(say(lab, &["why", "victor"], 64)?.contains("there are victim"));

        let killed = lab.main_pid("victim.service")?;
        lab.kill("KILL", killed)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let words =
            ["ended by SIGKILL, sent by process", "(kill, uid 0", "start victim.service", "RECOVERED"];
        let text = told(lab, "victim", &words)?;
        ensure!(
            text.contains(&format!("main process {killed} ")) && text.contains("first sign → "),
            "{text}"
        );

        lab.kill_main(Signal::STOP, "victim.service")?;
        lab.sh("curl -sS -m 3 http://127.0.0.1:7000/ || true")?;
        recovered(&watchdog, "victim", 2, SOON)?;
        let words = [
            "was stopped by SIGSTOP",
            "no complete answer within 3 s (phase: headers)",
            "connections: 0 accepted",
            "is stopped (T)",
            "because heartbeat failed 2 times in a row",
            "restart victim.service",
            "RECOVERED",
            "Before that",
        ];
        told(lab, "victim.service", &words)?;

        lab.exec(&["systemctl", "stop", "victim.service"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
        })?;
        let words = ["left alone: stopped on request", "(systemctl) of user 0", "left as it is"];
        told(lab, "victim", &words)?;

        watchdog.signal(Signal::KILL)?;
        watchdog.wait()?;
        let text = told(lab, "victim", &["left alone: stopped on request", "No watchdog runs now"])?;
        let told: Value = serde_json::from_str(&say(lab, &["why", "victim", "--json"], 0)?)?;
        ensure!(told["incident"]["end"] == "stood_down" && told["earlier"][1].is_object(), "{told}");
        let first = told["earlier"][1]["what"].as_str().context("no line")?;
        let first = first.split_once(": ").context("no id")?.0;
        let again = unbroken(&say(lab, &["why", "victim", first], 0)?);
        ensure!(again.contains("ended by SIGKILL") && !again.contains("Before that"), "{again}{text}");
        ensure!(say(lab, &["why", "victim", "1-1"], 64)?.contains(first));

        let events = say(lab, &["events", "vic*", "--since", "1h"], 0)?;
        for words in ["victim: main process", "victim: DEAD after", "victim: RECOVERED", "victim: left alone"]
        {
            ensure!(events.lines().any(|line| line.contains(words)), "no {words:?} in {events}");
        }
        let raw = say(lab, &["events", "--json", "--lines", "2"], 0)?;
        let types: Vec<Value> = raw.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(types.len() == 2 && types.iter().all(|it| it["specversion"] == "1.0"), "{raw}");
        ensure!(say(lab, &["events", "victim", "--since", "0s"], 0)?.contains("nothing happened"));
        ensure!(say(lab, &["events", "other"], 64)?.contains("no service"));
        say(lab, &["events", "--since", "yesteryear"], 64).map(drop)
    })
}

#[test]
fn g12_why_tells_a_quarantine_and_what_is_in_a_recorded_stream() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "every = \"1s\"
every_in_use = \"1s\"
[service.victim.restart]
grace = \"500ms\"
burst = 2
within = \"1h\"
backoff = \"100ms\"
backoff_max = \"1h\"
";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        lab.write("/etc/victim/7000", "500")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "victim"))?;
        let words = ["QUARANTINED", "status 500", "with 2 restarts: its budget is spent"];
        told(lab, "victim", &words)?;
        let lines: Vec<String> = watchdog.events().iter().map(|event| event.0.to_string()).collect();
        lab.write("/run/events.jsonl", &(lines.join("\n") + "\n"))?;
        let recorded = unbroken(&say(lab, &["why", "victim", "--file", "/run/events.jsonl"], 0)?);
        ensure!(words.iter().all(|word| recorded.contains(word)), "{recorded}");
        Ok(())
    })
}
