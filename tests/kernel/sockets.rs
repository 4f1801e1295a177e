//! Every kind of socket, and every kind of client, seen by the probes and by looks at the table of sockets: the same signs.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use watchdog::model::{FailureClass, Port, Rung, Saw, Serving};

use crate::stage::{By, Puppet, Stage, play_by};

/// A test by each rung.
macro_rules! by_both {
    ($($name:ident)*) => {
        mod by_probes {
            $(#[test] fn $name() -> anyhow::Result<()> { super::$name(crate::stage::By::Probes) })*
        }
        mod by_table {
            $(#[test] fn $name() -> anyhow::Result<()> { super::$name(crate::stage::By::Table) })*
        }
    };
}

by_both! {
    f2_a_stall_of_accepts_by_io_uring_is_told
    f2_one_dead_worker_of_four_is_told
    f2_a_stall_over_ipv6_is_told
    f2_a_stall_of_ipv4_clients_of_an_ipv6_listener_is_told
    f2_a_stall_on_one_of_two_addresses_of_a_port_is_told
    f2_a_full_backlog_is_told
    f2_a_client_that_breaks_off_does_not_hide_those_behind_it
    f2_clients_that_all_broke_off_are_told_as_long_as_nobody_takes_them
    f2_a_request_that_is_never_read_is_told
    f2_a_request_that_is_read_and_never_answered_is_told
    f2_a_second_request_of_a_connection_kept_alive_is_told
    f2_a_client_that_breaks_off_ends_its_question
    c3_a_listener_that_goes_while_its_process_lives_is_told
    a_drained_queue_and_answered_requests_are_no_stall
}

const AFTER: Duration = Duration::from_millis(400);
/// By this much a machine that others use too may be late.
const BUSY: Duration = Duration::from_secs(1);

fn watch(stage: &mut Stage, accept: bool, answer: bool) -> Result<()> {
    let after = |it: bool| if it { AFTER.as_millis() as u64 } else { 60_000 };
    stage.watch_port(8080, after(accept), after(answer))
}

/// Everybody who listens is known before the first client comes.
async fn settled(stage: &mut Stage, by: By) -> Result<()> {
    if by == By::Table {
        let serving = stage.find(|saw| matches!(saw, Saw::Serving(_))).await?;
        let by_table = |class| Serving { class, rung: Rung::SockDiag, why: String::new() };
        use FailureClass::{AcceptStall, AnswerStall, ListenerLost};
        assert_eq!(serving.saw, Saw::Serving([ListenerLost, AcceptStall, AnswerStall].map(by_table).into()));
    }
    Ok(())
}

/// Stops all threads of a puppet. The signal goes to one of them: on a busy machine another one may well accept until that
/// one has run and told the rest.
fn stop(puppet: &Puppet) -> Result<()> {
    let pid = Pid::from_raw(puppet.pid().try_into()?).expect("a PID");
    kill_process(pid, Signal::STOP)?;
    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)?;
    Ok(())
}

/// The stall of port 8080, told in time for a client that connected then.
async fn told(stage: &mut Stage, connected: u64) -> Result<u32> {
    let (at, stall) = stage.accept_stall().await?;
    let waited = Duration::from_nanos(at.saturating_sub(connected));
    println!("accept_after {AFTER:?}: told after {waited:?}, age {:?}, waiting {}", stall.age, stall.waiting);
    assert_eq!(stall.port, Port(8080));
    ensure!(stall.age >= AFTER && stall.age <= AFTER + BUSY, "age {:?}", stall.age);
    ensure!(waited <= AFTER + BUSY, "told after {waited:?}");
    Ok(stall.waiting)
}

/// Listens there; a client connects, and nobody takes it.
fn is_told(by: By, listens: &'static str, connects: &'static str) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act(&format!("listen {listens}"))?;
        settled(stage, by).await?;
        let connected = client.act(&format!("connect {connects}"))?.at;
        assert_eq!(told(stage, connected).await?, 1);
        server.act("accept")?;
        stage.find(|saw| *saw == Saw::StallOver(Port(8080))).await.map(drop)
    })
}

