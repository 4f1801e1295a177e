//! Where the units of this host live: their cgroups, and the processes in them.

use std::{collections::BTreeSet, fs, os::unix::fs::DirEntryExt, path::Path};

use crate::{
    model::CgroupId,
    systemd::{Error, cgroup},
};

/// A service, or a scope, of the system's own systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// Its name; a service of a user's own systemd is part of `user@….service`.
    pub unit: String,
    /// Its cgroup, and all below.
    pub cgroups: BTreeSet<CgroupId>,
    /// Its processes, the lowest numbers first: mostly the main one is that.
    pub processes: BTreeSet<u32>,
}

/// Every service and scope that has a cgroup. It walks all of them: some milliseconds on a host of many units.
///
/// # Errors
/// [`Error::NoCgroup2`], and [`Error::Cgroup`] when /proc cannot be read.
pub fn homes() -> Result<Vec<Home>, Error> {
    let mut homes = Vec::new();
    below(&cgroup::mount()?, &mut homes);
    homes.sort_by(|one, other| one.unit.cmp(&other.unit));
    Ok(homes)
}

fn below(slice: &Path, homes: &mut Vec<Home>) {
    // A cgroup that goes away under the walk is nobody's home any more.
    for entry in fs::read_dir(slice).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".service") || name.ends_with(".scope") {
            let mut home = Home { unit: name, ..Home::default() };
            collect(&entry.path(), entry.ino(), &mut home);
            homes.push(home);
        } else {
            below(&entry.path(), homes);
        }
    }
}

fn collect(folder: &Path, inode: u64, home: &mut Home) {
    home.cgroups.insert(CgroupId(inode));
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process outside of our PID namespace
    home.processes
        .extend(processes.lines().filter_map(|line| line.parse().ok()).filter(|pid: &u32| *pid != 0));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), entry.ino(), home);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_scopes_are_homes_with_all_that_is_below_them() {
        let mount = tempfile::tempdir().expect("a folder");
        let write = |folder: &str, processes: &str| {
            let folder = mount.path().join(folder);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("cgroup.procs"), processes).expect("a file");
        };
        write("system.slice/nginx.service", "12\n11\n");
        write("system.slice/system-app.slice/app@1.service/worker", "30\n0\n");
        write("user.slice/user-0.slice/user@0.service/app.slice/own.service", "40\n");
        write("user.slice/user-0.slice/session-3.scope", "50\n");
        write("docker/4711", "60\n");
        let mut homes = Vec::new();
        below(mount.path(), &mut homes);
        homes.sort_by(|one, other| one.unit.cmp(&other.unit));
        let seen: Vec<(&str, usize, Vec<u32>)> = homes
            .iter()
            .map(|home| (home.unit.as_str(), home.cgroups.len(), home.processes.iter().copied().collect()))
            .collect();
        let wanted = [
            ("app@1.service", 2, vec![30]),
            ("nginx.service", 1, vec![11, 12]),
            ("session-3.scope", 1, vec![50]),
            ("user@0.service", 3, vec![40]),
        ];
        assert_eq!(seen, wanted);
    }
}
