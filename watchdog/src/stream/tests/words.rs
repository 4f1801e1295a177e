//! What was asked, decided and done.

use std::time::Duration;

use expect_test::expect;

use super::samples::{
    AT, INCARNATION, INCIDENT, answer, check, fact, nginx, outcome, sent, state, story, tell, unit,
};
use crate::{
    model::{
        Act, Action, Answer, Cause, CgroupId, Command, Decision, End, Hold, Holder, IncidentEnd, Known, Loss,
        OrderId, Pause, Phase, Result, SignalSent, Verdict, Wall, Warning,
    },
    stream::Record,
};

#[test]
fn a_heartbeat_says_its_verdict_and_its_numbers() {
    let warned = Answer {
        order: OrderId(3),
        service: nginx(),
        heartbeat: 1,
        incident: None,
        verdict: Verdict::Alive,
        end: End::Good { status: Some(403) },
        phase: Phase::Body,
        asked: "unix:/run/app.sock".into(),
        began: AT,
        took: Duration::from_micros(412),
        body_bytes: 0,
        warnings: vec![Warning::ClientError(403)],
        evidence: None,
        ailments: None,
    };
    check(
        [
            answer(Verdict::Alive, End::Good { status: Some(200) }),
            answer(Verdict::Dead, End::Late(Duration::from_secs(3))),
            answer(Verdict::Dead, End::Status(503)),
            answer(
                Verdict::Dead,
                End::WrongBody { status: 200, wanted: "It works!".into(), got: "Oh\u{1b}[2J\nno".into() },
            ),
            Record::from(&warned),
        ],
        expect![[r#"
            {…"type":"watchdog.heartbeat","subject":"nginx",…"data":{"asked":"127.0.0.1:80","began_us":5000000250,"body_bytes":612,"end":{"good":{"status":200}},"heartbeat":0,"http.response.status_code":200,"incident":"000000ab-7","mono_us":5000001484,"order":3,"phase":"headers","took_us":1234,"verdict":"alive","warnings":[]}}
            nginx: alive in 1.23 ms: 127.0.0.1:80, status 200
            {…"type":"watchdog.heartbeat","subject":"nginx",…"data":{"asked":"127.0.0.1:80","began_us":5000000250,"body_bytes":612,"end":{"late_us":3000000},"heartbeat":0,"incident":"000000ab-7","mono_us":5000001484,"order":3,"phase":"headers","took_us":1234,"verdict":"dead","warnings":[]}}
            nginx: DEAD after 1.23 ms: 127.0.0.1:80, no complete answer within 3 s (phase: headers)
            {…"type":"watchdog.heartbeat","subject":"nginx",…"data":{"asked":"127.0.0.1:80","began_us":5000000250,"body_bytes":612,"end":{"status":503},"heartbeat":0,"http.response.status_code":503,"incident":"000000ab-7","mono_us":5000001484,"order":3,"phase":"headers","took_us":1234,"verdict":"dead","warnings":[]}}
            nginx: DEAD after 1.23 ms: 127.0.0.1:80, status 503
            {…"type":"watchdog.heartbeat","subject":"nginx",…"data":{"asked":"127.0.0.1:80","began_us":5000000250,"body_bytes":612,"end":{"wrong_body":{"got":"Oh\u001b[2J\nno","status":200,"wanted":"It works!"}},"heartbeat":0,"http.response.status_code":200,"incident":"000000ab-7","mono_us":5000001484,"order":3,"phase":"headers","took_us":1234,"verdict":"dead","warnings":[]}}
            nginx: DEAD after 1.23 ms: 127.0.0.1:80, status 200, but the body lacks "It works!" (it begins "Oh\u{1b}[2J\nno"); 612 bytes were searched
            {…"type":"watchdog.heartbeat","subject":"nginx",…"data":{"asked":"unix:/run/app.sock","began_us":5000000250,"body_bytes":0,"end":{"good":{"status":403}},"heartbeat":1,"http.response.status_code":403,"mono_us":5000000662,"order":3,"phase":"body","took_us":412,"verdict":"alive","warnings":[{"client_error":403}]}}
            nginx: alive in 412 µs: unix:/run/app.sock, status 403; it answers 403: alive, but a restart does not cure that
        "#]],
    );
}

#[test]
fn a_decision_says_its_rule() {
    let rule = "2 of 2 heartbeats dead".to_owned();
    let action = Action::Restart { reset: false };
    check(
        [
            tell(Decision::Act { action, rule: rule.clone(), observed_only: false }),
            tell(Decision::Act { action: Action::Start { reset: true }, rule, observed_only: true }),
            tell(Decision::Act {
                action: Action::Reboot,
                rule: "30 min in quarantine".into(),
                observed_only: false,
            }),
            tell(Decision::Hold { hold: Hold::Reboot { why: "an operator's pause".into() }, until: AT }),
            tell(Decision::Hold { hold: Hold::Backoff, until: AT + Duration::from_millis(1_100) }),
            tell(Decision::Hold { hold: Hold::Dependency { on: "mariadb".into() }, until: AT }),
            tell(Decision::LeaveAlone {
                why: "an operator stopped it".into(),
                cause: Some(Cause::Code(0)),
                sent: Some(SignalSent { signal: 15, ..sent() }),
            }),
            tell(Decision::Alert { what: "the configuration is broken".into() }),
        ],
        expect![[r#"
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"act":{"action":{"restart":{"reset":false}},"observed_only":false,"rule":"2 of 2 heartbeats dead"}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: decided: restart nginx.service, because 2 of 2 heartbeats dead
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"act":{"action":{"start":{"reset":true}},"observed_only":true,"rule":"2 of 2 heartbeats dead"}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: decided: would clear the start limit and start nginx.service (observing only), because 2 of 2 heartbeats dead
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"act":{"action":"reboot","observed_only":false,"rule":"30 min in quarantine"}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: decided: reboot the host for nginx.service, because 30 min in quarantine
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"hold":{"hold":{"reboot":{"why":"an operator's pause"}},"until_us":5000000250}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: waits at most 0 µs: a reboot of the host is due and not done, an operator's pause
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"hold":{"hold":"backoff","until_us":5001100250}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: waits at most 1.10 s: the pause between two restarts
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"hold":{"hold":{"dependency":{"on":"mariadb"}},"until_us":5000000250}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: waits at most 0 µs: mariadb, which it depends on, is failing
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"leave_alone":{"cause":{"code":0},"sent":{"cgroup":33,"pid":812,"sender":{"process":{"cgroup":34,"comm":"kill","pid":4711,"uid":0,"unit":"cron.service"}},"signal":15},"why":"an operator stopped it"}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: left alone: an operator stopped it (main process ended with code 0, after SIGTERM from process 4711 (kill, uid 0, cron.service))
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"alert":{"what":"the configuration is broken"}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: ALERT: the configuration is broken
        "#]],
    );
}

#[test]
fn the_end_of_an_incident_has_a_type_of_its_own_and_the_whole_story() {
    check(
        [
            story(IncidentEnd::Recovered, 1),
            story(IncidentEnd::Quarantined, 3),
            story(IncidentEnd::StoodDown, 0),
            story(IncidentEnd::Superseded, 0),
        ],
        expect![[r#"
            {…"type":"watchdog.recovered","subject":"nginx",…"data":{"decision":{"end":{"end":"recovered","restarts":1,"steps":[{"after_us":0,"mono_us":5000000250,"what":"main process 812 (nginx) ended: signal 9"},{"after_us":34000,"mono_us":5000034250,"what":"alive"}],"took_us":34000}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: RECOVERED in 34.0 ms with 1 restart; it began with: main process 812 (nginx) ended: signal 9
            {…"type":"watchdog.quarantined","subject":"nginx",…"data":{"decision":{"end":{"end":"quarantined","restarts":3,"steps":[{"after_us":0,"mono_us":5000000250,"what":"main process 812 (nginx) ended: signal 9"},{"after_us":34000,"mono_us":5000034250,"what":"alive"}],"took_us":34000}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: QUARANTINED after 34.0 ms with 3 restarts: still watched, tried again slowly; it began with: main process 812 (nginx) ended: signal 9
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"end":{"end":"stood_down","restarts":0,"steps":[{"after_us":0,"mono_us":5000000250,"what":"main process 812 (nginx) ended: signal 9"},{"after_us":34000,"mono_us":5000034250,"what":"alive"}],"took_us":34000}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: stood down after 34.0 ms; it began with: main process 812 (nginx) ended: signal 9
            {…"type":"watchdog.decision","subject":"nginx",…"data":{"decision":{"end":{"end":"superseded","restarts":0,"steps":[{"after_us":0,"mono_us":5000000250,"what":"main process 812 (nginx) ended: signal 9"},{"after_us":34000,"mono_us":5000034250,"what":"alive"}],"took_us":34000}},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: somebody else brought it back within 34.0 ms; it began with: main process 812 (nginx) ended: signal 9
        "#]],
    );
}

#[test]
fn an_action_and_its_outcome_say_what_systemd_made_of_it() {
    let act = Act {
        id: OrderId(4),
        service: nginx(),
        unit: unit(),
        incarnation: Some(INCARNATION),
        incident: INCIDENT,
        action: Action::Cancel { job: 99 },
    };
    let refused = Result::Refused {
        error: "org.freedesktop.systemd1.UnitMasked".into(),
        text: "Unit nginx.service is masked.".into(),
    };
    check(
        [
            Record::action(AT, &act),
            outcome(Result::Queued { job: 99 }),
            outcome(Result::Done),
            outcome(Result::Nothing),
            outcome(refused),
            outcome(Result::NoReply { text: "time-out".into() }),
        ],
        expect![[r#"
            {…"type":"watchdog.action","subject":"nginx",…"data":{"action":{"cancel":{"job":99}},"id":4,"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","incident":"000000ab-7","mono_us":5000000250,"unit":"nginx.service"}}
            nginx: cancel our job 99 on nginx.service
            {…"type":"watchdog.outcome","subject":"nginx",…"data":{"incident":"000000ab-7","mono_us":5000000662,"order":4,"requested_us":5000000250,"result":{"queued":{"job":99}}}}
            nginx: systemd queued job 99 after 412 µs
            {…"type":"watchdog.outcome","subject":"nginx",…"data":{"incident":"000000ab-7","mono_us":5000000662,"order":4,"requested_us":5000000250,"result":"done"}}
            nginx: done after 412 µs
            {…"type":"watchdog.outcome","subject":"nginx",…"data":{"incident":"000000ab-7","mono_us":5000000662,"order":4,"requested_us":5000000250,"result":"nothing"}}
            nginx: there was nothing to do any more
            {…"type":"watchdog.outcome","subject":"nginx",…"data":{"incident":"000000ab-7","mono_us":5000000662,"order":4,"requested_us":5000000250,"result":{"refused":{"error":"org.freedesktop.systemd1.UnitMasked","text":"Unit nginx.service is masked."}}}}
            nginx: systemd refused: Unit nginx.service is masked. (org.freedesktop.systemd1.UnitMasked)
            {…"type":"watchdog.outcome","subject":"nginx",…"data":{"incident":"000000ab-7","mono_us":5000000662,"order":4,"requested_us":5000000250,"result":{"no_reply":{"text":"time-out"}}}}
            nginx: no reply from systemd after 412 µs: time-out
        "#]],
    );
}

#[test]
fn a_fact_says_what_was_found() {
    let holder = Holder {
        place: "0.0.0.0:80".into(),
        pid: 99,
        comm: "apache2".into(),
        cgroup: Some(CgroupId(35)),
        unit: "apache2.service".into(),
    };
    check(
        [
            fact(Known::Unit(Box::new(state()))),
            fact(Known::Holders(vec![holder])),
            fact(Known::Holders(vec![])),
            fact(Known::Nothing { why: "systemd does not answer".into() }),
        ],
        expect![[r#"
            {…"type":"watchdog.fact","subject":"nginx",…"data":{"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","known":{"unit":{"active":"failed","came_up":true,"cgroup":33,"cgroup_path":"/system.slice/nginx.service","file":"other","force":{"codes":[],"signals":[]},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","job":{"id":99,"kind":"start"},"load":"loaded","main_ended":{"signal":{"core":false,"signal":9}},"main_pid":null,"oneshot":false,"pid_file":null,"prevent":{"codes":[],"signals":[]},"program":null,"restart":"on-failure","restart_pause_us":100000,"restarts":2,"result":"signal","socket_activated":false,"start_limit_burst":5,"start_limit_interval_us":10000000,"start_timeout_us":null,"stop_timeout_us":90000000,"stopped_first":false,"sub":"failed","success":{"codes":[],"signals":[]},"unit":"nginx.service"}},"mono_us":5000000250,"order":5,"unit":"nginx.service"}}
            nginx: nginx.service is failed (failed), job 99, result signal
            {…"type":"watchdog.fact","subject":"nginx",…"data":{"known":{"holders":[{"cgroup":35,"comm":"apache2","pid":99,"place":"0.0.0.0:80","unit":"apache2.service"}]},"mono_us":5000000250,"order":5}}
            nginx: 0.0.0.0:80 is held by process 99 (apache2) of apache2.service
            {…"type":"watchdog.fact","subject":"nginx",…"data":{"known":{"holders":[]},"mono_us":5000000250,"order":5}}
            nginx: nobody else holds its ports
            {…"type":"watchdog.fact","subject":"nginx",…"data":{"known":{"nothing":{"why":"systemd does not answer"}},"mono_us":5000000250,"order":5}}
            nginx: cannot be looked up: systemd does not answer
        "#]],
    );
}

#[test]
fn a_command_says_who_gave_it() {
    let pause = Pause {
        until: AT + Duration::from_mins(10),
        since: Wall(1_793_588_645_000_000),
        by: "alice (uid 1000)".into(),
        reason: "deploy".into(),
    };
    check(
        [
            Record::command(AT, &Command::Pause { service: nginx(), pause: pause.clone() }),
            Record::command(
                AT,
                &Command::Pause { service: nginx(), pause: Pause { reason: String::new(), ..pause } },
            ),
            Record::command(AT, &Command::Resume { service: nginx() }),
        ],
        expect![[r#"
            {…"type":"watchdog.command","subject":"nginx",…"data":{"command":{"pause":{"pause":{"by":"alice (uid 1000)","reason":"deploy","since_wall_us":1793588645000000,"until_us":5600000250},"service":"nginx"}},"mono_us":5000000250}}
            nginx: paused for 10 min by alice (uid 1000): deploy
            {…"type":"watchdog.command","subject":"nginx",…"data":{"command":{"pause":{"pause":{"by":"alice (uid 1000)","reason":"","since_wall_us":1793588645000000,"until_us":5600000250},"service":"nginx"}},"mono_us":5000000250}}
            nginx: paused for 10 min by alice (uid 1000)
            {…"type":"watchdog.command","subject":"nginx",…"data":{"command":{"resume":{"service":"nginx"}},"mono_us":5000000250}}
            nginx: resumed
        "#]],
    );
}

#[test]
fn losses_and_states_are_of_the_whole_host() {
    check(
        [
            Record::loss(AT, &Loss { lost: 12, place: "events: stdout".into() }),
            Record::state(AT, serde_json::json!({"seed": 42})),
        ],
        expect![[r#"
            {…"type":"watchdog.loss",…"data":{"lost":12,"mono_us":5000000250,"place":"events: stdout"}}
            12 records are missing here (events: stdout)
            {…"type":"watchdog.state",…"data":{"mono_us":5000000250,"state":{"seed":42}}}
            the policy's whole state, for replay
        "#]],
    );
}
