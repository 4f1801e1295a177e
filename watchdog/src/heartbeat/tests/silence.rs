use super::*;

#[test]
fn silence_is_dead_at_the_deadline_and_its_phase_is_told() {
    const LIMIT: u64 = 2_000; // all of them wait at the same time
    check(
        vec![
            http("accept queue full", Server::FullTcp),
            http("backlog of a Unix socket full", Server::FullUnix { drained: false }),
            tcp("silent", vec![Hang]),
            http("silent on unix", Server::Unix(vec![Hang])),
            tcp("silent in TLS", vec![Hang]).secure(),
            tls("silent behind TLS", GOOD, vec![Hang]),
            tcp("slow headers", vec![Read, Say("HTTP/1.1 200 OK\r\nX: "), Drip("x")]),
            tcp("slow 100 Continue", vec![Read, Drip("HTTP/1.1 100 Continue\r\n\r\n")]),
            tcp("slow body", vec![Read, Say("HTTP/1.1 200 OK\r\n\r\nIt works!"), Drip("x")])
                .body("It works!"),
            tcp("stalled body", vec![Read, Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt"), Hang]),
            tls("slow body behind TLS", GOOD, vec![Read, Say("HTTP/1.1 200 OK\r\n\r\n"), Drip("x")]),
            http("program", Server::At(Spot::Here)).program(None),
        ]
        .into_iter()
        .map(|case| case.within(LIMIT))
        .collect(),
        expect![[r#"
            accept queue full: dead in connect: no complete answer within 2 s (phase: connect)
            backlog of a Unix socket full: dead in connect: no complete answer within 2 s (phase: connect)
            silent: dead in headers: no complete answer within 2 s (phase: headers)
            silent on unix: dead in headers: no complete answer within 2 s (phase: headers)
            silent in TLS: dead in tls: no complete answer within 2 s (phase: tls)
            silent behind TLS: dead in headers: no complete answer within 2 s (phase: headers)
            slow headers: dead in headers: no complete answer within 2 s (phase: headers)
            slow 100 Continue: dead in headers: no complete answer within 2 s (phase: headers)
            slow body: dead in body: no complete answer within 2 s (phase: body)
            stalled body: dead in body: no complete answer within 2 s (phase: body)
            slow body behind TLS: dead in body: no complete answer within 2 s (phase: body)
            program: dead in exec: no complete answer within 2 s (phase: exec)
        "#]],
    );
}

#[test]
fn a_program_is_alive_with_code_0() {
    let ran = |name, ran| http(name, Server::At(Spot::Here)).program(Some(ran));
    check(
        vec![
            ran("code 0", Ran::Ended(Cause::Code(0))),
            ran("code 2", Ran::Ended(Cause::Code(2))),
            ran("signal", Ran::Ended(Cause::Signal { signal: 11, core: true })),
            ran("late", Ran::Late),
            ran("not found", Ran::NotRun("/usr/lib/check: no such file".into())),
        ],
        expect![[r#"
            code 0: alive in exec: good
            code 2: dead in exec: program exited with code 2
            signal: dead in exec: program was ended by signal 11
            late: dead in exec: no complete answer within 20 s (phase: exec)
            not found: unknown in exec: our own fault: program cannot be run: /usr/lib/check: no such file (phase: exec)
        "#]],
    );
}

#[test]
fn what_is_our_own_fault_is_unknown() {
    let dns = |name, host: &str, port| {
        http(name, Server::At(Spot::Dns)).target(Target::Tcp { host: host.into(), port })
    };
    check(
        vec![
            dns("no name", "no..such", 80),
            dns("a name, and nobody there", "localhost", 1),
            tcp("we were held up", vec![Read, HoldTheLoop(Duration::from_millis(300)), Hang]).within(200),
            tcp(
                "we were held up, and it answers meanwhile",
                vec![
                    Read,
                    Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
                    HoldTheLoop(Duration::from_millis(300)),
                ],
            )
            .within(200),
        ],
        expect![[r#"
            no name: unknown in resolve: our own fault: name not resolved: … (phase: resolve)
            a name, and nobody there: dead in connect: connection refused
            we were held up: unknown in headers: our own fault: we were late ourselves by 9s (phase: headers)
            we were held up, and it answers meanwhile: unknown in headers: our own fault: we were late ourselves by 9s (phase: headers)
        "#]],
    );
}

#[test]
fn an_errno_says_whose_fault_it_is() {
    use rustix::io::Errno;
    let errnos = [
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::PIPE,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::ACCESS,
        Errno::PERM,
        Errno::TIMEDOUT,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    let lines = errnos.map(|errno| {
        let end = judge::end(Fault::Io(errno.into()), Phase::Connect);
        format!("{}: {end}\n", spoken(judge::verdict(&end)))
    });
    expect![[r#"
        dead: connection refused
        dead: connection closed before the answer was complete
        dead: connection closed before the answer was complete
        unknown: our own fault: Too many open files (os error 24)
        unknown: our own fault: Too many open files in system (os error 23)
        unknown: our own fault: No buffer space available (os error 105)
        unknown: our own fault: Cannot allocate memory (os error 12)
        unknown: our own fault: Cannot assign requested address (os error 99)
        unknown: our own fault: not allowed: Permission denied (os error 13)
        unknown: our own fault: not allowed: Operation not permitted (os error 1)
        dead: unreachable: Connection timed out (os error 110)
        dead: unreachable: No route to host (os error 113)
        dead: unreachable: Network is unreachable (os error 101)
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn lateness_is_the_sum_of_what_our_wake_ups_were_late_by() {
    use crate::model::Mono;
    let millis = |ms: u64| Mono(ms * 1_000_000);
    let lost = |woken: &[u64], end| {
        let mut lateness = deadline::Lateness::new(millis(0), Duration::from_millis(800)); // looks each 100 ms
        woken.iter().for_each(|ms| lateness.woken(millis(*ms)));
        if let Some(end) = end {
            lateness.end(millis(end));
        }
        format!("{:?}\n", lateness.lost)
    };
    let lines = [
        lost(&[100, 200, 300, 400, 500, 600, 700, 800], None),
        lost(&[100, 201, 301, 403], Some(450)),
        lost(&[100, 650, 750, 800], None),
        lost(&[100, 1_900], None),
        lost(&[100], Some(1_900)),
        lost(&[], Some(90)),
    ];
    expect![[r#"
        0ns
        3ms
        450ms
        1.7s
        1.7s
        0ns
    "#]]
    .assert_eq(&lines.concat());
}
