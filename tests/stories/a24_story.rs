//! The event stream tells the whole way from the first sign to the recovery, with one incident and the time of each step.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, is_alive, is_restart, play, recovered_once, victim};

#[test]
fn a24_the_stream_tells_detection_evidence_decision_action_and_result() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let killed = lab.kill_main(Signal::KILL, "victim.service")?;
        let recovered = recovered_once(&watchdog, "victim", SOON)?;
        let events = watchdog.events();
        let sign = events.iter().find(|e| e.kind() == "sign.exit").context("no sign of the exit")?;
        let suspicion = events.iter().find(|e| e.is("suspicion", "victim")).context("no suspicion")?;
        let decided = |e: &&lab::Event| e.is("decision", "victim") && e.0.to_string().contains("\"act\"");
        let decision = events.iter().find(decided).context("no decision")?;
        let action = events.iter().find(|e| is_restart(e, "victim")).context("no action")?;
        let outcome = events.iter().find(|e| e.is("outcome", "victim")).context("no outcome")?;
        let proof = |e: &&lab::Event| is_alive(e, "victim") && e.mono_us() > killed;
        let heartbeat = events.iter().find(proof).context("no proof")?;
        let way = [sign, suspicion, decision, action, outcome, heartbeat, &recovered];
        let times: Vec<u64> = way.iter().map(|e| e.mono_us()).collect();
        ensure!(times.is_sorted() && times[0] >= killed, "{times:?} do not follow {killed}");
        for step in [decision, action, outcome, heartbeat] {
            ensure!(step.data("incident") == recovered.data("incident"), "{} is of another incident", step.0);
        }
        for event in &events {
            let envelope =
                ["specversion", "id", "source", "type", "time"].map(|key| event.0[key].is_string());
            ensure!(envelope == [true; 5] && event.mono_us() > 0, "{} is no whole record", event.0);
        }
        ensure!(watchdog.stream().torn().is_empty(), "every line is JSON");
        Ok(())
    })
}
