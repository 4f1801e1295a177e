//! `[service.NAME.heartbeat]`: what is asked, where, and what counts as an answer.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use hyper::{Method, header};
use regex::bytes::Regex;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    address,
    fault::{Fault, Source},
    files,
    reader::Reader,
    tree::is_secret_header,
    values::{self, Complaint, YEAR},
};
use crate::{
    heartbeat::{BasicAuth, Body, Heart, Profiles, Settings, Target, Tls},
    model::{Connect, OnFailure},
    policy::Pulse,
};

const HTTP_ONLY: [&str; 7] = ["method", "headers", "basic_auth_file", "tls", "status", "body", "body_regex"];

/// Reads one heartbeat; `None` after a fault that leaves nothing to be asked.
pub(super) fn read(
    pulse: &Reader<'_>,
    sources: &[Source],
    profiles: &mut Profiles,
) -> Option<(Settings, Pulse)> {
    let faults_before = pulse.log.faults.borrow().len();
    let when = when(pulse);
    let target = target(pulse);
    let connect = pulse.text("connect", address::connect);
    let method = method(pulse);
    let status = status(pulse);
    let body = body(pulse, &method);
    let headers = headers(pulse, sources);
    let tls = tls(pulse);
    let basic_auth = pulse.text("basic_auth_file", values::path).and_then(|path| basic_auth(pulse, &path));
    let target = target?;
    let connect = connect.unwrap_or(Connect::Own);
    belongs(pulse, &target);
    if let Target::Http { secure: false, .. } = target
        && basic_auth.is_some()
        && leaves_the_host(&connect)
    {
        let title = "the password of `basic_auth_file` goes over the network in clear text".into();
        pulse.log.warn(pulse.place("basic_auth_file"), title, "use https://, or connect to this host");
    }
    let settings = Settings {
        target,
        connect,
        status: status.unwrap_or_else(|| vec![200..=499]),
        body,
        timeout: when.timeout,
        method,
        headers,
        basic_auth,
        tls,
    };
    // What the heartbeat itself would refuse, and no rule here has found.
    if let (Err(error), 0) =
        (Heart::new(&settings, profiles), pulse.log.faults.borrow().len() - faults_before)
    {
        pulse.log.fault(error.to_string(), vec![(pulse.opened(), "in this table".into())], "");
    }
    Some((settings, when))
}

fn when(pulse: &Reader<'_>) -> Pulse {
    let ms = Duration::from_millis;
    let hour = Duration::from_secs(3600);
    let on_failure = [("restart", OnFailure::Restart), ("alert", OnFailure::Alert), ("off", OnFailure::Off)];
    let when = Pulse {
        timeout: pulse.duration("timeout", ms(10)..=hour).unwrap_or(ms(3_000)),
        failures: pulse.count("failures", 1..=100).unwrap_or(2),
        retry_after: pulse.duration("retry_after", ms(1)..=hour).unwrap_or(ms(200)),
        every: pulse.duration("every", ms(1_000)..=YEAR).unwrap_or(ms(60_000)),
        every_in_use: pulse.duration("every_in_use", ms(100)..=YEAR).unwrap_or(ms(5_000)),
        on_failure: pulse.word("on_failure", &on_failure).unwrap_or(OnFailure::Restart),
    };
    if when.retry_after >= when.timeout {
        let title = format!(
            "`retry_after` ({}) is not shorter than `timeout` ({}): the next ask begins when the one before is over",
            values::say(when.retry_after),
            values::say(when.timeout)
        );
        pulse.log.warn(pulse.place("retry_after"), title, "a shorter one finds a silent service sooner");
    }
    if when.every_in_use > when.every {
        let title = "`every_in_use` is longer than `every`: a service in use would be asked less often than an idle one";
        pulse.log.warn(pulse.place("every_in_use"), title.into(), "make it the shorter of the two");
    }
    when
}

fn target(pulse: &Reader<'_>) -> Option<Target> {
    pulse.forbid("exec", "url", "two heartbeats are two [[…heartbeat]] tables");
    pulse.forbid("user", "url", "`user` is whom an `exec` runs as");
    let user = pulse.text("user", values::name);
    pulse.require_one("url", "exec", "such as url = \"http://127.0.0.1/\", or exec = [\"/full/path\"]");
    let (argv, url) = (pulse.argv("exec"), pulse.text("url", address::url));
    match pulse.has("url") {
        true => url,
        false => Some(Target::Exec { argv: argv?, user }),
    }
}

/// Keys that mean nothing to this kind of heartbeat: whoever wrote one expects something of it.
fn belongs(pulse: &Reader<'_>, target: &Target) {
    let foreign = |key: &str, what: &str| {
        if pulse.has(key) {
            let title = format!("`{key}` means nothing to {what}");
            pulse.log.fault(title, vec![(pulse.key_place(key), "take it out".into())], "");
        }
    };
    match target {
        Target::Http { secure: true, .. } => {}
        Target::Http { secure: false, .. } => foreign("tls", "an http:// heartbeat, only to https://"),
        Target::Tcp { .. } => {
            HTTP_ONLY.iter().for_each(|key| foreign(key, "a tcp:// heartbeat, which only connects"))
        }
        Target::Exec { .. } => HTTP_ONLY
            .iter()
            .chain(&["connect"])
            .for_each(|key| foreign(key, "an `exec` heartbeat: its exit code is the answer")),
    }
}

