//! What lets watchdog outlive trouble: memory that is not taken from it, and probes that run on while it is dead.
//!
//! Invariant: none of it is needed to run; what cannot be had is said once. A restart needs no process of ours and no program
//! to be read from a disk: systemd is asked over a socket that is open.

use std::{
    fs, io,
    os::fd::{AsFd, FromRawFd, OwnedFd},
};

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};
use sd_notify::NotifyState;

use super::{complain, deadly};
use crate::{
    model::Watch,
    sources::ebpf::{self, Kept, Probes},
};

/// Of all processes it is among the last that the kernel kills when memory is exhausted.
const OOM_SCORE: i32 = -900;
const OOM_FILE: &str = "/proc/self/oom_score_adj";

/// Has the kernel look for others first when there is no memory left. A unit that says a lower score keeps it.
pub(super) fn spare() {
    let spare = || -> io::Result<()> {
        let score: i32 = fs::read_to_string(OOM_FILE)?.trim().parse().map_err(io::Error::other)?;
        if score > OOM_SCORE { fs::write(OOM_FILE, OOM_SCORE.to_string()) } else { Ok(()) }
    };
    if let Err(fault) = spare() {
        tracing::warn!(%fault, "the OOM killer may take it early: set OOMScoreAdjust={OOM_SCORE}");
    }
}

/// One heap for all threads: each heap of a thread's own grows to what its worst moment needs, and is held in memory for ever.
/// To be called before there is a second thread.
pub(super) fn one_heap() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a call into the C library, without pointers")]
    // SAFETY: mallopt may be called at any time; there is no other thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Keeps in memory what is used from now on. To be called when the probes are loaded: what was taken for that could not be
/// given back any more.
pub(super) fn hold_memory() {
    // only what is touched: everything else would become resident too
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    let lock = || -> io::Result<()> {
        // below a limit, what is needed later would be refused
        let unlimited = getrlimit(Resource::Memlock).current.is_none();
        if !unlimited && !capabilities(None)?.effective.contains(CapabilitySet::IPC_LOCK) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(mlockall(all)?)
    };
    if let Err(fault) = lock() {
        tracing::warn!(%fault, "its memory may be swapped out: set LimitMEMLOCK=infinity, or grant CAP_IPC_LOCK");
    }
}

/// Probes that are ready, wherever they come from.
pub(super) struct Ready {
    pub(super) probes: Probes,
    /// What a watchdog before this one watched, and what is told of it still.
    pub(super) left: Watch,
}

/// Goes on with the probes that a watchdog before this one left with systemd. Where it left none that are of any use, it loads
/// some, and leaves them with systemd in turn.
pub(super) fn probes(watch: &Watch, left: Vec<Kept>) -> Result<Ready, ebpf::Error> {
    if deadly::is_deadly(libc::SYS_bpf) {
        left.iter().for_each(|(name, _)| forget(name));
        return Err(ebpf::Error::forbidden(deadly::BPF));
    }
    if !left.is_empty() {
        let names: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
        match Probes::adopt(left) {
            Ok((probes, left)) => {
                tracing::info!("goes on with the probes of the watchdog before");
                return Ok(Ready { probes, left });
            }
            Err(why) => {
                complain(format_args!(
                    "what systemd has kept is set aside, and the probes are loaded anew: {why}"
                ));
                names.iter().for_each(|name| forget(name));
            }
        }
    }
    let (mut probes, _) = Probes::load(watch)?;
    for (name, copy) in probes.copies() {
        // not polled: a link or a map that is looked at by systemd's loop would tell it nothing
        let state = [NotifyState::FdStore, NotifyState::FdName(&name), NotifyState::Custom("FDPOLL=0")];
        say(&state, &[copy]);
    }
    Ok(Ready { probes, left: Watch::default() })
}

/// Nobody goes on with the probes that were left with systemd: they are lost.
pub(super) fn forget_probes() {
    Probes::kept_names().iter().for_each(|name| forget(name));
}

fn forget(name: &str) {
    say(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)], &[]);
}

/// The descriptors that systemd kept for us. To be called once, before anything else is opened.
#[allow(unsafe_code, reason = "descriptors come by number, in the environment")]
pub(super) fn kept() -> Vec<Kept> {
    match sd_notify::listen_fds_with_names() {
        // SAFETY: systemd passes these to this process and to nobody else in it; they are taken once.
        Ok(all) => all.map(|(number, name)| (name, unsafe { OwnedFd::from_raw_fd(number) })).collect(),
        Err(fault) => {
            complain(format_args!("cannot take what systemd has kept: {fault}"));
            Vec::new()
        }
    }
}

fn say(state: &[NotifyState<'_>], with: &[OwnedFd]) {
    let with: Vec<_> = with.iter().map(AsFd::as_fd).collect();
    if let Err(fault) = sd_notify::notify_with_fds(state, &with) {
        tracing::debug!(%fault, "cannot tell systemd");
    }
}
