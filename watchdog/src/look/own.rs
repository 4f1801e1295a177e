//! How much of what the host uses is used by one cgroup: by the controllers' figures where there are some, else by those of
//! its processes.

use std::{fs, path::Path};

use procfs::process::Process;

/// Figures of so many processes are added up at most.
const PIDS: usize = 512;
/// As systemd nests cgroups within a unit.
const DEPTH: usize = 4;
/// Less I/O than this is no sign of who does it.
const LITTLE: u64 = 1 << 20;

/// What host and unit have used so far, or use now. `None`: not told here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Bytes in use, of the host and of the unit.
    memory: Option<(u64, u64)>,
    /// The unit is at its own limit: what stalls is the unit.
    at_limit: bool,
    /// Bytes read and written since the boot.
    io: Option<(u64, u64)>,
    /// Microseconds of CPU time.
    cpu: Option<(u64, u64)>,
}

impl Use {
    pub(super) fn read(directory: Option<&Path>, pids: &[i32]) -> Use {
        let Some(directory) = directory else { return Use::default() };
        let figure = |name: &str| fs::read_to_string(directory.join(name)).ok();
        let text = |path: &str| fs::read_to_string(path).ok();
        let usage = figure("cpu.stat").and_then(|text| field(&text, "usage_usec"));
        Use {
            memory: text("/proc/meminfo").and_then(|text| used(&text)).zip(memory_of(directory, pids)),
            at_limit: at_limit(figure("memory.current"), figure("memory.max"))
                || at_limit(figure("memory.current"), figure("memory.high")),
            io: text("/proc/diskstats").map(|text| moved(&text)).zip(io_of(figure("io.stat"), pids)),
            cpu: text("/proc/stat").and_then(|text| busy(&text)).zip(usage),
        }
    }

    /// The unit's shares of memory, I/O and CPU, in hundredths of a percent, between this reading and a later one.
    pub(super) fn own_of(&self, later: &Use) -> [Option<u32>; 3] {
        let grown = |first: Option<(u64, u64)>, then: Option<(u64, u64)>, least: u64| {
            let ((all, own), (all_then, own_then)) = first.zip(then)?;
            let all = all_then.saturating_sub(all).max(own_then.saturating_sub(own));
            (all >= least).then(|| share(own_then.saturating_sub(own), all)).flatten()
        };
        let memory = match later.memory {
            _ if later.at_limit => Some(10_000),
            Some((all, own)) => share(own, all),
            None => None,
        };
        [memory, grown(self.io, later.io, LITTLE), grown(self.cpu, later.cpu, 1)]
    }
}

/// In hundredths of a percent; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<u32> {
    let share = part.saturating_mul(10_000).checked_div(whole)?;
    Some(u32::try_from(share.min(10_000)).unwrap_or(10_000))
}

/// Processes of a cgroup and of those below it.
pub(super) fn pids(directory: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let mut ahead = vec![(directory.to_path_buf(), 0)];
    while let Some((directory, depth)) = ahead.pop() {
        let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        if found.len() >= PIDS {
            found.truncate(PIDS);
            return found;
        }
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = below.filter(|entry| depth < DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()));
        ahead.extend(below.map(|entry| (entry.path(), depth + 1)));
    }
    found
}

/// The cache of files that it reads is not its own need.
fn memory_of(directory: &Path, pids: &[i32]) -> Option<u64> {
    let current = fs::read_to_string(directory.join("memory.current")).ok();
    if let Some(current) = current.and_then(|text| text.trim().parse::<u64>().ok()) {
        let stat = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
        return Some(current.saturating_sub(field(&stat, "inactive_file").unwrap_or(0)));
    }
    let page = procfs::page_size();
    let own = |pid: &i32| {
        let pages = Process::new(*pid).and_then(|process| process.statm()).ok()?;
        Some(pages.resident.saturating_sub(pages.shared) * page)
    };
    Some(pids.iter().filter_map(own).sum())
}

fn io_of(stat: Option<String>, pids: &[i32]) -> Option<u64> {
    if let Some(stat) = stat {
        return Some(moved_by(&stat));
    }
    let own = |pid: &i32| {
        let io = Process::new(*pid).and_then(|process| process.io()).ok()?;
        Some(io.read_bytes + io.write_bytes)
    };
    Some(pids.iter().filter_map(own).sum())
}

fn at_limit(current: Option<String>, limit: Option<String>) -> bool {
    let number = |text: Option<String>| text?.trim().parse::<u64>().ok(); // `max` is no number
    number(current).zip(number(limit)).is_some_and(|(current, limit)| current >= limit / 100 * 95)
}

