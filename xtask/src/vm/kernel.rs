//! A stock kernel: downloaded and unpacked once, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Series;

/// An unpacked kernel.
pub(crate) struct Kernel {
    /// As `uname -r` tells it.
    pub(crate) version: String,
    /// Where its package was unpacked.
    root: PathBuf,
}

impl Kernel {
    /// What boots.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// Its modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.version)
    }
}

/// The newest kernel of the series that apt knows of, or the one that was fetched before.
pub(crate) fn fetch(series: Series, folder: &Path) -> Result<Kernel> {
    let root = folder.join(format!("linux-{}", series.name()));
    if !root.is_dir() {
        let unfinished = root.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
        unpack(&package(series)?, &unfinished)?;
        fs::rename(&unfinished, &root).with_context(|| format!("cannot finish {}", root.display()))?;
    }
    let boot = root.join("boot");
    let mut files = fs::read_dir(&boot).with_context(|| format!("cannot read {}", boot.display()))?;
    let version =
        files.find_map(|file| file.ok()?.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned));
    Ok(Kernel { version: version.with_context(|| format!("no kernel in {}", boot.display()))?, root })
}

fn package(series: Series) -> Result<String> {
    let offered = offered(series)?;
    let offered = match offered {
        Some(package) => Some(package),
        None => {
            ::lab::tools::refresh()?;
            self::offered(series)?
        }
    };
    offered.with_context(|| {
        let name = series.name();
        format!("cannot find a kernel {name} for the guest: apt needs Debian 12's sources (linux-image-{name}.*-cloud-amd64)")
    })
}

fn offered(series: Series) -> Result<Option<String>> {
    let pattern = format!("^linux-image-{}\\.[0-9].*-cloud-amd64$", series.name().replace('.', "\\."));
    let found = Command::new("apt-cache").args(["search", "--names-only", &pattern]).output();
    let found =
        String::from_utf8(found.context("cannot run apt-cache")?.stdout).context("cannot read apt-cache")?;
    let names = found.lines().filter_map(|line| line.split(' ').next());
    Ok(names.max_by_key(|name| numbers(name)).map(str::to_owned))
}

/// The numbers of a name, for its age: `6.1.0-9` is older than `6.1.0-10`.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn unpack(package: &str, at: &Path) -> Result<()> {
    eprintln!("downloading {package}");
    let mut download = Command::new("apt-get");
    download.args(["-q", "-o", "Acquire::Retries=5", "-o", "APT::Sandbox::User=root", "download", package]);
    download.current_dir(at).stdin(Stdio::null()).stdout(Stdio::null());
    let status = download.status().context("cannot run apt-get")?;
    ensure!(status.success(), "cannot download {package}: apt-get ended with {status}");
    for file in fs::read_dir(at).with_context(|| format!("cannot read {}", at.display()))? {
        let file = file.with_context(|| format!("cannot read {}", at.display()))?.path();
        let status = Command::new("dpkg-deb").arg("--extract").arg(&file).arg(at).status();
        let status = status.context("cannot run dpkg-deb")?;
        ensure!(status.success(), "cannot unpack {}: dpkg-deb ended with {status}", file.display());
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn the_tenth_kernel_is_newer_than_the_ninth() {
        let [ninth, tenth] = ["linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-10-cloud-amd64"];
        assert!(numbers(tenth) > numbers(ninth));
    }
}
