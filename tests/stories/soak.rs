//! Real failures of a real server, one after the other: none is missed, none is acted upon twice, and nothing grows.
//!
//! What systemd counts is judged: nginx notes each of its starts, and nothing but watchdog and the operator starts it.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use lab::{Event, Footprint, Traffic, Watchdog};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, WEB, is_alive, is_restart, play};

/// Cycles in CI; `WATCHDOG_CYCLES` asks for more (`cargo xtask soak`).
const CYCLES: usize = 60;

/// Each fault has come this often before memory and descriptors are taken for what they are at rest.
const ROUNDS_OF_WARM_UP: usize = 2;

/// Resident memory may differ by this between the first and the last quarter: pages that the allocator keeps or returns.
const GROWTH_KIB: u64 = 1024;

/// A netlink socket that is opened when a table is first asked for, and then kept, is no growth.
const LAZY: usize = 1;

/// So many figures show how it grew.
const STEPS: usize = 16;

const UNIT: &str = "nginx.service";
const URL: &str = "http://127.0.0.1/";
const STARTS: &str = "/run/starts";

/// The widest budgets, which so many failures do not spend in their windows; no pauses; a heartbeat that is soon given up.
const WIDE: &str = "timeout = \"500ms\"
[service.web.restart]
stop_timeout = \"500ms\"
burst = 1000
backoff = \"10ms\"
backoff_max = \"10ms\"
[watchdog.budget]
restarts = 1000
";

#[test]
#[expect(clippy::print_stdout, reason = "the test prints what it measured")]
fn soak_no_failure_of_many_is_missed_or_doubled_and_nothing_grows() -> Result<()> {
    play(|lab| {
        lab.drop_in(
            UNIT,
            &format!(
                "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/sh -c 'echo start >> {STARTS}'\n"
            ),
        )?;
        lab.nginx()?;
        let watchdog = lab.guard(&format!("{WEB}{WIDE}"), &["web"])?;
        let traffic = lab.traffic(URL, 10, Duration::from_secs(1))?;
        let cycles = std::env::var("WATCHDOG_CYCLES").ok().map(|n| n.parse()).transpose();
        let cycles = cycles.context("cannot read WATCHDOG_CYCLES: give a number")?.unwrap_or(CYCLES);
        let mut soak = Soak { lab, watchdog: &watchdog, traffic: &traffic, starts: 1, actions: 0 };
        let mut tally = Tally::default();
        for cycle in 0..cycles {
            let fault = Fault::ALL[cycle % Fault::ALL.len()];
            match soak.cycle(fault) {
                Ok(took) => tally.took.push((fault, took)),
                Err(error) => {
                    tally.wrong.push(format!("cycle {cycle}, {fault}: {error:#}"));
                    soak.start_afresh()?;
                }
            }
            if cycle >= ROUNDS_OF_WARM_UP * Fault::ALL.len() {
                tally.footprints.push(watchdog.footprint()?);
            }
        }
        let last = lab::mono_us();
        watchdog.wait_for("a backstop after the last cycle", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > last + 1_000_000
        })?;
        if let Err(error) = soak.compare() {
            tally.wrong.push(format!("after the last cycle: {error:#}"));
        }
        drop(traffic);
        println!("{cycles} cycles\n{tally}");
        tally.judge()?;
        // An ask that is on its way has a descriptor: the fewest of a round are those at rest.
        let first_round = tally.footprints.iter().take(Fault::ALL.len()).map(|it| &it.descriptors);
        let at_first = first_round.min_by_key(|open| open.len());
        let at_first = at_first.context("too few cycles to tell whether it grows")?;
        lab.until(SOON, || {
            let now = watchdog.footprint()?.descriptors;
            ensure!(
                now.len() <= at_first.len() + LAZY,
                "{} descriptors are open, after the warm-up there were {}; more than then: {:?}",
                now.len(),
                at_first.len(),
                beyond(&now, at_first)
            );
            Ok(())
        })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Abort,
    Hang,
    /// No fault at all: an operator's, to be left alone.
    Stop,
}

impl Fault {
    const ALL: [Fault; 4] = [Fault::Kill, Fault::Abort, Fault::Hang, Fault::Stop];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "SIGKILL of the master",
            Fault::Abort => "SIGABRT of the master",
            Fault::Hang => "SIGSTOP of all processes",
            Fault::Stop => "an operator's stop and start",
        })
    }
}

struct Soak<'a> {
    lab: &'a Stage,
    watchdog: &'a Watchdog,
    traffic: &'a Traffic,
    /// That there should have been so far.
    starts: usize,
    actions: usize,
}

