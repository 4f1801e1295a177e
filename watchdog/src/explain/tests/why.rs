//! An incident, told as a story.

use std::time::Duration;

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;

use crate::{
    explain::{in_a_line, why},
    model::{
        Act, Action, Ailing, Ailment, Ailments, Answer, Cause, CgroupId, Decision, End, Evidence, Exit, Hold,
        IncidentEnd, IncidentId, Meaning, Mono, OrderId, Outcome, Phase, Port, Result, Sender, Service,
        SignalSent, Stall, Step, Story, Suspicion, Tell, Verdict, Why,
    },
    stream::{Incident, Line, Record},
};

const BEGAN: Mono = Mono(5_000_000_000_000);
const ID: IncidentId = IncidentId { run: 0xab, number: 7 };

fn web() -> Service {
    Service::new("web")
}

fn at(micros: u64) -> Mono {
    BEGAN + Duration::from_micros(micros)
}

fn killer() -> SignalSent {
    let comm = "kill".into();
    let sender =
        Sender::Process { pid: 4711, uid: 0, comm, cgroup: CgroupId(3), unit: "session-3.scope".into() };
    SignalSent { cgroup: CgroupId(2), pid: 812, signal: 9, sender, more: 0 }
}

fn suspicion(after: u64, why: Why) -> Record {
    Record::from(&Suspicion { service: web(), at: at(after), why })
}

fn exit() -> Why {
    let cause = Some(Cause::Signal { signal: 9, core: false });
    let exit = Exit { cgroup: CgroupId(2), pid: 812, cause, comm: "nginx".into(), more: 0 };
    Why::MainExit { exit, sent: Some(killer()) }
}

fn dead(began: u64) -> Record {
    Record::from(&Answer {
        order: OrderId(3),
        service: web(),
        heartbeat: 0,
        incident: Some(ID),
        verdict: Verdict::Dead,
        end: End::Late(Duration::from_secs(3)),
        phase: Phase::Headers,
        asked: "127.0.0.1:80".into(),
        began: at(began),
        took: Duration::from_secs(3),
        body_bytes: 0,
        warnings: vec![],
        evidence: Some(Evidence {
            window: Duration::from_millis(1_500),
            waited: Some(Duration::ZERO),
            throttled: None,
            ran: Some(Duration::ZERO),
            others: Some(Duration::from_millis(12)),
            accepted: 0,
            served: 0,
            meaning: Meaning::Dead,
        }),
        ailments: Some(Ailments {
            looked: 1,
            ailing: vec![Ailing { pid: 812, comm: "nginx".into(), what: Ailment::Stopped }],
            more: 0,
        }),
    })
}

fn tell(after: u64, decision: Decision) -> Record {
    let unit = "nginx.service".parse().unwrap();
    Record::from(&Tell {
        service: web(),
        unit,
        incarnation: None,
        incident: Some(ID),
        at: at(after),
        decision,
    })
}

fn act(after: u64, action: Action, rule: &str) -> Record {
    tell(after, Decision::Act { action, rule: rule.into(), observed_only: false })
}

fn requested(after: u64, action: Action) -> Record {
    let unit = "nginx.service".parse().unwrap();
    let (service, incident) = (web(), ID);
    Record::action(at(after), &Act { id: OrderId(4), service, unit, incarnation: None, incident, action })
}

fn outcome(requested: u64, replied: u64, result: Result) -> Record {
    let (requested, at) = (at(requested), at(replied));
    Record::from(&Outcome { order: OrderId(4), service: web(), incident: ID, requested, at, result })
}

fn ended(after: u64, end: IncidentEnd, restarts: u32, steps: &[(u64, &str)]) -> Record {
    let step =
        |(after, what): &(u64, &str)| Step { mono_us: at(*after), after_us: *after, what: (*what).into() };
    let steps = steps.iter().map(step).collect();
    let took = Duration::from_micros(after);
    tell(after, Decision::End(Box::new(Story { end, took, restarts, steps })))
}

fn incident(records: impl IntoIterator<Item = Record>) -> Incident {
    let line = |record: Record| Line {
        id: "run-1".into(),
        source: "watchdog/host".into(),
        time: "2026-11-02T03:04:05.5Z".parse::<jiff::Timestamp>().unwrap() + record.at.since(BEGAN),
        unit: record.said.unit().cloned(),
        record,
    };
    Incident { lines: records.into_iter().map(line).collect() }
}

