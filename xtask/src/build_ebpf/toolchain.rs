//! Finds a compiler, its library's sources, and a linker that fit together.

use std::{
    env, fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{finish, stamp::Stamp};

/// The linker, and the LLVM that it was made for: it refuses what another LLVM wrote.
const LINKER: &str = "0.10.3";
const LINKER_LLVM: &str = "22";

/// Debian's packages of a newer rustc, with the sources of `core` that no precompiled form of exists for this target.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "llvm"];

/// Where distributions put their libraries.
const LIBRARIES: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/// Everything that a build needs.
pub(super) struct Toolchain {
    source: From,
    sysroot: PathBuf,
    /// The sources of the standard library.
    pub(super) rust_sources: PathBuf,
    /// `rustc 1.96.0 (…)`
    pub(super) rustc_version: String,
    /// bpf-linker.
    pub(super) linker: PathBuf,
    /// `0.10.3`
    pub(super) linker_version: String,
    /// llvm-strip.
    pub(super) strip: PathBuf,
    /// `Debian LLVM version 14.0.6`
    pub(super) strip_version: String,
}

/// Where the compiler is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Rustup,
    Distribution,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with bpf-linker {}", self.rustc_version, self.linker_version)
    }
}

impl Toolchain {
    /// Takes the toolchain that made the present object where it is here, else rustup's nightly, else the distribution's.
    pub(super) fn find(wanted: Option<&Stamp>) -> Result<Toolchain> {
        let (linker, linker_version) = linker()?;
        let (strip, strip_version) = strip()?;
        let mut found = vec![];
        let mut missing = vec![];
        for source in [From::Rustup, From::Distribution] {
            match compiler(source) {
                Ok((sysroot, rust_sources, rustc_version)) => found.push(Toolchain {
                    source,
                    sysroot,
                    rust_sources,
                    rustc_version,
                    linker: linker.clone(),
                    linker_version: linker_version.clone(),
                    strip: strip.clone(),
                    strip_version: strip_version.clone(),
                }),
                Err(why) => missing.push(format!("{why:#}")),
            }
        }
        let same = found.iter().position(|toolchain| wanted.is_some_and(|stamp| toolchain.made(stamp)));
        if found.is_empty() {
            bail!(
                "no compiler for the probes ({}); try `cargo xtask build-ebpf --install`",
                missing.join("; ")
            );
        }
        Ok(found.swap_remove(same.unwrap_or(0)))
    }

    /// This toolchain made the object of that stamp.
    pub(super) fn made(&self, stamp: &Stamp) -> bool {
        self.rustc_version == stamp.rustc
            && self.linker_version == stamp.linker
            && self.strip_version == stamp.strip
    }

    /// A cargo that compiles with this toolchain.
    pub(super) fn cargo(&self, target: &Path) -> Result<Command> {
        // What `cargo xtask` was started by does not matter here.
        let clean = |program: &str| {
            let mut command = Command::new(program);
            command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
            command
        };
        match self.source {
            From::Rustup => {
                let mut command = clean("rustup");
                command.args(["run", "nightly", "cargo"]).env("LD_LIBRARY_PATH", self.sysroot.join("lib"));
                Ok(command)
            }
            From::Distribution => {
                let mut command = clean("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("LD_LIBRARY_PATH", llvm_folder(target)?);
                Ok(command)
            }
        }
    }
}

/// Installs what is missing, as root.
pub(super) fn install() -> Result<()> {
    // an old list of packages offers a compiler that is too old
    finish(Command::new("apt-get").args(["update", "--quiet"]))?;
    finish(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends"]).args(PACKAGES))?;
    if linker().is_err() {
        let mut cargo = Command::new("cargo");
        finish(cargo.args(["install", "bpf-linker", "--version", LINKER, "--locked", "--force"]))?;
    }
    Ok(())
}

fn compiler(source: From) -> Result<(PathBuf, PathBuf, String)> {
    let rustc = |argument: &[&str]| -> Result<String> {
        match source {
            From::Rustup => said(Command::new("rustup").args(["run", "nightly", "rustc"]).args(argument)),
            From::Distribution => said(Command::new("/usr/bin/rustc").args(argument)),
        }
    };
    let (name, cure) = match source {
        From::Rustup => ("rustup's nightly", "rustup component add rust-src --toolchain nightly".to_owned()),
        From::Distribution => (
            "the distribution's rustc",
            format!("apt-get install --no-install-recommends {}", PACKAGES.join(" ")),
        ),
    };
    let sysroot = rustc(&["--print", "sysroot"]).with_context(|| format!("{name} is missing: {cure}"))?;
    let sysroot = PathBuf::from(sysroot.trim());
    let sources = sysroot.join("lib/rustlib/src/rust");
    if !sources.join("library/Cargo.lock").exists() {
        bail!("{name} lacks the sources of its library: {cure}");
    }
    let verbose = rustc(&["-vV"])?;
    let llvm = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or_default();
    if llvm.split('.').next() != Some(LINKER_LLVM) {
        bail!("{name} has LLVM {llvm}, bpf-linker {LINKER} needs {LINKER_LLVM}");
    }
    Ok((sysroot, sources, verbose.lines().next().unwrap_or_default().to_owned()))
}

fn linker() -> Result<(PathBuf, String)> {
    let cure = format!("cargo install bpf-linker --version {LINKER} --locked");
    let path = in_path(&["bpf-linker"]).with_context(|| format!("bpf-linker is missing: {cure}"))?;
    let version = said(Command::new(&path).arg("--version"))?;
    let version = version.trim().strip_prefix("bpf-linker ").unwrap_or(version.trim()).to_owned();
    if version != LINKER {
        bail!("bpf-linker is {version}, wanted is {LINKER}: {cure} --force");
    }
    Ok((path, version))
}

fn strip() -> Result<(PathBuf, String)> {
    let names = ["llvm-strip", "llvm-strip-22", "llvm-strip-19", "llvm-strip-14"];
    let path = in_path(&names).context("llvm-strip is missing: apt-get install llvm")?;
    let told = said(Command::new(&path).arg("--version"))?;
    let version = told.lines().map(str::trim).find(|line| line.contains("LLVM version"));
    Ok((path, version.ok_or_else(|| anyhow!("llvm-strip says no version"))?.to_owned()))
}

fn in_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin"));
    let folders: Vec<PathBuf> = env::split_paths(&path).chain(home).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.exists())
}

fn said(command: &mut Command) -> Result<String> {
    let output = command
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A folder with the one right LLVM in it: bpf-linker opens the first `libLLVM*` that it finds in LD_LIBRARY_PATH, and a
/// distribution keeps several side by side.
fn llvm_folder(target: &Path) -> Result<PathBuf> {
    let prefix = format!("libLLVM.so.{LINKER_LLVM}.");
    let library = LIBRARIES
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .with_context(|| format!("{prefix}* is missing: apt-get install libllvm{LINKER_LLVM}"))?;
    let folder = target.join("llvm");
    fs::create_dir_all(&folder)?;
    let link = folder.join(library.file_name().context("a library without a name")?);
    if fs::read_link(&link).ok().as_deref() != Some(&library) {
        let _ = fs::remove_file(&link);
        symlink(&library, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(folder)
}
