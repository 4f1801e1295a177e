//! `cargo xtask vm`: what a lab lacks. Limits of memory, processes and CPU, and the OOM killer, on a stock kernel of Debian 12
//! that is not this machine's; the probes' own tests are run there, too.
//!
//! Invariant: all that it makes lies under `target/vm`; the guest has neither disk nor network, and ends with this program.
//! Deliberately absent: KVM, which not every machine has. A guest is emulated, and 5 to 20 times slower: no story may need a
//! tight time.

mod guest;
mod image;
mod kernel;
mod programs;

use std::{
    fs::{self, File},
    path::PathBuf,
    process::ExitCode,
};

use ::lab::tools::Tool;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::fs::{FlockOperation, flock};

use crate::test::{self, Sum};

const TOOLS: [Tool; 2] = [
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { program: "cpio", package: "cpio" },
];

#[derive(Args)]
pub(crate) struct Vm {
    /// Debian 12's first kernel, or its last
    #[arg(long, value_enum, default_value_t = Series::V6_1)]
    kernel: Series,
    /// Only tests whose name holds this text
    filter: Option<String>,
}

/// A series of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Series {
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Series::V6_1 => "6.1",
            Series::V6_12 => "6.12",
        }
    }
}

impl Vm {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let sum = play(self.kernel, self.filter.as_deref())?;
        Ok(if sum.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What belongs to `cargo xtask test`: the oldest kernel; with a filter only where a story is meant.
pub(crate) fn for_all_tests(filter: Option<&str>) -> Result<Sum> {
    match filter {
        Some(filter) if !programs::build()?.has_story(filter)? => Ok(Sum::default()),
        filter => play(Series::V6_1, filter),
    }
}

/// Boots a guest, has everything run in it, and prints what comes of it.
fn play(series: Series, filter: Option<&str>) -> Result<Sum> {
    ensure!(cfg!(target_arch = "x86_64"), "cannot boot a guest: its kernels are those of amd64");
    test::prepare()?;
    ::lab::tools::install(&TOOLS)?;
    let programs = programs::build()?;
    let folder = folder()?;
    let lock = File::create(folder.join("lock")).context("cannot lock target/vm")?;
    flock(&lock, FlockOperation::LockExclusive).context("cannot lock target/vm")?;
    let kernel = kernel::fetch(series, &folder)?;
    let image = image::build(&folder, &kernel, &programs, filter)?;
    eprintln!("── virtual machine: Linux {}", kernel.version);
    let sum = guest::run(&folder, &kernel, &image)?;
    println!("{}; on Linux {} in a virtual machine", sum.line(sum.good()), kernel.version);
    Ok(sum)
}

fn folder() -> Result<PathBuf> {
    let folder = ::lab::target_directory()?.join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
