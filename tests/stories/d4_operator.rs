//! What an operator asks systemd for is not a failure.

use anyhow::Result;

use crate::stage::{QUICK, SOON, is_alive, not_restarted, play, victim};

#[test]
fn d4_an_operators_stop_restart_and_try_restart_lead_to_nothing() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + QUICK + "[service.victim.restart]\non = \"always\"\n";
        let watchdog = lab.guard(&configuration, &["victim"])?;
        for verb in ["restart", "try-restart"] {
            let at = lab::mono_us();
            lab.exec(&["systemctl", verb, "victim.service"])?;
            watchdog
                .wait_for("a good answer after it", SOON, |e| is_alive(e, "victim") && e.mono_us() > at)?;
            not_restarted(&watchdog, "victim")?;
        }
        lab.exec(&["systemctl", "stop", "victim.service"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
        })?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "inactive");
        not_restarted(&watchdog, "victim")?;

        let at = lab::mono_us();
        lab.exec(&["systemctl", "start", "victim.service"])?;
        watchdog.wait_for("that it is watched again", SOON, |e| is_alive(e, "victim") && e.mono_us() > at)?;
        let old = lab.main_pid("victim.service")?;
        lab.kill("KILL", old)?;
        lab.until_replaced("victim.service", old, SOON).map(drop)
    })
}

#[test]
fn d4_a_shutdown_leads_to_nothing() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let configuration = victim("victim", 7000) + "[service.victim.restart]\non = \"always\"\n";
        let watchdog = lab.guard(&configuration, &["victim"])?;
        // All that `poweroff` does, but for the last step.
        lab.unit(
            "going-down.target",
            "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\n",
        )?;
        lab.exec(&["systemctl", "start", "--job-mode=replace-irreversibly", "going-down.target"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.0.to_string().contains("leave_alone")
        })?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "inactive");
        not_restarted(&watchdog, "victim")
    })
}
