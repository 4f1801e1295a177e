//! Answers that are errors, read as they leave a cgroup.

use std::{fs, io::Write, net::TcpStream, time::Duration};

use anyhow::{Context, Result, ensure};
use watchdog::model::{Saw, ServerErrors};

use crate::stage::{Puppet, Stage, play};

const PORT: u16 = 8080;
/// Errors of one port are told at most once in this time.
const WINDOW: Duration = Duration::from_millis(1_050);
/// Loopback needs a fraction of it.
const SETTLED: Duration = Duration::from_millis(200);

const GOOD: &str = r"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BAD: &str = r"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

/// The stage's unit is `web.service`, and serves a port that is watched.
fn serve(stage: &mut Stage, listen: &str) -> Result<Puppet> {
    stage.watch_port(PORT, 60_000, 60_000)?;
    stage.watch_answers("web.service")?;
    let mut server = stage.cgroup.puppet_below("web.service")?;
    stage.watch_answers("web.service")?;
    server.act(listen)?;
    Ok(server)
}

/// A server of the unit, and a client of it with one connection.
fn pair(stage: &mut Stage) -> Result<(Puppet, Puppet)> {
    let mut server = serve(stage, "listen 8080")?;
    let mut client = stage.stranger()?;
    client.act("connect 8080")?;
    server.act("accept")?;
    Ok((server, client))
}

/// One request, and what the server sends then: each a segment of its own.
fn ask(client: &mut Puppet, server: &mut Puppet, answer: &[&str]) -> Result<()> {
    client.act(r"say 0 GET / HTTP/1.1\r\n\r\n")?;
    server.act("read 0")?;
    say(client, server, answer)
}

fn say(client: &mut Puppet, server: &mut Puppet, answer: &[&str]) -> Result<()> {
    for segment in answer {
        server.act(&format!("say 0 {segment}"))?;
        client.act("read 0")?;
    }
    Ok(())
}

/// Status and count of all that is told of errors within this time.
async fn errors(stage: &mut Stage, time: Duration) -> Result<Vec<(u16, u32)>> {
    let errors = |saw| {
        let Saw::ServerErrors(ServerErrors { port, status, errors, .. }) = saw else { return None };
        assert_eq!(port.0, PORT);
        Some((status, errors))
    };
    Ok(stage.all_within(time).await?.into_iter().filter_map(errors).collect())
}

