use std::{
    fs,
    path::{Path, PathBuf},
};

/// The program that a unit's process runs. `None`: the process is another's by now, or has not begun its program; until then it
/// is a copy of systemd, by which systemd itself would look like a process of the service.
pub fn program(unit: &str, pid: u32) -> Option<PathBuf> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // read last: a PID that has another process meanwhile is of another cgroup
    let of_unit = group(pid).iter().any(|part| part == unit);
    (of_unit && !fs::read_link("/proc/1/exe").is_ok_and(|systemd| is_of(&systemd, &program)))
        .then_some(program)
}

/// The cgroup of a process; empty when unknown.
pub(super) fn group(pid: u32) -> PathBuf {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    table.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().into()
}

/// systemd itself, or what it runs between its fork and the program (since version 255).
fn is_of(systemd: &Path, program: &Path) -> bool {
    program == systemd || program == systemd.with_file_name("systemd-executor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_what_systemd_is_before_it_is_the_program_is_no_program_of_a_unit() {
        let is = |program: &str| is_of(Path::new("/usr/lib/systemd/systemd"), Path::new(program));
        assert!(is("/usr/lib/systemd/systemd") && is("/usr/lib/systemd/systemd-executor"));
        assert!(!is("/usr/lib/systemd/systemd-journald") && !is("/usr/sbin/nginx"));
    }

    #[test]
    fn e3_a_process_outside_the_unit_tells_nothing_of_its_program() {
        assert_eq!(program("no-such-unit-of-mine.service", std::process::id()), None);
        assert_eq!(program("no-such-unit-of-mine.service", 4_194_304), None);
    }
}
