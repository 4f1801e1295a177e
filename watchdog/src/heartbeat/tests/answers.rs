use super::*;

#[test]
fn a_complete_answer_is_alive() {
    check(
        vec![
            tcp("body", good("<h1>It works!</h1>")).body("It works!"),
            tcp("pattern", good("<h1>It works!</h1>")).pattern(r"works[.!]</h\d>"),
            tcp("bytes that are no text", vec![
                Read,
                Say("HTTP/1.1 200 OK\r\n\r\n"),
                Bytes(b"\0\xff\xfeIt works!\0"),
            ])
            .pattern(r"(?-u)\xfeIt works!\x00"),
            tcp("length", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt works!")).body("It works!"),
            tcp("chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nIt \r\n6\r\nworks!\r\n0\r\n\r\n"))
                .body("It works!"),
            tcp("HTTP/1.0 without length", says("HTTP/1.0 200 OK\r\n\r\nIt works!")).body("It works!"),
            tcp("100 Continue first", says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")),
            tcp("odd headers", says("HTTP/1.1 200 OK\r\nno colon here\r\nA b: c\r\nX :y\r\n folded\r\n\r\n")),
            tcp("keep-alive in spite of us", vec![
                Read,
                Say("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"),
                Hang,
            ]),
            tcp("redirect, not followed", says("HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")),
            tcp("early answer", vec![Say("HTTP/1.1 200 OK\r\n\r\nhi"), Read]).body("hi"),
            tcp("HEAD", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
                .with(|settings| settings.method = "HEAD".into()),
            http("unix", Server::Unix(good("It works!"))).body("It works!"),
            http("unix, full for a while", Server::FullUnix { drained: true }).body("hello"),
            http("a listener on [::] without IPv6", Server::Everywhere(good("hi"))),
            tcp("tcp", vec![Hang]).target(Target::Tcp { host: "localhost".into(), port: 25 }),
            http("tcp over unix", Server::Unix(vec![Hang]))
                .target(Target::Tcp { host: "localhost".into(), port: 25 }),
        ],
        expect![[r#"
            body: alive in body: status 200
            pattern: alive in body: status 200
            bytes that are no text: alive in body: status 200
            length: alive in body: status 200
            chunks: alive in body: status 200
            HTTP/1.0 without length: alive in body: status 200
            100 Continue first: alive in body: status 204
            odd headers: alive in body: status 200
            keep-alive in spite of us: alive in body: status 200
            redirect, not followed: alive in body: status 301
            early answer: alive in body: status 200
            HEAD: alive in body: status 200
            unix: alive in body: status 200
            unix, full for a while: alive in body: status 200
            a listener on [::] without IPv6: alive in body: status 200
            tcp: alive in connect: good
            tcp over unix: alive in connect: good
        "#]],
    );
}

#[test]
fn a_refusal_a_reset_or_nonsense_is_dead() {
    check(
        vec![
            http("refused", Server::Nobody),
            http("no such socket", Server::At(Spot::Unix("/nonexistent/app.sock".into()))),
            tcp("reset at once", vec![Read, Reset]),
            tcp("reset in the headers", vec![Read, Say("HTTP/1.1 200 OK\r\nX: "), Reset]),
            tcp(
                "reset in the body",
                vec![Read, Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt"), Reset],
            ),
            tcp("closed without a word", vec![Read]),
            tcp("closed in the headers", says("HTTP/1.1 200 OK\r\nX: ")),
            tcp("body cut short", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt")),
            tcp("chunk cut short", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nIt")),
            tcp("no chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nIt works!\r\n")),
            tcp(
                "huge chunk",
                says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"),
            ),
            tcp("two lengths", says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nIt")),
            tcp("another protocol", says("SSH-2.0-OpenSSH_9.2\r\n")),
            tcp("noise", vec![Read, Bytes(b"\0\xff\0\x01\r\n\r\n")]),
            tcp("HTTP/2 preface", vec![Read, Bytes(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80")]),
            tcp("one header without end", vec![Read, Say("HTTP/1.1 200 OK\r\nX: "), Flood("x")]),
            tcp("headers without end", vec![Read, Say("HTTP/1.1 200 OK\r\n"), Flood("A: b\r\n")]),
            tcp("100 Continue without end", vec![Read, Flood("HTTP/1.1 100 Continue\r\n\r\n")]),
        ],
        expect![[r#"
            refused: dead in connect: connection refused
            no such socket: dead in connect: unreachable: No such file or directory (os error 2) (phase: connect)
            reset at once: dead in headers: connection closed before the answer was complete (phase: headers)
            reset in the headers: dead in headers: connection closed before the answer was complete (phase: headers)
            reset in the body: dead in body: connection closed before the answer was complete (phase: body)
            closed without a word: dead in headers: connection closed before the answer was complete (phase: headers)
            closed in the headers: dead in headers: connection closed before the answer was complete (phase: headers)
            body cut short: dead in body: connection closed before the answer was complete (phase: body)
            chunk cut short: dead in body: connection closed before the answer was complete (phase: body)
            no chunks: dead in body: not HTTP: Invalid chunk size line: missing size digit
            huge chunk: dead in body: not HTTP: invalid chunk size: overflow
            two lengths: dead in headers: not HTTP: invalid content-length parsed
            another protocol: dead in headers: not HTTP: invalid HTTP version parsed
            noise: dead in headers: not HTTP: invalid HTTP version parsed
            HTTP/2 preface: dead in headers: not HTTP: invalid HTTP version parsed
            one header without end: dead in headers: not HTTP: message head is too large
            headers without end: dead in headers: not HTTP: message head is too large
            100 Continue without end: dead in headers: not HTTP: an answer without end
        "#]],
    );
}

#[test]
fn a_status_is_dead_unless_it_is_meant_and_a_4xx_is_told() {
    let forbidden = "HTTP/1.1 403 Forbidden\r\n\r\nIt is not for you";
    check(
        vec![
            tcp("500", says("HTTP/1.1 500 Oops\r\n\r\n")),
            tcp("503 with a body without end", vec![Read, Say("HTTP/1.1 503 Busy\r\n\r\n"), Flood("wait ")]),
            tcp("503 within 200-599", says("HTTP/1.1 503 Busy\r\n\r\n"))
                .with(|settings| settings.status = vec![200..=599]),
            tcp("503 within 503-503", says("HTTP/1.1 503 Busy\r\n\r\n"))
                .with(|settings| settings.status = vec![200..=299, 503..=503]),
            tcp("403", says(forbidden)),
            tcp("403 and another body", says(forbidden)).body("It works!"),
            tcp("403 outside", says(forbidden)).with(|settings| settings.status = vec![200..=399]),
            tcp("301 outside", says("HTTP/1.1 301 Moved\r\n\r\n"))
                .with(|settings| settings.status = vec![200..=200]),
            tcp("101", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")),
        ],
        expect![[r#"
            500: dead in headers: status 500
            503 with a body without end: dead in headers: status 503
            503 within 200-599: dead in headers: status 503
            503 within 503-503: alive in body: status 503
            403: alive in body: status 403; it answers 403: alive, but a restart does not cure that
            403 and another body: alive in body: status 403; it answers 403: alive, but a restart does not cure that
            403 outside: dead in headers: status 403
            301 outside: dead in headers: status 301
            101: dead in headers: status 101
        "#]],
    );
}

#[test]
fn a_wrong_body_is_dead_and_64_kib_are_searched() {
    let long = |rest: Vec<Step>| [vec![Read, Say("HTTP/1.1 200 OK\r\n\r\nstart")], rest].concat();
    check(
        vec![
            tcp("another text", good("It\tworks.\n")).body("It works!"),
            tcp("a dot is a dot", good("It worksX")).body("It works."),
            tcp("another text for a pattern", good("It worksX")).pattern("works[.!]"),
            tcp("no body", says("HTTP/1.1 204 No Content\r\n\r\n")).body("It works!"),
            tcp("a redirect's body", says("HTTP/1.1 302 Found\r\n\r\nsee there")).body("It works!"),
            tcp("70 kB, then silence", long(vec![Repeat(70_000, "x"), Hang])).body("start"),
            tcp("70 kB, and only then", long(vec![Repeat(70_000, "x"), Say("end")])).body("end"),
            tcp("without end", long(vec![Flood("x")])).body("start"),
            tcp(
                "tiny chunks without end",
                vec![
                    Read,
                    Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n"),
                    Flood("1\r\nx\r\n"),
                ],
            )
            .body("start"),
        ],
        expect![[r#"
            another text: dead in body: status 200, but the body lacks "It works!" (it begins "It works."); 10 bytes were searched
            a dot is a dot: dead in body: status 200, but the body lacks "It works." (it begins "It worksX"); 9 bytes were searched
            another text for a pattern: dead in body: status 200, but the body lacks "works[.!]" (it begins "It worksX"); 9 bytes were searched
            no body: dead in body: status 204, but the body lacks "It works!" (it begins ""); 0 bytes were searched
            a redirect's body: dead in body: status 302, but the body lacks "It works!" (it begins "see there"); 9 bytes were searched
            70 kB, then silence: alive in body: status 200
            70 kB, and only then: dead in body: status 200, but the body lacks "end" (it begins "startxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"); 65536 bytes were searched
            without end: alive in body: status 200
            tiny chunks without end: alive in body: status 200
        "#]],
    );
}
