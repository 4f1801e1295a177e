//! A drill, measured from the fault to the good answer.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::{guard, pulse};
use crate::{
    explain::{Watcher, patience},
    model::{
        Act, Action, Answer, CgroupId, Decision, End, Exit, IncidentEnd, IncidentId, Injury, Known, Moment,
        Mono, OrderId, Phase, Port, Recorded, Saw, Service, Sign, Source, Stall, Story, Suspicion, Tell,
        Verdict, Why,
    },
    policy::Guard,
    stream::Record,
};

const FAULT: Mono = Mono(5_000_000_000_000);
const ID: IncidentId = IncidentId { run: 0xab, number: 7 };

fn web() -> Service {
    Service::new("web")
}

fn nginx() -> Guard {
    Guard { heartbeats: vec![pulse()], ..guard("nginx.service") }
}

fn at(millis: u64) -> Mono {
    FAULT + Duration::from_millis(millis)
}

fn answer(began: u64, took: u64, verdict: Verdict) -> Record {
    let end = match verdict {
        Verdict::Alive => End::Good { status: Some(200) },
        Verdict::Dead | Verdict::Unknown => End::Late(Duration::from_secs(3)),
    };
    Record::from(&Answer {
        order: OrderId(3),
        service: web(),
        heartbeat: 0,
        incident: None,
        verdict,
        end,
        phase: Phase::Headers,
        asked: "127.0.0.1:80".into(),
        began: at(began),
        took: Duration::from_millis(took),
        body_bytes: 0,
        warnings: vec![],
        evidence: None,
        ailments: None,
    })
}

fn action(after: u64, action: Action) -> Record {
    let unit = "nginx.service".parse().unwrap();
    let (service, incident) = (web(), ID);
    Record::action(at(after), &Act { id: OrderId(4), service, unit, incarnation: None, incident, action })
}

fn recovered(after: u64) -> Record {
    ended(after, IncidentEnd::Recovered, ID)
}

fn ended(after: u64, end: IncidentEnd, incident: IncidentId) -> Record {
    let restarts = u32::from(end == IncidentEnd::Recovered);
    let story = Story { end, took: Duration::from_millis(after), restarts, steps: vec![] };
    let unit = "nginx.service".parse().unwrap();
    let decision = Decision::End(Box::new(story));
    Record::from(&Tell {
        service: web(),
        unit,
        incarnation: None,
        incident: Some(incident),
        at: at(after),
        decision,
    })
}

fn check(fault: Injury, records: &[Record], expected: Expect) {
    let mut watcher = Watcher::new(web(), fault, FAULT);
    records.iter().for_each(|record| watcher.hear(record));
    assert!(watcher.is_over());
    let guard = nginx();
    let drill = watcher.told("SIGSTOP sent".into(), &guard, Some(Duration::from_secs(2)));
    expected.assert_eq(&format!("{drill}\n"));
}

