//! Listeners come and go.

use anyhow::Result;
use watchdog::model::{Port, Saw};

use crate::stage::{Puppet, play};

#[test]
fn a_listener_of_a_watched_cgroup_is_told() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        let (mut puppet, mut stranger) = (stage.puppet()?, stage.stranger()?);
        stranger.act("listen 8081")?;
        puppet.act("listen 8080")?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
        Ok(())
    })
}

#[test]
fn a_listener_of_a_watched_port_is_told_whoever_it_is() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 250, 1000)?;
        let mut stranger = stage.stranger()?;
        stranger.act("listen 8081")?;
        stranger.act("listen 8080")?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
        stranger.act("unlisten")?;
        assert_eq!(stage.saw().await?, Saw::ListenerDown { port: Port(8080), left: 0 });
        Ok(())
    })
}

#[test]
fn a_listener_that_goes_leaves_the_others() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 250, 1000)?;
        let mut workers = vec![];
        for _ in 0..40 {
            let mut worker = stage.stranger()?;
            worker.act("listen-shared 8080")?;
            assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
            workers.push(worker);
        }
        for left in (0..40).rev() {
            drop(workers.pop());
            assert_eq!(stage.saw().await?, Saw::ListenerDown { port: Port(8080), left });
        }
        Ok(())
    })
}

#[test]
fn listeners_older_than_the_watch_are_known() -> Result<()> {
    play(async |stage| {
        let (mut one, mut two) = (stage.stranger()?, stage.stranger()?);
        one.act("listen-shared 8080")?;
        two.act("listen-shared 8080")?;
        stage.watch_port(8080, 250, 1000)?;
        one.act("unlisten")?;
        assert_eq!(stage.saw().await?, Saw::ListenerDown { port: Port(8080), left: 1 });
        Ok(())
    })
}

#[test]
fn listeners_of_another_network_namespace_are_not_told() -> Result<()> {
    play(async |stage| {
        stage.watch_cgroup()?;
        stage.watch_port(8080, 250, 1000)?;
        let (mut far, mut near) = (Puppet::far_away(stage)?, stage.stranger()?);
        far.act("listen 8080")?;
        far.act("unlisten")?;
        near.act("listen 8080")?;
        let first = stage.find(|saw| !matches!(saw, Saw::Exit(_) | Saw::SignalSent(_))).await?;
        assert_eq!(first.saw, Saw::ListenerUp(Port(8080)));
        near.act("unlisten")?;
        assert_eq!(stage.saw().await?, Saw::ListenerDown { port: Port(8080), left: 0 });
        Ok(())
    })
}