/// These answers, each to a request of its own, tell this.
fn answers(all: &'static [&'static [&'static str]], told: &'static [(u16, u32)]) -> Result<()> {
    play(async move |stage| {
        let (mut server, mut client) = pair(stage)?;
        for answer in all {
            ask(&mut client, &mut server, answer)?;
        }
        assert_eq!(errors(stage, SETTLED).await?, told);
        // the program still reads: what is new on another connection is seen
        if told.is_empty() {
            client.act("connect 8080")?;
            server.act("accept")?;
            client.act(r"say 1 GET / HTTP/1.1\r\n\r\n")?;
            server.act("read 1")?;
            server.act(&format!("say 1 {BAD}"))?;
            assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        }
        Ok(())
    })
}

#[test]
fn f15_an_error_among_good_answers_of_one_connection_is_told() -> Result<()> {
    answers(&[&[GOOD], &[GOOD], &[r"HTTP/1.1 503 Service Unavailable\r\n\r\n"], &[GOOD]], &[(503, 1)])
}

#[test]
fn f15_good_answers_and_those_that_are_the_clients_fault_are_not_told() -> Result<()> {
    answers(&[&[GOOD], &[r"HTTP/1.1 404 Not Found\r\n\r\n"], &[r"HTTP/1.1 301 Moved\r\n\r\n"], &[GOOD]], &[])
}

#[test]
fn f15_http_1_0_and_an_answer_without_a_reason_are_read() -> Result<()> {
    answers(&[&[r"HTTP/1.0 500\r\n\r\n"]], &[(500, 1)])?;
    answers(&[&[r"HTTP/1.1 502 \r\n\r\n"]], &[(502, 1)])
}

#[test]
fn f15_an_answer_in_chunks_is_one() -> Result<()> {
    const CHUNKED: &str = r"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    const CHUNK: &str = r"1f\r\nHTTP/1.1 500 is what it said.\r\n\r\n";
    answers(&[&[CHUNKED, CHUNK, CHUNK, r"0\r\n\r\n"], &[GOOD]], &[(500, 1)])
}

#[test]
fn f15_after_100_continue_the_answer_is_read_whether_the_client_waits_or_not() -> Result<()> {
    const GO_ON: &str = r"HTTP/1.1 100 Continue\r\n\r\n";
    answers(&[&[GO_ON, BAD]], &[(500, 1)])?;
    answers(&[&[GO_ON], &[BAD]], &[(500, 1)])?;
    answers(&[&[GO_ON, r"HTTP/1.1 103 Early Hints\r\n\r\n", GO_ON, GOOD, BAD]], &[])
}

#[test]
fn f15_of_answers_to_requests_that_came_together_the_first_is_read_and_no_body_is_misread() -> Result<()> {
    answers(&[&[BAD, GOOD, BAD]], &[(500, 1)])?;
    answers(&[&[GOOD, GOOD, r"HTTP/1.1 500 in a body\r\n\r\n"]], &[])
}

#[test]
fn f15_a_body_that_holds_status_lines_is_not_read() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage)?;
        client.act(r"say 0 GET / HTTP/1.1\r\n\r\n")?;
        server.act("read 0")?;
        server.act(r"say 0 HTTP/1.1 200 OK\r\nContent-Length: 8400000\r\n\r\n")?;
        client.act("read 0")?;
        client.last_act("read-all 0")?;
        // 35 bytes: the segments begin everywhere in the line, at its first byte among it
        server.act(r"repeat 0 120000 HTTP/1.1 500 Internal Server Error\n")?;
        server.act(r"repeat 0 120000 HTTP/1.1 500 Internal Server Error\n")?;
        for _ in 0..100 {
            server.act(&format!("say 0 {BAD}"))?;
        }
        server.act("close 0")?;
        assert_eq!(errors(stage, SETTLED).await?, []);
        Ok(())
    })
}

#[test]
fn f15_the_end_of_what_a_client_sends_is_no_request() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage)?;
        ask(&mut client, &mut server, &[r"HTTP/1.1 200 OK\r\n\r\n", "the body begins"])?;
        client.act("half-close 0")?;
        server.act("read 0")?;
        say(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, []);
        Ok(())
    })
}

#[test]
fn f15_tls_is_not_read_whatever_its_bytes_look_like() -> Result<()> {
    const HELLO: &str = r"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03abcdefghijklmnopqrstuvwxyz";
    const DATA: &str = r"\x17\x03\x03\x00\x20HTTP/1.1 500 No\r\n\r\n";
    answers(&[&[HELLO, DATA], &[DATA, BAD], &[BAD], &[BAD]], &[])?;
    answers(&[&[r"\x15\x03\x03\x00\x02\x02\x28"], &[BAD]], &[])
}

#[test]
fn f15_http_2_with_prior_knowledge_is_not_read() -> Result<()> {
    const SETTINGS: &str = r"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff";
    answers(&[&[SETTINGS], &[BAD], &[BAD, BAD]], &[])?;
    const EMPTY_SETTINGS: &str = r"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    answers(&[&[EMPTY_SETTINGS], &[BAD]], &[])
}

#[test]
fn f15_a_status_line_that_is_cut_in_two_is_not_read_and_those_after_it_are() -> Result<()> {
    answers(&[&["HTTP/1.1 ", r"500 Internal Server Error\r\n\r\n"], &[GOOD]], &[])?;
    answers(&[&["HTTP/1.1 ", r"500 Internal Server Error\r\n\r\n"], &[BAD]], &[(500, 1)])
}

