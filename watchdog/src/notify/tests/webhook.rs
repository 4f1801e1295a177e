//! One POST against hostile servers on loopback.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// What a server does once it has the request.
#[derive(Clone)]
enum Does {
    Say(&'static str),
    /// Says this for ever.
    Flood(&'static str, &'static str),
    Hang,
    Close,
}

fn settings(port: u16) -> Webhook {
    let headers = vec![("Authorization".to_owned(), Secret("Bearer sesame".to_owned()))];
    let path = Secret("/hooks/sesame".into());
    Webhook { secure: false, host: "127.0.0.1".into(), port, path, headers, ca: None }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: Does) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"}") && stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {}
    match does {
        Does::Say(text) => stream.write_all(text.as_bytes()).await.expect("said"),
        Does::Flood(head, text) => {
            stream.write_all(head.as_bytes()).await.ok();
            let text = text.repeat(4096 / text.len());
            while stream.write_all(text.as_bytes()).await.is_ok() {}
        }
        Does::Hang => {
            stream.read_to_end(&mut Vec::new()).await.ok();
        }
        Does::Close => {}
    }
    stream.shutdown().await.ok();
    String::from_utf8(heard).expect("UTF-8")
}

async fn start(does: Does) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (port, tokio::spawn(async move { serve(listener.accept().await.expect("a client").0, does).await }))
}

/// Sends a test message; says how it ended. The server must see its connection closed.
fn check(does: Does, within: u64, expected: Expect) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (port, server) = start(does).await;
        let said = send(settings(port), within).await;
        let ended = timeout(Duration::from_secs(20), server).await;
        ended.expect("the connection stays open").expect("it serves");
        expected.assert_eq(&said.replace(&port.to_string(), "PORT"));
    });
}

async fn send(webhook: Webhook, within: u64) -> String {
    let mut channel = channel("hook", &USUAL, Way::Webhook(webhook));
    channel.timeout = Duration::from_millis(within);
    let (_publisher, link) = crate::systemd::link();
    let prepared = match Prepared::new(Settings { rules: Rules::default(), channels: vec![channel] }) {
        Ok(prepared) => prepared,
        Err(fault) => return fault.to_string(),
    };
    match prepared.test(&link).await.remove(0).1 {
        Ok(()) => "told".into(),
        Err(fault) => fault.to_string(),
    }
}

const LONG: u64 = 20_000;

#[test]
fn a_2xx_is_good_whatever_follows() {
    check(Does::Say("HTTP/1.1 204 No Content\r\n\r\n"), LONG, expect!["told"]);
    check(Does::Flood("HTTP/1.1 200 OK\r\n\r\n", "more "), LONG, expect!["told"]);
}

