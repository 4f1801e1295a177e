//! An operator's stop is respected also where systemd's word of it was missed.

use anyhow::{Result, ensure};

use crate::stage::{SOON, Stage, is_restart, not_restarted, play};

/// Many a server that is asked to stop says so by its exit code, and systemd calls that a failure.
const JAVA: &str = "[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'trap \"exit 143\" TERM; while :; do sleep 1 & wait $!; done'
[Install]
WantedBy=multi-user.target
";

const GUARD: &str = "[service.java]
unit = \"java.service\"
[service.java.restart]
burst = 100
";

fn java(lab: &Stage) -> Result<()> {
    lab.unit("java.service", JAVA)?;
    lab.exec(&["systemctl", "enable", "java.service"])?;
    lab.start("java.service")
}

#[test]
fn d4_a_failed_unit_that_was_stopped_before_watchdog_came_stays_down() -> Result<()> {
    play(|lab| {
        java(lab)?;
        lab.exec(&["systemctl", "stop", "java.service"])?;
        assert_eq!(lab.property("java.service", "ActiveState")?, "failed", "it is no clean end to systemd");
        let watchdog = lab.guard(GUARD, &[])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "java") && e.0.to_string().contains("leave_alone")
        })?;
        not_restarted(&watchdog, "java")
    })
}

#[test]
fn e4_a_unit_that_failed_by_itself_before_watchdog_came_is_started() -> Result<()> {
    play(|lab| {
        java(lab)?;
        lab.sh("kill -KILL $(systemctl show --value -p MainPID java.service)")?;
        lab.until_state("java.service", "failed", SOON)?;
        let watchdog = lab.guard(GUARD, &[])?;
        watchdog.wait_for("its start", SOON, |e| is_restart(e, "java"))?;
        lab.until_state("java.service", "active", SOON)
    })
}

#[test]
fn d4_a_stop_while_systemd_is_re_executed_is_respected() -> Result<()> {
    play(|lab| {
        java(lab)?;
        let watchdog = lab.guard(GUARD, &[])?;
        for race in 0..10 {
            let began = lab::mono_us();
            let pause = f64::from(race * 15) / 1000.0;
            // what asks a systemd that is being replaced may have to ask again
            let stop = "until systemctl stop java.service; do sleep 0.01; done";
            lab.sh(&format!("systemctl daemon-reexec & sleep {pause}; {stop}; wait || true"))?;
            watchdog.wait_for("that the stop is respected", SOON, |e| {
                e.is("decision", "java") && e.mono_us() > began && e.0.to_string().contains("leave_alone")
            })?;
            let state = lab.property("java.service", "ActiveState")?;
            ensure!(state == "failed", "race {race}: the unit is {state} after the operator's stop");
            let began = lab::mono_us();
            lab.exec(&["systemctl", "start", "java.service"])?;
            watchdog.wait_for("that it is seen to run again", SOON, |e| {
                e.is("sign.unit", "java")
                    && e.mono_us() > began
                    && e.data("saw")["unit"]["active"] == "active"
            })?;
        }
        not_restarted(&watchdog, "java")
    })
}

#[test]
fn d3_a_start_that_fails_after_the_main_process_began_is_no_clean_end() -> Result<()> {
    play(|lab| {
        java(lab)?;
        let watchdog = lab.guard(GUARD, &[])?;
        lab.drop_in("java.service", "[Service]\nExecStartPost=/bin/false\n")?;
        let refused = lab.run(&["systemctl", "restart", "java.service"])?;
        ensure!(!refused.status.success(), "the restart must fail");
        watchdog.wait_for("a start", SOON, |e| is_restart(e, "java"))?;
        lab.drop_in("java.service", "")?;
        lab.until_state("java.service", "active", SOON)
    })
}
