//! Words to make records of, and how a record is checked.

use std::time::Duration;

use expect_test::Expect;

use crate::{
    model::{
        ActiveState, Answer, Cause, CgroupId, Decision, End, Ends, Exit, Fact, FileState, Incarnation,
        IncidentEnd, IncidentId, JobKind, Known, LoadState, Mono, OrderId, Outcome, PendingJob, Phase, Port,
        RestartOn, Result, Saw, Sender, Service, Sign, SignalSent, Source, Stall, Step, Story, Tell, Unit,
        UnitState, Verdict,
    },
    stream::{Line, Record, read, sentence},
};

pub(super) const AT: Mono = Mono(5_000_000_250_000);
pub(super) const INCIDENT: IncidentId = IncidentId { run: 0xab, number: 7 };
pub(super) const INCARNATION: Incarnation = Incarnation([0x1f; 16]);

pub(super) fn nginx() -> Service {
    Service::new("nginx")
}

pub(super) fn unit() -> Unit {
    "nginx.service".parse().unwrap()
}

/// One line for the JSON, one for the sentence; what is read back is what was written.
pub(super) fn check(records: impl IntoIterator<Item = Record>, expected: Expect) {
    let mut text = String::new();
    for record in records {
        let line = Line {
            id: "run-1".into(),
            source: "watchdog/host".into(),
            time: "2026-11-02T03:04:05.123456Z".parse().unwrap(),
            unit: record.said.unit().cloned(),
            record,
        };
        let json = String::from_utf8(line.to_json()).unwrap();
        assert_eq!(read(&json).unwrap(), line);
        super::schema::fits(&json);
        let envelope = r#"{"specversion":"1.0","id":"run-1","source":"watchdog/host","#;
        text += &json
            .replace(envelope, "{…")
            .replace(r#""time":"2026-11-02T03:04:05.123456Z","schemaversion":1,"#, "…");
        text += &format!("\n{}\n", sentence(&line.record));
    }
    expected.assert_eq(&text);
}

pub(super) fn sign(saw: Saw) -> Record {
    Record::sign(&Sign { at: AT, source: Source::Ebpf, saw }, Some(&nginx()))
}

pub(super) fn exit(cause: Cause) -> Exit {
    Exit { cgroup: CgroupId(33), pid: 812, cause: Some(cause), comm: "nginx".into(), more: 0 }
}

pub(super) fn sent() -> SignalSent {
    let sender = Sender::Process {
        pid: 4711,
        uid: 0,
        comm: "kill".into(),
        cgroup: CgroupId(34),
        unit: "cron.service".into(),
    };
    SignalSent { cgroup: CgroupId(33), pid: 812, signal: 9, sender, more: 0 }
}

pub(super) fn stall() -> Stall {
    Stall { port: Port(80), age: Duration::from_micros(251_500), waiting: 3 }
}

pub(super) fn state() -> UnitState {
    UnitState {
        unit: unit(),
        load: LoadState::Loaded,
        file: FileState::Other,
        active: ActiveState::Failed,
        sub: "failed".into(),
        incarnation: Some(INCARNATION),
        main_pid: None,
        cgroup: Some(CgroupId(33)),
        cgroup_path: "/system.slice/nginx.service".into(),
        job: Some(PendingJob { id: 99, kind: Some(JobKind::Start) }),
        main_ended: Some(Cause::Signal { signal: 9, core: false }),
        result: "signal".into(),
        restart: RestartOn::OnFailure,
        restart_pause: Duration::from_millis(100),
        restarts: 2,
        stop_timeout: Some(Duration::from_secs(90)),
        start_timeout: None,
        start_limit_burst: 5,
        start_limit_interval: Duration::from_secs(10),
        socket_activated: false,
        oneshot: false,
        success: Ends::default(),
        prevent: Ends::default(),
        force: Ends::default(),
        pid_file: None,
        program: None,
        came_up: true,
        stopped_first: false,
    }
}

pub(super) fn answer(verdict: Verdict, end: End) -> Record {
    Record::from(&Answer {
        order: OrderId(3),
        service: nginx(),
        heartbeat: 0,
        incident: Some(INCIDENT),
        verdict,
        end,
        phase: Phase::Headers,
        asked: "127.0.0.1:80".into(),
        began: AT,
        took: Duration::from_micros(1_234),
        body_bytes: 612,
        warnings: vec![],
        evidence: None,
        ailments: None,
    })
}

pub(super) fn tell(decision: Decision) -> Record {
    let incarnation = Some(INCARNATION);
    Record::from(&Tell {
        service: nginx(),
        unit: unit(),
        incarnation,
        incident: Some(INCIDENT),
        at: AT,
        decision,
    })
}

pub(super) fn story(end: IncidentEnd, restarts: u32) -> Record {
    let first = Step { mono_us: AT, after_us: 0, what: "main process 812 (nginx) ended: signal 9".into() };
    let last = Step { mono_us: AT + Duration::from_millis(34), after_us: 34_000, what: "alive".into() };
    let took = Duration::from_millis(34);
    tell(Decision::End(Box::new(Story { end, took, restarts, steps: vec![first, last] })))
}

pub(super) fn outcome(result: Result) -> Record {
    let at = AT + Duration::from_micros(412);
    Record::from(&Outcome {
        order: OrderId(4),
        service: nginx(),
        incident: INCIDENT,
        requested: AT,
        at,
        result,
    })
}

pub(super) fn fact(known: Known) -> Record {
    Record::from(&Fact { order: OrderId(5), service: nginx(), at: AT, known })
}