#[test]
fn f15_what_left_http_is_not_read() -> Result<()> {
    const SWITCH: &str = r"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    answers(&[&[SWITCH, BAD], &[BAD], &[BAD]], &[])
}

#[test]
fn f15_ipv6_is_read() -> Result<()> {
    play(async |stage| {
        let mut server = serve(stage, "listen [::1]:8080")?;
        let mut client = stage.stranger()?;
        client.act("connect [::1]:8080")?;
        server.act("accept")?;
        ask(&mut client, &mut server, &[GOOD])?;
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        Ok(())
    })
}

#[test]
fn f15_a_socket_that_was_made_in_the_socket_units_cgroup_is_read() -> Result<()> {
    play(async |stage| {
        stage.watch_port(PORT, 60_000, 60_000)?;
        let mut server = stage.cgroup.puppet_below("web.socket")?;
        server.act("listen 8080")?;
        let unit = stage.cgroup.below("web.service");
        fs::create_dir(&unit)?;
        server.act(&format!("join {}", unit.join("cgroup.procs").display()))?;
        stage.watch_answers("web.service")?;
        let mut client = stage.stranger()?;
        client.act("connect 8080")?;
        server.act("accept")?;
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        Ok(())
    })
}

#[test]
fn f15_a_server_further_below_is_read_with_its_unit() -> Result<()> {
    play(async |stage| {
        stage.watch_port(PORT, 60_000, 60_000)?;
        let mut server = stage.cgroup.puppet_below("web.service/payload/worker")?;
        stage.watch_answers("web.service")?;
        let mut client = stage.stranger()?;
        server.act("listen 8080")?;
        client.act("connect 8080")?;
        server.act("accept")?;
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        Ok(())
    })
}

#[test]
fn f15_who_serves_on_a_port_that_is_not_watched_or_asks_others_is_not_read() -> Result<()> {
    play(async |stage| {
        let mut server = serve(stage, "listen 8081")?;
        let (mut client, mut other) = (stage.stranger()?, stage.stranger()?);
        client.act("connect 8081")?;
        server.act("accept")?;
        ask(&mut client, &mut server, &[BAD])?;
        // the unit as a client: its request looks like an answer
        other.act("listen 8080")?;
        server.act("connect 8080")?;
        other.act("accept")?;
        server.act(&format!("say 1 {BAD}"))?;
        // a stranger on the watched port
        other.act(&format!("say 0 {BAD}"))?;
        assert_eq!(errors(stage, SETTLED).await?, []);
        Ok(())
    })
}

#[test]
fn f15_thousands_of_errors_a_second_are_a_few_records_and_none_is_forgotten() -> Result<()> {
    const ASKED: u32 = 5_000;
    play(async |stage| {
        let mut server = serve(stage, "listen 8080")?;
        server.act(&format!("answer {BAD}"))?;
        let mut client = stage.stranger()?;
        let began = client.act("connect 8080")?.at;
        let took = Duration::from_nanos(client.act(&format!("ask 0 {ASKED}"))?.at - began);
        for cost in stage.costs().iter().filter(|cost| cost.runs > 0) {
            let mean = cost.took.as_nanos() / u128::from(cost.runs);
            println!("{:?}: {} runs, {mean} ns each (kernel.bpf_stats_enabled)", cost.program, cost.runs);
        }
        std::thread::sleep(WINDOW);
        client.act("ask 0 1")?;
        let told = errors(stage, SETTLED).await?;
        println!("{ASKED} errors in {took:?}: {} records", told.len());
        assert_eq!(told.iter().map(|(_, count)| count).sum::<u32>(), ASKED + 1);
        let windows = took.as_secs() as usize + 1;
        assert!(told.len() <= windows + 1, "{} records in {windows} seconds", told.len());
        Ok(())
    })
}

