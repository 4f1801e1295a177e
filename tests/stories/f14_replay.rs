//! A recorded stream is told to the policy again.

use anyhow::{Context, Result, ensure};

use crate::stage::{SOON, Stage, is_restart, play, recovered, victim};

#[test]
fn f14_a_recorded_stream_replays_without_a_difference_and_an_edited_one_does_not() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + "[service.victim.restart]\nbackoff = \"100ms\"\n";
        let watchdog = lab.guard(&configuration, &["victim"])?;
        for count in 1..=2 {
            lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
            recovered(&watchdog, "victim", count, SOON)?;
        }
        lab.configure(&(configuration + "burst = 9\n"))?;
        watchdog.signal(rustix::process::Signal::HUP)?;
        let in_force = |e: &lab::Event| e.kind() == "state" && e.0.to_string().contains("\"burst\":9");
        watchdog.wait_for("the new settings", SOON, in_force)?;
        lab.kill_main(rustix::process::Signal::KILL, "victim.service")?;
        recovered(&watchdog, "victim", 3, SOON)?;

        let lines: Vec<String> = watchdog.events().iter().map(|event| event.0.to_string()).collect();
        let (code, told) = replay(lab, &lines)?;
        ensure!(code == 0, "a difference: {told}");
        ensure!(
            told["differences"] == serde_json::json!([]) && told["gaps"] == serde_json::json!([]),
            "{told}"
        );
        ensure!(told["actions"] == 3 && told["states"] == 1 && told["stretches"] == 1, "{told}");

        let acted = watchdog.events().iter().position(|e| is_restart(e, "victim")).context("no restart")?;
        let killed = lines[..acted].iter().rposition(|line| line.contains("\"main_exit\""));
        let killed = killed.context("no end of the main process")?;
        let mut edited = lines.clone();
        edited[killed] = edited[killed].replace("\"signal\":9", "\"signal\":11");
        let (code, told) = replay(lab, &edited)?;
        ensure!(code == 1, "the edited line {} is not found: {told}", killed + 1);
        ensure!(told["differences"][0]["line"].as_u64() > Some(killed as u64), "{told}");
        Ok(())
    })
}

/// The exit code and what it says as JSON.
fn replay(lab: &Stage, lines: &[String]) -> Result<(i32, serde_json::Value)> {
    lab.write("/run/events.jsonl", &(lines.join("\n") + "\n"))?;
    let out = lab.command(lab::PROGRAM).args(["replay", "--json", "/run/events.jsonl"]).output()?;
    let told = serde_json::from_slice(&out.stdout).with_context(|| format!("{out:?}"))?;
    Ok((out.status.code().context("it was killed")?, told))
}
