//! Leaves empty files with systemd, each under a name that it is given, as if a program before had left them.

use std::{
    io::{Read, pipe},
    os::fd::AsFd,
};

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use sd_notify::NotifyState;

fn main() -> Result<()> {
    for name in std::env::args().skip(1) {
        let file = memfd_create("left", MemfdFlags::CLOEXEC).context("cannot make a file")?;
        let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
        sd_notify::notify_with_fds(&state, &[file.as_fd()]).context("cannot reach systemd")?;
    }
    // systemd heeds only those that live: it closes this when it has heard all of the above
    let (mut heard, all) = pipe().context("cannot make a pipe")?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[all.as_fd()])
        .context("cannot reach systemd")?;
    drop(all);
    heard.read(&mut [0]).context("cannot wait for systemd").map(drop)
}
