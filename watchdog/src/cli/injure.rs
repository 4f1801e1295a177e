//! Does to a unit what a drill is for, and takes back what can be taken back.
//!
//! Invariant: what was stopped goes on when the word on it is dropped, however the drill ends.

use std::{io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::mpsc;

use crate::{
    engine::SIGNS,
    model::{Injury, Unit},
    sources::units::Units,
    systemd::{Error as Systemd, cgroup},
};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// systemd was not asked, or did not say.
    #[error("cannot find the processes of {unit}: {source}")]
    Systemd {
        /// Which.
        unit: Unit,
        /// Why.
        source: Systemd,
    },
    /// It has none.
    #[error("{unit} has no process that could be hurt")]
    Nobody {
        /// Which.
        unit: Unit,
    },
    /// A signal was not sent.
    #[error("cannot send a signal to process {pid} of {unit}: {source}")]
    Signal {
        /// Which.
        unit: Unit,
        /// The process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

/// What was done.
pub(super) struct Hurt {
    /// For people.
    pub(super) said: String,
    stopped: Vec<OwnedFd>,
}

/// Does it, to the run of the unit that is there now.
pub(super) async fn injure(unit: &Unit, fault: Injury) -> Result<Hurt, Error> {
    let (signs, mut seen) = mpsc::channel(SIGNS);
    let (units, _task) = Units::start(Vec::new(), signs);
    tokio::spawn(async move { while seen.recv().await.is_some() {} });
    let systemd = |source| Error::Systemd { unit: unit.clone(), source };
    let state = units.read(unit).await.map_err(systemd)?;
    let mount = cgroup::mount().map_err(systemd)?;
    let Some(directory) = cgroup::of(&mount, &state) else {
        return Err(Error::Nobody { unit: unit.clone() });
    };
    let all = cgroup::pids(&directory, usize::MAX);
    let main = state.main_pid;
    let others = all.iter().copied().filter(|pid| Some(*pid) != main);
    let (chosen, signal): (Vec<u32>, Signal) = match fault {
        Injury::Kill => (main.map_or_else(|| all.clone(), |main| vec![main]), Signal::KILL),
        Injury::Stop => (all.clone(), Signal::STOP),
        Injury::Hang => {
            let others: Vec<u32> = others.collect();
            (if others.is_empty() { all.clone() } else { others }, Signal::STOP)
        }
    };
    let held: Vec<(u32, OwnedFd)> = chosen.into_iter().filter_map(|pid| Some((pid, hold(pid)?))).collect();
    // a number may have been another's by the time it was opened: what is in the cgroup still is the unit's
    let still = cgroup::pids(&directory, usize::MAX);
    let mut hurt = Vec::new();
    let mut stopped = Hurt { said: String::new(), stopped: Vec::new() };
    for (pid, held) in held.into_iter().filter(|(pid, _)| still.contains(pid)) {
        if let Err(source) = pidfd_send_signal(&held, signal) {
            return Err(Error::Signal { unit: unit.clone(), pid, source: source.into() });
        }
        hurt.push(pid.to_string());
        if signal == Signal::STOP {
            stopped.stopped.push(held);
        }
    }
    if hurt.is_empty() {
        return Err(Error::Nobody { unit: unit.clone() });
    }
    let name = if signal == Signal::KILL { "SIGKILL" } else { "SIGSTOP" };
    let whom = match hurt.len() {
        1 if main.is_some_and(|main| hurt[0] == main.to_string()) => format!("its main process {}", hurt[0]),
        1 => format!("its process {}", hurt[0]),
        many if many == all.len() => format!("all of its {many} processes"),
        many => format!("{many} of its {} processes", all.len()),
    };
    stopped.said = format!("{unit}: {name} sent to {whom}");
    Ok(stopped)
}

impl Hurt {
    /// Lets what was stopped go on, where it is there still; says so.
    pub(super) fn undo(mut self) -> String {
        match self.go_on() {
            0 => "there is nothing that a drill could take back; see `watchdog status`".into(),
            on => format!("its {on} stopped processes go on (SIGCONT)"),
        }
    }

    /// So many.
    fn go_on(&mut self) -> usize {
        self.stopped.drain(..).filter(|held| pidfd_send_signal(held, Signal::CONT).is_ok()).count()
    }
}

impl Drop for Hurt {
    fn drop(&mut self) {
        self.go_on();
    }
}

fn hold(pid: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{WaitId, WaitIdOptions, kill_process, waitid};

    use super::*;

    #[test]
    fn f14_what_a_drill_has_stopped_goes_on_when_the_drill_ends_in_whatever_way() {
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().expect("a process");
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).expect("stopped");
        let is = |options| waitid(WaitId::Pid(pid), options).expect("a child").expect("news of it");
        assert!(is(WaitIdOptions::STOPPED).stopped());
        let held = hold(child.id()).expect("a process");
        drop(Hurt { said: "nginx.service: SIGSTOP sent".into(), stopped: vec![held] });
        assert!(is(WaitIdOptions::CONTINUED).continued());

        child.kill().expect("killed");
        child.wait().expect("ended");
        let gone = Hurt { said: String::new(), stopped: Vec::new() };
        assert!(gone.undo().starts_with("there is nothing"));
    }
}