fn method(pulse: &Reader<'_>) -> String {
    let parse = |text: &str| {
        let known = Method::from_bytes(text.as_bytes()).ok().filter(|method| *method != Method::CONNECT);
        let upper = known.filter(|_| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'));
        let help = "methods are written in capitals";
        upper.map(|_| text.to_owned()).ok_or_else(|| {
            Complaint::new("expected a method such as \"GET\" or \"HEAD\"", help).matching("^[A-Z-]+$")
        })
    };
    let method = pulse.text("method", parse).unwrap_or_else(|| "GET".into());
    if !["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
        let title = format!("{method} is asked again and again, also of a service that just failed");
        pulse.log.warn(pulse.place("method"), title, "make sure that it changes nothing");
    }
    method
}

fn status(pulse: &Reader<'_>) -> Option<Vec<RangeInclusive<u16>>> {
    let ranges = pulse.list("status", "statuses", values::statuses)?;
    if ranges.is_empty() {
        pulse.complain(
            "status",
            &Complaint::new("expected one status at least", "the default is [\"200-499\"]"),
        );
    }
    for (range, place) in &ranges {
        if *range.start() < 500 && *range.end() >= 500 {
            let title = format!(
                "from 500 on a status is no answer, whatever \"{}-{}\" says",
                range.start(),
                range.end()
            );
            pulse.log.warn(place.clone(), title, "where a 5xx is an answer, name it by itself: \"500-599\"");
        }
    }
    Some(ranges.into_iter().map(|(range, _)| range).collect())
}

fn body(pulse: &Reader<'_>, method: &str) -> Option<Body> {
    pulse.forbid("body_regex", "body", "`body` is taken literally, `body_regex` as a pattern: keep one");
    let key = if pulse.has("body") { "body" } else { "body_regex" };
    if pulse.has(key) && method == "HEAD" {
        pulse.complain(key, &Complaint::new("the answer to HEAD has no body", "use GET, or take this out"));
    }
    let literal = pulse.text("body", |text| match text {
        "" => Err(Complaint::new("expected a text; every body holds the empty one", "")),
        text => Ok(Body::Literal(text.into())),
    });
    let pattern = pulse.text("body_regex", |text| pattern(text).map(Body::Pattern));
    literal.or(pattern)
}

/// A regular expression.
pub(super) fn pattern(text: &str) -> Result<Regex, Complaint> {
    Regex::new(text).map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Complaint::new("expected a regular expression", why)
    })
}

fn headers(pulse: &Reader<'_>, sources: &[Source]) -> Vec<(String, String)> {
    let Some(table) = pulse.table("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for name in table.names() {
        let fits = header::HeaderName::from_bytes(name.as_bytes()).ok();
        match fits {
            None => table.complain(name, &Complaint::new("no header can have this name", "")),
            Some(header::CONTENT_LENGTH | header::TRANSFER_ENCODING) => {
                table.complain(name, &Complaint::new("a heartbeat sends no body", "take it out"));
            }
            Some(_) => {}
        }
        let value = table.text(name, |text| match header::HeaderValue::from_str(text) {
            Ok(_) if text != "\0" => Ok(text.to_owned()),
            _ => Err(Complaint::new("expected a text of visible ASCII characters on one line", "")),
        });
        let place = table.place(name);
        if is_secret_header(name) && sources.get(place.file).is_some_and(|source| source.world_readable) {
            let title = format!("every user of this host can read the secret in the header {name}");
            let spots = vec![(place, "a secret, in a file that is not".to_owned())];
            table.log.fault(
                title,
                spots,
                "`chmod go-rwx` this file; or, for a password, see `basic_auth_file`",
            );
        }
        headers.extend(value.map(|value| (name.to_owned(), value)));
    }
    headers
}

fn tls(pulse: &Reader<'_>) -> Tls {
    let table = pulse.table("tls");
    let table = table.as_ref();
    let ca = table.and_then(|table| {
        table.text("ca", |text| {
            let path = values::path(text)?;
            certificates(&path).map(|()| path)
        })
    });
    Tls {
        verify: table.and_then(|table| table.flag("verify")).unwrap_or(true),
        ca,
        expires_within: table
            .and_then(|table| table.duration("expires_within", Duration::ZERO..=YEAR))
            .unwrap_or(Duration::ZERO),
    }
}

/// Whether there is one at least.
pub(super) fn certificates(path: &Path) -> Result<(), Complaint> {
    let complaint = |why: String| Complaint::new("expected a PEM file with certificates", why);
    let mut found = CertificateDer::pem_file_iter(path).map_err(|error| complaint(error.to_string()))?;
    match found.next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(complaint(error.to_string())),
        None => Err(complaint(format!("there is none in {}", path.display()))),
    }
}

fn basic_auth(pulse: &Reader<'_>, path: &Path) -> Option<BasicAuth> {
    let complaint = match files::read_secret(path) {
        Err(Fault::Unreadable { path, error }) => {
            let help = "write user:password on one line of this file, for root alone: mode 0600";
            Complaint::new(format!("cannot read {}: {error}", path.display()), help)
        }
        Err(fault) => Complaint::new(fault.to_string(), fault.help()),
        Ok(text) => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.contains(':') && !line.contains(char::is_control) {
                return Some(BasicAuth(line.to_owned()));
            }
            Complaint::new("expected a file with one line: user:password", "")
        }
    };
    pulse.complain("basic_auth_file", &complaint);
    None
}

fn leaves_the_host(connect: &Connect) -> bool {
    match connect {
        Connect::Own | Connect::Unix(_) => false,
        Connect::Address(address) => !address.ip().is_loopback(),
        Connect::Dns => true,
    }
}
