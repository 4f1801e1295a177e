//! Limits of tasks, the host's and those of the cgroups above a unit.

use std::{fs, path::Path};

use super::own;
use crate::{
    model::{Tasks, UnitState},
    systemd::cgroup,
};

/// Every limit that a new process of the unit falls under, but its own: a restart cures that.
pub(super) fn limits(unit: &UnitState, directory: Option<&Path>) -> Vec<Tasks> {
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let own = directory.map_or(0, threads);
    let mut found = Vec::new();
    let most = ["/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"];
    let limit = most.iter().filter_map(|path| number(Path::new(path))).min();
    let used = fs::read_to_string("/proc/loadavg").ok().and_then(|text| running(&text));
    if let Some((used, limit)) = used.zip(limit) {
        found.push(Tasks { place: "the host".into(), used, limit, own });
    }
    let Ok(mount) = cgroup::mount() else { return found };
    // where a unit that is down has no cgroup, systemd will most likely put it there
    let path = if unit.cgroup_path.is_empty() { "/system.slice/it" } else { &unit.cgroup_path };
    let above = Path::new(path.trim_start_matches('/')).ancestors().skip(1);
    for inner in above.filter(|inner| !inner.as_os_str().is_empty()) {
        let directory = mount.join(inner);
        let figures = number(&directory.join("pids.current")).zip(number(&directory.join("pids.max")));
        if let Some((used, limit)) = figures {
            found.push(Tasks { place: format!("/{}", inner.display()), used, limit, own });
        }
    }
    found
}

/// Threads of a cgroup: by its controller, else by its list.
fn threads(directory: &Path) -> u64 {
    let current = fs::read_to_string(directory.join("pids.current")).ok();
    current.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| {
        let threads = |pid: &i32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        own::pids(directory).iter().map(threads).sum::<usize>() as u64
    })
}

/// Of /proc/loadavg: all tasks of the host.
fn running(loadavg: &str) -> Option<u64> {
    loadavg.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_of_the_host_are_told_beside_its_load() {
        assert_eq!(running("1.00 1.18 0.80 3/417 9923\n"), Some(417));
        assert_eq!(running("1.00 1.18 0.80"), None);
    }
}
