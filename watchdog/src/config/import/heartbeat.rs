//! `if failed port …` and its like as `[service.NAME.heartbeat]`.

use std::net::IpAddr;

use hyper::{Uri, header};

use super::{
    super::{address, pulse, tree::is_secret_header},
    change::Change,
    convert::Frame,
    draft::{Section, milliseconds, seconds, text},
    model::{Action, Connection, Rule, Sign},
    report::Fate,
};

/// What monit waits for where it is not told.
const TIMEOUT: u64 = 5_000;
const HOUR: u64 = 3_600_000;

/// A connection test; `Err` is why nothing comes of it.
pub(super) fn connection(frame: &mut Frame<'_>, rule: &Rule, asked: &Connection) -> Result<Fate, String> {
    if asked.udp {
        return Err("UDP has no connection that could be tested: an `exec` heartbeat may ask".into());
    }
    let mut beat = Section::default();
    let mut less: Vec<String> = Vec::new();
    let goal = goal(frame, asked)?;
    address::url(&goal.url).map_err(|complaint| format!("{}: {}", complaint.expected, complaint.help))?;
    beat.set("url", text(&goal.url), frame.at);
    if let Some(connect) = &goal.connect {
        address::connect(connect).map_err(|complaint| complaint.expected)?;
        beat.set("connect", text(connect), frame.at);
    }
    if goal.by_name {
        frame.change(Change::OwnListener);
    }
    match asked.is_http() {
        true => http(frame, asked, &mut beat, &mut less),
        false => tcp(frame, asked, &mut less),
    }
    beat.set("timeout", milliseconds(asked.timeout.unwrap_or(TIMEOUT).clamp(10, HOUR)), frame.at);
    rate(frame, rule, asked.retry, &mut beat);
    act(frame, rule, &mut beat, &mut less);
    frame.beat(beat);
    let fate = Fate::to(frame.table("heartbeat"));
    Ok(less.into_iter().fold(fate, Fate::but))
}

/// A program whose exit code is the answer.
pub(super) fn program(frame: &mut Frame<'_>, rule: &Rule) -> Result<Fate, String> {
    let command = frame.check.path.clone().unwrap_or_default();
    let argv = super::unit::words(&command);
    if !argv.first().is_some_and(|program| program.starts_with('/')) || command.contains('\0') {
        return Err("a heartbeat's program needs its full path".into());
    }
    let (mut beat, mut less) = (Section::default(), Vec::new());
    let argv: Vec<_> = argv.iter().map(|word| text(word)).collect();
    beat.set("exec", format!("[{}]", argv.join(", ")), frame.at);
    if let Some(user) = frame.check.user.as_ref().filter(|user| super::super::values::name(user).is_ok()) {
        beat.set("user", text(user), frame.at);
    }
    let timeout = frame.check.timeout.unwrap_or(300).saturating_mul(1_000); // monit's own
    beat.set("timeout", milliseconds(timeout.clamp(10, HOUR)), frame.at);
    rate(frame, rule, None, &mut beat);
    act(frame, rule, &mut beat, &mut less);
    frame.beat(beat);
    let fate = Fate::to(frame.table("heartbeat"));
    Ok(less.into_iter().fold(fate, Fate::but))
}

/// Where a heartbeat goes.
struct Goal {
    url: String,
    connect: Option<String>,
    /// monit would have asked for the address of a name.
    by_name: bool,
}

