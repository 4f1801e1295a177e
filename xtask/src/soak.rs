//! `cargo xtask soak`: real failures of a real server, a night long. A few of the same cycles are a test of every run.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    steps::{cargo, run},
    test,
};

const TEST: &str = "soak::soak_no_failure_of_many_is_missed_or_doubled_and_nothing_grows";

#[derive(Args)]
pub(crate) struct Soak {
    /// Kills, aborts, hangs, and stops by an operator, in turn: 1000 take a quarter of an hour
    #[arg(long, default_value_t = 1000)]
    cycles: usize,
}

impl Soak {
    pub(crate) fn run(self) -> Result<ExitCode> {
        test::prepare()?;
        // Not by nextest, which ends what takes longer than a test may.
        let mut soak =
            cargo(&["test", "--quiet", "--locked", "--package", "tests", "--test", "stories", "--"]);
        soak.args(["--exact", "--nocapture", TEST]).env("WATCHDOG_CYCLES", self.cycles.to_string());
        run("soak", &mut soak)?;
        Ok(ExitCode::SUCCESS)
    }
}
