use super::*;

#[test]
fn a_certificate_is_told_and_hides_nothing() {
    let works = || good("It works!");
    let busy = || says("HTTP/1.1 503 Busy\r\n\r\n");
    let expired = Identity { last_year: 2020, ..GOOD };
    let soon =
        |settings: &mut Settings| settings.tls.expires_within = Duration::from_secs(100 * 365 * 86_400);
    check(
        vec![
            tls("good", GOOD, works()).body("It works!"),
            tls("good, and close_notify", GOOD, [works(), vec![CloseNotify]].concat()).body("It works!"),
            tls("good, and a body cut short", GOOD, says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt")),
            tls("expired", expired.clone(), works()),
            tls("expired, and a 503 behind it", expired.clone(), busy()),
            tls("expired, and not looked at", expired.clone(), works())
                .with(|settings| settings.tls.verify = false),
            tls("expires soon", GOOD, works()).with(soon),
            tls("expired is not soon", expired.clone(), works()).with(soon),
            tls("another name", Identity { names: &["a.example", "b.example"], ..GOOD }, works()),
            tls("unknown issuer", Identity { issuer: By::Stranger, ..GOOD }, works()),
            tls("unknown issuer, and a 503", Identity { issuer: By::Stranger, ..GOOD }, busy()),
            tls("self-signed", Identity { issuer: By::Itself, ..GOOD }, works()),
            tls("self-signed and named in ca", Identity { issuer: By::ItselfNamed, ..GOOD }, works()),
            tls(
                "self-signed for another name and named in ca",
                Identity { issuer: By::ItselfNamed, names: &["a.example"], ..GOOD },
                works(),
            ),
            tls("IP address", Identity { names: &["127.0.0.1"], ..GOOD }, works()).with(|settings| {
                settings.target =
                    Target::Http { secure: true, host: "127.0.0.1".into(), port: 443, path: "/".into() };
            }),
        ],
        expect![[r#"
            good: alive in body: status 200
            good, and close_notify: alive in body: status 200
            good, and a body cut short: dead in body: connection closed before the answer was complete (phase: body)
            expired: alive in body: status 200; certificate: expired on 2020-01-01
            expired, and a 503 behind it: dead in headers: status 503; certificate: expired on 2020-01-01
            expired, and not looked at: alive in body: status 200
            expires soon: alive in body: status 200; certificate: expires on 2100-01-01
            expired is not soon: alive in body: status 200; certificate: expired on 2020-01-01
            another name: alive in body: status 200; certificate: is for a.example, b.example, not for heartbeat.example.com
            unknown issuer: alive in body: status 200; certificate: unknown issuer
            unknown issuer, and a 503: dead in headers: status 503; certificate: unknown issuer
            self-signed: alive in body: status 200; certificate: unknown issuer
            self-signed and named in ca: alive in body: status 200
            self-signed for another name and named in ca: alive in body: status 200; certificate: is for a.example, not for heartbeat.example.com
            IP address: alive in body: status 200
        "#]],
    );
}

#[test]
fn a_broken_handshake_is_dead_and_no_tls_in_common_is_unknown() {
    check(
        vec![
            tcp("plain HTTP", vec![Say("HTTP/1.1 400 Bad Request\r\n\r\n"), Hang]).secure(),
            tcp("closed", vec![Hear, Bytes(b"\x16\x03\x03")]).secure(),
            tcp("reset", vec![Hear, Reset]).secure(),
            tcp("alert: internal error", vec![Bytes(b"\x15\x03\x03\0\x02\x02\x50"), Hang]).secure(),
            tcp("alert: handshake failure", vec![Bytes(b"\x15\x03\x03\0\x02\x02\x28"), Hang]).secure(),
            tls("reset behind TLS", GOOD, vec![Read, Reset]),
        ],
        expect![[r#"
            plain HTTP: dead in tls: TLS failed: what came is not TLS (received corrupt message of type InvalidContentType)
            closed: dead in tls: connection closed before the answer was complete (phase: tls)
            reset: dead in tls: connection closed before the answer was complete (phase: tls)
            alert: internal error: dead in tls: TLS failed: received fatal alert: InternalError
            alert: handshake failure: unknown in tls: our own fault: no TLS in common: it says HandshakeFailure (phase: tls)
            reset behind TLS: dead in headers: connection closed before the answer was complete (phase: headers)
        "#]],
    );
}

#[test]
fn the_request_is_what_the_settings_say_and_a_stranger_gets_no_password() {
    let secrets = |settings: &mut Settings| {
        settings.basic_auth = Some(BasicAuth("user:secret\n".into()));
        settings.headers = vec![("cookie".into(), "id=7".into())];
    };
    let plain = Target::Http { secure: false, host: "::1".into(), port: 8080, path: "/ping?a=b".into() };
    check(
        vec![
            tcp("as it comes", good("")).show_request(),
            tcp("other port, path and method", good("")).show_request().with(|settings| {
                settings.target = plain;
                settings.method = "POST".into();
            }),
            tcp("own headers", good("")).show_request().with(|settings| {
                settings.headers = [("host", "other"), ("user-agent", "me"), ("x-a", "1"), ("x-a", "2")]
                    .map(|(name, value)| (name.into(), value.into()))
                    .into();
            }),
            tcp("passwords", good("")).show_request().with(secrets),
            tls("passwords over TLS", GOOD, good("")).show_request().with(secrets),
            tls("passwords, and a certificate that ends soon", GOOD, good("")).show_request().with(
                |settings| {
                    secrets(settings);
                    settings.tls.expires_within = Duration::from_secs(100 * 365 * 86_400);
                },
            ),
            tls("no passwords for strangers", Identity { last_year: 2020, ..GOOD }, good(""))
                .show_request()
                .with(secrets),
        ],
        expect![[r#"
            as it comes: alive in body: status 200
                GET / HTTP/1.1
                Host: heartbeat.example.com
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
            other port, path and method: alive in body: status 200
                POST /ping?a=b HTTP/1.1
                Host: [::1]:8080
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
            own headers: alive in body: status 200
                GET / HTTP/1.1
                Host: other
                User-Agent: me
                Accept: */*
                Connection: close
                X-A: 1
                X-A: 2
            passwords: alive in body: status 200
                GET / HTTP/1.1
                Host: heartbeat.example.com
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
                Authorization: Basic dXNlcjpzZWNyZXQ=
                Cookie: id=7
            passwords over TLS: alive in body: status 200
                GET / HTTP/1.1
                Host: heartbeat.example.com:80
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
                Authorization: Basic dXNlcjpzZWNyZXQ=
                Cookie: id=7
            passwords, and a certificate that ends soon: alive in body: status 200; certificate: expires on 2100-01-01
                GET / HTTP/1.1
                Host: heartbeat.example.com:80
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
                Authorization: Basic dXNlcjpzZWNyZXQ=
                Cookie: id=7
            no passwords for strangers: alive in body: status 200; certificate: expired on 2020-01-01
                GET / HTTP/1.1
                Host: heartbeat.example.com:80
                User-Agent: watchdog/0.1.0
                Accept: */*
                Connection: close
        "#]],
    );
}
