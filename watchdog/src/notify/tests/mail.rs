//! One mail to a scripted server on loopback.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;

/// Answers each command by the first script line that it begins with; `""` answers all others.
type Script = &'static [(&'static str, &'static str)];

const GOOD: Script = &[
    ("EHLO", "250-mx greets you\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"),
    ("DATA", "354 go on\r\n"),
    ("AUTH", "235 welcome\r\n"),
    ("", "250 fine\r\n"),
];

/// Speaks to one client, from this greeting on; answers what it heard, up to a `STARTTLS` that it has agreed to.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, greeting: &str, script: Script) -> (String, S) {
    let mut stream = BufReader::with_capacity(1, stream); // what follows STARTTLS is not for this reader
    stream.write_all(greeting.as_bytes()).await.ok();
    let (mut heard, mut line, mut in_mail) = (String::new(), String::new(), false);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        heard.push_str(&line);
        if in_mail {
            in_mail = line != ".\r\n";
        }
        if !in_mail {
            let said = script.iter().find(|(command, _)| line.starts_with(command));
            let said = said.map_or("", |(_, said)| *said);
            in_mail = said.starts_with("354");
            if stream.write_all(said.as_bytes()).await.is_err() {
                break;
            }
            if line.starts_with("STARTTLS") && said.starts_with("220") {
                break;
            }
        }
        line.clear();
    }
    (heard, stream.into_inner())
}

async fn start(greeting: &'static str, script: Script) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let stream = listener.accept().await.expect("a client").0;
        serve(stream, greeting, script).await.0
    });
    (port, server)
}

fn mail(port: u16, tls: MailTls, login: bool) -> Mail {
    let login = login.then(|| ("watchdog".to_owned(), Secret("sesame".to_owned())));
    let by = Carrier::Smtp { server: "127.0.0.1".into(), port, tls, ca: None, login };
    Mail { from: "watchdog@example.com".into(), to: vec!["admin@example.com".into()], by }
}

/// Sends a test message; how it ended, and what the server heard.
fn told(greeting: &'static str, script: Script, tls: MailTls, login: bool, within: u64) -> (String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (port, server) = start(greeting, script).await;
        let mut channel = channel("mail", &USUAL, Way::Mail(mail(port, tls, login)));
        channel.timeout = Duration::from_millis(within);
        let settings = Settings { rules: Rules::default(), channels: vec![channel] };
        let (_publisher, link) = crate::systemd::link();
        let prepared = Prepared::new(settings).expect("it is good");
        let said = match prepared.test(&link).await.remove(0).1 {
            Ok(()) => "told".into(),
            Err(fault) => fault.to_string(),
        };
        let heard = timeout(Duration::from_secs(20), server).await;
        (said, heard.expect("the connection stays open").expect("it serves"))
    })
}

fn check(greeting: &'static str, script: Script, within: u64, expected: Expect) {
    expected.assert_eq(&told(greeting, script, MailTls::None, false, within).0);
}

const HELLO: &str = "220 mx.example.com ESMTP\r\n";
const LONG: u64 = 20_000;

