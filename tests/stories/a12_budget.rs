//! A budget of restarts; when it is spent the service is still watched, tried slowly, and comes out of it by itself.

use anyhow::{Result, ensure};

use crate::stage::{SOON, is_dead, play, recovered, restarts, victim};

#[test]
fn a12_a_spent_budget_means_quarantine_and_quarantine_ends_by_itself() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let more = "every = \"1s\"
every_in_use = \"1s\"
[service.victim.restart]
grace = \"500ms\"
burst = 2
within = \"8s\"
backoff = \"100ms\"
backoff_max = \"1s\"
";
        let watchdog = lab.guard(&(victim("victim", 7000) + more), &["victim"])?;
        lab.write("/etc/victim/7000", "500")?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        let quarantined = watchdog.wait_for("quarantine", SOON, |e| e.is("quarantined", "victim"))?;
        let spent = restarts(&watchdog, "victim").len();
        ensure!(spent == 2, "{spent} restarts before quarantine");
        watchdog.wait_for("a heartbeat in quarantine", SOON, |e| {
            is_dead(e, "victim") && e.data("began_us").as_u64() > Some(quarantined.mono_us())
        })?;
        lab.sh("rm /etc/victim/7000")?;
        recovered(&watchdog, "victim", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
