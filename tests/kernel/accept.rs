//! Connections that are not accepted.

use std::time::Duration;

use anyhow::Result;
use watchdog::model::{Port, Saw};

use crate::stage::play;

/// One and a half jiffies of the slowest usual clock (100 Hz).
const EXACT: Duration = Duration::from_millis(15);
/// How late a timer of the kernel may fire on a machine that others use too; on an idle one it is a tenth of a millisecond.
const BUSY: Duration = Duration::from_secs(1);

/// One client of an idle port: when is it told, measured from its connect?
fn check(accept_ms: u64) -> Result<()> {
    play(async move |stage| {
        stage.watch_port(8080, accept_ms, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        let connected = client.act("connect 8080")?.at;
        let (at, stall) = stage.accept_stall().await?;
        // the puppet takes the time when it was done, and may have been kept from that
        let waited = Duration::from_nanos(at.saturating_sub(connected));
        let after = Duration::from_millis(accept_ms);
        println!("accept_after {after:?}: told after {waited:?}, age {:?}", stall.age);
        assert_eq!((stall.port, stall.waiting), (Port(8080), 1));
        assert!(stall.age >= after && stall.age <= after + BUSY, "age {:?}", stall.age);
        assert!(waited <= stall.age + EXACT, "told after {waited:?}");
        server.act("accept")?;
        assert_eq!(stage.saw().await?, Saw::StallOver(Port(8080)));
        Ok(())
    })
}

#[test]
fn a_stall_is_told_after_50_ms() -> Result<()> {
    check(50)
}

#[test]
fn a_stall_is_told_after_100_ms() -> Result<()> {
    check(100)
}

#[test]
fn a_stall_is_told_after_250_ms() -> Result<()> {
    check(250)
}

#[test]
fn a_stall_is_told_after_500_ms() -> Result<()> {
    check(500)
}

#[test]
fn a_stall_is_told_after_1000_ms() -> Result<()> {
    check(1000)
}

#[test]
fn a_stall_is_told_once_however_long_it_lasts() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 50, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        for _ in 0..5 {
            client.act("connect 8080")?;
        }
        stage.accept_stall().await?;
        assert_eq!(stage.all_within(Duration::from_millis(500)).await?, []);
        Ok(())
    })
}

#[test]
fn a_queue_that_is_drained_never_stalls() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 500, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        server.act("drain")?;
        let end = tokio::time::Instant::now() + Duration::from_millis(1_500);
        while tokio::time::Instant::now() < end {
            let which = client.act("connect 8080")?.number;
            client.act(&format!("close {which}"))?;
        }
        let seen = stage.all_within(Duration::from_millis(600)).await?;
        assert_eq!(seen, [Saw::ListenerUp(Port(8080)), Saw::InUse(Port(8080))]);
        Ok(())
    })
}

#[test]
fn a_listener_older_than_the_watch_is_looked_at() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        stage.run()?;
        stage.watch_port_later(8080, 100, 60_000);
        stage.watch_port_later(8081, 100, 60_000);
        // Both changes are taken together: a listener that is told on the one port shows that the other is watched too.
        let mut known = stage.stranger()?;
        while stage.all_within(Duration::from_millis(20)).await?.is_empty() {
            known.act("listen 8081")?;
        }
        client.act("connect 8080")?;
        stage.accept_stall().await?;
        Ok(())
    })
}

#[test]
fn new_settings_keep_what_is_known_of_a_port() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 5_000, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        stage.watch_port(8080, 100, 60_000)?;
        client.act("connect 8080")?;
        stage.accept_stall().await?;
        Ok(())
    })
}
