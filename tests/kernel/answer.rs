//! Requests that are not answered.

use std::time::Duration;

use anyhow::Result;
use watchdog::model::{Port, Saw};

use crate::stage::{Puppet, Stage, play};

const AFTER: Duration = Duration::from_millis(400);
/// One and a half jiffies of the slowest usual clock (100 Hz).
const EXACT: Duration = Duration::from_millis(15);
/// How late a timer of the kernel may fire on a machine that others use too; on an idle one it is a tenth of a millisecond.
const BUSY: Duration = Duration::from_secs(1);

/// A server and a client with one connection between them, accepted.
async fn pair(stage: &mut Stage) -> Result<(Puppet, Puppet)> {
    stage.watch_port(8080, 60_000, AFTER.as_millis() as u64)?;
    let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
    server.act("listen 8080")?;
    client.act("connect 8080")?;
    server.act("accept")?;
    assert_eq!(stage.saw().await?, Saw::ListenerUp(Port(8080)));
    assert_eq!(stage.saw().await?, Saw::InUse(Port(8080)));
    Ok((server, client))
}

/// The last thing that `act` does is a request which is not answered; when is it told?
fn fires(
    act: impl AsyncFnOnce(&mut Stage, &mut Puppet, &mut Puppet) -> Result<u64> + Send + 'static,
) -> Result<()> {
    play(async move |stage| {
        let (mut server, mut client) = pair(stage).await?;
        let asked = act(stage, &mut server, &mut client).await?;
        let sign = stage.next().await?;
        let Saw::AnswerStall(stall) = sign.saw else { panic!("{:?}", sign.saw) };
        // the puppet takes the time when it was done, and may have been kept from that
        let waited = Duration::from_nanos(sign.at.0.saturating_sub(asked));
        println!(
            "answer_after {AFTER:?}: told after {waited:?}, age {:?}, waiting {}",
            stall.age, stall.waiting
        );
        assert_eq!((stall.port, stall.waiting), (Port(8080), 1));
        assert!(stall.age >= AFTER && stall.age <= AFTER + BUSY, "age {:?}", stall.age);
        assert!(waited <= stall.age + EXACT, "told after {waited:?}");
        assert_eq!(stage.all_within(2 * AFTER).await?, [], "told once");
        Ok(())
    })
}

/// `act` plays; nothing is told, nor for a while after it.
fn stays_silent(
    act: impl AsyncFnOnce(&mut Stage, &mut Puppet, &mut Puppet) -> Result<()> + Send + 'static,
) -> Result<()> {
    play(async move |stage| {
        let (mut server, mut client) = pair(stage).await?;
        act(stage, &mut server, &mut client).await?;
        assert_eq!(stage.all_within(3 * AFTER).await?, []);
        Ok(())
    })
}

/// Lets the kernel's clock tick on between two acts.
async fn ticks(stage: &mut Stage, milliseconds: u64) -> Result<()> {
    assert_eq!(stage.all_within(Duration::from_millis(milliseconds)).await?, []);
    Ok(())
}

#[test]
fn a_request_that_is_read_and_never_answered_is_told() -> Result<()> {
    fires(async |_, server, client| {
        let asked = client.act("send 0 100")?.at;
        server.act("read 0")?;
        Ok(asked)
    })
}

#[test]
fn a_request_that_is_never_read_is_told() -> Result<()> {
    fires(async |_, _, client| Ok(client.act("send 0 100")?.at))
}

#[test]
fn the_second_request_of_a_connection_is_told() -> Result<()> {
    fires(async |stage, server, client| {
        client.act("send 0 100")?;
        server.act("read 0")?;
        server.act("send 0 50")?;
        ticks(stage, 50).await?;
        let asked = client.act("send 0 100")?.at;
        server.act("read 0")?;
        Ok(asked)
    })
}