fn goal(frame: &Frame<'_>, asked: &Connection) -> Result<Goal, String> {
    let by_url = match &asked.url {
        Some(url) => {
            let uri: Uri = url.parse().map_err(|_| "this is no URL".to_owned())?;
            let host = uri.host().map(|host| host.trim_matches(['[', ']']).to_owned());
            Some((host.ok_or("this URL names no host")?, uri.port_u16().map(u64::from), uri))
        }
        None => None,
    };
    let secure = asked.is_secure() && asked.is_http();
    let default = match (asked.is_http(), secure) {
        (true, true) => 443,
        (true, false) => 80,
        (false, _) => 1, // a Unix socket has no port, and the URL wants one
    };
    let (host, port) = match &by_url {
        Some((host, port, _)) => (host.clone(), port.unwrap_or(default)),
        None => {
            let address = asked.host.clone().or_else(|| frame.check.address.clone());
            let address = address.map(|name| name.to_ascii_lowercase());
            (address.unwrap_or_else(|| "localhost".into()), asked.port.unwrap_or(default))
        }
    };
    if !(1..=65_535).contains(&port) {
        return Err(format!("there is no port {port}"));
    }
    let address = host.parse::<IpAddr>().ok();
    let connect = match (&asked.unix, address) {
        (Some(path), _) => Some(format!("unix:{path}")),
        (None, Some(IpAddr::V6(address))) => Some(format!("[{address}]:{port}")),
        (None, Some(IpAddr::V4(address))) => Some(format!("{address}:{port}")),
        (None, None) => None,
    };
    let by_name = connect.is_none() && !host.eq_ignore_ascii_case("localhost");
    let named = asked.host_header.as_ref().map(|name| name.split(':').next().unwrap_or(name).to_owned());
    let shown = named.unwrap_or(match address {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        Some(IpAddr::V4(_)) | None => host,
    });
    let path = match &by_url {
        Some((_, _, uri)) => uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        None => path_of(asked.request.as_deref()),
    };
    let url = match (asked.is_http(), secure) {
        (false, _) => format!("tcp://{shown}:{port}"),
        (true, _) if port == default => format!("http{}://{shown}{path}", if secure { "s" } else { "" }),
        (true, _) => format!("http{}://{shown}:{port}{path}", if secure { "s" } else { "" }),
    };
    Ok(Goal { url, connect, by_name })
}

