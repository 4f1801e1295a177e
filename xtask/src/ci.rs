//! `cargo xtask ci`: the single gate. `--quick` is its part for each commit: no root, no lab, under two minutes when warm.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    imports,
    steps::{cargo, run, tree},
    test,
};

#[derive(Args)]
pub(crate) struct Ci {
    /// Format, lints, import directions and the tests that need no root
    #[arg(long)]
    quick: bool,
}

impl Ci {
    pub(crate) fn run(self) -> Result<ExitCode> {
        run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
        run(
            "lints",
            &mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-Dwarnings"]),
        )?;
        eprintln!("── imports");
        imports::check(&tree().join("watchdog/src"))?;
        if self.quick {
            return test::without_root();
        }
        run(
            "docs",
            cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-Dwarnings"),
        )?;
        run("probes", &mut cargo(&["xtask", "build-ebpf", "--check"]))?;
        let tested = test::all(None)?;
        if tested != ExitCode::SUCCESS {
            return Ok(tested);
        }
        run("build", &mut cargo(&["build", "--locked"]))?;
        let root = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut install = cargo(&["install", "--quiet", "--locked", "--path", "watchdog", "--root"]);
        run("install", install.arg(root.path()))?;
        eprintln!("all good");
        Ok(ExitCode::SUCCESS)
    }
}