fn f2_a_stall_over_ipv6_is_told(by: By) -> Result<()> {
    is_told(by, "[::1]:8080", "[::1]:8080")
}

fn f2_a_stall_of_ipv4_clients_of_an_ipv6_listener_is_told(by: By) -> Result<()> {
    is_told(by, "[::]:8080", "127.0.0.1:8080")
}

fn f2_a_stall_of_accepts_by_io_uring_is_told(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        server.act("drain-ring")?;
        settled(stage, by).await?;
        for _ in 0..5 {
            let which = client.act("connect 8080")?.number;
            // The end of the connection: the ring took it.
            assert_eq!(client.act(&format!("read {which}"))?.number, 0);
        }
        stop(&server)?;
        // An accept that the kernel had begun is still carried out.
        let first = client.act("connect 8080")?.at;
        client.act("connect 8080")?;
        told(stage, first).await.map(drop)
    })
}

fn f2_one_dead_worker_of_four_is_told(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let mut workers = vec![];
        for number in 0..4 {
            let mut worker = stage.stranger()?;
            worker.act("listen-shared 8080")?;
            if number > 0 {
                worker.act("drain")?;
            }
            workers.push(worker);
        }
        settled(stage, by).await?;
        let mut client = stage.stranger()?;
        // The kernel deals connections out by a hash: none of 64 to one of four is as likely as one in 100 million.
        let mut first = None;
        for _ in 0..64 {
            first.get_or_insert(client.act("connect 8080")?.at);
        }
        let waiting = told(stage, first.unwrap_or_default()).await?;
        assert!((1..64).contains(&waiting), "waiting {waiting}");
        Ok(())
    })
}

fn f2_a_stall_on_one_of_two_addresses_of_a_port_is_told(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut well, mut sick, mut client) = (stage.stranger()?, stage.stranger()?, stage.stranger()?);
        well.act("listen 127.0.0.1:8080")?;
        well.act("drain")?;
        sick.act("listen 127.0.0.2:8080")?;
        settled(stage, by).await?;
        let connected = client.act("connect 127.0.0.2:8080")?.at;
        client.act("connect 127.0.0.1:8080")?;
        assert_eq!(told(stage, connected).await?, 1);
        Ok(())
    })
}

fn f2_a_full_backlog_is_told(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen-small 8080")?;
        settled(stage, by).await?;
        stop(&server)?;
        let first = client.act("knock 8080")?.at;
        for _ in 0..20 {
            client.act("knock 8080")?;
        }
        // One more than the backlog, as the kernel has it.
        assert_eq!(told(stage, first).await?, 9);
        Ok(())
    })
}

fn f2_a_client_that_breaks_off_does_not_hide_those_behind_it(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        settled(stage, by).await?;
        let first = client.act("connect 8080")?.at;
        client.act("connect 8080")?;
        client.act("reset 0")?;
        told(stage, first).await.map(drop)
    })
}

fn f2_clients_that_all_broke_off_are_told_as_long_as_nobody_takes_them(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        settled(stage, by).await?;
        for which in 0..3 {
            client.act("connect 8080")?;
            client.act(&format!("reset {which}"))?;
        }
        let (_, stall) = stage.accept_stall().await?;
        assert_eq!((stall.port, stall.waiting), (Port(8080), 3));
        Ok(())
    })
}

/// A server and a client with one connection between them, accepted.
async fn pair(stage: &mut Stage, by: By) -> Result<(Puppet, Puppet)> {
    watch(stage, false, true)?;
    let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
    server.act("listen 8080")?;
    settled(stage, by).await?;
    client.act("connect 8080")?;
    server.act("accept")?;
    Ok((server, client))
}

