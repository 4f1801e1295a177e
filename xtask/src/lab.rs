//! `cargo xtask lab up|exec|down`: a lab that stays until it is taken down.

use std::{ffi::OsString, process::ExitCode};

use ::lab::Plan;
use anyhow::{Context, Result};
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Lab {
    /// Boot a lab and print its name; this tree's `watchdog` is /usr/local/bin/watchdog there, where it has been built
    Up,
    /// Run a command in a lab
    Exec {
        /// What `up` printed
        name: String,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// End a lab; nothing is left of it
    Down {
        /// What `up` printed
        name: String,
    },
}

impl Lab {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Lab::Up => up(),
            Lab::Exec { name, command } => exec(&name, &command),
            Lab::Down { name } => ::lab::Lab::attach(&name)?.down().map(|()| ExitCode::SUCCESS),
        }
    }
}

fn up() -> Result<ExitCode> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let watchdog = own.with_file_name("watchdog");
    let mut plan = Plan::new(own);
    if watchdog.is_file() {
        plan = plan.with(watchdog, "/usr/local/bin/watchdog");
    }
    println!("{}", plan.leave()?.name());
    Ok(ExitCode::SUCCESS)
}

fn exec(name: &str, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("name a command")?;
    let mut command = ::lab::Lab::attach(name)?.command(program);
    command.args(arguments).stdin(std::process::Stdio::inherit());
    let status = command.status().context("cannot enter the lab")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