#[test]
fn f15_an_error_to_our_own_heartbeat_is_not_told() -> Result<()> {
    play(async |stage| {
        let mut server = serve(stage, "listen 8080")?;
        server.act(&format!("answer {BAD}"))?;
        for _ in 0..20 {
            let mut ours = TcpStream::connect(("127.0.0.1", PORT))?;
            for _ in 0..2 {
                ours.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
                ensure!(std::io::Read::read(&mut ours, &mut [0; 4096])? > 0, "no answer");
            }
        }
        assert_eq!(errors(stage, SETTLED).await?, []);
        let mut client = stage.stranger()?;
        client.act("connect 8080")?;
        client.act("ask 0 1")?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        Ok(())
    })
}

#[test]
fn f15_a_client_whose_socket_lies_where_a_refused_heartbeats_lay_is_a_client() -> Result<()> {
    const CLIENTS: u32 = 50;
    play(async |stage| {
        let mut server = serve(stage, "listen 8080")?;
        server.act(&format!("answer {BAD}"))?;
        let mut client = stage.stranger()?;
        for which in 0..CLIENTS {
            let refused = TcpStream::connect(("127.0.0.1", 8081));
            ensure!(refused.is_err(), "somebody listens on 8081");
            client.act("connect 8080")?;
            client.act(&format!("ask {which} 1"))?;
        }
        tokio::time::sleep(WINDOW).await;
        client.act("ask 0 1")?;
        let told = errors(stage, SETTLED).await?;
        assert_eq!(told.iter().map(|(_, count)| count).sum::<u32>(), CLIENTS + 1);
        Ok(())
    })
}

#[test]
fn f15_a_new_run_of_the_unit_is_read_from_its_first_answer_on() -> Result<()> {
    play(async |stage| {
        stage.watch_port(PORT, 60_000, 60_000)?;
        stage.watch_answers("web.service")?;
        let unit = stage.cgroup.below("web.service");
        for _ in 0..3 {
            fs::create_dir(&unit)?;
            // as long as systemd takes between the directory and the first process
            stage.all_within(Duration::from_millis(50)).await?;
            let mut server = stage.cgroup.puppet_below("web.service")?;
            server.act("listen 8080")?;
            server.act(&format!("answer {BAD}"))?;
            let mut client = stage.stranger()?;
            client.act("connect 8080")?;
            client.act("ask 0 1")?;
            assert_eq!(errors(stage, WINDOW).await?, [(500, 1)]);
            server.last_act("exit 0")?;
            server.end()?;
            fs::remove_dir(&unit).context("the cgroup of the old run")?;
        }
        Ok(())
    })
}

/// How many cgroups this process has tied programs to.
fn tied() -> Result<usize> {
    let all = fs::read_dir("/proc/self/fdinfo")?;
    let texts = all.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    Ok(texts.filter(|text| text.contains("link_type:\tcgroup")).count())
}

#[test]
fn f15_one_link_ties_a_cgroup_however_often_it_is_wanted_and_none_is_left_behind() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage)?;
        assert_eq!(tied()?, 1);
        stage.watch_answers("web.service")?;
        stage.watch_answers("other.service")?;
        assert_eq!(tied()?, 1, "the other is not there yet");
        let _other = stage.cgroup.puppet_below("other.service")?;
        stage.watch_answers("web.service")?;
        assert_eq!(tied()?, 2);
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)], "counted once");
        stage.watch_no_answers();
        stage.all_within(SETTLED).await?;
        assert_eq!(tied()?, 0);
        tokio::time::sleep(WINDOW).await;
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, []);
        Ok(())
    })
}

#[test]
fn f15_the_next_process_goes_on_reading_where_the_last_one_died() -> Result<()> {
    play(async |stage| {
        let (mut server, mut client) = pair(stage)?;
        ask(&mut client, &mut server, &[GOOD])?;
        let kept = stage.leave()?;
        assert_eq!(tied()?, 0, "what ties it died with its process");
        stage.adopt(kept)?;
        stage.watch_answers("web.service")?;
        assert_eq!(tied()?, 1);
        ask(&mut client, &mut server, &[GOOD])?;
        ask(&mut client, &mut server, &[BAD])?;
        assert_eq!(errors(stage, SETTLED).await?, [(500, 1)]);
        Ok(())
    })
}
