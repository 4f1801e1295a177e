//! `cargo xtask sim`: the simulation of the engine, built by the profile `sim`. Its options are the simulation's own.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::steps::{cargo, run};

/// What every test run simulates, from the first seed on: always the same hosts. Other seeds are for the night. Two idle cores
/// take a minute and a half for it.
const CI_STEPS: &str = "100000000";

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Sim {
    /// `--steps N`, `--seed S`, `--seconds T`, `--jobs J`, `--lines L`; `--help` tells of them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

impl Sim {
    pub(crate) fn run(self) -> Result<ExitCode> {
        simulate(&self.options)
    }
}

/// The part of every test run.
pub(crate) fn ci() -> Result<()> {
    run("simulation", &mut simulation(&[OsString::from("--steps"), OsString::from(CI_STEPS)]))
}

fn simulate(options: &[OsString]) -> Result<ExitCode> {
    let status = simulation(options).status().context("cannot run the simulation")?;
    Ok(ExitCode::from(if status.success() { 0 } else { 1 }))
}

fn simulation(options: &[OsString]) -> Command {
    let mut command = cargo(&["run", "--quiet", "--profile", "sim", "--locked", "--package", "sim", "--"]);
    command.args(options);
    command
}
