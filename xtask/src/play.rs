//! `cargo xtask session`: plays the terminal session of the README; `--write` puts what was shown there.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use xtask::session;

use crate::steps::{cargo, run};

#[derive(Args)]
pub(crate) struct Session {
    /// Write it into the README
    #[arg(long)]
    write: bool,
}

impl Session {
    pub(crate) fn run(self) -> Result<ExitCode> {
        ::lab::tools::install(&::lab::tools::LAB)?;
        run("building watchdog", &mut cargo(&["build", "--quiet", "--locked", "--package", "watchdog"]))?;
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let watchdog = own.with_file_name("watchdog");
        ensure!(watchdog.is_file(), "cannot find {}", watchdog.display());
        let lab = ::lab::Plan::new(own).with(watchdog, ::lab::PROGRAM).boot()?;
        let played = session::play(&lab)?;
        println!("{played}");
        if self.write {
            session::write(&played)?;
        }
        session::compare(&played, &session::in_readme()?)?;
        Ok(ExitCode::SUCCESS)
    }
}
