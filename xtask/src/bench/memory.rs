//! A limit of memory on one process, by a cgroup of its own in the first version's tree.
//!
//! Where that tree has the memory controller, the lab's units cannot have a limit of their own; and where it is the second
//! version's, nothing is measured: the virtual machine (`cargo xtask vm`) proves that it works there.

use std::{fs, io::ErrorKind, path::PathBuf};

use ::lab::Lab;
use anyhow::{Context, Result};

const BYTES: &str = "67108864";

/// Gone with its last process when dropped.
pub(super) struct Limit {
    folder: PathBuf,
}

impl Limit {
    /// `None` where this host cannot set one.
    pub(super) fn new(lab: &Lab) -> Result<Option<Limit>> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        let tree = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
            (kind == "cgroup" && options.split(',').any(|option| option == "memory")).then_some(place)
        });
        let Some(tree) = tree else { return Ok(None) };
        let folder = PathBuf::from(tree).join(format!("watchdog-bench-{}", lab.name()));
        match fs::create_dir(&folder) {
            Err(fault) if fault.kind() != ErrorKind::AlreadyExists => {
                return Err(fault).with_context(|| format!("cannot make {}", folder.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let limit = Limit { folder };
        limit.write("memory.limit_in_bytes", BYTES)?;
        Ok(Some(limit))
    }

    /// Sets it on all processes that a unit of the lab has now.
    pub(super) fn set(&self, lab: &Lab, unit: &str) -> Result<()> {
        let all = lab.cgroup(&format!("system.slice/{unit}")).join("cgroup.procs");
        let pids = fs::read_to_string(&all).with_context(|| format!("cannot read {}", all.display()))?;
        pids.lines().try_for_each(|pid| self.write("cgroup.procs", pid))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Err(fault) = fs::remove_dir(&self.folder) {
            eprintln!("cannot remove {}: {fault}", self.folder.display());
        }
    }
}
