//! `cargo xtask bench`: how soon and how cheap, on a throw-away host of this machine, against what was promised.

mod commands;
mod costs;
mod empty;
mod memory;
mod sight;
mod storm;
mod table;

use std::{
    io::{BufRead, BufReader},
    process::{ExitCode, Stdio},
    time::Duration,
};

use ::lab::{Event, Lab, Plan, Watchdog};
use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::process::Signal;

use crate::steps::{cargo, run};
use table::{Table, median};

const LIMIT: Duration = Duration::from_secs(30);
const URL: &str = "http://127.0.0.1:7000/";
const UNIT: &str = "victim.service";

#[derive(Args)]
pub(crate) struct Bench {
    /// Runs of each measurement
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Runs of each measurement of how soon something is seen
    #[arg(long, default_value_t = 50)]
    sights: usize,
    /// Pairs of measurements of nginx's throughput, with watchdog and without
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// Seconds in which wake-ups are counted
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this part
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// From a fault to a restart, wake-ups, and deaths in storms
    Restarts,
    /// How soon each failure is seen
    Sights,
    /// How soon the commands answer
    Commands,
    /// What the probes cost
    Costs,
}

impl Bench {
    pub(crate) fn run(self) -> Result<ExitCode> {
        ::lab::tools::install(&::lab::tools::LAB)?;
        let programs = [
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--package",
            "watchdog",
            "--package",
            "tests",
            "--bins",
        ];
        run("building watchdog and the test programs", &mut cargo(&programs))?;
        let built = ::lab::target_directory()?.join("release");
        let lab = Plan::new(std::env::current_exe().context("cannot find this program's own file")?)
            .with(built.join("watchdog"), ::lab::PROGRAM)
            .with(built.join("victim"), "/usr/local/bin/victim")
            .with(built.join("floor"), "/usr/local/bin/floor")
            .with(built.join("storm"), storm::PROGRAM)
            .boot()?;
        lab.service(UNIT, "/usr/local/bin/victim 7000", "")?;
        lab.drop_in(UNIT, "[Unit]\nStartLimitIntervalSec=0\n")?;
        lab.first_good(URL, LIMIT)?;

        let mut table = Table::default();
        let wanted = |part| self.only.is_none_or(|only| only == part);
        if wanted(Part::Restarts) {
            self.restarts(&lab, &mut table)?;
        }
        if wanted(Part::Sights) {
            sight::measure(&lab, &mut table, self.sights)?;
        }
        if wanted(Part::Commands) {
            commands::measure(&lab, &mut table, self.runs)?;
        }
        if wanted(Part::Costs) {
            costs::measure(&lab, &mut table, self.pairs)?;
        }
        Ok(if table.kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn restarts(&self, lab: &Lab, table: &mut Table) -> Result<()> {
        let floor = times(self.runs, || by_floor(lab))?;
        table.row("SIGKILL to good answer, floor (a pidfd and RestartUnit)", &floor, None);
        let systemd = by_systemd(lab, self.runs)?;
        table.row("SIGKILL to good answer, systemd's own Restart=", &systemd, None);
        lab.service(storm::NOISY, &format!("{} \"block 1\" park", storm::PROGRAM), "")?;
        let watchdog = lab.watchdog(&format!("{CONFIGURATION}{}", storm::CONFIGURATION))?;
        guarded(&watchdog, 0)?;
        let dead = times(self.runs, || by_watchdog(lab, &watchdog))?;
        table.row("SIGKILL to good answer, watchdog", &dead, Some((1.5 * median(&floor), f64::INFINITY)));
        let stopped = times(self.runs, || hang(lab, &watchdog, |lab| lab.kill_all(Signal::STOP, UNIT)))?;
        table.row("hang (SIGSTOP) under traffic to verdict", &stopped, Some((f64::INFINITY, 3_800.0)));
        let silent = times(self.runs, || {
            hang(lab, &watchdog, |lab| lab.get(&format!("{URL}mode/silent")).map(|_| ::lab::mono_us()))
        })?;
        table.row(
            "hang (accepts, never answers) under traffic to verdict",
            &silent,
            Some((f64::INFINITY, 4_700.0)),
        );
        for traffic in [false, true] {
            let per_second = wake_ups(lab, &watchdog, traffic, self.seconds)?;
            let name =
                if traffic { "wake-ups a second, under traffic" } else { "wake-ups a second, at rest" };
            table.row(name, &[per_second], Some((1.0, 1.0)));
        }
        let storm = storm::of_ends(lab, self.runs)?;
        table.row(
            "death among 20,000 foreign ends a second to new start",
            &storm,
            Some((50.0, f64::INFINITY)),
        );
        let storm = storm::of_records(lab, self.runs)?;
        table.row("death among 50,000 records a second to new start", &storm, Some((50.0, f64::INFINITY)));
        end(watchdog)
    }
}

/// Without backstops, so that what is left is what the program does by itself.
const CONFIGURATION: &str = r#"
[watchdog.budget]
restarts = 1000
[service.victim]
unit = "victim.service"
[service.victim.heartbeat]
url = "http://127.0.0.1:7000/"
every = "1h"
every_in_use = "1h"
[service.victim.restart]
burst = 1000
backoff = "10ms"
backoff_max = "10ms"
"#;

fn times(runs: usize, mut run: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    (0..runs).map(|_| run()).collect()
}

/// Milliseconds from a death to a good answer, where nothing but a pidfd stands between.
fn by_floor(lab: &Lab) -> Result<f64> {
    let mut floor = lab.command("/usr/local/bin/floor");
    let mut floor = floor.arg(UNIT).stdout(Stdio::piped()).spawn().context("cannot run the floor")?;
    let mut line = String::new();
    BufReader::new(floor.stdout.take().context("no output")?)
        .read_line(&mut line)
        .context("cannot hear the floor")?;
    ensure!(line == "ready\n", "the floor is not ready");
    let killed = lab.kill_main(Signal::KILL, UNIT)?;
    let took = since(killed, lab.first_good(URL, LIMIT)?);
    ensure!(floor.wait().context("cannot wait for the floor")?.success(), "the floor failed");
    Ok(took)
}

fn by_systemd(lab: &Lab, runs: usize) -> Result<Vec<f64>> {
    lab.unit("victim.service.d/restart.conf", "[Service]\nRestart=on-failure\n")?;
    let took = times(runs, || {
        let killed = lab.kill_main(Signal::KILL, UNIT)?;
        Ok(since(killed, lab.first_good(URL, LIMIT)?))
    })?;
    lab.sh("rm /etc/systemd/system/victim.service.d/restart.conf; systemctl daemon-reload")?;
    Ok(took)
}

/// Milliseconds from a death to a good answer.
fn by_watchdog(lab: &Lab, watchdog: &Watchdog) -> Result<f64> {
    let killed = lab.kill_main(Signal::KILL, UNIT)?;
    let answered = lab.first_good(URL, LIMIT)?;
    guarded(watchdog, killed)?;
    Ok(since(killed, answered))
}

/// From a hang to the verdict that it is dead.
fn hang(lab: &Lab, watchdog: &Watchdog, hurt: impl FnOnce(&Lab) -> Result<u64>) -> Result<f64> {
    let traffic = lab.traffic(URL, 20, Duration::from_secs(10))?;
    traffic.wait_for_good(::lab::mono_us() + 1_000_000, LIMIT)?;
    let hurt = hurt(lab)?;
    let dead = |e: &Event| e.is("heartbeat", "victim") && e.data("verdict") == "dead" && e.mono_us() >= hurt;
    let verdict = watchdog.wait_for("the verdict", LIMIT, dead)?;
    guarded(watchdog, hurt)?;
    traffic.stop()?;
    Ok(since(hurt, verdict.mono_us()))
}

fn wake_ups(lab: &Lab, watchdog: &Watchdog, traffic: bool, seconds: u64) -> Result<f64> {
    let traffic = if traffic { Some(lab.traffic(URL, 20, Duration::from_secs(10))?) } else { None };
    if let Some(traffic) = &traffic {
        traffic.wait_for_good(::lab::mono_us() + 6_000_000, LIMIT)?;
    }
    let (began, before) = (::lab::mono_us(), watchdog.wake_ups()?);
    lab.until(Duration::from_secs(seconds + 5), || {
        ensure!(::lab::mono_us() > began + seconds * 1_000_000, "still counting");
        Ok(())
    })?;
    let woken = watchdog.wake_ups()?.since(&before);
    drop(traffic);
    Ok(woken as f64 / seconds as f64)
}

/// Waits for a good heartbeat after a moment.
fn guarded(watchdog: &Watchdog, since: u64) -> Result<()> {
    let good = |e: &Event| e.is("heartbeat", "victim") && e.data("verdict") == "alive" && e.mono_us() > since;
    watchdog.wait_for("a good heartbeat", LIMIT, good).map(drop)
}

/// Ends it, for there is one on a host.
fn end(watchdog: Watchdog) -> Result<()> {
    watchdog.signal(Signal::TERM)?;
    watchdog.wait().map(drop)
}

/// Milliseconds.
fn since(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}
