use std::time::Duration;

use expect_test::{Expect, expect};

use crate::{
    explain::status,
    model::{
        ActiveState, Budget, Counts, FailureClass, FileState, Health, Held, Hold, IncidentEnd, IncidentId,
        LastIncident, LoadState, Mono, OpenIncident, Pause, Rung, Service, ServiceStatus, Serving,
        SinkStatus, Source, SourceStatus, Status, Tick, Wall,
    },
};

const NOW: Mono = at(10_000);

const fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn budget(left: u32, of: u32) -> Budget {
    Budget { left, of, within: Duration::from_secs(300) }
}

/// One that has been well since ever.
fn well(name: &str) -> ServiceStatus {
    ServiceStatus {
        service: Service::new(name),
        unit: format!("{name}.service").parse().unwrap(),
        group: None,
        load: Some(LoadState::Loaded),
        file: Some(FileState::Other),
        active: Some(ActiveState::Active),
        sub: "running".into(),
        health: Health::Well,
        stage: "up".into(),
        verdict: None,
        unknown: None,
        alive: None,
        incident: None,
        last: None,
        held: None,
        pause: None,
        budget: budget(3, 3),
        counts: Counts::default(),
    }
}

fn host(services: Vec<ServiceStatus>) -> Status {
    Status {
        at: NOW,
        version: "1.2.3".into(),
        since: at(1_000),
        observe: false,
        discovered: false,
        budget: Budget { left: 19, of: 20, within: Duration::from_secs(600) },
        services,
        rungs: vec![],
        ticks: vec![],
        sources: vec![],
        events: vec![],
    }
}

fn check(now: &Status, expected: Expect) {
    expected.assert_eq(&status(now, None, false));
}