#[test]
fn f14_a_hang_is_measured_from_the_stall_to_the_good_answer_beside_what_is_promised() {
    let stall = Why::AcceptStall(Stall { port: Port(80), age: Duration::from_millis(250), waiting: 2 });
    let recorded = Recorded {
        incident: ID,
        moment: Moment::Restart,
        path: "/var/lib/watchdog/evidence/it.txt".into(),
        took: Duration::from_millis(9),
        missing: None,
    };
    let known = Known::Recorded(Box::new(recorded));
    let fact = crate::model::Fact { order: OrderId(5), service: web(), at: at(3_470), known };
    check(
        Injury::Stop,
        &[
            Record::from(&Suspicion { service: Service::new("other"), at: at(1), why: stall.clone() }),
            Record::from(&Suspicion { service: web(), at: at(260), why: stall }),
            answer(261, 3_000, Verdict::Dead),
            answer(461, 3_000, Verdict::Dead),
            Record::from(&fact),
            action(3_480, Action::Restart { reset: false }),
            answer(3_700, 4, Verdict::Alive),
            recovered(3_704),
        ],
        expect![[r#"
            web: SIGSTOP sent
              seen         260ms  web: port 80 does not accept: 2 waiting, the oldest for 250 ms
                                  promised: at once, by the signal or by the next client; by the backstop within 1m
              verdict    3s461ms  web: DEAD after 3.00 s: 127.0.0.1:80, no complete answer within 3 s (phase: headers)
                                  promised: within 3s200ms (timeout + retry_after)
              request    3s480ms  web: restart nginx.service
                                  promised: milliseconds after it (at most 2s where evidence hangs)
              answer     3s704ms  web: alive in 4.00 ms: 127.0.0.1:80, status 200
                                  promised: as the unit stops and starts
            web: RECOVERED in 3.70 s with 1 restart
            evidence: /var/lib/watchdog/evidence/it.txt

            watchdog why web tells the whole story
        "#]],
    );
}

#[test]
fn f14_a_hang_is_not_over_because_the_last_worker_answered_before_it_stopped() {
    let stall = Why::AcceptStall(Stall { port: Port(80), age: Duration::from_millis(250), waiting: 2 });
    let suspected = |after| Record::from(&Suspicion { service: web(), at: at(after), why: stall.clone() });
    check(
        Injury::Hang,
        &[
            suspected(1),
            answer(2, 5, Verdict::Alive),
            ended(7, IncidentEnd::StoodDown, IncidentId { number: 6, ..ID }),
            suspected(1_010),
            answer(1_011, 3_000, Verdict::Dead),
            action(4_230, Action::Restart { reset: false }),
            answer(4_300, 4, Verdict::Alive),
            recovered(4_304),
        ],
        expect![[r#"
            web: SIGSTOP sent
              seen           1ms  web: port 80 does not accept: 2 waiting, the oldest for 250 ms
                                  promised: at once, by the signal or by the next client; by the backstop within 1m
              verdict     4s11ms  web: DEAD after 3.00 s: 127.0.0.1:80, no complete answer within 3 s (phase: headers)
                                  LATE: promised: within 3s200ms (timeout + retry_after)
              request    4s230ms  web: restart nginx.service
                                  promised: milliseconds after it (at most 2s where evidence hangs)
              answer     4s304ms  web: alive in 4.00 ms: 127.0.0.1:80, status 200
                                  promised: as the unit stops and starts
            web: RECOVERED in 4.30 s with 1 restart

            watchdog why web tells the whole story
        "#]],
    );
}

#[test]
fn f14_a_kill_needs_no_verdict_and_an_answer_from_before_it_does_not_count() {
    let exit = Exit { cgroup: CgroupId(2), pid: 812, cause: None, comm: "nginx".into(), more: 0 };
    let sign = Sign { at: at(0), source: Source::Ebpf, saw: Saw::Exit(exit) };
    check(
        Injury::Kill,
        &[
            answer(0, 1, Verdict::Alive),
            Record::sign(&sign, Some(&web())),
            action(3, Action::Start { reset: false }),
            answer(30, 1, Verdict::Alive),
            recovered(31),
        ],
        expect![[r#"
            web: SIGSTOP sent
              seen            0s  web: process 812 (nginx) ended
                                  promised: at once
              verdict          -  it did not come
                                  promised: as soon as systemd says that it ended
              request        3ms  web: start nginx.service
                                  promised: milliseconds after it (at most 2s where evidence hangs)
              answer        31ms  web: alive in 1.00 ms: 127.0.0.1:80, status 200
                                  promised: as the unit stops and starts
            web: RECOVERED in 31.0 ms with 1 restart

            watchdog why web tells the whole story
        "#]],
    );
}

#[test]
fn f14_a_drill_waits_as_long_as_is_promised_and_no_longer_than_a_quarter_of_an_hour() {
    let mut guard = nginx();
    assert!(patience(&guard, None) >= Duration::from_secs(30));
    guard.stop_timeout = Some(Duration::from_secs(86_400));
    guard.start_timeout = Some(Duration::from_secs(86_400));
    assert_eq!(patience(&guard, None), Duration::from_secs(900));
}
