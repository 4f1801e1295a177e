//! `cargo xtask dist`: the packages for Debian and for RPM, in `target/dist`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use xtask::packages::{Contents, Squeeze, deb, rpm};

use crate::steps::{cargo, run, tree};

#[derive(Args)]
pub(crate) struct Dist {
    /// The program to pack [default: a release build]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Where the packages go [default: target/dist]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Dist {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let target = ::lab::target_directory()?;
        let program = match self.program {
            Some(program) => program,
            None => {
                run(
                    "release build",
                    &mut cargo(&["build", "--release", "--locked", "--package", "watchdog"]),
                )?;
                target.join("release/watchdog")
            }
        };
        let to = self.to.unwrap_or_else(|| target.join("dist"));
        fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
        ::lab::tools::install(&[::lab::tools::Tool { program: "dpkg-deb", package: "dpkg" }])?;
        eprintln!("── packages");
        let mut contents = Contents::of(&program, env!("CARGO_PKG_VERSION"))?;
        contents.document("crates", crates()?.into_bytes());
        println!("{}", shown(&deb::build(&contents, &to, Squeeze::Well)?));
        println!("{}", shown(&rpm::build(&contents, &to, Squeeze::Well)?));
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(tree()).unwrap_or(path).display().to_string()
}

/// The crates that are built into the program, and their licences.
fn crates() -> Result<String> {
    let mut tree: Command = cargo(&["tree", "--locked", "--package", "watchdog", "--edges", "normal"]);
    tree.args(["--prefix", "none", "--format", "{p}: {l}"]);
    let output = tree.output().context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).context("cargo tree wrote no text")?;
    // those of this tree are named with their place on this machine; `(*)` is a line that came before
    let foreign = text.lines().filter(|line| !line.contains(" (/")).map(|line| line.trim_end_matches(" (*)"));
    let mut lines: Vec<&str> = foreign.filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(format!("Built into service-watchdog, each under its own licence:\n\n{}\n", lines.join("\n")))
}
