//! What the processes of a unit that does not answer are up to: stopped, traced, stuck in the kernel, dead, or out of descriptors.
//!
//! Invariant: bounded in processes and in time; what was not looked at is not said. Absent: threads, and any judgement.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{own, pressure::directory};
use crate::model::{Ailing, Ailment, Ailments, UnitState};

/// Processes looked at.
const PROCESSES: usize = 256;
/// For so long at most, on a thread that may wait.
const BUDGET: Duration = Duration::from_millis(5);
/// So many are named.
const NAMED: usize = 8;
/// Descriptors that are counted one by one, where the kernel (before 6.2) does not tell their number.
const COUNTED: usize = 4096;

/// Looks at the processes of a unit, zombies of its own among them.
pub fn ailments(unit: &UnitState) -> Ailments {
    let mut pids = directory(unit).map(|home| own::pids(&home)).unwrap_or_default();
    // a dead process is in the list of no cgroup
    let main = unit.main_pid.and_then(|pid| i32::try_from(pid).ok());
    pids.extend(main.filter(|main| !pids.contains(main)));
    among(Path::new("/proc"), &pids)
}

fn among(proc: &Path, pids: &[i32]) -> Ailments {
    let began = Instant::now();
    let mut found = Ailments::default();
    let mut fullest: Option<(u64, u64, Ailing)> = None;
    for pid in pids.iter().take(PROCESSES) {
        if began.elapsed() > BUDGET {
            break;
        }
        let folder = proc.join(pid.to_string());
        let Some((comm, state)) = read(&folder, "stat").and_then(|stat| state_in(&stat)) else { continue };
        found.looked += 1;
        let ailing = |what| Ailing { pid: pid.unsigned_abs(), comm: comm.clone(), what };
        let what = match state {
            'Z' => Some(Ailment::Zombie),
            'T' => Some(Ailment::Stopped),
            't' => Some(Ailment::Traced),
            'D' => Some(Ailment::Stuck {
                place: read(&folder, "wchan").filter(|it| it != "0").unwrap_or_default(),
            }),
            _ => None,
        };
        match what {
            Some(what) if found.ailing.len() < NAMED => found.ailing.push(ailing(what)),
            Some(_) => found.more += 1,
            None => {}
        }
        let full = |(open, limit): &(u64, u64)| open.saturating_mul(100) >= limit.saturating_mul(98);
        if let Some((open, limit)) = descriptors(&folder).filter(full)
            && fullest
                .as_ref()
                .is_none_or(|(most, of, _)| most.saturating_mul(limit) < open.saturating_mul(*of))
        {
            fullest = Some((open, limit, ailing(Ailment::Descriptors { open, limit })));
        }
    }
    found.ailing.extend(fullest.map(|(_, _, ailing)| ailing));
    found
}

fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

/// The name, which may hold anything, ends at the last bracket.
fn state_in(stat: &str) -> Option<(String, char)> {
    let (start, rest) = stat.rsplit_once(") ")?;
    let (_, comm) = start.split_once('(')?;
    Some((comm.to_owned(), rest.chars().next()?))
}

/// How many are open, and how many may be.
fn descriptors(folder: &Path) -> Option<(u64, u64)> {
    let limits = read(folder, "limits")?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?; // `unlimited` is no number
    let open = folder.join("fd");
    let told = fs::metadata(&open).ok()?.len();
    let open = match told {
        0 => fs::read_dir(&open).ok()?.take(COUNTED).count() as u64,
        told => told,
    };
    Some((open, limit)).filter(|(_, limit)| *limit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder such as /proc with one process in it.
    fn check(stat: &str, more: &[(&str, &str)], expected: &str) {
        let proc = tempfile::tempdir().expect("a folder");
        let folder = proc.path().join("812");
        fs::create_dir(&folder).expect("a folder");
        for (name, text) in more.iter().chain(&[("stat", stat)]) {
            fs::write(folder.join(name), text).expect("a file");
        }
        let found = among(proc.path(), &[811, 812]);
        assert_eq!((found.looked, found.to_string()), (1, expected.to_owned()));
    }

    #[test]
    fn a_process_that_waits_in_the_kernel_is_told_with_its_place() {
        check(
            "812 (nfs (d)) D 1 812",
            &[("wchan", "rpc_wait_bit_killable")],
            "process 812 (nfs (d)) waits in the kernel and cannot be killed (D, in rpc_wait_bit_killable)",
        );
        check(
            "812 (nfs) D 1 812",
            &[("wchan", "0")],
            "process 812 (nfs) waits in the kernel and cannot be killed (D)",
        );
    }

    #[test]
    fn stopped_traced_and_dead_processes_are_told_apart_and_a_well_one_is_not_told() {
        check("812 (web) T 1 812", &[], "process 812 (web) is stopped (T)");
        check("812 (web) t 1 812", &[], "process 812 (web) is held by a debugger (t)");
        check("812 (web) Z 1 812", &[], "process 812 (web) is dead, and nobody reaps it (Z)");
        check("812 (web) S 1 812", &[], "");
    }

    #[test]
    fn a_process_without_a_free_descriptor_is_told() {
        let proc = tempfile::tempdir().expect("a folder");
        let folder = proc.path().join("812");
        fs::create_dir_all(folder.join("fd")).expect("a folder");
        fs::write(folder.join("stat"), "812 (web) S 1 812").expect("a file");
        let open = fs::metadata(folder.join("fd")).expect("a folder").len();
        for (limit, told) in [(open, true), (open * 2, false)] {
            let line =
                format!("Max open files            {limit}                 524288               files\n");
            fs::write(folder.join("limits"), line).expect("a file");
            let told = if told {
                format!("process 812 (web) has {open} of {limit} descriptors open")
            } else {
                String::new()
            };
            assert_eq!(among(proc.path(), &[812]).to_string(), told);
        }
    }

    #[test]
    fn of_many_only_some_are_named() {
        let proc = tempfile::tempdir().expect("a folder");
        let pids: Vec<i32> = (1..=10).collect();
        for pid in &pids {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("stat"), format!("{pid} (w) T 1 1")).expect("a file");
        }
        let found = among(proc.path(), &pids);
        assert_eq!(found.ailing.len() + found.more as usize, found.looked as usize);
        assert!(found.ailing.len() <= NAMED);
    }
}
