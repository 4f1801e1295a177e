//! One boot of a guest, to its end: what its tests say is passed on, and a guest that hangs is ended and its console shown.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Boot, kernel::Kernel};
use crate::test::Sum;

/// A guest that says nothing for so long hangs: it boots in a quarter of a minute, and a story that fails has said so before.
const SILENCE: Duration = Duration::from_secs(400);
/// And however talkative it is, it ends within this.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// Of a console that is shown.
const LAST_LINES: usize = 100;

/// psi=1: Debian builds its kernels to measure pressure, others leave it off. panic=-1: a panic ends the guest. maxcpus=1: while it
/// boots, a kernel patches its own code hundreds of times, and an emulated second CPU may run into a patch that is not finished
/// (`Oops: int3` in sched_clock_cpu, seen once in some forty boots): that one is brought up when the kernel has booted.
const COMMAND_LINE: &str =
    "console=ttyS0 panic=-1 mitigations=off psi=1 maxcpus=1 systemd.unit=multi-user.target watchdog.vm";

/// Nobody, root neither, reads the kernel's memory.
const LOCKDOWN: &str = " lockdown=confidentiality";

pub(crate) fn run(folder: &Path, kernel: &Kernel, image: &Path, boot: &Boot<'_>) -> Result<Sum> {
    let console = folder.join(format!("console-{}.log", boot.name()));
    let mut guest = start(kernel, image, &console, boot.lockdown)?;
    let out = guest.stdout.take().context("the guest has no output")?;
    let ended = follow(&lines(out), if boot.kernel.is_some() { 2 } else { 1 });
    // It may be about to power off, or hang; there is nothing in it to be lost.
    guest.kill().context("cannot end the guest")?;
    guest.wait().context("cannot wait for the guest")?;
    ended.map_err(|error| {
        let said = fs::read(&console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        error.context(format!("the guest's console said:\n{last}\n({})", console.display()))
    })
}

/// The console goes to a file, the results to the output. Its end comes with ours.
fn start(kernel: &Kernel, image: &Path, console: &Path, lockdown: bool) -> Result<Child> {
    File::create(console).with_context(|| format!("cannot write {}", console.display()))?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    let line = COMMAND_LINE.to_owned() + if lockdown { LOCKDOWN } else { "" };
    command.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(image).args(["-append", &line]);
    command.arg("-serial").arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("cannot run qemu-system-x86_64")
}

fn lines(out: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if sender.send(line.trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Until so many programs have ended.
fn follow(lines: &Receiver<String>, all: u32) -> Result<Sum> {
    let deadline = Instant::now() + LIMIT;
    let mut sum = Sum::default();
    let mut programs = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(SILENCE);
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("the guest hangs: nothing was heard of it for {left:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the guest ended before its tests did"),
        };
        println!("{line}");
        sum.add(&line);
        if let Some((program, code)) = line.strip_prefix("vm: ").and_then(|l| l.split_once(" ended with ")) {
            // A program that ended without its closing line has lost tests that nobody counts.
            if code != "0" && sum.good() {
                bail!("the guest's program {program} ended with {code}");
            }
            programs += 1;
            if programs == all {
                return Ok(sum);
            }
        }
    }
}
