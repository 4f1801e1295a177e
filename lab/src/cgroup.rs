//! The lab's own branch of the cgroup tree.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The directory of a lab's cgroup, whether it exists or not.
pub(crate) fn directory(lab: &str) -> Result<PathBuf> {
    Ok(mount()?.join(format!("watchdog-{lab}")))
}

/// Where this machine's tree of cgroups is.
pub(crate) fn mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let root = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(place)
    });
    let Some(root) = root else {
        bail!("cannot find a cgroup2 file system in /proc/self/mounts: mount one at /sys/fs/cgroup/unified");
    };
    Ok(root.into())
}

/// A command that runs `program` within the cgroup at `directory`, which must exist.
pub(crate) fn command_in(directory: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo 0 > "$0" && exec "$@""#]);
    command.arg(directory.join("cgroup.procs")).arg(program);
    command
}

/// Kills whatever runs in the branch and removes its directories.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    let began = Instant::now();
    loop {
        // A process that forks while the kill runs dies with it; one that enters afterwards is met by the next round.
        match fs::write(directory.join("cgroup.kill"), "1") {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !directory.exists() => return Ok(()),
            other => other.with_context(|| format!("cannot write {}/cgroup.kill", directory.display()))?,
        }
        match remove_tree(directory) {
            Ok(()) => return Ok(()),
            Err(e) if began.elapsed() > Duration::from_secs(10) => {
                return Err(e).with_context(|| format!("cannot remove the cgroup {}", directory.display()));
            }
            Err(_busy) => wait_for_change(directory)?,
        }
    }
}

fn wait_for_change(directory: &Path) -> Result<()> {
    let Ok(events) = fs::File::open(directory.join("cgroup.events")) else { return Ok(()) };
    let limit = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&limit))
        .context("cannot wait for cgroup.events")?;
    Ok(())
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}