/// The last thing that `act` does is a request which is not answered.
fn is_late(
    by: By,
    act: impl AsyncFnOnce(&mut Stage, &mut Puppet, &mut Puppet) -> Result<u64> + Send + 'static,
) -> Result<()> {
    play_by(by, async move |stage| {
        let (mut server, mut client) = pair(stage, by).await?;
        let asked = act(stage, &mut server, &mut client).await?;
        let sign = stage.find(|saw| matches!(saw, Saw::AnswerStall(_))).await?;
        let Saw::AnswerStall(stall) = sign.saw else { unreachable!("found by its kind") };
        let waited = Duration::from_nanos(sign.at.0.saturating_sub(asked));
        println!("answer_after {AFTER:?}: told after {waited:?}, age {:?}", stall.age);
        assert_eq!((stall.port, stall.waiting), (Port(8080), 1));
        ensure!(stall.age >= AFTER && stall.age <= AFTER + BUSY, "age {:?}", stall.age);
        let again = stage.all_within(3 * AFTER).await?;
        ensure!(!again.iter().any(|saw| matches!(saw, Saw::AnswerStall(_))), "told again: {again:?}");
        Ok(())
    })
}

fn f2_a_request_that_is_never_read_is_told(by: By) -> Result<()> {
    is_late(by, async |_, _, client| Ok(client.act("send 0 100")?.at))
}

fn f2_a_request_that_is_read_and_never_answered_is_told(by: By) -> Result<()> {
    is_late(by, async |_, server, client| {
        let asked = client.act("send 0 100")?.at;
        server.act("read 0")?;
        Ok(asked)
    })
}

fn f2_a_second_request_of_a_connection_kept_alive_is_told(by: By) -> Result<()> {
    is_late(by, async |stage, server, client| {
        client.act("send 0 100")?;
        server.act("read 0")?;
        server.act("send 0 50")?;
        client.act("read 0")?;
        stage.all_within(Duration::from_millis(50)).await?; // the kernel's clock ticks on
        let asked = client.act("send 0 100")?.at;
        server.act("read 0")?;
        Ok(asked)
    })
}

fn f2_a_client_that_breaks_off_ends_its_question(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        let (_server, mut client) = pair(stage, by).await?;
        client.act("send 0 100")?;
        client.act("reset 0")?;
        let seen = stage.all_within(3 * AFTER).await?;
        ensure!(!seen.iter().any(|saw| matches!(saw, Saw::AnswerStall(_))), "{seen:?}");
        Ok(())
    })
}

fn c3_a_listener_that_goes_while_its_process_lives_is_told(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        watch(stage, true, false)?;
        let (mut one, mut two) = (stage.stranger()?, stage.stranger()?);
        one.act("listen 127.0.0.1:8080")?;
        two.act("listen [::1]:8080")?;
        settled(stage, by).await?;
        one.act("unlisten")?;
        let down = |left| move |saw: &Saw| *saw == Saw::ListenerDown { port: Port(8080), left };
        stage.find(down(1)).await?;
        let gone = two.act("unlisten")?.at;
        let at = stage.find(down(0)).await?.at.0;
        println!("told after {:?}", Duration::from_nanos(at.saturating_sub(gone)));
        two.act("listen [::1]:8080")?;
        stage.find(|saw| *saw == Saw::ListenerUp(Port(8080))).await.map(drop)
    })
}

fn a_drained_queue_and_answered_requests_are_no_stall(by: By) -> Result<()> {
    play_by(by, async move |stage| {
        stage.watch_port(8080, 400, 400)?;
        let (mut server, mut client) = (stage.stranger()?, stage.stranger()?);
        server.act("listen 8080")?;
        server.act("serve")?;
        settled(stage, by).await?;
        let end = tokio::time::Instant::now() + 5 * AFTER;
        while tokio::time::Instant::now() < end {
            let which = client.act("connect 8080")?.number;
            client.act(&format!("send {which} 10"))?;
            client.act(&format!("read {which}"))?;
            if which % 8 > 0 {
                client.act(&format!("close {which}"))?;
            }
        }
        let seen = stage.all_within(2 * AFTER).await?;
        ensure!(seen.contains(&Saw::InUse(Port(8080))), "{seen:?}");
        let quiet = |saw: &Saw| matches!(saw, Saw::ListenerUp(_) | Saw::InUse(_));
        ensure!(seen.iter().all(quiet), "{seen:?}");
        Ok(())
    })
}
