//! Open files, and the locks on files that a process holds or waits for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::tables::head;

/// So many descriptors of a process are named; their number is told in any case.
const NAMED: usize = 128;
/// So many are looked at.
const LOOKED_AT: usize = 16_384;
/// The table of locks of a host.
const LOCKS: usize = 256 << 10;

/// The sockets of a unit's processes.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) inodes: BTreeSet<u64>,
    /// Of some descriptor nobody may see what it is.
    pub(super) hidden: bool,
}

/// What lets the descriptors of other users' processes be seen.
pub(super) const NEEDED: &str = "CAP_SYS_PTRACE";

/// The descriptors of a process; adds its sockets.
pub(super) fn open(pid: u32, own: &mut Own) -> String {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries.flatten().take(LOOKED_AT),
        Err(fault) => {
            own.hidden = true;
            return format!("not shown: {fault} ({NEEDED})");
        }
    };
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    let most = head(Path::new(&format!("/proc/{pid}/limits")), 4096).ok();
    let most = most.and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        line.split_whitespace().next().map(str::to_owned)
    });
    let mut text = format!("{} of at most {}\n", numbers.len(), most.unwrap_or_else(|| "?".to_owned()));
    let mut refused = None;
    for (at, number) in numbers.iter().enumerate() {
        let goal = match fs::read_link(PathBuf::from(format!("/proc/{pid}/fd/{number}"))) {
            Ok(goal) => goal.display().to_string(),
            Err(fault) if fault.kind() == ErrorKind::NotFound => continue, // closed meanwhile
            Err(fault) => {
                refused = Some(fault);
                continue;
            }
        };
        own.inodes
            .extend(goal.strip_prefix("socket:[").and_then(|it| it.strip_suffix(']')?.parse::<u64>().ok()));
        if at < NAMED {
            let _ = writeln!(text, "{number:>5} {goal}");
        }
    }
    if numbers.len() > NAMED {
        let _ = writeln!(text, "and {} more", numbers.len() - NAMED);
    }
    if let Some(fault) = refused {
        own.hidden = true;
        let _ = writeln!(text, "what they are is not shown: {fault} ({NEEDED})");
    }
    text
}

/// The locks that these processes hold or wait for, with all others on the same.
pub(super) fn locks(pids: &[u32]) -> String {
    match head(Path::new("/proc/locks"), LOCKS) {
        Ok(table) => {
            let found = concerned(&table, pids);
            if found.is_empty() { "none".into() } else { found }
        }
        Err(fault) => format!("not shown: {fault}"),
    }
}

fn concerned(table: &str, pids: &[u32]) -> String {
    // those that wait have the number of the lock that they wait for, and an arrow
    let mut locks: BTreeMap<u64, Vec<(Option<u32>, &str)>> = BTreeMap::new();
    for line in table.lines() {
        let Some((number, rest)) = line.split_once(": ") else { continue };
        let Ok(number) = number.trim().parse() else { continue };
        let mut words = rest.split_whitespace().skip_while(|word| *word == "->");
        let holder = words.nth(3).and_then(|pid| pid.parse().ok());
        locks.entry(number).or_default().push((holder, rest));
    }
    let ours = |pid: &Option<u32>| pid.is_some_and(|pid| pids.contains(&pid));
    let mut text = String::new();
    for (number, lines) in locks.iter().filter(|(_, lines)| lines.iter().any(|(pid, _)| ours(pid))) {
        for (pid, line) in lines {
            let name = pid.and_then(|pid| head(Path::new(&format!("/proc/{pid}/comm")), 64).ok());
            let waits = if line.trim_start().starts_with("->") { "waits" } else { "holds" };
            let name = name.as_deref().map_or("?", str::trim_end);
            let pid = pid.unwrap_or_default();
            let _ = writeln!(text, "lock {number}: process {pid} ({name}) {waits}: {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_told_with_who_waits_for_it() {
        let table = "1: FLOCK  ADVISORY  WRITE 4000001 00:1a:7 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 4000002 00:1a:7 0 EOF\n\
                     2: POSIX  ADVISORY  READ  4000003 00:1a:8 0 EOF\n";
        expect_test::expect![[r#"
            lock 1: process 4000001 (?) holds: FLOCK  ADVISORY  WRITE 4000001 00:1a:7 0 EOF
            lock 1: process 4000002 (?) waits: -> FLOCK  ADVISORY  WRITE 4000002 00:1a:7 0 EOF
        "#]]
        .assert_eq(&concerned(table, &[4_000_002]));
        assert_eq!(concerned("no table\n1: odd", &[1]), "");
    }
}
