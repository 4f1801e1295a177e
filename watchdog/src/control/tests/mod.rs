mod measured;

use std::{
    collections::BTreeMap, fs, ops::ControlFlow, os::unix::fs::PermissionsExt as _, path::Path,
    time::Duration,
};

use expect_test::expect;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
};

use super::*;
use crate::{
    model::{
        ActiveState, Budget, Counts, FailureClass, FileState, Health, LoadState, Mono, Port, Rung, Saw,
        Service, ServiceStatus, Serving, Sign, SinkStatus, Source, SourceStatus, Status, Verdict,
    },
    stream::{self, Record, Stream, Tap},
};

/// What is answered to this, without the headers.
async fn post(path: &Path, to: &str, body: &str) -> String {
    let request = format!("POST {to} HTTP/1.1\r\nHost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let said = talk(path, request.as_bytes()).await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    format!("{} {body}", head.split_whitespace().nth(1).unwrap_or_default())
}

fn status() -> Status {
    let budget = |left, of| Budget { left, of, within: Duration::from_secs(300) };
    let web = ServiceStatus {
        service: Service::new("web"),
        unit: "nginx.service".parse().unwrap(),
        group: Some("front".into()),
        load: Some(LoadState::Loaded),
        file: Some(FileState::Other),
        active: Some(ActiveState::Active),
        sub: "running".into(),
        health: Health::Well,
        stage: "up".into(),
        verdict: Some(Verdict::Alive),
        unknown: None,
        alive: Some(Mono(1_000_000)),
        incident: None,
        last: None,
        held: None,
        pause: None,
        budget: budget(2, 3),
        counts: Counts {
            restarts: 1,
            recovered: 1,
            alive: 7,
            dead: 2,
            asked: Duration::from_millis(1500),
            suspicions: BTreeMap::from([("accept_stall".into(), 1)]),
            ..Counts::default()
        },
    };
    let serving = |class, rung, why: &str| Serving { class, rung, why: why.into() };
    Status {
        at: Mono(5_000_000_000),
        version: "1.2.3".into(),
        since: Mono(1_000_000_000),
        observe: false,
        discovered: false,
        budget: budget(19, 20),
        services: vec![web],
        rungs: vec![
            serving(FailureClass::Exit, Rung::TpBtf, ""),
            serving(FailureClass::AcceptStall, Rung::SockDiag, "lockdown"),
        ],
        ticks: vec![],
        sources: vec![SourceStatus {
            source: Source::Ebpf,
            works: Some(true),
            why: String::new(),
            losses: 1,
            lost: 4,
        }],
        events: vec![SinkStatus { sink: "stdout".into(), queued: 0, lost: 3, fault: None }],
    }
}

/// An engine that answers each time, and what it was told to change or to have on record.
fn engine() -> (Asks, mpsc::UnboundedReceiver<String>) {
    let (asks, mut asked) = mpsc::channel(1);
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Status(answer) => drop(answer.send(Box::new(status()))),
                Ask::Change(change, answer) => {
                    tell.send(format!("{:?} {:?}", change.wish, change.services)).ok();
                    let said =
                        |service| Changed { service, done: true, said: "so it is".into(), incident: None };
                    answer.send(change.services.into_iter().map(said).collect()).ok();
                }
                Ask::Reload(answer) => drop(answer.send(Err("line 3".into()))),
                Ask::Audit(audit) => drop(tell.send(format!("{}: {}", audit.asked, audit.answer))),
            }
        }
    });
    (asks, told)
}

/// Writes these bytes and reads what comes, to its end. What the other end does not read to its end, it resets.
async fn talk(path: &Path, bytes: &[u8]) -> String {
    let mut connection = UnixStream::connect(path).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    let ended = connection.read_to_end(&mut read).await;
    assert!(ended.is_ok() || !read.is_empty(), "{ended:?}");
    String::from_utf8(read).unwrap()
}

async fn first_line(path: &Path, bytes: &[u8]) -> String {
    talk(path, bytes).await.lines().next().unwrap_or_default().to_owned()
}

