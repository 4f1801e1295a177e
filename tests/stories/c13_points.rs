//! watchdog dies at every point between a decision and its confirmation, and the next one goes on from what was stored.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use watchdog::crash::{POINTS, Point};

use crate::stage::{SOON, Stage, is_alive, play, recovered, victim};

/// Its files say where the program under test is to die.
const ARMED: &str = "/run/crash-points";

#[test]
fn c13_f5_g6_killed_at_any_point_it_restarts_once_counts_once_and_tells_the_incident_to_its_end() -> Result<()>
{
    play(|lab| {
        lab.sh(&format!("mkdir {ARMED}"))?;
        let mut configuration = String::new();
        for (at, (point, _)) in POINTS.iter().enumerate() {
            let (name, port) = (service(point), port(at)?);
            let counts = format!("ExecStartPre=/bin/sh -c 'echo started >>/run/{name}.starts'\n");
            lab.victim(&name, port, &counts)?;
            configuration += &victim(&name, port);
        }
        let names: Vec<String> = POINTS.iter().map(|(point, _)| service(point)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let environment = format!("[Service]\nEnvironment=WATCHDOG_CRASH_AT={ARMED}\n");
        let watchdog = lab.watchdog_unit(&configuration, &environment, &names)?;
        for (point, when) in POINTS {
            let name = service(point);
            let unit = format!("{name}.service");
            let (old, run) = (watchdog.main_pid()?, lab.main_pid(&unit)?);
            if on_the_way(when) {
                arm(lab, point)?;
            }
            lab.kill_main(Signal::KILL, &unit)?;
            if !on_the_way(when) {
                recovered(&watchdog, &name, 1, SOON).with_context(|| format!("before {point}"))?;
                arm(lab, point)?;
                if when == Point::Back {
                    watchdog.kill()?;
                } else {
                    lab.sh("systemctl kill --signal=HUP --kill-whom=main watchdog.service")?;
                }
            }
            until_disarmed(lab, point)?;
            watchdog.until_replaced(old, SOON).with_context(|| format!("watchdog at {point}"))?;
            recovered(&watchdog, &name, 1, SOON).with_context(|| format!("after {point}"))?;
            lab.until_replaced(&unit, run, SOON)?;
            eprintln!("{point}: died there, and {name} recovered");
        }
        // every service has answered since, and the last state counts all of it
        let states = watchdog.count(|e| e.kind() == "state");
        lab.sh("systemctl reload watchdog.service")?;
        let seen = std::cell::Cell::new(0);
        let state = watchdog.wait_for("the last state", SOON, |e| {
            seen.set(seen.get() + usize::from(e.kind() == "state"));
            seen.get() > states
        })?;
        for (point, _) in POINTS {
            let name = service(point);
            let starts = lab.sh(&format!("wc -l </run/{name}.starts"))?;
            ensure!(starts.trim() == "2", "{point}: {} starts, not its first and one more", starts.trim());
            let spent = &state.data("state")["keepers"][&name]["tries"]["spent"];
            ensure!(
                spent.as_array().is_some_and(|spent| spent.len() == 1),
                "{point}: the budget says {spent}"
            );
            let well = watchdog.events().iter().rev().find(|e| e.is("heartbeat", &name)).cloned();
            ensure!(well.is_some_and(|e| is_alive(&e, &name)), "{point}: {name} does not answer");
            let told = watchdog.count(|e| e.is("recovered", &name));
            ensure!(told >= 1, "{point}: the incident has no end");
            ensure!(
                lab.property(&format!("{name}.service"), "ActiveState")? == "active",
                "{point}: it is down"
            );
        }
        let host = &state.data("state")["host_tries"]["spent"];
        ensure!(
            host.as_array().is_some_and(|all| all.len() == POINTS.len()),
            "the host's budget says {host}"
        );
        Ok(())
    })
}

/// Whether the point is reached while an incident is on its way, or needs something else afterwards.
fn on_the_way(point: Point) -> bool {
    match point {
        Point::Decided
        | Point::Stored
        | Point::Released
        | Point::Requested
        | Point::Replied
        | Point::JobDone
        | Point::Answered
        | Point::Recovered => true,
        Point::HalfState | Point::Reloaded | Point::Back => false,
    }
}

fn service(point: &str) -> String {
    format!("at-{point}")
}

fn port(at: usize) -> Result<u16> {
    Ok(7000 + u16::try_from(at)?)
}

fn arm(lab: &Stage, point: &str) -> Result<()> {
    lab.sh(&format!("touch {ARMED}/{point}")).map(drop)
}

fn until_disarmed(lab: &Stage, point: &str) -> Result<()> {
    let gone = format!("timeout 20 sh -c 'while test -e {ARMED}/{point}; do sleep 0.01; done'");
    lab.sh(&gone).map(drop).with_context(|| format!("watchdog did not come to {point}"))
}
