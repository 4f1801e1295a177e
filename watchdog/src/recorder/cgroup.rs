//! Figures of the host and of the unit's cgroup, and who is in it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::tables::head;
use crate::model::UnitState;

/// So many processes of a unit are looked at.
const PIDS: usize = 256;
/// As systemd nests cgroups within a unit.
const DEPTH: usize = 4;
/// A file of figures is shorter than this.
const FIGURES: usize = 8 << 10;

const HOST: [&str; 5] =
    ["/proc/loadavg", "/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io", "/proc/meminfo"];

const UNIT: [&str; 16] = [
    "cgroup.events",
    "cgroup.freeze",
    "pids.current",
    "pids.max",
    "pids.events",
    "memory.current",
    "memory.peak",
    "memory.high",
    "memory.max",
    "memory.swap.current",
    "memory.events",
    "memory.pressure",
    "cpu.stat",
    "cpu.max",
    "cpu.pressure",
    "io.pressure",
];

/// What the host is short of.
pub(super) fn host() -> String {
    let mut text = String::new();
    for path in HOST {
        let figures = head(Path::new(path), FIGURES).unwrap_or_else(|fault| fault.to_string());
        // of the table of memory its beginning says it all
        let lines = figures.lines().take(if path.ends_with("meminfo") { 5 } else { usize::MAX });
        lines.for_each(|line| text += &format!("{path}: {line}\n"));
    }
    text
}

/// The directory of the unit's present run; `None` when it is gone, or another run's already.
pub(super) fn directory(mount: &Path, state: &UnitState) -> Option<PathBuf> {
    let path = mount.join(state.cgroup_path.trim_start_matches('/'));
    let id = fs::metadata(&path).ok()?.ino();
    state.cgroup.is_some_and(|cgroup| cgroup.0 == id).then_some(path)
}

/// Its figures, as far as its controllers are there.
pub(super) fn figures(directory: &Path) -> String {
    let mut text = format!("{}\n", directory.display());
    for name in UNIT {
        let Ok(figures) = head(&directory.join(name), FIGURES) else { continue };
        figures.lines().for_each(|line| text += &format!("{name}: {line}\n"));
    }
    text
}

/// Processes of a cgroup and of those below it.
pub(super) fn pids(directory: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    let mut ahead = vec![(directory.to_path_buf(), 0)];
    while let Some((directory, depth)) = ahead.pop() {
        let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(procs.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid > 0));
        if found.len() >= PIDS {
            break;
        }
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = below.filter(|entry| depth < DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()));
        ahead.extend(below.map(|entry| (entry.path(), depth + 1)));
    }
    found.sort_unstable();
    found.truncate(PIDS);
    found
}
