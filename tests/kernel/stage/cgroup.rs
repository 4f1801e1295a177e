//! A cgroup of a test's own, below which others may be made.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use watchdog::model::CgroupId;

use super::{PATIENCE, Puppet};

/// A cgroup that is removed with everything in it.
pub(crate) struct Cgroup {
    pub(crate) path: PathBuf,
    mount: PathBuf,
}

static CGROUPS: AtomicU32 = AtomicU32::new(0);

impl Cgroup {
    pub(super) fn new() -> Result<Cgroup> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?;
            (words.next()? == "cgroup2").then_some(place)
        });
        let mount = mount.context("there is no cgroup2 file system")?;
        let number = CGROUPS.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(mount).join(format!("watchdog-kernel-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Cgroup { path, mount: mount.into() })
    }

    /// As systemd would name the cgroup of this name below it.
    pub(super) fn control_group(&self, below: &str) -> Result<String> {
        Ok(format!("/{}/{below}", self.path.strip_prefix(&self.mount)?.display()))
    }

    /// Where that is.
    pub(crate) fn below(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    pub(crate) fn id(&self) -> Result<CgroupId> {
        Ok(CgroupId(fs::metadata(&self.path)?.ino()))
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Runs a program in it by this name, to its end; answers its PID.
    pub(crate) fn run(&self, program: &Path) -> Result<u32> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "echo $$ > \"$0\" && exec \"$1\""])
            .arg(self.path.join("cgroup.procs"))
            .arg(program);
        let mut child = shell.spawn().context("cannot run a program")?;
        let status = child.wait().context("cannot wait for a program")?;
        ensure!(status.success(), "{} ended with {status}", program.display());
        Ok(child.id())
    }

    /// A process some levels below.
    pub(crate) fn puppet_below(&self, path: &str) -> Result<Puppet> {
        let below = self.path.join(path);
        fs::create_dir_all(&below)?;
        Puppet::new(&below)
    }

    /// Takes away what lies below, once nobody is in it any more.
    pub(crate) fn remove_below(&self, path: &str) -> Result<()> {
        let below = self.path.join(path);
        remove(&below);
        ensure!(!below.exists(), "{} is there still", below.display());
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        remove(&self.path);
    }
}

/// Children first. A cgroup can be removed once the last of its killed processes is gone.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let end = Instant::now() + PATIENCE;
    while fs::remove_dir(path).is_err() && path.exists() && Instant::now() < end {
        thread::yield_now();
    }
}
