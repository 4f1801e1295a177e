//! Builds the probes for the kernel: `watchdog-ebpf` becomes `watchdog.bpf.o`, which is checked in and embedded, so that
//! plain `cargo build` needs no eBPF toolchain.
//!
//! Beside the object lies its stamp: which sources and which toolchain made it. The same sources under the same toolchain
//! give the same bytes, wherever they lie. Deliberately absent: a build script, which would ask this of everyone.

mod sources;
mod stamp;
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, run, tree};
use stamp::Stamp;
use toolchain::Toolchain;

/// What is asked.
#[derive(clap::Args)]
pub(crate) struct BuildEbpf {
    /// First install what is missing: rustc and its sources from the distribution, bpf-linker from crates.io.
    #[arg(long)]
    install: bool,
    /// Change nothing: fail when the object does not belong to the sources; rebuild and compare where the toolchain is here.
    #[arg(long)]
    check: bool,
}

const TARGET: &str = "bpfel-unknown-none";

/// Part of the stamp: another set of flags is another object.
const FLAGS: [&str; 3] = ["--cfg=bpf_target_arch=\"x86_64\"", "-Cdebuginfo=2", "-Clink-arg=--btf"];
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "2"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

impl BuildEbpf {
    /// Runs the task.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let root = tree();
        if self.install {
            toolchain::install()?;
        }
        let sources = sources::hash(&root)?;
        if self.check {
            check(&root, &sources)?
        } else {
            build(&root, &sources)?
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn build(root: &Path, sources: &str) -> Result<()> {
    let wanted = Stamp::read(&stamp_path(root)).ok();
    let toolchain = Toolchain::find(wanted.as_ref())?;
    let fresh = compile(root, &toolchain)?;
    let stamp = Stamp {
        sources: sources.to_owned(),
        rustc: toolchain.rustc_version.clone(),
        linker: toolchain.linker_version.clone(),
        strip: toolchain.strip_version.clone(),
        object: sources::sha256(&fs::read(&fresh)?),
    };
    let object = object_path(root);
    fs::create_dir_all(object.parent().context("the object has no folder")?)?;
    fs::copy(&fresh, &object).with_context(|| format!("cannot write {}", object.display()))?;
    stamp.write(&stamp_path(root))?;
    println!("{} ({} bytes), built by {}", object.display(), fs::metadata(&object)?.len(), stamp.rustc);
    Ok(())
}

fn check(root: &Path, sources: &str) -> Result<()> {
    let stamp = Stamp::read(&stamp_path(root))?;
    if stamp.sources != sources {
        bail!(
            "the probes changed since their object was built: run `cargo xtask build-ebpf` and commit the result"
        );
    }
    let bytes = fs::read(object_path(root)).context("cannot read the object of the probes")?;
    if stamp.object != sources::sha256(&bytes) {
        bail!("the object of the probes is not the one of its stamp: run `cargo xtask build-ebpf`");
    }
    let toolchain = match Toolchain::find(Some(&stamp)) {
        Ok(toolchain) => toolchain,
        Err(why) => {
            println!("the object belongs to the sources; not rebuilt, for {why:#}");
            return Ok(());
        }
    };
    let fresh = compile(root, &toolchain)?;
    if !toolchain.made(&stamp) {
        println!(
            "the object belongs to the sources; it was built by {}, here is {}.",
            stamp.rustc, toolchain
        );
        let mut tests = cargo(&["test", "--locked", "--package", "tests", "--test", "kernel"]);
        return run("kernel tests with a fresh object", tests.env("WATCHDOG_BPF_OBJECT", &fresh));
    }
    if fs::read(&fresh)? != bytes {
        bail!(
            "the object cannot be reproduced: {} differs from {}, under the same toolchain",
            fresh.display(),
            object_path(root).display()
        );
    }
    println!("the object belongs to the sources, and {} builds the same bytes again", toolchain);
    Ok(())
}

/// Compiles and strips; the path of the fresh object.
fn compile(root: &Path, toolchain: &Toolchain) -> Result<PathBuf> {
    let target = root.join("target/bpf");
    fs::create_dir_all(&target)?;
    let mut flags: Vec<String> = FLAGS.map(str::to_owned).to_vec();
    flags.push(format!("-Clinker={}", toolchain.linker.display()));
    flags.extend(remaps(root, toolchain)?);
    let mut cargo = toolchain.cargo(&target)?;
    for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO", "CARGO_TARGET_DIR"] {
        cargo.env_remove(name);
    }
    cargo
        .current_dir(root)
        .envs(PROFILE)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args(["build", "--release", "--locked", "-Z", "build-std=core", "--target", TARGET])
        .args(["--package", "watchdog-ebpf", "--bin", "watchdog-ebpf", "--target-dir"])
        .arg(&target);
    finish(&mut cargo)?;
    let built = target.join(TARGET).join("release/watchdog-ebpf");
    let fresh = target.join("watchdog.bpf.o");
    fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    // Debug sections only: the types that the loader reads are in .BTF.
    finish(Command::new(&toolchain.strip).arg("-g").arg(&fresh))?;
    Ok(fresh)
}

/// The folders that would otherwise find their way into the object.
fn remaps(root: &Path, toolchain: &Toolchain) -> Result<Vec<String>> {
    let mut folders = vec![(root.to_owned(), "/watchdog".to_owned())];
    for sources in [toolchain.rust_sources.clone(), toolchain.rust_sources.canonicalize()?] {
        folders.push((sources, "/rust".to_owned()));
    }
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    let registries = home.join("registry/src");
    for registry in
        fs::read_dir(&registries).with_context(|| format!("cannot list {}", registries.display()))?
    {
        folders.push((registry?.path(), "/cargo".to_owned()));
    }
    Ok(folders.into_iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

/// Runs to its end.
fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn object_path(root: &Path) -> PathBuf {
    root.join("watchdog/src/sources/ebpf/watchdog.bpf.o")
}

fn stamp_path(root: &Path) -> PathBuf {
    root.join("watchdog/src/sources/ebpf/watchdog.bpf.o.stamp")
}