#[test]
fn what_is_sent_is_a_post_of_json_with_the_headers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (port, server) = start(Does::Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(send(settings(port), LONG).await, "told");
        let heard = server.await.expect("it serves");
        let (head, body) = heard.split_once("\r\n\r\n").expect("a request");
        let lines = head.lines().filter(|line| !line.starts_with("Content-Length"));
        let head =
            lines.map(|line| format!("{line}\n")).collect::<String>().replace(&port.to_string(), "PORT");
        let head = head.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        expect![[r#"
            POST /hooks/sesame HTTP/1.1
            Host: 127.0.0.1:PORT
            User-Agent: watchdog/VERSION
            Accept: */*
            Content-Type: application/json
            Connection: close
            Authorization: Bearer sesame
        "#]]
        .assert_eq(&head);
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&body["test"], body["text"].is_string()), (&true.into(), true));
    });
}

#[test]
fn refusals_say_why() {
    let failed = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 14\r\n\r\nno such\tpeople";
    check(
        Does::Say(failed),
        LONG,
        expect!["127.0.0.1 answered 500 Internal Server Error; it said: no such people"],
    );
    check(
        Does::Say("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"),
        LONG,
        expect!["127.0.0.1 answered 429 Too Many Requests"],
    );
}

#[test]
fn redirects_are_not_followed_and_their_path_is_not_told() {
    let to = "HTTP/1.1 302 Found\r\nLocation: https://user:sesame@elsewhere.example.com/sesame\r\n\r\n";
    check(
        Does::Say(to),
        LONG,
        expect![
            "127.0.0.1 answered 302 Found: it redirects to https://elsewhere.example.com/…, which is not followed; name the final URL"
        ],
    );
    check(
        Does::Say("HTTP/1.1 301 Moved\r\nLocation: /sesame\r\n\r\n"),
        LONG,
        expect![
            "127.0.0.1 answered 301 Moved Permanently: it redirects to another path of it, which is not followed; name the final URL"
        ],
    );
}

#[test]
fn what_never_ends_is_cut_and_what_hangs_is_given_up_at_the_deadline() {
    check(
        Does::Flood("HTTP/1.1 500 Oh\r\n\r\n", "no "),
        LONG,
        expect![
            "127.0.0.1 answered 500 Internal Server Error; it said: no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no"
        ],
    );
    check(
        Does::Flood("HTTP/1.1 500 Oh\r\n", "X: y\r\n"),
        LONG,
        expect!["cannot speak HTTP to 127.0.0.1: message head is too large"],
    );
    check(
        Does::Flood("", "HTTP/1.1 100 Continue\r\n\r\n"),
        LONG,
        expect!["cannot speak HTTP to 127.0.0.1: connection error: it sent more than 262144 bytes"],
    );
    check(Does::Hang, 200, expect!["127.0.0.1 was not done within 200ms"]);
}

#[test]
fn closed_and_garbled_connections_are_told_as_such() {
    check(
        Does::Close,
        LONG,
        expect!["cannot speak HTTP to 127.0.0.1: connection closed before message completed"],
    );
    check(
        Does::Say("SSH-2.0-OpenSSH_9.2\r\n"),
        LONG,
        expect!["cannot speak HTTP to 127.0.0.1: invalid HTTP version parsed"],
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let nobody = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        send(settings(port), LONG).await.replace(&port.to_string(), "PORT")
    });
    expect!["cannot connect to 127.0.0.1:PORT (127.0.0.1): Connection refused (os error 111)"]
        .assert_eq(&nobody);
}

/// An issuer, and a server that shows a certificate of it for this name.
async fn start_tls(name: &str, folder: &Path) -> (u16, PathBuf) {
    let (acceptor, ca) = identity(name, folder);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            serve(stream, Does::Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
        }
    });
    (port, ca)
}

#[test]
fn nothing_is_said_to_a_server_that_cannot_prove_who_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let said = runtime.block_on(async {
        let (port, ca) = start_tls("127.0.0.1", folder.path()).await;
        let with = |ca: Option<PathBuf>| Webhook { secure: true, ca, ..settings(port) };
        let known = send(with(Some(ca)), LONG).await;
        let stranger = send(with(None), LONG).await;
        let (port, ca) = start_tls("other.example.com", folder.path()).await;
        let other = send(Webhook { secure: true, ca: Some(ca), ..settings(port) }, LONG).await;
        let absent = send(with(Some(folder.path().join("absent.pem"))), LONG).await;
        let absent = absent.replace(folder.path().to_str().expect("UTF-8"), "…");
        format!("{known}\n{stranger}\n{other}\n{absent}\n")
    });
    expect![[r#"
        told
        cannot speak TLS to 127.0.0.1: invalid peer certificate: UnknownIssuer
        cannot speak TLS to 127.0.0.1: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("other.example.com")
        cannot read the issuers to trust from …/absent.pem: I/O error: No such file or directory (os error 2); check `ca`
    "#]].assert_eq(&said);
}

#[test]
fn no_secret_is_printed() {
    let prepared = Prepared::new(Settings {
        rules: Rules::default(),
        channels: vec![channel("hook", &USUAL, Way::Webhook(settings(80)))],
    });
    let said = format!("{:?}", prepared.expect("it is good").settings);
    assert!(!said.contains("sesame"), "{said}");
}
