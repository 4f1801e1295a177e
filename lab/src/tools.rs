//! Programs of the host that are needed, and how they get there.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// A program, and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name in PATH.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// What a lab needs of the host.
pub const LAB: [Tool; 4] = [
    Tool { program: "mmdebstrap", package: "mmdebstrap" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "nsenter", package: "util-linux" },
    Tool { program: "setpriv", package: "util-linux" },
];

/// Those of `tools` that are in no directory of PATH.
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found =
        |tool: &&Tool| env::split_paths(&path).any(|directory| directory.join(tool.program).is_file());
    tools.iter().filter(|tool| !found(tool)).copied().collect()
}

/// Installs what is missing with apt-get, which asks nothing; says what to install where that cannot be.
pub fn install(tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let packages = packages.join(" ");
    ensure!(
        rustix::process::geteuid().is_root() && self::missing(&[APT]).is_empty(),
        "cannot go on without the package(s) {packages}: install them, on Debian with: sudo apt-get install {packages}"
    );
    eprintln!("installing {packages}");
    refresh()?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(packages.split(' '));
    apt(&install)
}

/// Has apt ask its mirrors what there is.
pub fn refresh() -> Result<()> {
    apt(&["update", "-q"])
}

const APT: Tool = Tool { program: "apt-get", package: "apt" };

fn apt(arguments: &[&str]) -> Result<()> {
    // A mirror that stumbles once is asked again by apt itself.
    let mut command = Command::new("apt-get");
    command.args(["-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().context("cannot run apt-get")?;
    ensure!(status.success(), "apt-get {arguments:?} failed: {status}");
    Ok(())
}
