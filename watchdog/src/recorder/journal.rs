//! The last lines of a unit's journal, as journalctl tells them.

use std::{
    io::Read,
    os::fd::AsFd,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    clock,
    model::{Mono, Unit},
};

const LINES: &str = "100";
/// After its end, or after it was killed.
const END: Duration = Duration::from_millis(200);

/// Runs journalctl, one at a time: one that hangs in the kernel is not joined by others.
#[derive(Debug, Default)]
pub(super) struct Journal {
    left: Option<Child>,
}

impl Journal {
    /// At most so many bytes, until this moment.
    pub(super) fn last(&mut self, unit: &Unit, most: usize, until: Mono) -> String {
        if let Some(child) = &mut self.left
            && matches!(child.try_wait(), Ok(None))
        {
            return "not shown: an earlier journalctl still hangs".into();
        }
        let mut command = Command::new("journalctl");
        command.args([
            "--unit",
            unit.as_str(),
            "--lines",
            LINES,
            "--output",
            "short-precise",
            "--no-pager",
            "--quiet",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(fault) => return format!("not shown: cannot run journalctl: {fault}"),
        };
        let mut text = child.stdout.take().map_or_else(String::new, |out| read(out, most, until));
        if !ended(&mut child, END) {
            child.kill().ok();
            text += "(journalctl did not come to its end)\n";
            if !ended(&mut child, END) {
                self.left = Some(child);
            }
        }
        if text.is_empty() { "no line of it".into() } else { text }
    }
}

fn read(mut out: ChildStdout, most: usize, until: Mono) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
    while bytes.len() < most && waited(&out, until.since(clock::now())) {
        match out.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether there is something within this time.
fn waited(what: &impl AsFd, time: Duration) -> bool {
    let mut fds = [PollFd::new(what, PollFlags::IN)];
    let time = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
    poll(&mut fds, Some(&time)).is_ok_and(|ready| ready > 0)
}

fn ended(child: &mut Child, time: Duration) -> bool {
    let told = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map(|pidfd| waited(&pidfd, time));
    matches!((told, child.try_wait()), (_, Ok(Some(_)) | Err(_)))
}