fn check(records: impl IntoIterator<Item = Record>, expected: Expect) {
    let incident = incident(records);
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let text = why(&web(), &incident).unwrap().text(&zone, false);
    let line = in_a_line(&web(), &incident).unwrap().what;
    expected.assert_eq(&format!("{text}\nIn a line: {line}\n"));
}

#[test]
fn g12_a_death_is_told_with_its_killer_the_rule_the_action_and_the_time_between_them() {
    let start = Action::Start { reset: false };
    check(
        [
            suspicion(0, exit()),
            suspicion(198, Why::ListenerLost(Port(80))),
            act(11_600, start, "the unit ended: signal 9 (SIGKILL)"),
            requested(14_000, start),
            outcome(14_000, 27_500, Result::Queued { job: 116 }),
            ended(
                39_400,
                IncidentEnd::Recovered,
                1,
                &[(0, "main process 812 (nginx) ended"), (39_400, "recovered")],
            ),
        ],
        expect![[r#"
            web (nginx.service), incident 000000ab-7: RECOVERED
            Monday 2026-11-02 04:04:05 CET, took 39.4 ms

            What happened  main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope)
                           nobody listens on port 80 any more

            Decision       start nginx.service, because the unit ended: signal 9 (SIGKILL)

            Action         start nginx.service

            Result         systemd queued job 116 after 13.5 ms; recovered 39.4 ms after the first sign, with 1 restart

            Times          first sign → 11.6 ms → decision → 2.40 ms → request → 13.5 ms → systemd's word → 11.9 ms → end

            Step by step
              04:04:05.500  +0 µs     main process 812 (nginx) ended
              04:04:05.539  +39.4 ms  recovered

            In a line: 000000ab-7: main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope); recovered 39.4 ms after the first sign, with 1 restart
        "#]],
    );
}