#[test]
fn b11_enabled_active_and_healthy_are_three_columns() {
    let id = IncidentId { run: 1, number: 7 };
    let failing = ServiceStatus {
        health: Health::Failing,
        stage: "holding".into(),
        incident: Some(OpenIncident {
            id,
            began: at(9_990),
            restarts: 1,
            first_step: "1 connection not accepted for 250ms".into(),
            last_step: "dead: no complete answer within 3s".into(),
        }),
        held: Some(Held { hold: Hold::Backoff, since: at(9_998), until: at(10_001) }),
        budget: budget(2, 3),
        ..well("php")
    };
    let stopped = ServiceStatus {
        file: Some(FileState::Disabled),
        active: Some(ActiveState::Inactive),
        health: Health::Down,
        stage: "stopped".into(),
        ..well("ftp")
    };
    let absent = ServiceStatus {
        load: Some(LoadState::NotFound),
        active: Some(ActiveState::Inactive),
        health: Health::Down,
        stage: "absent".into(),
        ..well("gone")
    };
    let recovered = ServiceStatus {
        last: Some(LastIncident {
            id: Some(id),
            end: IncidentEnd::Recovered,
            ended: at(2_800),
            took: Duration::from_millis(42),
            restarts: 1,
            last_step: "recovered: alive".into(),
        }),
        ..well("web")
    };
    let paused = ServiceStatus {
        pause: Some(Pause { until: at(10_600), since: Wall(0), by: "ann".into(), reason: "upgrade".into() }),
        ..well("mail")
    };
    let starting = ServiceStatus {
        active: Some(ActiveState::Activating),
        sub: "start-pre".into(),
        health: Health::Unsure,
        stage: "proving".into(),
        unknown: Some("db: unknown after 1.00 ms: unix:/run/db.sock: our own fault: not allowed".into()),
        ..well("db")
    };
    check(
        &host(vec![starting, stopped, absent, paused, failing, recovered]),
        expect![[r#"
            watchdog 1.2.3, running for 2h30m

            SERVICE  ENABLED  ACTIVE     HEALTHY  RESTARTS LEFT
            db       yes      start-pre  ?        3 of 3 in 5m   proving; unknown after 1.00 ms: unix:/run/db.sock: our own fault: not allowed
            ftp      no       no         no       3 of 3 in 5m   stopped
            gone     absent   no         no       3 of 3 in 5m   absent
            mail     yes      yes        yes      3 of 3 in 5m   PAUSED by ann for another 10m (upgrade)
            php      yes      yes        no       2 of 3 in 5m   holding: incident 00000001-7 for 10s, 1 restart: 1 connection not accepted for 250ms; waits 2s so far: the pause between two restarts; looked at again in 1s
            web      yes      yes        yes      3 of 3 in 5m   last incident 2h ago: recovered after 42ms

            19 restarts left of 20 in 10m for all services together

            4 of 6 services not well: php (failing), ftp (down), gone (down), db (unsure)
        "#]],
    );
}

#[test]
fn each_class_says_its_rung_and_why_no_better_one_serves() {
    let now = Status {
        observe: true,
        rungs: vec![
            Serving { class: FailureClass::Exit, rung: Rung::TpBtf, why: String::new() },
            Serving { class: FailureClass::Sender, rung: Rung::TpBtf, why: String::new() },
            Serving {
                class: FailureClass::AcceptStall,
                rung: Rung::SockDiag,
                why: "the kernel is locked down".into(),
            },
            Serving {
                class: FailureClass::AnswerStall,
                rung: Rung::SockDiag,
                why: "the kernel is locked down".into(),
            },
        ],
        ticks: vec![
            Tick { what: "backstop heartbeat of web".into(), every: Duration::from_secs(60) },
            Tick { what: "every unit is read again".into(), every: Duration::from_secs(300) },
        ],
        sources: vec![
            SourceStatus { source: Source::Ebpf, works: Some(true), why: String::new(), losses: 2, lost: 9 },
            SourceStatus {
                source: Source::Store,
                works: Some(false),
                why: "the disk is full".into(),
                losses: 0,
                lost: 0,
            },
            SourceStatus { source: Source::Units, works: Some(true), why: "bus".into(), losses: 0, lost: 0 },
        ],
        events: vec![SinkStatus { sink: "stdout".into(), queued: 1, lost: 3, fault: None }],
        ..host(vec![well("web")])
    };
    check(
        &now,
        expect![[r#"
            watchdog 1.2.3, running for 2h30m; it only observes: everything is decided and nothing is done

            SERVICE  ENABLED  ACTIVE  HEALTHY  RESTARTS LEFT
            web      yes      yes     yes      3 of 3 in 5m

            19 restarts left of 20 in 10m for all services together

            Failures are seen by
              tp_btf     exit, sender
              sock_diag  accept_stall, answer_stall; nothing better: the kernel is locked down

            Sources and sinks in trouble
              ebpf has lost 9 records, in 2 gaps, each looked at again
              store does not work: the disk is full
              events to stdout: 3 events were not written

            What ticks while all is well
              every 1m  backstop heartbeat of web
              every 5m  every unit is read again

            it is well
        "#]],
    );
}

#[test]
fn only_what_is_healthy_or_not_has_a_colour() {
    let text = status(&host(vec![well("web")]), None, true).replace('\x1b', "ESC");
    let coloured: Vec<&str> = text.lines().filter(|line| line.contains("ESC")).collect();
    expect!["web      yes      yes     ESC[32myes      ESC[0m3 of 3 in 5m"].assert_eq(&coloured.join("\n"));
}

#[test]
fn on_a_terminal_what_does_not_fit_stands_below_its_service() {
    let paused = |name, reason: &str| ServiceStatus {
        pause: Some(Pause { until: at(10_600), since: Wall(0), by: "ann".into(), reason: reason.into() }),
        ..well(name)
    };
    let why = "probes cannot be loaded: the kernel is locked down, see lockdown=";
    let now = Status {
        rungs: vec![Serving { class: FailureClass::Exit, rung: Rung::Systemd, why: why.into() }],
        ..host(vec![paused("mail", "the disks are replaced, and nobody may look at it"), paused("web", "")])
    };
    expect![[r#"
        watchdog 1.2.3, running for 2h30m

        SERVICE  ENABLED  ACTIVE  HEALTHY  RESTARTS LEFT
        mail     yes      yes     yes      3 of 3 in 5m
            PAUSED by ann for another 10m (the disks are replaced, and nobody may
            look at it)
        web      yes      yes     yes      3 of 3 in 5m
            PAUSED by ann for another 10m

        19 restarts left of 20 in 10m for all services together

        Failures are seen by
          systemd  exit; nothing better: probes cannot be loaded: the kernel is
                   locked down, see lockdown=

        all 2 services are well
    "#]]
    .assert_eq(&status(&now, Some(76), false));
}
