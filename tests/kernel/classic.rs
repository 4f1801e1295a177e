//! The second rung: classic tracepoints, as on a kernel that tells nothing of its own structures.

use std::{net::TcpStream, path::Path};

use anyhow::{Context, Result};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};
use watchdog::{
    model::{FailureClass, Port, Rung, Saw, Sender},
    sources::ebpf::{Program, serving},
};

use crate::stage::play;

/// This rung sees every network namespace of the host: no other test listens here.
const PORT: u16 = 18_097;

/// Mounts tracefs for this thread alone, wherever the host has it.
#[allow(unsafe_code, reason = "a namespace of one's own is made for the calling thread")]
fn own_tracefs() -> Result<()> {
    if Path::new("/sys/kernel/tracing/events").is_dir() {
        return Ok(()); // it is there for all
    }
    // SAFETY: only the mounts of this thread are unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("cannot make a mount namespace")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tracefs", "/sys/kernel/tracing", "tracefs", MountFlags::empty(), None)
        .context("cannot mount tracefs")
}

#[test]
fn f1_ends_senders_and_listeners_are_seen_by_classic_tracepoints() -> Result<()> {
    play(async |stage| {
        own_tracefs()?;
        stage.load_classic()?;
        let table = serving(stage.missing()?);
        for (class, rung) in [
            (FailureClass::Exit, Rung::Tracepoint),
            (FailureClass::Sender, Rung::Tracepoint),
            (FailureClass::ListenerLost, Rung::Tracepoint),
            (FailureClass::AcceptStall, Rung::Heartbeat),
            (FailureClass::OomKill, Rung::Heartbeat),
        ] {
            let served = table.iter().find(|serving| serving.class == class).context("not in the table")?;
            assert_eq!(served.rung, rung, "{served:?}");
        }
        let (mut puppet, mut stranger) = (stage.puppet()?, stage.stranger()?);
        stage.watch_port(PORT, 60_000, 60_000)?;
        stage.watch_mains(&[&puppet])?;
        puppet.act(&format!("listen {PORT}"))?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(PORT)));
        drop(TcpStream::connect(("127.0.0.1", PORT))?); // ours is no client
        stranger.act(&format!("connect {PORT}"))?;
        assert_eq!(stage.saw().await?, Saw::InUse(Port(PORT)));
        puppet.act("unlisten")?;
        assert_eq!(stage.saw().await?, Saw::ListenerDown { port: Port(PORT), left: 0 });
        stranger.act(&format!("kill {} 15", puppet.pid()))?;
        let Saw::SignalSent(sent) = stage.saw().await? else { panic!("no signal was seen") };
        assert_eq!((sent.pid, sent.signal, sent.cgroup), (puppet.pid(), 15, stage.cgroup.id()?));
        let by_stranger =
            |sender: &Sender| matches!(sender, Sender::Process { pid, .. } if *pid == stranger.pid());
        assert!(by_stranger(&sent.sender), "{:?}", sent.sender);
        let Saw::Exit(exit) = stage.saw().await? else { panic!("no end was seen") };
        assert_eq!((exit.pid, exit.cause, exit.cgroup), (puppet.pid(), None, stage.cgroup.id()?));
        assert_eq!(exit.comm, "puppet");
        Ok(())
    })
}

#[test]
fn classic_tracepoints_prove_that_they_speak() -> Result<()> {
    play(async |stage| {
        own_tracefs()?;
        stage.load_classic()?;
        stage.probes()?.prove_every(std::time::Duration::from_millis(200));
        let missing = stage.missing()?;
        let classic = |program| missing.iter().any(|it| it.program == program && it.classic);
        assert!(classic(Program::Exit) && classic(Program::Signal) && classic(Program::State), "{missing:?}");
        // who is deaf is said after two seconds
        assert_eq!(stage.all_within(std::time::Duration::from_secs(3)).await?, []);
        Ok(())
    })
}
