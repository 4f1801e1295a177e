//! What was seen.

use std::path::PathBuf;

use expect_test::expect;

use super::samples::{AT, check, exit, nginx, sent, sign, stall, state, unit};
use crate::{
    model::{
        ActiveState, Cause, CgroupId, Job, JobKind, JobResult, JobStep, Listener, Loss, Place, Port, Saw,
        Sender, Sign, SignalSent, Source, Suspicion, Why,
    },
    stream::{Line, Record},
};

#[test]
fn a_line_is_whole_with_its_envelope() {
    let line = Line {
        id: "65f-1-1".into(),
        source: "watchdog/host".into(),
        time: "2026-11-02T03:04:05Z".parse().unwrap(),
        unit: None,
        record: sign(Saw::ListenerUp(Port(80))),
    };
    expect![[r#"{"specversion":"1.0","id":"65f-1-1","source":"watchdog/host","type":"watchdog.sign.listener_up","subject":"nginx","time":"2026-11-02T03:04:05.000000Z","schemaversion":1,"data":{"mono_us":5000000250,"saw":{"listener_up":80},"server.port":80,"source":"ebpf"}}"#]].assert_eq(&String::from_utf8(line.to_json()).unwrap());
}

#[test]
fn signs_of_processes_say_who_ended_and_who_did_it() {
    check(
        [
            sign(Saw::Exit(exit(Cause::Signal { signal: 11, core: true }))),
            sign(Saw::Exit(exit(Cause::Code(1)))),
            sign(Saw::SignalSent(sent())),
            sign(Saw::SignalSent(SignalSent { sender: Sender::Kernel, signal: 40, ..sent() })),
        ],
        expect![[r#"
            {…"type":"watchdog.sign.exit","subject":"nginx",…"data":{"mono_us":5000000250,"process.command":"nginx","process.pid":812,"saw":{"exit":{"cause":{"signal":{"core":true,"signal":11}},"cgroup":33,"comm":"nginx","pid":812}},"source":"ebpf"}}
            nginx: process 812 (nginx) ended by SIGSEGV (core dumped)
            {…"type":"watchdog.sign.exit","subject":"nginx",…"data":{"mono_us":5000000250,"process.command":"nginx","process.exit.code":1,"process.pid":812,"saw":{"exit":{"cause":{"code":1},"cgroup":33,"comm":"nginx","pid":812}},"source":"ebpf"}}
            nginx: process 812 (nginx) ended with code 1
            {…"type":"watchdog.sign.signal","subject":"nginx",…"data":{"mono_us":5000000250,"process.pid":812,"saw":{"signal_sent":{"cgroup":33,"pid":812,"sender":{"process":{"cgroup":34,"comm":"kill","pid":4711,"uid":0,"unit":"cron.service"}},"signal":9}},"source":"ebpf"}}
            nginx: SIGKILL sent to process 812 by process 4711 (kill, uid 0, cron.service)
            {…"type":"watchdog.sign.signal","subject":"nginx",…"data":{"mono_us":5000000250,"process.pid":812,"saw":{"signal_sent":{"cgroup":33,"pid":812,"sender":"kernel","signal":40}},"source":"ebpf"}}
            nginx: signal 40 sent to process 812 by the kernel
        "#]],
    );
}

#[test]
fn signs_of_sockets_say_the_port() {
    check(
        [
            sign(Saw::ListenerUp(Port(80))),
            sign(Saw::ListenerDown { port: Port(80), left: 0 }),
            sign(Saw::ListenerDown { port: Port(80), left: 2 }),
            sign(Saw::AcceptStall(stall())),
            sign(Saw::AnswerStall(stall())),
            sign(Saw::StallOver(Port(80))),
            sign(Saw::InUse(Port(80))),
            Record::from(&Sign {
                at: AT,
                source: Source::SockDiag,
                saw: Saw::Listeners(vec![
                    Listener {
                        place: Place::Tcp("0.0.0.0:80".parse().unwrap()),
                        cgroup: Some(CgroupId(33)),
                        queue: 3,
                        limit: 511,
                    },
                    Listener {
                        place: Place::Unix(PathBuf::from("/run/app.sock")),
                        cgroup: None,
                        queue: 0,
                        limit: 128,
                    },
                ]),
            }),
        ],
        expect![[r#"
            {…"type":"watchdog.sign.listener_up","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"listener_up":80},"server.port":80,"source":"ebpf"}}
            nginx: port 80 listens
            {…"type":"watchdog.sign.listener_down","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"listener_down":{"left":0,"port":80}},"server.port":80,"source":"ebpf"}}
            nginx: nobody listens on port 80 any more
            {…"type":"watchdog.sign.listener_down","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"listener_down":{"left":2,"port":80}},"server.port":80,"source":"ebpf"}}
            nginx: a listener of port 80 went away, 2 left
            {…"type":"watchdog.sign.accept_stall","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"accept_stall":{"age_us":251500,"port":80,"waiting":3}},"server.port":80,"source":"ebpf"}}
            nginx: port 80 does not accept: 3 waiting, the oldest for 252 ms
            {…"type":"watchdog.sign.answer_stall","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"answer_stall":{"age_us":251500,"port":80,"waiting":3}},"server.port":80,"source":"ebpf"}}
            nginx: port 80 does not answer: 3 waiting, the oldest for 252 ms
            {…"type":"watchdog.sign.stall_over","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"stall_over":80},"server.port":80,"source":"ebpf"}}
            nginx: port 80 moves again
            {…"type":"watchdog.sign.in_use","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"in_use":80},"server.port":80,"source":"ebpf"}}
            nginx: clients connect to port 80
            {…"type":"watchdog.sign.listeners",…"data":{"mono_us":5000000250,"saw":{"listeners":[{"cgroup":33,"limit":511,"place":{"tcp":"0.0.0.0:80"},"queue":3},{"cgroup":null,"limit":128,"place":{"unix":"/run/app.sock"},"queue":0}]},"source":"sock_diag"}}
            2 sockets listen; 3 of 511 wait at 0.0.0.0:80
        "#]],
    );
}

#[test]
fn signs_of_systemd_say_the_unit_and_the_job() {
    check(
        [
            sign(Saw::Unit(Box::new(state()))),
            sign(Saw::Job(Job { unit: unit(), id: 99, step: JobStep::New(Some(JobKind::Restart)) })),
            sign(Saw::Job(Job {
                unit: unit(),
                id: 99,
                step: JobStep::Removed { result: JobResult::Done, active: ActiveState::Active },
            })),
        ],
        expect![[r#"
            {…"type":"watchdog.sign.unit","subject":"nginx",…"data":{"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","mono_us":5000000250,"saw":{"unit":{"active":"failed","came_up":true,"cgroup":33,"cgroup_path":"/system.slice/nginx.service","file":"other","force":{"codes":[],"signals":[]},"incarnation":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","job":{"id":99,"kind":"start"},"load":"loaded","main_ended":{"signal":{"core":false,"signal":9}},"main_pid":null,"oneshot":false,"pid_file":null,"prevent":{"codes":[],"signals":[]},"program":null,"restart":"on-failure","restart_pause_us":100000,"restarts":2,"result":"signal","socket_activated":false,"start_limit_burst":5,"start_limit_interval_us":10000000,"start_timeout_us":null,"stop_timeout_us":90000000,"stopped_first":false,"sub":"failed","success":{"codes":[],"signals":[]},"unit":"nginx.service"}},"source":"ebpf","unit":"nginx.service"}}
            nginx: nginx.service is failed (failed), job 99, result signal
            {…"type":"watchdog.sign.job","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"job":{"id":99,"step":{"new":"restart"},"unit":"nginx.service"}},"source":"ebpf","unit":"nginx.service"}}
            nginx: restart job 99 queued on nginx.service
            {…"type":"watchdog.sign.job","subject":"nginx",…"data":{"mono_us":5000000250,"saw":{"job":{"id":99,"step":{"removed":{"active":"active","result":"done"}},"unit":"nginx.service"}},"source":"ebpf","unit":"nginx.service"}}
            nginx: job 99 on nginx.service over: done, now active
        "#]],
    );
}

#[test]
fn signs_of_the_sources_themselves_have_no_service() {
    let sign = |saw| Record::from(&Sign { at: AT, source: Source::Units, saw });
    check(
        [
            sign(Saw::Loss(Loss { lost: 0, place: "reconnected".into() })),
            sign(Saw::Working { works: true, why: "bus".into() }),
            sign(Saw::Working { works: false, why: "no reply".into() }),
        ],
        expect![[r#"
            {…"type":"watchdog.sign.loss",…"data":{"mono_us":5000000250,"saw":{"loss":{"lost":0,"place":"reconnected"}},"source":"units"}}
            events lost by the connection to systemd (reconnected): everything is looked at again
            {…"type":"watchdog.sign.working",…"data":{"mono_us":5000000250,"saw":{"working":{"why":"bus","works":true}},"source":"units"}}
            the connection to systemd works (bus)
            {…"type":"watchdog.sign.working",…"data":{"mono_us":5000000250,"saw":{"working":{"why":"no reply","works":false}},"source":"units"}}
            the connection to systemd does not work: no reply
        "#]],
    );
}

#[test]
fn a_suspicion_says_what_was_seen() {
    let suspicion = |why| Record::from(&Suspicion { service: nginx(), at: AT, why });
    check(
        [
            suspicion(Why::MainExit {
                exit: exit(Cause::Signal { signal: 9, core: false }),
                sent: Some(sent()),
            }),
            suspicion(Why::WorkerExit { exit: exit(Cause::Code(3)), sent: None }),
            suspicion(Why::AcceptStall(stall())),
            suspicion(Why::AnswerStall(stall())),
            suspicion(Why::ListenerLost(Port(80))),
            suspicion(Why::InUse),
            suspicion(Why::Loss),
        ],
        expect![[r#"
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"process.command":"nginx","process.pid":812,"why":{"main_exit":{"exit":{"cause":{"signal":{"core":false,"signal":9}},"cgroup":33,"comm":"nginx","pid":812},"sent":{"cgroup":33,"pid":812,"sender":{"process":{"cgroup":34,"comm":"kill","pid":4711,"uid":0,"unit":"cron.service"}},"signal":9}}}}}
            nginx: main process 812 (nginx) ended by SIGKILL, sent by process 4711 (kill, uid 0, cron.service)
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"process.command":"nginx","process.exit.code":3,"process.pid":812,"why":{"worker_exit":{"exit":{"cause":{"code":3},"cgroup":33,"comm":"nginx","pid":812},"sent":null}}}}
            nginx: process 812 (nginx) ended with code 3
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"server.port":80,"why":{"accept_stall":{"age_us":251500,"port":80,"waiting":3}}}}
            nginx: port 80 does not accept: 3 waiting, the oldest for 252 ms
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"server.port":80,"why":{"answer_stall":{"age_us":251500,"port":80,"waiting":3}}}}
            nginx: port 80 does not answer: 3 waiting, the oldest for 252 ms
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"server.port":80,"why":{"listener_lost":80}}}
            nginx: nobody listens on port 80 any more
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"why":"in_use"}}
            nginx: in use: asked more often
            {…"type":"watchdog.suspicion","subject":"nginx",…"data":{"mono_us":5000000250,"why":"loss"}}
            nginx: events were lost: looked at again
        "#]],
    );
}