fn stream() -> Stream {
    let folder = tempfile::tempdir().unwrap();
    Stream::open(&stream::Settings { sinks: Vec::new() }, folder.path()).unwrap()
}

fn tap() -> Tap {
    stream().tap()
}

fn numbered(number: u16) -> Record {
    Record::from(&Sign { at: Mono(1_000), source: Source::Ebpf, saw: Saw::InUse(Port(number)) })
}

#[tokio::test]
async fn whoever_looks_on_sees_each_event_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    let stream = stream();
    tokio::spawn(serve(socket, engine().0, stream.tap()));
    stream.write(&numbered(1));
    let onlooker = look_on(&path).await.unwrap();
    stream.write(&numbered(2));
    stream.write(&numbered(3));
    let mut seen = Vec::new();
    let each = onlooker.each(|line| {
        seen.push(stream::read(line).unwrap().record);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    each.await;
    assert_eq!(seen, [numbered(2), numbered(3)]);
}

#[tokio::test]
async fn only_so_many_look_on_at_once_and_who_leaves_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine().0, tap()));
    let mut onlookers = Vec::new();
    let refused = loop {
        match look_on(&path).await {
            Ok(onlooker) => onlookers.push(onlooker),
            Err(refused) => break refused.to_string(),
        }
        assert!(onlookers.len() < 20);
    };
    assert!(refused.contains("look on already") || refused.contains("too many"), "{refused}");
    get(&path, STATUS).await.unwrap();
    onlookers.clear();
    while look_on(&path).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_status_is_read_over_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine().0, tap()));
    let read: Status = serde_json::from_slice(&get(&path, STATUS).await.unwrap()).unwrap();
    assert_eq!(read, status());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine().0, tap()));
    let said = [
        first_line(&path, b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n").await,
        first_line(&path, b"POST /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").await,
        first_line(&path, b"hello\r\n\r\n").await,
        first_line(&path, format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000)).as_bytes()).await,
    ];
    expect![[r#"
        HTTP/1.1 404 Not Found
        HTTP/1.1 405 Method Not Allowed
        HTTP/1.1 400 Bad Request
        HTTP/1.1 431 Request Header Fields Too Large"#]]
    .assert_eq(&said.join("\n"));
}

#[tokio::test]
async fn a15_services_are_meant_by_name_unit_group_or_pattern_and_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    let (asks, mut told) = engine();
    tokio::spawn(serve(socket, asks, tap()));
    let mut said = String::new();
    for body in [
        r#"{"services": ["web", "nginx.service"], "for": "10m", "reason": "an\nupgrade"}"#,
        r#"{"services": ["front"]}"#,
        r#"{"services": ["*"], "for": "ever"}"#,
        r#"{"services": ["wbe"]}"#,
        r#"{"services": []}"#,
        r#"{"services": ["web"], "for": "10"}"#,
        r#"{"services": ["web"], "for": "0s"}"#,
        r#"{"service": "web"}"#,
        "web",
    ] {
        said += &post(&path, PAUSE, body).await;
        said += &format!("    {}\n", told.recv().await.unwrap());
    }
    said += &post(&path, RESUME, r#"{"services": ["w*"]}"#).await;
    said += &format!("    {}\n", told.recv().await.unwrap());
    said += &post(&path, RELOAD, "").await;
    said += &format!("    {}\n", told.recv().await.unwrap());
    expect![[r#"
        200 {"services":[{"service":"web","done":true,"said":"so it is"}]}
            Pause { lasts: Some(600s), reason: "an upgrade" } [Service("web")]
        200 {"services":[{"service":"web","done":true,"said":"so it is"}]}
            Pause { lasts: Some(3600s), reason: "" } [Service("web")]
        200 {"services":[{"service":"web","done":true,"said":"so it is"}]}
            Pause { lasts: None, reason: "" } [Service("web")]
        404 {"error":"there is no service, unit or group \"wbe\"","help":"did you mean web?"}
            /v1/pause {"services": ["wbe"]}: there is no service, unit or group "wbe": did you mean web?
        400 {"error":"no service is named","help":"name services, units, groups or patterns; \"*\" is all"}
            /v1/pause {"services": []}: no service is named: name services, units, groups or patterns; "*" is all
        400 {"error":"`for` is no duration: \"10\"","help":"write \"10m\", \"1h30m\" or \"2d\"; or \"ever\", which lasts until it is resumed"}
            /v1/pause {"services": ["web"], "for": "10"}: `for` is no duration: "10": write "10m", "1h30m" or "2d"; or "ever", which lasts until it is resumed
        400 {"error":"a pause lasts from 1s to 366d","help":"or \"ever\", which lasts until it is resumed"}
            /v1/pause {"services": ["web"], "for": "0s"}: a pause lasts from 1s to 366d: or "ever", which lasts until it is resumed
        400 {"error":"this is no such request: unknown field `service`, expected one of `services`, `for`, `reason`, `fault` at line 1 column 10","help":"send {\"services\": [\"NAME\"]} as JSON"}
            /v1/pause {"service": "web"}: this is no such request: unknown field `service`, expected one of `services`, `for`, `reason`, `fault` at line 1 column 10: send {"services": ["NAME"]} as JSON
        400 {"error":"this is no such request: expected value at line 1 column 1","help":"send {\"services\": [\"NAME\"]} as JSON"}
            /v1/pause web: this is no such request: expected value at line 1 column 1: send {"services": ["NAME"]} as JSON
        200 {"services":[{"service":"web","done":true,"said":"so it is"}]}
            Resume [Service("web")]
        422 {"error":"the configuration has faults, and the old one stays in force","help":"line 3"}
            a reload: the old configuration stays in force: line 3
    "#]].assert_eq(&said);
}

#[tokio::test]
async fn g15_what_is_too_large_or_too_slow_is_cut_off_and_others_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine().0, tap()));
    let huge = post(&path, PAUSE, &"x".repeat(70_000)).await;
    let slow = first_line(&path, b"POST /v1/pause HTTP/1.1\r\nHost: x\r\ncontent-length: 9\r\n\r\n{").await;
    expect![[r#"
        413 {"error":"a request has at most 64 KiB","help":"name a group or a pattern instead of each service"}

        HTTP/1.1 408 Request Timeout"#]]
    .assert_eq(&format!("{huge}\n{slow}"));
    let many: Vec<_> =
        std::iter::repeat_with(|| std::os::unix::net::UnixStream::connect(&path).unwrap()).take(8).collect();
    let mut connection = UnixStream::connect(&path).await.unwrap();
    let mut read = String::new();
    connection.read_to_string(&mut read).await.unwrap();
    assert!(read.contains("503 Service Unavailable") && read.contains("too many"), "{read}");
    drop(many);
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine().0, tap()));
    let began = std::time::Instant::now();
    talk(&path, b"GET /v1/status HT").await;
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn an_engine_that_does_not_answer_keeps_nobody_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (asks, _never_asked) = mpsc::channel(1);
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, asks, tap()));
    let fault = get(&path, STATUS).await.unwrap_err();
    assert!(matches!(fault, Error::Refused { status: 503, .. }), "{fault}");
}

#[tokio::test]
async fn a_file_that_a_dead_watchdog_left_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (one, place) = Socket::bind(&path).unwrap();
    assert!(matches!(Socket::bind(&path), Err(Error::InUse { .. })));
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, if one.group.is_some() { 0o660 } else { 0o600 });
    drop(place);
    drop(one);
    assert!(!path.exists(), "it left its file behind");
    assert!(matches!(get(&path, STATUS).await, Err(Error::NotRunning { .. })));
}

#[tokio::test]
async fn only_its_own_file_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (_one, place) = Socket::bind(&path).unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    let _other = Socket::bind(&path).unwrap();
    drop(place);
    assert!(path.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    fs::write(&path, "dear").unwrap();
    assert!(matches!(Socket::bind(&path), Err(Error::NoSocket { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear");
}
