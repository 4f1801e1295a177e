//! Which ends are acted upon: watchdog decides as systemd's own table does. The expectation comes from systemd itself: each cell
//! has a twin, the same unit with `Restart=` where ours has `restart.on`, which systemd keeps and watchdog does not know.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::Lab;

use crate::stage::{is_restart, play};

/// All that `Restart=` can be.
const SETTINGS: [&str; 7] =
    ["no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog"];

/// All ends come within this.
const ENOUGH: Duration = Duration::from_secs(60);

/// A way to end: what the main process of the first run does at the word, and lines of its unit.
struct Cause {
    name: &'static str,
    does: &'static str,
    unit: &'static str,
}

const fn cause(name: &'static str, does: &'static str, unit: &'static str) -> Cause {
    Cause { name, does, unit }
}

#[test]
fn d3_all_35_cells_of_the_table_of_restart_are_decided_as_systemd_decides_them() -> Result<()> {
    decided_alike(&[
        cause("clean", "exit 0", ""),
        cause("code", "exit 3", ""),
        cause("signal", "kill -KILL $$", ""),
        // the reload gives it its limit, which is over by then
        cause("timeout", "exec sleep infinity", ""),
        cause(
            "watchdog",
            "systemd-notify WATCHDOG_USEC=500000; exec sleep infinity",
            "WatchdogSec=1h\nNotifyAccess=all\n",
        ),
    ])
}

#[test]
fn d3_exceptions_of_the_unit_go_before_the_table_as_in_systemd() -> Result<()> {
    decided_alike(&[
        cause("term", "kill -TERM $$", ""),
        cause("success", "exit 3", "SuccessExitStatus=3\n"),
        cause("abort", "kill -ABRT $$", "SuccessExitStatus=SIGABRT\nLimitCORE=0\n"),
        cause("prevent", "exit 3", "RestartPreventExitStatus=3\n"),
        cause("force", "exit 0", "RestartForceExitStatus=0\n"),
        cause("forced", "kill -USR1 $$", "RestartForceExitStatus=SIGUSR1\n"),
        cause("both", "kill -KILL $$", "RestartPreventExitStatus=SIGKILL\nRestartForceExitStatus=SIGKILL\n"),
    ])
}

#[test]
fn d12_an_end_that_systemd_cannot_finish_in_time_is_a_time_out_of_the_table() -> Result<()> {
    decided_alike(&[
        cause("late-post", "exit 0", "TimeoutStopSec=1\nExecStopPost=/bin/sleep infinity\n"),
        cause("late-stop", "exit 0", "TimeoutStopSec=1\nExecStop=/bin/sleep infinity\n"),
    ])
}

/// Plays every cell of these causes at once, and compares.
fn decided_alike(causes: &[Cause]) -> Result<()> {
    play(|lab| {
        let mut cells = BTreeSet::new();
        let mut configuration = String::from("[watchdog.budget]\nrestarts = 1000\n");
        let mut files = String::from("mkdir /run/cells\n");
        let mut file = |path: &str, contents: &str| write!(files, "cat > {path} << 'END'\n{contents}END\n");
        let word = "[Service]\nExecStart=/usr/bin/flock /run/cells/word sleep infinity\n";
        file("/etc/systemd/system/word.service", word)?;
        for Cause { name, does, unit } in causes {
            let script = format!(
                "[ -e \"/run/cells/$1\" ] && exec sleep infinity\n: > \"/run/cells/$1\"\nflock --shared /run/cells/word true\n{does}\n"
            );
            file(&format!("/run/cells/{name}.sh"), &script)?;
            for on in SETTINGS {
                let cell = format!("{name}-{on}");
                for (unit_name, restart) in [(ours(&cell), "no"), (twin(&cell), on)] {
                    let contents = format!(
                        "[Service]\nExecStart=/bin/sh /run/cells/{name}.sh %n\nRestart={restart}\n{unit}"
                    );
                    file(&format!("/etc/systemd/system/{unit_name}"), &contents)?;
                }
                let unit_name = ours(&cell);
                writeln!(configuration, "[service.{cell}]\nunit = \"{unit_name}\"\nrestart.on = \"{on}\"")?;
                cells.insert(cell);
            }
        }
        lab.sh(&files)?;
        lab.sh("systemctl daemon-reload; systemctl start word.service")?;
        lab.sh("while flock --nonblock /run/cells/word true; do sleep 0.05; done")?;
        let units: Vec<String> = cells.iter().flat_map(|cell| [ours(cell), twin(cell)]).collect();
        lab.sh(&format!("systemctl start {}", units.join(" ")))?;
        let watchdog = lab.guard(&configuration, &[])?;
        let seen = RefCell::new(BTreeSet::new());
        watchdog.wait_for("the first word of every unit", ENOUGH, |event| {
            if cells.contains(event.service()) && event.data("saw")["unit"]["active"] == "active" {
                seen.borrow_mut().insert(event.service().to_owned());
            }
            seen.borrow().len() == cells.len()
        })?;

        lab.write("/etc/systemd/system/timeout-.service.d/limit.conf", "[Service]\nRuntimeMaxSec=1\n")?;
        lab.sh("systemctl daemon-reload; systemctl stop word.service")?;
        let decided = RefCell::new(BTreeMap::new());
        watchdog.wait_for("a decision on every cell", ENOUGH, |event| {
            let (cell, mut decided) = (event.service(), decided.borrow_mut());
            // where the unit itself asks for a start, systemd is first, also with Restart=no
            let acts = is_restart(event, cell) || event.data("decision")["hold"]["hold"] == "systemd";
            let left = event.is("decision", cell) && event.0.to_string().contains("leave_alone");
            if cells.contains(cell) && (acts || left) {
                decided.entry(cell.to_owned()).or_insert(acts);
            }
            decided.len() == cells.len()
        })?;
        let (decided, expected) = (decided.into_inner(), by_systemd(lab, &cells)?);
        let differ: Vec<&String> = cells.iter().filter(|cell| decided[*cell] != expected[*cell]).collect();
        ensure!(
            differ.is_empty(),
            "otherwise than systemd: {differ:?}\nwatchdog: {decided:?}\nsystemd: {expected:?}"
        );
        let acts = decided.values().filter(|acts| **acts).count();
        ensure!(0 < acts && acts < cells.len(), "{acts} of {} cells act: it shows nothing", cells.len());
        Ok(())
    })
}

fn ours(cell: &str) -> String {
    format!("{cell}-ours.service")
}

fn twin(cell: &str) -> String {
    format!("{cell}-twin.service")
}

/// What systemd itself did with the twin of each cell, once that is clear.
fn by_systemd(lab: &Lab, cells: &BTreeSet<String>) -> Result<BTreeMap<String, bool>> {
    let twins: Vec<String> = cells.iter().map(|cell| twin(cell)).collect();
    let show = format!("systemctl show --property=NRestarts,ActiveState {}", twins.join(" "));
    let look = || {
        let shown = lab.sh(&show)?;
        let states = cells.iter().zip(shown.split("\n\n"));
        let decided = states.map(|(cell, state)| {
            let restarted = !state.contains("NRestarts=0");
            let down = state.contains("=inactive") || state.contains("=failed");
            ensure!(restarted || down, "the twin of {cell} has not ended: {state}");
            Ok((cell.clone(), restarted))
        });
        decided.collect()
    };
    lab.until(ENOUGH, look).context("systemd's own decision")
}