#[test]
fn a_client_that_half_closes_and_waits_is_told() -> Result<()> {
    fires(async |_, server, client| {
        let asked = client.act("send 0 100")?.at;
        client.act("half-close 0")?;
        server.act("read 0")?;
        Ok(asked)
    })
}

#[test]
fn a_request_long_after_the_connection_is_told_in_time() -> Result<()> {
    fires(async |stage, server, client| {
        // Several looks at the idle connection pass, the last of them shortly before the request.
        ticks(stage, 1_050).await?;
        let asked = client.act("send 0 100")?.at;
        server.act("read 0")?;
        Ok(asked)
    })
}

#[test]
fn an_idle_connection_is_no_stall() -> Result<()> {
    stays_silent(async |_, _, _| Ok(()))
}

#[test]
fn an_answered_connection_kept_alive_is_no_stall() -> Result<()> {
    stays_silent(async |stage, server, client| {
        client.act("send 0 100")?;
        server.act("read 0")?;
        ticks(stage, 20).await?;
        server.act("send 0 50")?;
        Ok(())
    })
}

#[test]
fn slow_answers_are_no_stall() -> Result<()> {
    stays_silent(async |stage, server, client| {
        for _ in 0..6 {
            client.act("send 0 100")?;
            server.act("read 0")?;
            ticks(stage, 100).await?;
            server.act("send 0 50")?;
        }
        Ok(())
    })
}

#[test]
fn a_steady_upload_is_no_stall() -> Result<()> {
    stays_silent(async |stage, server, client| {
        for _ in 0..12 {
            client.act("send 0 1000")?;
            server.act("read 0")?;
            ticks(stage, 100).await?;
        }
        server.act("send 0 50")?;
        Ok(())
    })
}

#[test]
fn a_client_that_does_not_take_its_answer_is_no_stall() -> Result<()> {
    stays_silent(async |stage, server, client| {
        client.act("send 0 100")?;
        server.act("read 0")?;
        server.act("send 0 10")?;
        client.act("read 0")?;
        // More than both buffers hold, so that bytes stay unsent; it ends with the puppet.
        server.last_act("send 0 30000000")?;
        client.act("read 0")?; // however long it took to begin
        ticks(stage, 100).await?;
        client.act("send 0 100")?;
        Ok(())
    })
}

#[test]
fn one_hung_request_beside_answered_ones_is_no_stall() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage).await?;
        ticks(stage, 50).await?;
        let mut busy = stage.stranger()?;
        busy.act("connect 8080")?;
        server.act("accept")?;
        client.act("send 0 100")?;
        server.act("read 0")?;
        for _ in 0..8 {
            ticks(stage, 100).await?;
            busy.act("send 0 10")?;
            server.act("read 1")?;
            server.act("send 1 10")?;
        }
        Ok(())
    })
}

#[test]
fn a_connection_that_was_closed_is_forgotten() -> Result<()> {
    stays_silent(async |_, server, client| {
        client.act("send 0 100")?;
        server.act("read 0")?;
        client.act("close 0")?;
        server.act("close 0")?;
        Ok(())
    })
}

#[test]
fn many_hung_requests_are_told_together() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage).await?;
        let began = tokio::time::Instant::now();
        let mut seen = vec![];
        for which in 1..10 {
            seen.extend(stage.all_within(AFTER / 10).await?);
            client.act("connect 8080")?;
            server.act("accept")?;
            client.act(&format!("send {which} 100"))?;
        }
        seen.extend(stage.all_within(3 * AFTER).await?);
        for saw in &seen {
            let Saw::AnswerStall(stall) = saw else { panic!("{saw:?}") };
            println!("waiting {} for {:?}", stall.waiting, stall.age);
        }
        // Once per `answer_after`, whoever else waits by then.
        let most = 1 + began.elapsed().as_millis() / AFTER.as_millis();
        assert!(!seen.is_empty() && seen.len() as u128 <= most, "told {} times", seen.len());
        Ok(())
    })
}
