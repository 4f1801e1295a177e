//! `if … then …`.

use super::{
    cursor::{Cursor, number},
    lexer::Token,
    model::{Action, Connection, Rate, Rule, Sign, Test},
};

const USAGE: [&str; 19] = [
    "cpu",
    "totalcpu",
    "total",
    "mem",
    "memory",
    "totalmem",
    "totalmemory",
    "loadavg",
    "load",
    "swap",
    "children",
    "threads",
    "uptime",
    "space",
    "inode",
    "inodes",
    "disk",
    "filedescriptors",
    "hardlink",
];
const ATTRIBUTES: [&str; 17] = [
    "checksum",
    "permission",
    "perm",
    "uid",
    "euid",
    "gid",
    "timestamp",
    "atime",
    "mtime",
    "ctime",
    "size",
    "fsflags",
    "link",
    "capacity",
    "saturation",
    "pid",
    "ppid",
];

/// The tokens after `if`.
pub(super) fn parse(tokens: &[Token]) -> Rule {
    let then = tokens.iter().position(|token| token.is("then"));
    let (test, action) = tokens.split_at(then.unwrap_or(tokens.len()));
    let (action, otherwise, mut rest) = action_of(action.get(1..).unwrap_or_default());
    if let Some(rate) = restarts(test) {
        return Rule { test: Test::Restarts(rate), rate: ONCE, action, otherwise, rest };
    }
    let (test, rate) = rate_of(test);
    let mut cursor = Cursor::new(test);
    let test = test_of(&mut cursor);
    match &test {
        Test::Usage(_) | Test::Attribute(_) | Test::Changed(_) | Test::Ping | Test::Unknown => {}
        Test::Connection(_)
        | Test::Missing
        | Test::Exists
        | Test::Restarts(_)
        | Test::Content { .. }
        | Test::Status { .. } => rest.extend(cursor.rest()),
    }
    Rule { test, rate, action, otherwise, rest }
}

const ONCE: Rate = Rate { count: 1, cycles: 1 };

fn action_of(tokens: &[Token]) -> (Action, bool, Vec<String>) {
    let end = tokens.iter().position(|token| token.is("else")).unwrap_or(tokens.len());
    let otherwise = end < tokens.len();
    let mut cursor = Cursor::new(tokens.get(..end).unwrap_or_default());
    let action = match cursor.take().map(Token::word).unwrap_or_default().as_str() {
        "alert" => Action::Alert,
        "restart" => Action::Restart,
        "start" => Action::Start,
        "stop" => Action::Stop,
        "unmonitor" | "timeout" => Action::Unmonitor,
        "monitor" => Action::Monitor,
        "exec" => match cursor.text() {
            Some(command) => {
                cursor.rest(); // as whom, and how often again
                Action::Exec(command)
            }
            None => Action::Unknown,
        },
        _ => Action::Unknown,
    };
    (action, otherwise, cursor.rest())
}

/// `5 restarts within 5 cycles`; also `5 restarts with 5 cycles`.
fn restarts(tokens: &[Token]) -> Option<Rate> {
    let mut cursor = Cursor::new(tokens);
    let count = cursor.number()?;
    if !cursor.skip("restarts") && !cursor.skip("restart") {
        return None;
    }
    cursor.skip_all(&["within", "in", "for"]);
    let cycles = cursor.number()?;
    Some(Rate { count: count.max(1), cycles: cycles.max(1) })
}

/// Takes `for 2 cycles` or `3 times within 5 cycles` off the end of a test.
fn rate_of(tokens: &[Token]) -> (&[Token], Rate) {
    let [before @ .., cycles, unit] = tokens else { return (tokens, ONCE) };
    let (true, Some(cycles)) = (unit.is("cycle") || unit.is("cycles"), number(cycles)) else {
        return (tokens, ONCE);
    };
    let cycles = cycles.max(1);
    let before = without(before, &["for", "within", "with", "in"]);
    let [start @ .., count, times] = before else { return (before, Rate { count: cycles, cycles }) };
    match (times.is("times") || times.is("time"), number(count)) {
        (true, Some(count)) => {
            let count = count.clamp(1, cycles);
            (without(start, &["for"]), Rate { count, cycles })
        }
        _ => (before, Rate { count: cycles, cycles }),
    }
}

fn without<'a>(tokens: &'a [Token], words: &[&str]) -> &'a [Token] {
    match tokens {
        [before @ .., last] if words.iter().any(|word| last.is(word)) => before,
        _ => tokens,
    }
}

fn test_of(cursor: &mut Cursor<'_>) -> Test {
    let Some(first) = cursor.peek() else { return Test::Unknown };
    match first.word().as_str() {
        "failed" => failed(cursor),
        "does" | "not" => {
            cursor.skip_all(&["does", "not"]);
            let negated = cursor.peek().map(Token::word).unwrap_or_default();
            match negated.as_str() {
                "match" | "content" => content(cursor, true),
                "exist" | "exists" => {
                    cursor.take();
                    Test::Missing
                }
                _ => Test::Unknown,
            }
        }
        "exist" | "exists" => {
            cursor.take();
            Test::Exists
        }
        "match" | "content" => content(cursor, false),
        "status" => {
            cursor.take();
            let sign = cursor.sign().unwrap_or(Sign::Equal);
            cursor.number().map_or(Test::Unknown, |code| Test::Status { sign, code })
        }
        "changed" => {
            cursor.take();
            Test::Changed(cursor.text().unwrap_or_default())
        }
        word if USAGE.contains(&word) => Test::Usage(word.to_owned()),
        word if ATTRIBUTES.contains(&word) => Test::Attribute(word.to_owned()),
        "download" | "upload" | "read" | "write" | "service" => Test::Usage(first.word()),
        _ => Test::Unknown,
    }
}