#[test]
fn g12_a_hang_is_told_with_the_phase_the_numbers_and_what_ails_the_processes() {
    let restart = Action::Restart { reset: false };
    let stall = Stall { port: Port(80), age: Duration::from_millis(252), waiting: 3 };
    let rule =
        "heartbeat failed 2 times in a row: 127.0.0.1:80: no complete answer within 3 s (phase: headers)";
    let figures = dead(0);
    let figures = crate::stream::sentence(&figures);
    let (_, figures) = figures.split_once("; ").unwrap();
    check(
        [
            suspicion(0, Why::Stopped(SignalSent { signal: 19, ..killer() })),
            suspicion(328_000, Why::AcceptStall(stall)),
            dead(1_000),
            dead(201_000),
            act(3_210_000, restart, &format!("{rule}; {figures}")),
            requested(3_213_000, restart),
        ],
        expect![[r#"
            web (nginx.service), incident 000000ab-7: NOT OVER
            Monday 2026-11-02 04:04:05 CET

            What happened  process 812 was stopped by SIGSTOP from process 4711 (kill, uid 0, session-3.scope)
                           port 80 does not accept: 3 waiting, the oldest for 252 ms

            Evidence       DEAD after 3.00 s: 127.0.0.1:80, no complete answer within 3 s (phase: headers); no excuse: of
                           the last 2s runnable but not run for 0ns, ran for 0ns, others for 12ms; connections: 0
                           accepted, 0 of others served; process 812 (nginx) is stopped (T)

            Decision       restart nginx.service, because heartbeat failed 2 times in a row: 127.0.0.1:80: no complete
                           answer within 3 s (phase: headers)

            Action         restart nginx.service

            Times          first sign → 3.00 s → first bad answer → 209 ms → decision → 3.00 ms → request

            Step by step
              04:04:05.500  +0 µs    process 812 was stopped by SIGSTOP from process 4711 (kill, uid 0, session-3.scope)
              04:04:05.828  +328 ms  port 80 does not accept: 3 waiting, the oldest for 252 ms
              04:04:08.501  +3.00 s  DEAD after 3.00 s: 127.0.0.1:80, no complete answer within 3 s (phase: headers); no
                                     excuse: of the last 2s runnable but not run for 0ns, ran for 0ns, others for 12ms;
                                     connections: 0 accepted, 0 of others served; process 812 (nginx) is stopped (T)
              04:04:08.701  +3.20 s  the same once more
              04:04:08.710  +3.21 s  decided: restart nginx.service, because heartbeat failed 2 times in a row:
                                     127.0.0.1:80: no complete answer within 3 s (phase: headers); no excuse: of the last
                                     2s runnable but not run for 0ns, ran for 0ns, others for 12ms; connections: 0
                                     accepted, 0 of others served; process 812 (nginx) is stopped (T)
              04:04:08.713  +3.21 s  restart nginx.service

            In a line: 000000ab-7: process 812 was stopped by SIGSTOP from process 4711 (kill, uid 0, session-3.scope); decided: restart nginx.service, because heartbeat failed 2 times in a row: 127.0.0.1:80: no complete answer within 3 s (phase: headers); no excuse: of the last 2s runnable but not run for 0ns, ran for 0ns, others for 12ms; connections: 0 accepted, 0 of others served; process 812 (nginx) is stopped (T)
        "#]],
    );
}

#[test]
fn an_operators_stop_is_told_with_who_asked_for_it() {
    let why = "stopped on request, asked for by process 127 (systemctl) of user 0 in session-3.scope";
    let alone = Decision::LeaveAlone { why: why.into(), cause: None, sent: None };
    let left = format!("left alone: {why}");
    check(
        [
            tell(12_500, alone),
            ended(
                12_500,
                IncidentEnd::StoodDown,
                0,
                &[(0, "nothing listens on port 80 any more"), (12_500, &left)],
            ),
        ],
        expect![[r#"
            web (nginx.service), incident 000000ab-7: left alone
            Monday 2026-11-02 04:04:05 CET, took 12.5 ms

            What happened  nothing listens on port 80 any more

            Decision       left alone: stopped on request, asked for by process 127 (systemctl) of user 0 in
                           session-3.scope

            Result         left as it is, without a restart

            Step by step
              04:04:05.500  +0 µs     nothing listens on port 80 any more
              04:04:05.512  +12.5 ms  left alone: stopped on request, asked for by process 127 (systemctl) of user 0 in
                                      session-3.scope

            In a line: 000000ab-7: nothing listens on port 80 any more; left as it is, without a restart
        "#]],
    );
}

#[test]
fn a_hold_that_is_not_over_says_what_it_waits_for() {
    let hold = Hold::Dependency { on: "mariadb".into() };
    check(
        [suspicion(0, exit()), tell(9_000, Decision::Hold { hold, until: at(60_009_000) })],
        expect![[r#"
        web (nginx.service), incident 000000ab-7: NOT OVER
        Monday 2026-11-02 04:04:05 CET

        What happened  main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope)

        Decision       waits at most 60.0 s: mariadb, which it depends on, is failing

        Step by step
          04:04:05.500  +0 µs     main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0,
                                  session-3.scope)
          04:04:05.509  +9.00 ms  waits at most 60.0 s: mariadb, which it depends on, is failing

        In a line: 000000ab-7: main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope); waits at most 60.0 s: mariadb, which it depends on, is failing
    "#]],
    );
}

#[test]
fn what_comes_again_and_again_is_told_once_with_the_last_of_it() {
    let waits = |after| {
        let hold = Hold::Dependency { on: "mariadb".into() };
        tell(after, Decision::Hold { hold, until: at(after + 60_000_000) })
    };
    let mut records = vec![suspicion(0, exit())];
    records.extend((1..=20).map(|number| waits(number * 30_000_000)));
    check(
        records,
        expect![[r#"
        web (nginx.service), incident 000000ab-7: NOT OVER
        Monday 2026-11-02 04:04:05 CET

        What happened  main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope)

        Decision       waits at most 60.0 s: mariadb, which it depends on, is failing

        Step by step
          04:04:05.500  +0 µs    main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0,
                                 session-3.scope)
          04:04:35.500  +30.0 s  waits at most 60.0 s: mariadb, which it depends on, is failing
          04:14:05.500  +10 min  the same, the last of 19 times more

        In a line: 000000ab-7: main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, session-3.scope); waits at most 60.0 s: mariadb, which it depends on, is failing
    "#]],
    );
}
