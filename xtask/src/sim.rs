//! `cargo xtask sim`: the simulation of the engine, built with optimisation. Its options are the simulation's own.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::steps::cargo;

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

fn simulate(options: &[OsString]) -> Result<ExitCode> {
    let mut command = cargo(&["run", "--quiet", "--release", "--locked", "--package", "sim", "--"]);
    let status = command.args(options).status().context("cannot run the simulation")?;
    Ok(ExitCode::from(if status.success() { 0 } else { 1 }))
}