impl Soak<'_> {
    /// One fault, to its end; answers how long the service was away.
    fn cycle(&mut self, fault: Fault) -> Result<Duration> {
        let before = self.lab.property(UNIT, "InvocationID")?;
        let hurt = match fault {
            Fault::Kill => self.lab.kill_main(Signal::KILL, UNIT)?,
            Fault::Abort => self.lab.kill_main(Signal::ABORT, UNIT)?,
            Fault::Hang => self.lab.kill_all(Signal::STOP, UNIT)?,
            Fault::Stop => return self.stop_and_start(),
        };
        self.starts += 1;
        self.actions += 1;
        let recovered = self.watchdog.wait_for("the recovery", SOON, |e| after(e, "recovered", hurt))?;
        self.traffic.wait_for_good(lab::mono_us(), SOON).context("clients are not answered")?;
        let now = self.lab.property(UNIT, "InvocationID")?;
        ensure!(now != before, "it is still the incarnation {before}");
        self.compare()?;
        Ok(Duration::from_micros(recovered.mono_us() - hurt))
    }

    /// To be left alone; answers how long the operator's start took to be seen.
    fn stop_and_start(&mut self) -> Result<Duration> {
        let stopped = lab::mono_us();
        self.lab.exec(&["systemctl", "stop", UNIT])?;
        self.watchdog.wait_for("that the stop is respected", SOON, |e| {
            after(e, "decision", stopped) && e.0.to_string().contains("leave_alone")
        })?;
        let state = self.lab.property(UNIT, "ActiveState")?;
        ensure!(state == "inactive", "it is {state} after the operator's stop");
        self.compare()?;
        let started = lab::mono_us();
        self.starts += 1;
        self.lab.exec(&["systemctl", "start", UNIT])?;
        let seen = self.watchdog.wait_for("a good answer after the start", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > started
        })?;
        self.compare()?;
        Ok(Duration::from_micros(seen.mono_us() - started))
    }

    /// As many starts and actions as there should be; a second one that came late is found after the next cycle.
    fn compare(&self) -> Result<()> {
        let (starts, actions) = self.counted()?;
        let systemd = self.lab.property(UNIT, "NRestarts")?;
        ensure!(
            (starts, actions) == (self.starts, self.actions) && systemd == "0",
            "{starts} starts and {actions} actions of watchdog, not {} and {}; systemd restarted it {systemd} times",
            self.starts,
            self.actions
        );
        Ok(())
    }

    fn counted(&self) -> Result<(usize, usize)> {
        let starts = self.lab.read(STARTS)?.lines().count();
        Ok((starts, self.watchdog.stream().count(|e| is_restart(e, "web"))))
    }

    /// After a cycle that went wrong: the operator brings the service back, and counting begins anew.
    fn start_afresh(&mut self) -> Result<()> {
        let began = lab::mono_us();
        self.lab.exec(&["systemctl", "restart", UNIT])?;
        self.watchdog.wait_for("a good answer after the operator's restart", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > began
        })?;
        (self.starts, self.actions) = self.counted()?;
        Ok(())
    }
}

fn after(event: &Event, kind: &str, moment: u64) -> bool {
    event.is(kind, "web") && event.mono_us() > moment
}

/// What came of it.
#[derive(Default)]
struct Tally {
    took: Vec<(Fault, Duration)>,
    /// Cycles in which something was missed or doubled.
    wrong: Vec<String>,
    /// One after each cycle, warmed up.
    footprints: Vec<Footprint>,
}

impl Tally {
    fn judge(&self) -> Result<()> {
        ensure!(self.wrong.is_empty(), "{} cycles went wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
        let Some((first, last)) = self.quarters() else { bail!("too few cycles to tell whether it grows") };
        ensure!(last <= first + GROWTH_KIB, "resident memory grew from {first} to {last} KiB");
        Ok(())
    }

    /// The median resident memory of the first quarter and of the last, in KiB.
    fn quarters(&self) -> Option<(u64, u64)> {
        let quarter = self.footprints.len() / 4;
        let resident: Vec<u64> = self.footprints.iter().map(|footprint| footprint.anonymous_kib).collect();
        Some((median(&resident[..quarter])?, median(&resident[resident.len() - quarter..])?))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "missed or doubled: {}", self.wrong.len())?;
        for fault in Fault::ALL {
            let took = self.took.iter().filter(|(of, _)| *of == fault);
            let took: Vec<u128> = took.map(|(_, took)| took.as_millis()).collect();
            if let (Some(median), Some(worst)) = (median(&took), took.iter().max()) {
                writeln!(f, "{fault}: {}, answers again after {median} ms, {worst} at worst", took.len())?;
            }
        }
        if let (Some((first, last)), Some(begin), Some(end)) =
            (self.quarters(), self.footprints.first(), self.footprints.last())
        {
            writeln!(f, "resident memory: {first} KiB in the first quarter, {last} KiB in the last")?;
            let on_its_way = self.footprints.iter().step_by(self.footprints.len().div_ceil(STEPS));
            let on_its_way: Vec<u64> = on_its_way.map(|footprint| footprint.anonymous_kib).collect();
            writeln!(f, "on its way: {on_its_way:?}")?;
            write!(
                f,
                "descriptors: {} after the warm-up, {} at the end; ",
                begin.descriptors.len(),
                end.descriptors.len()
            )?;
            writeln!(f, "threads: {}, {}", begin.threads, end.threads)?;
        }
        Ok(())
    }
}

/// What is more often in `now` than in `before`.
fn beyond<'a>(now: &'a [String], before: &[String]) -> Vec<&'a str> {
    let mut before = before.to_vec();
    let mut is_new = |of: &&String| match before.iter().position(|it| it == *of) {
        Some(at) => {
            before.swap_remove(at);
            false
        }
        None => true,
    };
    now.iter().filter(|of| is_new(of)).map(String::as_str).collect()
}

fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}
