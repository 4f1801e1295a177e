//! Lines as nginx and Apache write them, against what is read of them.

use expect_test::expect;
use proptest::prelude::*;
use regex::bytes::Regex;

use crate::sources::logs::{
    BadLine, Log,
    format::{Entry, entry},
    lines::{LONGEST, Lines},
    tail::kind,
};

const AT: &str = "[10/Oct/2026:13:55:36 +0000]";

/// Each line, with AT for the time, and what it says.
fn check(lines: &[&str], expected: expect_test::Expect) {
    let say = |line: &&str| match entry(line.replace("AT", AT).as_bytes()) {
        None => format!("{line}\n  in another format\n"),
        Some(Entry { status, agent: None }) => format!("{line}\n  {status}\n"),
        Some(Entry { status, agent: Some(agent) }) => {
            format!("{line}\n  {status} to {}\n", String::from_utf8_lossy(agent))
        }
    };
    expected.assert_eq(&lines.iter().map(say).collect::<String>());
}

#[test]
fn b5_the_status_is_read_whatever_the_method() {
    check(
        &[
            r#"127.0.0.1 - - AT "GET / HTTP/1.1" 200 612"#,
            r#"127.0.0.1 - - AT "POST /login HTTP/2.0" 502 157 "-" "curl/8.5.0""#,
            r#"127.0.0.1 - - AT "PROPFIND /dav HTTP/1.1" 500 0 "-" "-""#,
            r#"127.0.0.1 - - AT "BREW /pot HTTP/1.1" 418 0"#,
            r#"127.0.0.1 - - AT "GET /500 HTTP/1.1" 200 500 "http://x/ 503 " "\" 504 ""#,
        ],
        expect![[r#"
            127.0.0.1 - - AT "GET / HTTP/1.1" 200 612
              200
            127.0.0.1 - - AT "POST /login HTTP/2.0" 502 157 "-" "curl/8.5.0"
              502 to curl/8.5.0
            127.0.0.1 - - AT "PROPFIND /dav HTTP/1.1" 500 0 "-" "-"
              500 to -
            127.0.0.1 - - AT "BREW /pot HTTP/1.1" 418 0
              418
            127.0.0.1 - - AT "GET /500 HTTP/1.1" 200 500 "http://x/ 503 " "\" 504 "
              200 to \" 504 
        "#]],
    );
}

#[test]
fn b5_quotes_hosts_and_users_of_every_kind_are_read() {
    check(
        &[
            r#"2001:db8::1 - - AT "GET / HTTP/1.1" 503 0 "-" "a""#,
            r#"www.example.com:443 10.0.0.1 - - AT "GET / HTTP/1.1" 500 12 "-" "vhost_combined""#,
            r#"10.0.0.1 - - AT "-" 408 - "-" "-""#,
            r#"10.0.0.1 - - AT "" 400 0 "-" "-""#,
            r#"10.0.0.1 - - AT "\x16\x03\x01\x02" 400 157 "-" "-""#,
            r#"10.0.0.1 - - AT "GET /a\x22 500 \x22 HTTP/1.1" 200 5 "-" "nginx""#,
            r#"10.0.0.1 - - AT "GET /a\" 500 \" HTTP/1.1" 200 5 "-" "Apache""#,
            r#"10.0.0.1 - - AT "GET /a\\" 502 5 "-" "its last byte is a backslash""#,
            r#"10.0.0.1 - "" AT "GET / HTTP/1.1" 401 5 "-" "a user without a name""#,
            r#"10.0.0.1 - Jane Doe AT "GET / HTTP/1.1" 200 5 "-" "spaces""#,
            r#"10.0.0.1 - [x] AT "GET / HTTP/1.1" 200 5 "-" "more" "10.0.0.9" 0.003"#,
            r#"10.0.0.1 - - AT "GET / HTTP/1.1" 000 0 "-" "the client was gone""#,
            r#"10.0.0.1 - - AT "GET / HTTP/1.1" 502"#,
            r#"10.0.0.1 - - AT "GET / HTTP/1.1" 502 12 "-" "cut in the mid"#,
        ],
        expect![[r#"
            2001:db8::1 - - AT "GET / HTTP/1.1" 503 0 "-" "a"
              503 to a
            www.example.com:443 10.0.0.1 - - AT "GET / HTTP/1.1" 500 12 "-" "vhost_combined"
              500 to vhost_combined
            10.0.0.1 - - AT "-" 408 - "-" "-"
              408 to -
            10.0.0.1 - - AT "" 400 0 "-" "-"
              400 to -
            10.0.0.1 - - AT "\x16\x03\x01\x02" 400 157 "-" "-"
              400 to -
            10.0.0.1 - - AT "GET /a\x22 500 \x22 HTTP/1.1" 200 5 "-" "nginx"
              200 to nginx
            10.0.0.1 - - AT "GET /a\" 500 \" HTTP/1.1" 200 5 "-" "Apache"
              200 to Apache
            10.0.0.1 - - AT "GET /a\\" 502 5 "-" "its last byte is a backslash"
              502 to its last byte is a backslash
            10.0.0.1 - "" AT "GET / HTTP/1.1" 401 5 "-" "a user without a name"
              401 to a user without a name
            10.0.0.1 - Jane Doe AT "GET / HTTP/1.1" 200 5 "-" "spaces"
              200 to spaces
            10.0.0.1 - [x] AT "GET / HTTP/1.1" 200 5 "-" "more" "10.0.0.9" 0.003
              200 to more
            10.0.0.1 - - AT "GET / HTTP/1.1" 000 0 "-" "the client was gone"
              0 to the client was gone
            10.0.0.1 - - AT "GET / HTTP/1.1" 502
              502
            10.0.0.1 - - AT "GET / HTTP/1.1" 502 12 "-" "cut in the mid
              502
        "#]],
    );
}

#[test]
fn b5_what_is_in_another_format_is_no_answer() {
    check(
        &[
            "",
            "\"",
            r#"{"status": 500, "request": "GET / HTTP/1.1"}"#,
            r#"AT [error] 7#7: *1 connect() failed, client: ::1, request: "GET / HTTP/1.1", upstream: "x""#,
            r#"127.0.0.1 - - AT "GET / HTTP/1.1" 5000 1"#,
            r#"127.0.0.1 - - AT "GET / HTTP/1.1" - 1"#,
            r#"127.0.0.1 - - AT "GET / HTTP/1.1 500 1"#,
            r#"127.0.0.1 "GET / HTTP/1.1" 500 1"#,
        ],
        expect![[r#"

              in another format
            "
              in another format
            {"status": 500, "request": "GET / HTTP/1.1"}
              in another format
            AT [error] 7#7: *1 connect() failed, client: ::1, request: "GET / HTTP/1.1", upstream: "x"
              in another format
            127.0.0.1 - - AT "GET / HTTP/1.1" 5000 1
              in another format
            127.0.0.1 - - AT "GET / HTTP/1.1" - 1
              in another format
            127.0.0.1 - - AT "GET / HTTP/1.1 500 1
              in another format
            127.0.0.1 "GET / HTTP/1.1" 500 1
              in another format
        "#]],
    );
}

#[test]
fn our_own_heartbeats_do_not_count() {
    let by_status = super::log("/nowhere");
    let by_match =
        Log { bad: BadLine::Match(Regex::new("panic|GET").expect("an expression")), ..by_status.clone() };
    let lines = [
        r#"::1 - - [t] "GET / HTTP/1.1" 500 5 "-" "watchdog/1.2.3""#,
        r#"::1 - - [t] "GET / HTTP/1.1" 500 5 "-" "curl""#,
        r#"::1 - - [t] "HEAD /?watchdog HTTP/1.1" 499 5 "watchdog/1.2.3" "curl""#,
        "the worker is in panic",
        "all is well",
    ];
    let told: String = lines
        .iter()
        .map(|line| {
            let (one, other) = (kind(&by_status, line.as_bytes()), kind(&by_match, line.as_bytes()));
            format!("{one:?}, {other:?}: {line}\n")
        })
        .collect();
    expect![[r#"
        Own, Own: ::1 - - [t] "GET / HTTP/1.1" 500 5 "-" "watchdog/1.2.3"
        Bad, Bad: ::1 - - [t] "GET / HTTP/1.1" 500 5 "-" "curl"
        Good, Own: ::1 - - [t] "HEAD /?watchdog HTTP/1.1" 499 5 "watchdog/1.2.3" "curl"
        Foreign, Bad: the worker is in panic
        Foreign, Good: all is well
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_line_that_is_too_long_is_cut_and_the_next_is_whole() {
    let mut lines = Lines::default();
    let mut read = Vec::new();
    for part in ["a", "b\r\n", "\n", &"x".repeat(LONGEST - 1), "yz", "z\nlast\nbegun"] {
        lines.feed(part.as_bytes(), |line| read.push(String::from_utf8_lossy(line).into_owned()));
    }
    lines.feed(format!("{}\n", "w".repeat(2 * LONGEST)).as_bytes(), |line| read.push(line.len().to_string()));
    assert_eq!(read[2].len(), LONGEST);
    assert!(read[2].ends_with("xy"));
    read.remove(2);
    assert_eq!(read, ["ab", "", "last", &LONGEST.to_string()]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(line: Vec<u8>) {
        entry(&line);
    }

    #[test]
    fn no_client_decides_what_status_its_line_says(
        path in "[ -~]{0,40}", referer in "[ -~]{0,40}", agent in "[ -~]{0,40}", status in 100..600_u16,
    ) {
        let nginx = |text: &str| text.replace('\\', "\\x5C").replace('"', "\\x22");
        let apache = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        for escape in [&nginx as &dyn Fn(&str) -> String, &apache] {
            let (path, referer, agent) = (escape(&path), escape(&referer), escape(&agent));
            let line = format!("::1 - - {AT} \"GET {path} HTTP/1.1\" {status} 1 \"{referer}\" \"{agent}\"");
            prop_assert_eq!(entry(line.as_bytes()), Some(Entry { status, agent: Some(agent.as_bytes()) }));
        }
    }

    #[test]
    fn lines_are_the_same_however_they_come(text in "[ab\n]{0,200}", cuts in prop::collection::vec(0..200_usize, 0..9)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let (mut lines, mut read) = (Lines::default(), Vec::new());
        for pair in cuts.windows(2) {
            lines.feed(&text.as_bytes()[pair[0]..pair[1]], |line| read.push(line.to_vec()));
        }
        let mut whole: Vec<_> = text.split('\n').map(|line| line.as_bytes().to_vec()).collect();
        whole.pop();
        prop_assert_eq!(read, whole);
    }
}
