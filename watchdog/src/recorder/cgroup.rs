//! Figures of the host and of the unit's cgroup.

use std::path::Path;

use super::tables::head;

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

/// Its figures, as far as its controllers are there.
pub(super) fn figures(directory: &Path) -> String {
    let mut text = format!("{}\n", directory.display());
    for name in UNIT {
        let Ok(figures) = head(&directory.join(name), FIGURES) else { continue };
        figures.lines().for_each(|line| text += &format!("{name}: {line}\n"));
    }
    text
}
