//! Who did it: whoever killed the main process, or had systemd stop the unit, is told with process, user and unit.

use anyhow::{Context, Result, ensure};
use lab::Event;

use crate::stage::{SOON, Stage, play, recovered_once, victim};

/// What was decided of the unit, from its end on.
fn left_alone(event: &Event) -> Option<&str> {
    event.data("decision")["leave_alone"]["why"].as_str()
}

/// A victim is killed by this, and is back: its recovery tells these words.
fn killed_by(kill: impl FnOnce(&Stage) -> Result<()>, told: &[&str]) -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        kill(lab)?;
        lab.until_replaced("victim.service", old, SOON)?;
        let text = recovered_once(&watchdog, "victim", SOON)?.0.to_string();
        for words in told {
            ensure!(text.contains(words), "it does not say {words:?}: {text}");
        }
        Ok(())
    })
}

#[test]
fn b2_f3_a_kill_from_a_shell_names_the_shell_and_its_user() -> Result<()> {
    let kill = |lab: &Stage| {
        let main = lab.main_pid("victim.service")?;
        lab.sh(&format!("kill -KILL {main}")).map(drop)
    };
    killed_by(kill, &["signal 9 (SIGKILL), sent by process ", "(sh) of user 0"])
}

#[test]
fn b2_f3_a_kill_by_a_job_of_a_timer_names_its_unit() -> Result<()> {
    let kill = |lab: &Stage| {
        let main = lab.main_pid("victim.service")?;
        lab.unit("reaper.service", &format!("[Service]\nType=oneshot\nUser=nobody\nAmbientCapabilities=CAP_KILL\nExecStart=/bin/kill -KILL {main}\n"))?;
        lab.unit("reaper.timer", "[Timer]\nOnActiveSec=1ms\nAccuracySec=1ms\n")?;
        lab.sh("systemctl start reaper.timer").map(drop)
    };
    killed_by(kill, &["(kill) of user 65534 in reaper.service"])
}

#[test]
fn b2_f3_a_stop_names_the_systemctl_that_asked_for_it_and_any_other_is_not_known() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.sh("systemctl stop victim.service")?;
        let stood_down = |e: &Event| e.is("decision", "victim") && left_alone(e).is_some();
        let first = watchdog.wait_for("the stop", SOON, stood_down)?;
        let why = left_alone(&first).context("no reason")?;
        ensure!(why.contains("asked for by") && why.contains("(systemctl) of user 0"), "{why}");

        // whatever asks systemd itself, once nothing that may ask was run within the last second
        lab.sh("systemctl start victim.service")?;
        let alive = std::cell::Cell::new(0);
        watchdog.wait_for("a good answer of the second run", SOON, |e| {
            alive.set(alive.get() + u32::from(e.is("recovered", "victim") || stood_down(e)));
            alive.get() > 0 && e.is("heartbeat", "victim") && e.data("verdict") == "alive"
        })?;
        let manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
        lab.sh(&format!("sleep 1.2; busctl call {manager} StopUnit ss victim.service replace"))?;
        let seen = std::cell::Cell::new(0);
        let second = watchdog.wait_for("the second stop", SOON, |e| {
            seen.set(seen.get() + u32::from(stood_down(e)));
            seen.get() == 2
        })?;
        let why = left_alone(&second).context("no reason")?;
        ensure!(why.contains("not known who asked"), "{why}");
        Ok(())
    })
}

/// An ExecStop= that fails, as the main process is gone, turns a clean end into a failure.
#[test]
fn d6_the_kernels_cause_of_death_is_told_whatever_systemd_makes_of_it() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "ExecStop=/bin/false\n")?;
        let always = "[service.victim.restart]\non = \"always\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + always), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.kill("TERM", old)?;
        lab.until_replaced("victim.service", old, SOON)?;
        let text = recovered_once(&watchdog, "victim", SOON)?.0.to_string();
        ensure!(text.contains("signal 15 (SIGTERM), sent by process "), "{text}");
        let events = watchdog.events();
        let blamed = events.iter().any(|e| e.data("saw")["unit"]["result"] == "exit-code");
        ensure!(blamed, "systemd did not make an exit code of it");
        Ok(())
    })
}