/// As it is sent: whatever is no visible ASCII is written %20.
fn path_of(request: Option<&str>) -> String {
    let request = request.unwrap_or("/");
    let path = if request.starts_with('/') { request.to_owned() } else { format!("/{request}") };
    let encoded = |byte: u8| match byte {
        b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => format!("%{byte:02X}"),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(encoded).collect()
}

fn http(frame: &mut Frame<'_>, asked: &Connection, beat: &mut Section, less: &mut Vec<String>) {
    let mut status = status(asked.status);
    if asked.status.is_none() {
        frame.change(Change::Refused);
    }
    if asked.credentials {
        status.push("401".into());
        let file = format!("/etc/watchdog/{}.auth", frame.draft.name);
        beat.notes.push(format!("TODO: basic_auth_file = {}, and take 401 out of `status`", text(&file)));
        less.push("the password is not copied".into());
        frame.change(Change::Password);
    }
    let status: Vec<_> = status.iter().map(|range| text(range)).collect();
    beat.set("status", format!("[{}]", status.join(", ")), frame.at);
    let method = asked.method.as_ref().map(|method| method.to_ascii_uppercase());
    match (method.as_deref(), &asked.content) {
        (None | Some("GET"), _) => {}
        (Some("HEAD"), None) => {
            beat.set("method", text("HEAD"), frame.at);
        }
        (Some("HEAD"), Some(_)) => {
            less.push("the answer to HEAD has no body that could be looked at: it is a GET".into());
        }
        (Some(other), _) => less.push(format!("the method {other} is not one of a heartbeat: it is a GET")),
    }
    match &asked.content {
        Some((false, pattern)) => body(frame, pattern, beat, less),
        Some((true, _)) => less.push("a body that must not match is not looked for".into()),
        None => {}
    }
    headers(frame, asked, beat, less);
    if asked.is_secure() {
        let mut tls = Vec::new();
        if !asked.verify {
            tls.push("verify = false".to_owned());
        }
        if let Some(days) = asked.certificate_days {
            tls.push(format!("expires_within = \"{}d\"", days.min(366)));
        }
        if !tls.is_empty() {
            beat.set("tls", format!("{{ {} }}", tls.join(", ")), frame.at);
        }
        frame.change(Change::Certificate);
    }
    if asked.talk {
        less.push("`send` and `expect` are not said".into());
    }
}

/// The statuses that monit takes for an answer.
fn status(status: Option<(Sign, u64)>) -> Vec<String> {
    let Some((sign, code)) = status else { return vec!["200-399".into()] };
    let code = u16::try_from(code).unwrap_or(u16::MAX).clamp(100, 599);
    let range = |from: u16, to: u16| (from <= to).then(|| format!("{from}-{to}"));
    let ranges = match sign {
        Sign::Equal => [Some(code.to_string()), None],
        Sign::NotEqual => [range(100, code.saturating_sub(1)), range(code + 1, 499)],
        Sign::Less => [range(100, code.saturating_sub(1).min(499)), None],
        Sign::LessOrEqual => [range(100, code.min(499)), None],
        Sign::More => [range(code + 1, 499), None],
        Sign::MoreOrEqual => [range(code, 499), None],
    };
    let ranges: Vec<_> = ranges.into_iter().flatten().collect();
    if ranges.is_empty() { vec!["200-399".into()] } else { ranges }
}

fn body(frame: &mut Frame<'_>, pattern: &str, beat: &mut Section, less: &mut Vec<String>) {
    let special = pattern.contains(|c| r"\.^$*+?()[]{}|".contains(c));
    // POSIX's `.` takes a line's end as well
    let regex = format!("{}{pattern}", if pattern.contains('.') { "(?s)" } else { "" });
    if pattern.is_empty() {
    } else if !special {
        beat.set("body", text(pattern), frame.at);
        frame.change(Change::Literal);
    } else if pulse::pattern(&regex).is_ok() {
        beat.set("body_regex", text(&regex), frame.at);
        frame.change(Change::Pattern);
    } else {
        less.push("this pattern is none of Rust's regex: the body is not looked at".into());
    }
}

fn headers(frame: &Frame<'_>, asked: &Connection, beat: &mut Section, less: &mut Vec<String>) {
    let mut taken: Vec<(String, String)> = Vec::new();
    for (name, value) in &asked.headers {
        let fits = header::HeaderName::from_bytes(name.as_bytes())
            .is_ok_and(|name| name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING)
            && header::HeaderValue::from_str(value).is_ok();
        let twice = taken.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        match fits && !twice && !is_secret_header(name) {
            true => taken.push((name.clone(), value.clone())),
            false => less.push(format!("the header {name} is not copied")),
        }
    }
    if !taken.is_empty() {
        let pairs: Vec<_> =
            taken.iter().map(|(name, value)| format!("{} = {}", text(name), text(value))).collect();
        beat.set("headers", format!("{{ {} }}", pairs.join(", ")), frame.at);
    }
}

fn tcp(frame: &mut Frame<'_>, asked: &Connection, less: &mut Vec<String>) {
    if asked.talk || asked.content.is_some() {
        less.push("`send` and `expect` are not said: only the connection is tested".into());
    }
    if asked.certificate_days.is_some() {
        less.push("certificates are looked at over https only".into());
    }
    if asked.protocol.is_some() || asked.secure {
        frame.change(Change::OnlyConnects);
    }
}

/// How many failures in a row, and how far apart.
fn rate(frame: &mut Frame<'_>, rule: &Rule, retry: Option<u64>, beat: &mut Section) {
    let cycle = frame.cycle;
    let rate = rule.rate;
    if rate.cycles > 1 {
        beat.set("failures", rate.count.clamp(1, 100).to_string(), frame.at);
        beat.set("retry_after", seconds(cycle.clamp(1, 3_600)), frame.at);
        frame.change(if rate.count < rate.cycles { Change::InARow } else { Change::Tolerance });
    } else {
        let failures = retry.unwrap_or(1).clamp(2, 100);
        beat.set("failures", failures.to_string(), frame.at);
        frame.change(Change::SecondAsk);
    }
    beat.set("every", seconds(cycle.max(1)), frame.at);
    match cycle {
        ..5 => _ = beat.set("every_in_use", seconds(cycle.max(1)), frame.at),
        5 => {}
        6.. => frame.change(Change::InUse),
    }
}

fn act(frame: &mut Frame<'_>, rule: &Rule, beat: &mut Section, less: &mut Vec<String>) {
    let restarts = match &rule.action {
        Action::Restart => true,
        Action::Start => {
            frame.change(Change::StartIsRestart);
            true
        }
        Action::Exec(command) if frame.is_own_restart(command) => true,
        Action::Alert => false,
        Action::Exec(_) => {
            less.push("the program is not run; the failure is told".into());
            false
        }
        Action::Unknown => {
            less.push("what is to be done is not understood; the failure is told".into());
            false
        }
        Action::Stop | Action::Unmonitor | Action::Monitor => {
            less.push("watchdog never stops a service or stops watching it; the failure is told".into());
            false
        }
    };
    if !restarts || !frame.may_restart(&rule.action) {
        beat.set("on_failure", text("alert"), frame.at);
    }
}
