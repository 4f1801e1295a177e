//! `cargo xtask test`: every test, those in the lab among them. With cargo-nextest where it is installed, else with cargo.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{sim, steps::cargo, vm};

/// Labs at a time: each runs servers under load, and a late answer must be the service's fault, not the machine's.
const LABS: &str = "--test-threads=2";

#[derive(Args)]
pub(crate) struct Test {
    /// Only tests whose name holds this text
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(self) -> Result<ExitCode> {
        all(self.filter.as_deref())
    }
}

/// Everything.
pub(crate) fn all(filter: Option<&str>) -> Result<ExitCode> {
    prepare()?;
    let simulated = if filter.is_none() { sim::ci() } else { Ok(()) };
    // First, for the last line is the test runner's own.
    let mut before = vm::for_all_tests(filter).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Sum { failed: 1, ..Sum::default() }
    });
    if let Err(error) = simulated {
        eprintln!("error: {error:#}");
        before.failed += 1;
    }
    tests(&["--workspace"], filter, before)
}

/// What the system tests need.
pub(crate) fn prepare() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "cannot run the system tests: they boot a systemd of their own and need root: run this with sudo"
    );
    ::lab::tools::install(&::lab::tools::LAB)?;
    ::lab::prepare().map(drop)
}

/// The tests that need neither root nor a lab.
pub(crate) fn without_root() -> Result<ExitCode> {
    // the probes only compile on the host: aya-ebpf brings its own memcpy
    tests(&["--workspace", "--exclude", "watchdog-ebpf", "--lib", "--bins"], None, Sum::default())
}

/// `before` are those that have run already.
fn tests(selection: &[&str], filter: Option<&str>, before: Sum) -> Result<ExitCode> {
    let before_were_good = before.good();
    let good = if ::lab::tools::missing(&[NEXTEST]).is_empty() {
        nextest(selection, filter)?
    } else {
        plain(selection, filter, before)?
    };
    if !before_were_good {
        eprintln!("the simulation or tests in the virtual machine failed, see above");
    }
    Ok(if good && before_were_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const NEXTEST: ::lab::tools::Tool = ::lab::tools::Tool { program: "cargo-nextest", package: "cargo-nextest" };

/// `.config/nextest.toml` holds the number of labs at a time.
fn nextest(selection: &[&str], filter: Option<&str>) -> Result<bool> {
    let mut command = cargo(&["nextest", "run", "--locked", "--no-fail-fast", "--no-tests=pass"]);
    let status = command.args(selection).args(filter).status().context("cannot run cargo-nextest")?;
    Ok(status.success())
}

/// cargo closes with one line per test program; the sum of them is the last line.
fn plain(selection: &[&str], filter: Option<&str>, mut sum: Sum) -> Result<bool> {
    let mut command = cargo(&["test", "--locked", "--no-fail-fast"]);
    command.args(selection).arg("--").arg(LABS).args(filter);
    let mut child = Command::stdout(&mut command, Stdio::piped()).spawn().context("cannot run cargo test")?;
    let lines = BufReader::new(child.stdout.take().context("cargo test has no output")?).lines();
    for line in lines {
        let line = line.context("cannot read from cargo test")?;
        writeln!(std::io::stdout(), "{line}").context("cannot write")?;
        sum.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    println!("{}; all programs together", sum.line(status.success() && sum.good()));
    Ok(status.success())
}

/// How many tests ended how.
#[derive(Default)]
pub(crate) struct Sum {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Sum {
    /// Takes the numbers from `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let after_word = result.split_once(". ").map_or("", |(_, numbers)| numbers);
        for part in after_word.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Takes another sum's numbers.
    pub(crate) fn take(&mut self, other: &Sum) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// None failed.
    pub(crate) fn good(&self) -> bool {
        self.failed == 0
    }

    pub(crate) fn line(&self, good: bool) -> String {
        let word = if good { "ok" } else { "FAILED" };
        format!(
            "test result: {word}. {} passed; {} failed; {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn the_closing_lines_of_all_programs_add_up_to_one() {
        let mut sum = Sum::default();
        sum.add("running 3 tests");
        sum.add(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        sum.add("test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(sum.line(false), "test result: FAILED. 4 passed; 2 failed; 1 ignored");
    }
}