fn content(cursor: &mut Cursor<'_>, negated: bool) -> Test {
    cursor.take();
    let sign = cursor.sign();
    let negated = negated != (sign == Some(Sign::NotEqual));
    cursor.text().map_or(Test::Unknown, |pattern| Test::Content { negated, pattern })
}

fn failed(cursor: &mut Cursor<'_>) -> Test {
    cursor.take();
    let first = cursor.peek().map(Token::word).unwrap_or_default();
    if ATTRIBUTES.contains(&first.as_str()) {
        return Test::Attribute(first);
    }
    let mut connection = Connection::default();
    let mut ping = false;
    while let Some(token) = cursor.peek() {
        let word = token.word();
        if ["ping", "ping4", "ping6", "icmp"].contains(&word.as_str()) {
            ping = true;
            cursor.take();
        } else if ping && ["count", "size", "responsetime"].contains(&word.as_str()) {
            cursor.take();
            cursor.take();
        } else if !part(&mut connection, &word, cursor) {
            break;
        }
    }
    match connection.is_any() {
        true => Test::Connection(Box::new(connection)),
        false if ping => Test::Ping,
        false => Test::Unknown,
    }
}

/// Takes one part of a connection test; `false` where it is none.
fn part(connection: &mut Connection, word: &str, cursor: &mut Cursor<'_>) -> bool {
    cursor.take();
    match word {
        "host" | "address" => connection.host = cursor.text(),
        "port" => {
            cursor.skip("=");
            connection.port = cursor.number();
        }
        "unixsocket" | "unix" => connection.unix = cursor.text(),
        "url" => {
            let url = cursor.text().unwrap_or_default();
            let (url, credentials) = without_login(&url);
            connection.url = Some(url);
            connection.credentials |= credentials;
        }
        "type" => match cursor.text().unwrap_or_default().to_ascii_lowercase().as_str() {
            "udp" => connection.udp = true,
            "tcpssl" => secure(connection, cursor),
            _ => {}
        },
        "ssl" | "tls" | "tcpssl" => secure(connection, cursor),
        "version" | "sslauto" | "tlsv1" | "tlsv11" | "tlsv12" | "tlsv13" | "sslv2" | "sslv3" | "auto" => {}
        "certificate" => {
            cursor.skip("valid");
            cursor.skip("for");
            cursor.sign();
            connection.certificate_days = cursor.number();
            cursor.skip_all(&["day", "days"]);
        }
        "protocol" | "proto" => {
            cursor.skip("=");
            connection.protocol = cursor.text().map(|name| name.to_ascii_lowercase());
        }
        "request" => connection.request = cursor.text(),
        "method" => connection.method = cursor.text(),
        "status" => {
            let sign = cursor.sign().unwrap_or(Sign::Equal);
            connection.status = cursor.number().map(|code| (sign, code));
        }
        "content" => {
            let negated = cursor.sign() == Some(Sign::NotEqual);
            connection.content = cursor.text().map(|pattern| (negated, pattern));
        }
        "hostheader" => connection.host_header = cursor.text(),
        "http" | "headers" => headers(connection, word, cursor),
        "username" | "user" | "password" => {
            cursor.skip("=");
            cursor.take();
            connection.credentials = true;
        }
        "send" | "expect" => {
            cursor.take();
            connection.talk = true;
        }
        "timeout" => connection.timeout = cursor.time(),
        "retry" => connection.retry = cursor.number(),
        "ipv4" | "ipv6" => {}
        "for" => {}
        _ => return false,
    }
    true
}

fn secure(connection: &mut Connection, cursor: &mut Cursor<'_>) {
    connection.secure = true;
    let options = cursor.braces();
    let mut words = options.iter().map(|token| token.word().trim_end_matches(':').to_owned());
    while let Some(word) = words.next() {
        if word == "verify" {
            connection.verify = words.find(|word| word != ":").is_some_and(|word| word.starts_with("enable"));
        }
    }
}

/// `http headers [Name: value, Name: value]`
fn headers(connection: &mut Connection, word: &str, cursor: &mut Cursor<'_>) {
    if word == "http" {
        return; // `headers` comes next
    }
    let mut text = String::new();
    while let Some(part) = cursor.text() {
        text = format!("{text} {part}");
        if part.ends_with(']') {
            break;
        }
    }
    for header in text.trim().trim_start_matches('[').trim_end_matches(']').split(',') {
        let Some((name, value)) = header.split_once(':') else { continue };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        match name.eq_ignore_ascii_case("host") {
            true => connection.host_header = Some(value),
            false => connection.headers.push((name, value)),
        }
    }
}

/// A URL without user and password, and whether it had them.
fn without_login(url: &str) -> (String, bool) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), false) };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => (format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()), true),
        None => (url.to_owned(), false),
    }
}
