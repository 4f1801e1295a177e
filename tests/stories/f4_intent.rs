//! A clean end that an operator asked for stays an end; one that nobody asked for follows `restart.on`; and systemd's `Result=`,
//! which a failing ExecStop= spoils, changes nothing about either.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _};

use anyhow::{Result, ensure};
use lab::mono_us;
use rustix::process::Signal;

use crate::stage::{SOON, is_restart, play, recovered, restarts, victim};

/// A unit that is ended in one of these ways.
const WAYS: [&str; 4] = ["stop", "term", "exit", "shutdown"];
/// With an ExecStop= that fails, and without.
const STOPS: [(&str, &str); 2] = [("plain", ""), ("failing", "ExecStop=/bin/false\n")];
const SETTINGS: [&str; 2] = ["on-failure", "always"];

/// Ended by its way; answers no more than whether it is to be brought back.
struct Cell {
    name: String,
    way: &'static str,
    port: usize,
    comes_back: bool,
}

#[test]
fn f4_a_stop_that_was_asked_for_is_an_end_and_one_that_was_not_follows_restart_on() -> Result<()> {
    play(|lab| {
        let (mut cells, mut files, mut configuration) = (Vec::new(), String::new(), String::new());
        for way in WAYS {
            for (kind, stop) in STOPS {
                for on in SETTINGS {
                    let (name, port) = (format!("{way}-{kind}-{on}"), 7000 + cells.len());
                    let file = format!("[Service]\nExecStart=/usr/local/bin/victim {port}\n{stop}");
                    writeln!(files, "cat > /etc/systemd/system/{name}.service << 'END'\n{file}END")?;
                    write!(configuration, "[service.{name}]\nunit = \"{name}.service\"\n")?;
                    writeln!(configuration, "restart.on = \"{on}\"")?;
                    let comes_back = on == "always" && matches!(way, "term" | "exit");
                    cells.push(Cell { name, way, port, comes_back });
                }
            }
        }
        // no shutdown ends it
        let stays = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep infinity\n";
        writeln!(files, "cat > /etc/systemd/system/stays.service << 'END'\n{stays}END")?;
        configuration += "[service.stays]\nunit = \"stays.service\"\n";
        lab.sh(&files)?;
        let units: Vec<String> = cells.iter().map(|cell| format!("{}.service", cell.name)).collect();
        lab.sh(&format!("systemctl daemon-reload; systemctl start stays.service {}", units.join(" ")))?;
        for cell in &cells {
            lab.until_answers(&format!("http://127.0.0.1:{}/", cell.port), SOON)?;
        }
        let watchdog = lab.guard(&configuration, &[])?;
        let seen = RefCell::new(BTreeMap::new());
        watchdog.wait_for("the first word of every unit", SOON, |e| {
            if e.data("saw")["unit"]["active"] == "active" {
                seen.borrow_mut().insert(e.service().to_owned(), ());
            }
            seen.borrow().len() == cells.len() + 1
        })?;

        for cell in &cells {
            let unit = format!("{}.service", cell.name);
            match cell.way {
                "stop" => drop(lab.run(&["systemctl", "stop", &unit])?),
                "term" => lab.kill("TERM", lab.main_pid(&unit)?)?,
                "exit" => drop(lab.get(&format!("http://127.0.0.1:{}/exit/0", cell.port))),
                _ => {}
            }
        }
        let decided = RefCell::new(BTreeMap::new());
        let all = |count: usize| {
            watchdog.wait_for(&format!("a decision on {count} of them"), SOON, |e| {
                let left = e.is("decision", e.service()) && e.0.to_string().contains("leave_alone");
                if left || is_restart(e, e.service()) {
                    decided.borrow_mut().entry(e.service().to_owned()).or_insert(!left);
                }
                decided.borrow().len() == count
            })
        };
        all(cells.iter().filter(|cell| cell.way != "shutdown").count())?;
        for cell in cells.iter().filter(|cell| cell.comes_back) {
            lab.until_state(&format!("{}.service", cell.name), "active", SOON)?;
        }

        let going = "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\n";
        lab.unit("going-down.target", going)?;
        lab.exec(&["systemctl", "start", "--job-mode=replace-irreversibly", "going-down.target"])?;
        all(cells.len())?;
        lab.kill_main(Signal::KILL, "stays.service")?;
        watchdog.wait_for("that it waits for the end of the host", SOON, |e| {
            e.is("decision", "stays") && e.data("decision")["hold"]["hold"] == "shutdown"
        })?;

        for cell in &cells {
            let acted = restarts(&watchdog, &cell.name).len();
            ensure!(acted == usize::from(cell.comes_back), "{} was started {acted} times", cell.name);
            let state = lab.property(&format!("{}.service", cell.name), "ActiveState")?;
            ensure!(state == "inactive" || state == "failed", "{} is {state} in a shutdown", cell.name);
        }
        ensure!(restarts(&watchdog, "stays").is_empty(), "a unit was started in a shutdown");
        Ok(())
    })
}

#[test]
fn f4_a_stop_of_a_unit_that_has_failed_says_leave_it_down() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let pauses = "[service.victim.restart]\nbackoff = \"10s\"\nbackoff_max = \"10s\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + pauses), &["victim"])?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        recovered(&watchdog, "victim", 1, SOON)?;
        let after = mono_us();
        lab.kill_main(Signal::KILL, "victim.service")?;
        watchdog.wait_for("that it waits before the second start", SOON, |e| {
            e.is("decision", "victim") && e.data("decision")["hold"]["hold"] == "backoff"
        })?;
        lab.exec(&["systemctl", "stop", "victim.service"])?;
        watchdog.wait_for("that it is left alone", SOON, |e| {
            e.is("decision", "victim") && e.mono_us() > after && e.0.to_string().contains("leave_alone")
        })?;
        ensure!(restarts(&watchdog, "victim").len() == 1, "it was started after the operator's stop");
        Ok(())
    })
}

#[test]
fn g10_a_monit_that_runs_is_warned_of() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.unit("monit.service", "[Service]\nExecStart=/bin/sleep infinity\n")?;
        lab.configure(&victim("victim", 7000))?;
        let check = lab.exec(&[lab::PROGRAM, "check"])?;
        ensure!(!check.contains("monit"), "warned of one that does not run: {check}");

        lab.start("monit.service")?;
        let check = lab.exec(&[lab::PROGRAM, "check"])?;
        ensure!(check.contains("monit.service runs"), "check does not tell: {check}");
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        lab.until(SOON, || {
            ensure!(watchdog.log().contains("monit.service runs"), "run does not tell: {}", watchdog.log());
            Ok(())
        })
    })
}

#[test]
fn g10_another_hand_that_starts_a_unit_again_and_again_is_told() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "StartLimitBurst=0\n")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        for _ in 0..4 {
            let after = mono_us();
            lab.exec(&["systemctl", "restart", "victim.service"])?;
            watchdog.wait_for("a good answer after it", SOON, |e| {
                crate::stage::is_alive(e, "victim") && e.mono_us() > after
            })?;
        }
        watchdog.wait_for("a warning", SOON, |e| crate::stage::is_alert(e, "victim", "another hand"))?;
        crate::stage::not_restarted(&watchdog, "victim")
    })
}
