//! What each process is, and how it is.

use std::{fmt::Write as _, path::PathBuf};

use procfs::process::{Process, Stat};

use super::tables::head;

/// Of a command line.
const COMMAND: usize = 512;
/// Of a process's status.
const STATUS: usize = 4 << 10;

/// What of a status is worth a line.
const LINES: [&str; 12] = [
    "Uid:",
    "VmPeak:",
    "VmRSS:",
    "VmSwap:",
    "Threads:",
    "SigQ:",
    "SigPnd:",
    "ShdPnd:",
    "SigBlk:",
    "SigCgt:",
    "voluntary_ctxt_switches:",
    "nonvoluntary_ctxt_switches:",
];

/// One line for each; nothing of this waits for anything.
pub(super) fn table(pids: &[u32]) -> String {
    let mut text = String::from("    PID    PPID S THREADS   CPU s  UP s    RSS KiB NAME\n");
    let ticks = procfs::ticks_per_second();
    let up = head(std::path::Path::new("/proc/uptime"), 64).ok();
    let up = up.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default();
    for pid in pids {
        let Some(stat) = stat(*pid) else {
            let _ = writeln!(text, "{pid:>7} it is gone");
            continue;
        };
        let seconds = |ticked: u64| ticked as f64 / ticks.max(1) as f64;
        let cpu = seconds(stat.utime + stat.stime);
        let age = (up - seconds(stat.starttime)).max(0.0);
        let rss = stat.rss * procfs::page_size() / 1024;
        let Stat { ppid, state, num_threads, ref comm, .. } = stat;
        let _ = writeln!(
            text,
            "{pid:>7} {ppid:>7} {state} {num_threads:>7} {cpu:>7.1} {age:>5.0} {rss:>10} {comm}"
        );
    }
    text
}

fn stat(pid: u32) -> Option<Stat> {
    Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()
}

/// Its command line, program and counters. Who may see a list of processes sees all of it.
pub(super) fn details(pid: u32) -> String {
    let file = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let command = head(&file("cmdline"), COMMAND).unwrap_or_default().replace('\0', " ");
    let program = std::fs::read_link(file("exe")).map(|path| path.display().to_string()).unwrap_or_default();
    let mut text = format!("program {program}\ncommand {}\n", command.trim_end());
    let status = head(&file("status"), STATUS).unwrap_or_default();
    let lines = status.lines().filter(|line| LINES.iter().any(|name| line.starts_with(name)));
    lines.for_each(|line| text += &format!("{line}\n"));
    text
}