#[test]
fn a_mail_is_plain_text_that_no_robot_answers() {
    let (said, heard) = told(HELLO, GOOD, MailTls::None, true, LONG);
    assert_eq!(said, "told");
    let host = host();
    let same =
        |line: &&str| !["Date:", "Message-ID:", "Content-Transfer"].iter().any(|name| line.starts_with(name));
    let heard: Vec<String> = heard.lines().filter(same).map(|line| line.replace(&host, "HOST")).collect();
    let version = env!("CARGO_PKG_VERSION");
    expect![[r#"
        EHLO HOST
        AUTH PLAIN AHdhdGNoZG9nAHNlc2FtZQ==
        MAIL FROM:<watchdog@example.com>
        RCPT TO:<admin@example.com>
        DATA
        From: watchdog@example.com
        Subject: [HOST] watchdog can tell you
        Content-Type: text/plain; charset=utf-8
        Auto-Submitted: auto-generated
        To: admin@example.com

        This is a test: nothing has happened on HOST.

        Who reads this is told when a service of HOST needs somebody.

        told by watchdog VERSION on HOST

        .
        QUIT"#]]
    .assert_eq(&heard.join("\n").replace(version, "VERSION"));
}

#[test]
fn refusals_of_the_server_are_told_in_its_words() {
    const FULL: Script = &[
        ("EHLO", "250 mx\r\n"),
        ("MAIL", "250 fine\r\n"),
        ("RCPT", "452 4.2.2 mailbox full\r\n"),
        ("", "250 fine\r\n"),
    ];
    const UNKNOWN: Script = &[
        ("EHLO", "250 mx\r\n"),
        ("MAIL", "250 fine\r\n"),
        ("RCPT", "550 5.1.1 no such user\r\n"),
        ("", "250 fine\r\n"),
    ];
    check(
        HELLO,
        FULL,
        LONG,
        expect!["127.0.0.1 did not take the mail: transient error (452): 4.2.2 mailbox full"],
    );
    check(
        HELLO,
        UNKNOWN,
        LONG,
        expect!["127.0.0.1 did not take the mail: permanent error (550): 5.1.1 no such user"],
    );
    check(
        "554 go away\r\n",
        GOOD,
        LONG,
        expect!["127.0.0.1 did not take the mail: permanent error (554): go away"],
    );
}

#[test]
fn a_wrong_password_is_told_and_is_not_in_the_words() {
    const WRONG: Script =
        &[("EHLO", "250-mx\r\n250 AUTH PLAIN\r\n"), ("AUTH", "535 5.7.8 wrong\r\n"), ("", "250 fine\r\n")];
    let (said, _) = told(HELLO, WRONG, MailTls::None, true, LONG);
    expect!["127.0.0.1 did not take the mail: permanent error (535): 5.7.8 wrong"].assert_eq(&said);
}

#[test]
fn without_starttls_nothing_is_sent_that_was_to_be_secret() {
    let (said, heard) = told(HELLO, GOOD, MailTls::Starttls, true, LONG);
    expect![
        "127.0.0.1 did not take the mail: internal client error: STARTTLS is not supported on this server"
    ]
    .assert_eq(&said);
    assert!(!heard.contains("AUTH") && !heard.contains("DATA"), "{heard}");
}

#[test]
fn a_server_that_is_silent_or_never_ends_is_given_up() {
    const SILENT: Script = &[];
    check("", GOOD, 200, expect!["127.0.0.1 was not done within 200ms"]);
    check(HELLO, SILENT, 200, expect!["127.0.0.1 was not done within 200ms"]);
    static ENDLESS: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| "220-".to_owned() + &"x".repeat(1 << 20));
    check(
        &ENDLESS,
        GOOD,
        LONG,
        expect!["127.0.0.1 did not take the mail: network error: it sent more than 262144 bytes"],
    );
}

/// What a server that speaks TLS heard.
#[derive(Default)]
struct Heard {
    before: String,
    within: String,
}

/// How it came to TLS, and what it says before and within.
struct Server {
    name: &'static str,
    /// Before TLS; none where it begins with it.
    plain: Option<Script>,
    /// Within TLS; none where it goes silent instead of shaking hands.
    secret: Option<Script>,
    /// Its issuer is named as `ca`.
    known: bool,
}

const OFFERS: Script = &[
    ("EHLO", "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"),
    ("STARTTLS", "220 go on\r\n"),
    ("", "250 fine\r\n"),
];
const SECRETLY: Server = Server { name: "127.0.0.1", plain: None, secret: Some(GOOD), known: true };
const UPGRADES: Server = Server { plain: Some(OFFERS), ..SECRETLY };

/// Sends a test message with a password to it; how it ended, and what the server heard.
fn told_secretly(server: Server, within: u64) -> (String, Heard) {
    let folder = tempfile::tempdir().expect("a folder");
    let (acceptor, ca) = identity(server.name, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let tls = if server.plain.is_some() { MailTls::Starttls } else { MailTls::Tls };
        let serving = tokio::spawn(async move {
            let mut heard = Heard::default();
            let mut stream = listener.accept().await.expect("a client").0;
            let mut greeting = HELLO;
            if let Some(script) = server.plain {
                (heard.before, stream) = serve(stream, HELLO, script).await;
                greeting = "";
                if !heard.before.contains("STARTTLS") {
                    return heard;
                }
            }
            let Some(script) = server.secret else {
                stream.read_to_end(&mut Vec::new()).await.ok();
                return heard;
            };
            if let Ok(stream) = acceptor.accept(stream).await {
                heard.within = serve(stream, greeting, script).await.0;
            }
            heard
        });
        let mut mail = mail(port, tls, true);
        if let Carrier::Smtp { ca: named, .. } = &mut mail.by {
            *named = server.known.then_some(ca);
        }
        let mut channel = channel("mail", &USUAL, Way::Mail(mail));
        channel.timeout = Duration::from_millis(within);
        let (_publisher, link) = crate::systemd::link();
        let settings = Settings { rules: Rules::default(), channels: vec![channel] };
        let prepared = Prepared::new(settings).expect("it is good");
        let said = match prepared.test(&link).await.remove(0).1 {
            Ok(()) => "told".into(),
            Err(fault) => fault.to_string(),
        };
        let heard = timeout(Duration::from_secs(20), serving).await;
        (said, heard.expect("the connection stays open").expect("it serves"))
    })
}