/// `name 123` of a file such as cpu.stat.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Of /proc/meminfo: what is not available, in bytes.
fn used(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(kib("MemTotal:")?.saturating_sub(kib("MemAvailable:")?) * 1024)
}

/// Of /proc/stat: what all CPUs have worked, in microseconds.
pub(super) fn busy(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    let worked = user + nice + system + irq + softirq + steal; // guests are in user and nice
    Some(worked * (1_000_000 / procfs::ticks_per_second().max(1)))
}

/// Of /proc/diskstats: bytes of whole disks, each once, so neither partitions nor what is stacked on other disks.
fn moved(diskstats: &str) -> u64 {
    const SECTOR: u64 = 512;
    let mut disk = "";
    let mut sum = 0;
    for line in diskstats.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, name, _, _, read, _, _, _, written, ..] = words[..] else { continue };
        let stacked = ["loop", "ram", "zram", "dm-", "md"].iter().any(|kind| name.starts_with(kind));
        let partition = !disk.is_empty() && name.starts_with(disk);
        if stacked || partition {
            continue;
        }
        disk = name; // its partitions follow it
        sum += (read.parse::<u64>().unwrap_or(0) + written.parse::<u64>().unwrap_or(0)) * SECTOR;
    }
    sum
}

/// Of io.stat: bytes on all devices.
fn moved_by(stat: &str) -> u64 {
    let bytes = |word: &str| word.strip_prefix("rbytes=").or(word.strip_prefix("wbytes="))?.parse().ok();
    stat.split_whitespace().filter_map(bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_uses_is_read_from_what_the_kernel_wrote() {
        let meminfo =
            "MemTotal:       24683520 kB\nMemFree:        14426112 kB\nMemAvailable:   24012800 kB\n";
        assert_eq!(used(meminfo), Some((24_683_520 - 24_012_800) * 1024));
        let stat = "cpu  100 20 30 4000 50 6 7 8 100 20\ncpu0 50 10 15 2000 25 3 3 4 50 10\n";
        assert_eq!(busy(stat), Some(171 * (1_000_000 / procfs::ticks_per_second())));
        let disks = "   7       0 loop0 11 0 28 0 0 0 0 0 0 0 0\n 254       0 vda 9 1 1000 4 5 6 2000 8 0 9 9\n \
                      254       1 vda1 9 1 900 4 5 6 1800 8 0 9 9\n 253       0 dm-0 9 1 900 4 5 6 1800 8 0 9 9\n \
                      254      16 vdb 9 1 10 4 5 6 20 8 0 9 9\n";
        assert_eq!(moved(disks), (1000 + 2000 + 10 + 20) * 512);
        let io =
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n254:16 rbytes=1 wbytes=2 rios=1\n";
        assert_eq!(moved_by(io), 4096 + 8192 + 3);
        assert_eq!(field("usage_usec 77\nuser_usec 70\n", "usage_usec"), Some(77));
        assert_eq!(
            (used(""), busy("cpu"), field("", "usage_usec"), moved("x"), moved_by("x")),
            (None, None, None, 0, 0)
        );
    }

    #[test]
    fn a_units_share_is_what_it_used_between_two_readings_and_of_memory_what_it_has() {
        let first =
            Use { memory: Some((100, 10)), at_limit: false, io: Some((0, 0)), cpu: Some((1_000, 500)) };
        let then = Use {
            memory: Some((200, 150)),
            at_limit: false,
            io: Some((4 * LITTLE, 3 * LITTLE)),
            cpu: Some((2_000, 600)),
        };
        assert_eq!(first.own_of(&then), [Some(7_500), Some(7_500), Some(1_000)]);
        let at_limit = Use { at_limit: true, ..then };
        assert_eq!(first.own_of(&at_limit)[0], Some(10_000));
        let idle = Use { io: Some((1, 1)), ..first };
        assert_eq!(first.own_of(&idle), [Some(1_000), None, None]);
        assert_eq!(Use::default().own_of(&Use::default()), [None; 3]);
    }

    #[test]
    fn a_limit_is_reached_a_little_before_its_end_and_no_limit_never_is() {
        let text = |text: &str| Some(text.to_owned());
        assert!(at_limit(text("96000\n"), text("100000\n")));
        assert!(!at_limit(text("90000\n"), text("100000\n")));
        assert!(!at_limit(text("90000\n"), text("max\n")));
        assert!(!at_limit(None, text("100000\n")));
    }
}
