//! Where threads wait in the kernel: state, wait channel, system call and stack.

use std::{fmt::Write as _, fs, path::PathBuf};

use syscalls::Sysno;

use super::{page::Page, tables::head};

/// So many threads of a process are looked at.
const THREADS: usize = 64;
/// Of one stack.
const STACK: usize = 4 << 10;

/// The threads of a process, and what each of them does.
pub(super) fn threads(page: &Page, pid: u32, calls: bool, stacks: bool) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut tids: Vec<u32> = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
    tids.sort_unstable();
    let mut text = String::new();
    for tid in tids.iter().take(THREADS) {
        if page.is_over() {
            text += "no time was left for its other threads\n";
            break;
        }
        let file = |name: &str| PathBuf::from(format!("/proc/{pid}/task/{tid}/{name}"));
        let read = |name: &str, most: usize| {
            page.at(|| file(name).display().to_string());
            head(&file(name), most)
        };
        let comm = read("comm", 64).unwrap_or_default();
        let state = read("stat", 1024)
            .ok()
            .and_then(|stat| Some(stat.rsplit_once(") ")?.1.chars().next()?.to_string()));
        let _ = write!(text, "thread {tid} ({}) {}", comm.trim_end(), state.unwrap_or_default());
        if calls {
            let channel = read("wchan", 128).unwrap_or_default();
            if !matches!(channel.as_str(), "" | "0") {
                let _ = write!(text, ", waits in {channel}");
            }
            let call = match read("syscall", 256) {
                Ok(line) => call(pid, line.trim_end()),
                Err(fault) => format!("system call not shown: {fault}"),
            };
            let _ = write!(text, ", {call}");
        }
        text.push('\n');
        if stacks {
            match read("stack", STACK) {
                Ok(stack) => stack.lines().for_each(|frame| text += &format!("    {frame}\n")),
                Err(fault) => text += &format!("    stack not shown: {fault}\n"),
            }
        }
    }
    if tids.len() > THREADS {
        let _ = writeln!(text, "and {} threads more", tids.len() - THREADS);
    }
    text
}

/// Calls whose first argument is a descriptor.
const OF_A_FILE: [&str; 21] = [
    "read",
    "write",
    "pread64",
    "pwrite64",
    "readv",
    "writev",
    "flock",
    "fcntl",
    "ioctl",
    "fsync",
    "fdatasync",
    "getdents64",
    "accept",
    "accept4",
    "connect",
    "recvfrom",
    "recvmsg",
    "sendto",
    "sendmsg",
    "epoll_wait",
    "epoll_pwait",
];

/// Of /proc/PID/task/TID/syscall: `in flock(5 /run/app.lock)`, with the numbers of others.
fn call(pid: u32, line: &str) -> String {
    let mut words = line.split_whitespace();
    let Some(number) = words.next() else { return "in no system call".into() };
    let number: usize = match number.parse() {
        Ok(number) => number,
        Err(_) if number == "-1" => return "in no system call".into(),
        Err(_) => return number.into(), // "running"
    };
    let name =
        Sysno::new(number).map_or_else(|| format!("system call {number}"), |call| call.name().to_owned());
    let arguments: Vec<&str> = words.take(6).collect();
    let first =
        arguments.first().and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    match first.filter(|_| OF_A_FILE.contains(&name.as_str())) {
        Some(descriptor) => {
            let goal = fs::read_link(format!("/proc/{pid}/fd/{descriptor}"));
            let goal = goal.map_or_else(|fault| fault.to_string(), |path| path.display().to_string());
            format!("in {name}({descriptor} {goal}, {})", arguments[1..].join(", "))
        }
        None => format!("in {name}({})", arguments.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_call_is_told_by_its_name_and_by_the_file_that_it_is_about() {
        let flock = Sysno::flock as usize;
        let pid = std::process::id();
        let nobody = call(u32::MAX, &format!("{flock} 0x5 0x2 0x0 0x0 0x0 0x0 0x7ffc 0x7f00"));
        assert!(nobody.starts_with("in flock(5 No such file"), "{nobody}");
        let folder = tempfile::tempdir().expect("a folder");
        let file = fs::File::create(folder.path().join("lock")).expect("a file");
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
        let own = call(pid, &format!("{flock} {descriptor:#x} 0x2 0x0 0x0 0x0 0x0 0x7ffc 0x7f00"));
        assert_eq!(
            own,
            format!("in flock({descriptor} {}/lock, 0x2, 0x0, 0x0, 0x0, 0x0)", folder.path().display())
        );
        assert_eq!(call(pid, "running"), "running");
        assert_eq!(call(pid, "-1 0x7ffc 0x7f00"), "in no system call");
        assert_eq!(call(pid, "99999 0x1"), "in system call 99999(0x1)");
    }
}