/// Refused like this, and neither password nor mail was said to anybody.
fn refused(server: Server, within: u64, expected: Expect) {
    let (said, Heard { before, within }) = told_secretly(server, within);
    expected.assert_eq(&said);
    for secret in ["AUTH", "MAIL", "DATA", "example.com"] {
        assert!(!before.contains(secret) && !within.contains(secret), "{secret} in {before}{within}");
    }
}

#[test]
fn password_and_mail_are_said_within_tls_alone() {
    let hello = format!("EHLO {}\r\n", host());
    for (server, before) in [(SECRETLY, String::new()), (UPGRADES, hello.clone() + "STARTTLS\r\n")] {
        let (said, heard) = told_secretly(server, LONG);
        assert_eq!((said.as_str(), &heard.before), ("told", &before));
        let words =
            [hello.as_str(), "AUTH PLAIN AHdhdGNoZG9nAHNlc2FtZQ==\r\n", "\r\nDATA\r\n", "watchdog can tell"];
        assert!(words.iter().all(|word| heard.within.contains(word)), "{}", heard.within);
        assert!(heard.within.ends_with("QUIT\r\n"), "{}", heard.within);
    }
}

#[test]
fn nothing_is_said_to_a_mail_server_that_cannot_prove_who_it_is() {
    refused(
        Server { known: false, ..SECRETLY },
        LONG,
        expect!["cannot speak TLS to 127.0.0.1: invalid peer certificate: UnknownIssuer"],
    );
    refused(
        Server { name: "mx.example.com", ..SECRETLY },
        LONG,
        expect![[
            r#"cannot speak TLS to 127.0.0.1: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("mx.example.com")"#
        ]],
    );
    refused(
        Server { known: false, ..UPGRADES },
        LONG,
        expect![
            "127.0.0.1 did not take the mail: Connection error: Connection error: invalid peer certificate: UnknownIssuer"
        ],
    );
    refused(
        Server { name: "mx.example.com", ..UPGRADES },
        LONG,
        expect![[
            r#"127.0.0.1 did not take the mail: Connection error: Connection error: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("mx.example.com")"#
        ]],
    );
}

#[test]
fn answers_that_somebody_on_the_way_put_behind_starttls_do_not_count() {
    const FORGED: Script = &[
        ("EHLO", "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"),
        (
            "STARTTLS",
            "220 go on\r\n250-mx\r\n250 AUTH LOGIN PLAIN\r\n235 welcome\r\n250 fine\r\n250 fine\r\n354 go on\r\n250 taken\r\n221 bye\r\n",
        ),
    ];
    refused(
        Server { plain: Some(FORGED), ..UPGRADES },
        LONG,
        expect![
            "127.0.0.1 did not take the mail: Connection error: Connection error: received corrupt message of type InvalidContentType"
        ],
    );
}

#[test]
fn a_server_that_offers_tls_and_does_not_keep_to_it_is_given_up() {
    const REFUSES: Script = &[
        ("EHLO", "250-mx\r\n250 STARTTLS\r\n"),
        ("STARTTLS", "454 4.7.0 not now\r\n"),
        ("", "250 fine\r\n"),
    ];
    refused(
        Server { plain: Some(REFUSES), ..UPGRADES },
        LONG,
        expect!["127.0.0.1 did not take the mail: transient error (454): 4.7.0 not now"],
    );
    refused(Server { secret: None, ..UPGRADES }, 300, expect!["127.0.0.1 was not done within 300ms"]);
    refused(Server { secret: None, ..SECRETLY }, 300, expect!["127.0.0.1 was not done within 300ms"]);
    const NO_LOGIN: Script = &[("EHLO", "250 mx\r\n"), ("", "250 fine\r\n")];
    refused(
        Server { secret: Some(NO_LOGIN), ..UPGRADES },
        LONG,
        expect![
            "127.0.0.1 did not take the mail: internal client error: No compatible authentication mechanism was found"
        ],
    );
}
