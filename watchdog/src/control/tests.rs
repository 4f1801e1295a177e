use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use expect_test::expect;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
};

use super::*;
use crate::model::{
    ActiveState, Budget, Counts, FailureClass, FileState, Health, LoadState, Mono, Rung, Service,
    ServiceStatus, Serving, SinkStatus, Source, SourceStatus, Status, Verdict,
};

fn status() -> Status {
    let budget = |left, of| Budget { left, of, within: Duration::from_secs(300) };
    let web = ServiceStatus {
        service: Service::new("web"),
        unit: "nginx.service".parse().unwrap(),
        group: None,
        load: Some(LoadState::Loaded),
        file: Some(FileState::Other),
        active: Some(ActiveState::Active),
        sub: "running".into(),
        health: Health::Well,
        stage: "up".into(),
        verdict: Some(Verdict::Alive),
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

/// An engine that answers each time.
fn engine() -> Asks {
    let (asks, mut asked) = mpsc::channel::<oneshot::Sender<Box<Status>>>(1);
    tokio::spawn(async move {
        while let Some(answer) = asked.recv().await {
            answer.send(Box::new(status())).ok();
        }
    });
    asks
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

#[tokio::test]
async fn the_status_is_read_over_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine()));
    let read: Status = serde_json::from_slice(&get(&path, STATUS).await.unwrap()).unwrap();
    assert_eq!(read, status());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine()));
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
async fn who_says_nothing_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (socket, _place) = Socket::bind(&path).unwrap();
    tokio::spawn(serve(socket, engine()));
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
    tokio::spawn(serve(socket, asks));
    let fault = get(&path, STATUS).await.unwrap_err();
    assert!(matches!(fault, Error::NoAnswer { .. }), "{fault}");
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

#[test]
fn the_metrics_are_open_metrics() {
    expect![[r##"
        # HELP watchdog_build Which watchdog runs
        # TYPE watchdog_build gauge
        watchdog_build{version="1.2.3"} 1
        # HELP watchdog_uptime_seconds For how long it has run
        # TYPE watchdog_uptime_seconds gauge
        # UNIT watchdog_uptime_seconds seconds
        watchdog_uptime_seconds 4.0
        # HELP watchdog_observe 1: everything is decided, and nothing is done
        # TYPE watchdog_observe gauge
        watchdog_observe 0
        # HELP watchdog_host_budget_left Restarts that the whole host may cost yet
        # TYPE watchdog_host_budget_left gauge
        watchdog_host_budget_left 19
        # HELP watchdog_rung By what a failure class is seen
        # TYPE watchdog_rung gauge
        watchdog_rung{class="exit",rung="tp_btf"} 1
        watchdog_rung{class="accept_stall",rung="sock_diag"} 1
        # HELP watchdog_rung_degraded 1: a better rung than this does not work here
        # TYPE watchdog_rung_degraded gauge
        watchdog_rung_degraded{class="exit"} 0
        watchdog_rung_degraded{class="accept_stall"} 1
        # HELP watchdog_source_working Whether a source works
        # TYPE watchdog_source_working gauge
        watchdog_source_working{source="ebpf"} 1
        # HELP watchdog_losses How often a source has lost something
        # TYPE watchdog_losses counter
        watchdog_losses_total{source="ebpf"} 1
        # HELP watchdog_lost_records What sources have lost, as far as it is known
        # TYPE watchdog_lost_records counter
        watchdog_lost_records_total{source="ebpf"} 4
        # HELP watchdog_unwritten_events Events that a sink has not taken
        # TYPE watchdog_unwritten_events counter
        watchdog_unwritten_events_total{sink="stdout"} 3
        # HELP watchdog_service_enabled Its unit is not disabled or masked
        # TYPE watchdog_service_enabled gauge
        watchdog_service_enabled{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_up Its unit is active
        # TYPE watchdog_service_up gauge
        watchdog_service_up{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_healthy It answers as it should; left out while nobody can say
        # TYPE watchdog_service_healthy gauge
        watchdog_service_healthy{service="web",unit="nginx.service"} 1
        # HELP watchdog_service_quarantined Its budget is spent
        # TYPE watchdog_service_quarantined gauge
        watchdog_service_quarantined{service="web",unit="nginx.service"} 0
        # HELP watchdog_service_paused An operator wants hands off
        # TYPE watchdog_service_paused gauge
        watchdog_service_paused{service="web",unit="nginx.service"} 0
        # HELP watchdog_incident_open Something is going on
        # TYPE watchdog_incident_open gauge
        watchdog_incident_open{service="web",unit="nginx.service"} 0
        # HELP watchdog_budget_left Restarts that it may cost yet
        # TYPE watchdog_budget_left gauge
        watchdog_budget_left{service="web",unit="nginx.service"} 2
        # HELP watchdog_incidents Incidents that have ended
        # TYPE watchdog_incidents counter
        watchdog_incidents_total{service="web",end="recovered"} 1
        watchdog_incidents_total{service="web",end="quarantined"} 0
        watchdog_incidents_total{service="web",end="stood_down"} 0
        # HELP watchdog_restarts Restarts and starts that were requested
        # TYPE watchdog_restarts counter
        watchdog_restarts_total{service="web"} 1
        # HELP watchdog_heartbeats Heartbeats that have ended
        # TYPE watchdog_heartbeats counter
        watchdog_heartbeats_total{service="web",verdict="alive"} 7
        watchdog_heartbeats_total{service="web",verdict="dead"} 2
        watchdog_heartbeats_total{service="web",verdict="unknown"} 0
        # HELP watchdog_heartbeats_took_seconds How long all of them took
        # TYPE watchdog_heartbeats_took_seconds counter
        # UNIT watchdog_heartbeats_took_seconds seconds
        watchdog_heartbeats_took_seconds_total{service="web"} 1.5
        # HELP watchdog_suspicions What made it suspect
        # TYPE watchdog_suspicions counter
        watchdog_suspicions_total{service="web",why="accept_stall"} 1
        # EOF
    "##]]
    .assert_eq(&metrics::text(&status()).unwrap());
}
