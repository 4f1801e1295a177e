//! Whether a process is dead and stays in the table, for its parent never asks how it ended.

use procfs::process::{ProcState, Process, Stat};

/// Whether this process is such a one.
pub fn unreaped(pid: u32) -> bool {
    let stat = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.stat().ok());
    stat.is_some_and(|stat| is_unreaped(&stat))
}

/// A process whose first thread has ended looks the same, and lives on in its other threads.
fn is_unreaped(stat: &Stat) -> bool {
    matches!(stat.state(), Ok(ProcState::Zombie)) && stat.num_threads <= 1
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use procfs::FromRead;

    use super::*;

    #[test]
    fn c2_a_child_that_has_ended_is_a_zombie_until_its_parent_asks() {
        let mut child =
            Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().expect("a child");
        let pid = child.id();
        assert!(!unreaped(pid));
        drop(child.stdin.take());
        while !unreaped(pid) {
            std::thread::yield_now();
        }
        child.wait().expect("its end");
        assert!(!unreaped(pid) && !unreaped(0) && !unreaped(u32::MAX));
    }

    #[test]
    fn c2_a_process_whose_first_thread_has_ended_lives_in_the_others() {
        let stat = |threads: u32| {
            let rest = "4194304 0 0 0 0 0 0 0 0 20 0";
            let text = format!(
                "812 (a daemon) Z 1 812 812 0 -1 {rest} {threads} 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
            );
            Stat::from_read(text.as_bytes()).expect("a stat")
        };
        assert!(is_unreaped(&stat(1)) && !is_unreaped(&stat(3)));
    }
}
