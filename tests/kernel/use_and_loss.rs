//! Clients connect; and records that find no room.

use std::{net::TcpStream, time::Duration};

use anyhow::Result;
use watchdog::model::{Port, Saw};

use crate::stage::play;

#[test]
fn clients_are_told_once_in_a_while() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 60_000, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        server.act("drain")?;
        for _ in 0..50 {
            client.act("connect 8080")?;
        }
        let seen = stage.all_within(Duration::from_millis(200)).await?;
        assert_eq!(seen, [Saw::ListenerUp(Port(8080)), Saw::InUse(Port(8080))]);
        Ok(())
    })
}

#[test]
fn our_own_connections_are_no_use() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 60_000, 60_000)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        server.act("drain")?;
        for _ in 0..50 {
            TcpStream::connect(("127.0.0.1", 8080))?;
        }
        let seen = stage.all_within(Duration::from_millis(200)).await?;
        assert_eq!(seen, [Saw::ListenerUp(Port(8080))]);
        client.act("connect 8080")?;
        assert_eq!(stage.saw().await?, Saw::InUse(Port(8080)));
        Ok(())
    })
}

#[test]
fn a_hung_heartbeat_of_ours_is_no_answer_stall() -> Result<()> {
    play(async |stage| {
        stage.watch_port(8080, 60_000, 200)?;
        let mut server = stage.stranger()?;
        server.act("listen 8080")?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
        let mut ours = TcpStream::connect(("127.0.0.1", 8080))?;
        std::io::Write::write_all(&mut ours, b"GET /")?;
        server.act("accept")?;
        server.act("read 0")?;
        assert_eq!(stage.all_within(Duration::from_millis(600)).await?, []);
        Ok(())
    })
}

#[test]
fn what_finds_the_ring_buffer_full_is_counted() -> Result<()> {
    const FLAPS: u64 = 3_000;
    play(async |stage| {
        stage.watch_port(8080, 60_000, 60_000)?;
        stage.run()?;
        let mut puppet = stage.stranger()?;
        // The reader runs in this thread, which waits for the puppet: nobody empties the ring buffer meanwhile.
        puppet.act(&format!("flap 8080 {FLAPS}"))?;
        let (mut told, mut lost) = (0, 0);
        for saw in stage.all_within(Duration::from_secs(1)).await? {
            if let Saw::Loss(loss) = saw {
                lost += loss.lost;
                assert!(loss.place.starts_with("ring buffer of the probes: "), "{}", loss.place);
                assert!(loss.place.contains(" of listener_up"), "{}", loss.place);
            } else {
                told += 1;
            }
        }
        println!("{told} told, {lost} lost");
        assert!(lost > 0, "nothing was lost");
        assert_eq!(told + lost, 2 * FLAPS);
        puppet.act("listen 8080")?;
        assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)), "it goes on after a loss");
        Ok(())
    })
}
