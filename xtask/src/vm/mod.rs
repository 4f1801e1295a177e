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
    /// Locked down for confidentiality: nobody reads the kernel's memory, so there are no probes. The stories alone
    #[arg(long)]
    lockdown: bool,
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

/// Of the probes' own tests, those that show on a further kernel that all of the probes speak.
const SMOKE: &[&str] = &[
    "load::",
    "listeners::",
    "accept::a_stall_is_told_after_250_ms",
    "accept::one_dead_worker_of_two_is_told",
    "answer::a_request_that_is_read_and_never_answered_is_told",
    "ends::a_kill_is_told_with_its_sender_before_the_end",
    "ends::a_process_of_many_threads_ends_once",
    "ends::an_exit_is_told_with_its_code",
    "use_and_loss::",
];

/// What every test run leaves to the machine's own kernel: storms, which an emulated one cannot make, and what takes an emulated one
/// minutes: stalls of fourteen kinds of sockets, and probes that outlive who loaded them. `cargo xtask vm` runs these, too.
const ELSEWHERE: &[&str] = &["--skip", "storm::", "--skip", "sockets::", "--skip", "adopt::"];

/// One boot of a guest, and what is run there.
struct Boot<'a> {
    series: Series,
    lockdown: bool,
    /// Of the stories; all where it is empty.
    stories: &'a [&'a str],
    /// Of the probes' own tests, or what the test runner is told beside; all where it is empty. `None`: they are not run.
    kernel: Option<&'a [&'a str]>,
}

impl Boot<'_> {
    /// As files and lines bear it.
    fn name(&self) -> String {
        format!("{}{}", self.series.name(), if self.lockdown { "-lockdown" } else { "" })
    }
}

impl Vm {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let filter: Vec<&str> = self.filter.as_deref().into_iter().collect();
        let kernel = (!self.lockdown).then_some(filter.as_slice());
        let boot = Boot { series: self.kernel, lockdown: self.lockdown, stories: &filter, kernel };
        let sum = play(&[boot])?;
        Ok(if sum.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What belongs to `cargo xtask test`: nearly everything on the oldest kernel, on the last one every story and some tests of the probes,
/// and every story where no probe can be. With a filter only where a story is meant, and that on the oldest kernel.
pub(crate) fn for_all_tests(filter: Option<&str>) -> Result<Sum> {
    let oldest =
        |stories, kernel| Boot { series: Series::V6_1, lockdown: false, stories, kernel: Some(kernel) };
    let last = |lockdown, kernel| Boot { series: Series::V6_12, lockdown, stories: &[], kernel };
    match filter {
        Some(filter) if !programs::build()?.has_story(filter)? => Ok(Sum::default()),
        Some(filter) => play(&[oldest(&[filter], &[filter])]),
        None => play(&[oldest(&[], ELSEWHERE), last(false, Some(SMOKE)), last(true, None)]),
    }
}

/// Boots guests, one after the other, has everything run in them, and prints what comes of it.
fn play(boots: &[Boot<'_>]) -> Result<Sum> {
    ensure!(cfg!(target_arch = "x86_64"), "cannot boot a guest: its kernels are those of amd64");
    test::prepare()?;
    ::lab::tools::install(&TOOLS)?;
    let programs = programs::build()?;
    let folder = folder()?;
    let lock = File::create(folder.join("lock")).context("cannot lock target/vm")?;
    flock(&lock, FlockOperation::LockExclusive).context("cannot lock target/vm")?;
    let mut all = Sum::default();
    for boot in boots {
        let kernel = kernel::fetch(boot.series, &folder)?;
        let image = image::build(&folder, &kernel, &programs, boot)?;
        let under = if boot.lockdown { ", locked down" } else { "" };
        eprintln!("── virtual machine: Linux {}{under}", kernel.version);
        let sum = guest::run(&folder, &kernel, &image, boot)?;
        println!("{}; on Linux {}{under} in a virtual machine", sum.line(sum.good()), kernel.version);
        all.take(&sum);
    }
    Ok(all)
}

fn folder() -> Result<PathBuf> {
    let folder = ::lab::target_directory()?.join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
