//! `[watchdog.notify]`: who is told of what.

use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

use hyper::header;

use super::{
    address,
    fault::{Fault, Source},
    files, pulse,
    reader::Reader,
    tree::is_secret_header,
    values::{self, Complaint, YEAR},
};
use crate::{
    heartbeat::Target,
    model::NoticeKind,
    notify::{Carrier, Channel, Exec, Mail, MailTls, Prepared, Rules, Secret, Settings, Way, Webhook},
};

const OF_SMTP: [&str; 6] = ["server", "port", "tls", "ca", "user", "password_file"];

/// Reads `[watchdog.notify]`; without one, nobody is told.
pub(super) fn read(host: &Reader<'_>, sources: &[Source]) -> Settings {
    let Some(table) = host.table("notify") else { return Settings::default() };
    let mut channels = Vec::new();
    let mut add = |reader: &Reader<'_>, named: Option<(String, Way)>| {
        let (on, timeout) = (on(reader), timeout(reader));
        let Some((name, way)) = named else { return };
        let way = Channel { name: name_apart(&channels, name), on, timeout, way };
        probe(reader, &way);
        channels.push(way);
    };
    for reader in table.tables("exec") {
        let exec = exec(&reader);
        add(&reader, exec.map(|exec| (format!("exec {}", exec.argv[0]), Way::Exec(exec))));
    }
    for reader in table.tables("webhook") {
        let hook = webhook(&reader, sources);
        add(&reader, hook.map(|hook| (format!("webhook {}", hook.host), Way::Webhook(hook))));
    }
    for reader in table.tables("mail") {
        let mail = mail(&reader);
        add(&reader, mail.map(|mail| (format!("mail {}", mail.to.join(", ")), Way::Mail(mail))));
    }
    if !["exec", "webhook", "mail"].iter().any(|way| table.has(way)) {
        let help = "add [watchdog.notify.exec], [watchdog.notify.webhook] or [watchdog.notify.mail]";
        table.log.warn(table.opened(), "nobody is told: [watchdog.notify] names no way to tell".into(), help);
    }
    Settings { rules: rules(&table), channels }
}

fn rules(table: &Reader<'_>) -> Rules {
    let seconds = Duration::from_secs;
    let usual = Rules::default();
    let rules = Rules {
        gather: table.duration("gather", Duration::ZERO..=seconds(600)).unwrap_or(usual.gather),
        repeat_after: table.duration("repeat_after", Duration::ZERO..=YEAR).unwrap_or(usual.repeat_after),
        incidents: table.count("incidents", 2..=1_000).unwrap_or(usual.incidents),
        within: table.duration("within", seconds(1)..=YEAR).unwrap_or(usual.within),
        burst: table.count("burst", 1..=1_000).unwrap_or(usual.burst),
        per: table.duration("per", seconds(1)..=YEAR).unwrap_or(usual.per),
        retry_after: table
            .duration("retry_after", Duration::from_millis(100)..=seconds(3_600))
            .unwrap_or(usual.retry_after),
        give_up_after: table.duration("give_up_after", Duration::ZERO..=YEAR).unwrap_or(usual.give_up_after),
    };
    if rules.give_up_after < rules.retry_after {
        let title =
            "`give_up_after` is shorter than `retry_after`: what is not taken at once is given up".into();
        table.log.warn(table.place("give_up_after"), title, "make it the longer of the two");
    }
    rules
}

/// Two of one name are told apart.
fn name_apart(channels: &[Channel], name: String) -> String {
    let taken = |name: &str| channels.iter().any(|channel| channel.name == name);
    if !taken(&name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name} ({number})")).find(|name| !taken(name));
    numbered.unwrap_or(name)
}

fn on(reader: &Reader<'_>) -> BTreeSet<NoticeKind> {
    let usual = NoticeKind::ALL.into_iter().filter(|kind| *kind != NoticeKind::Restarted).collect();
    let word = |text: &str| {
        let known = NoticeKind::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| {
            let all: Vec<_> = NoticeKind::ALL.iter().map(|kind| format!("{:?}", kind.name())).collect();
            let words = NoticeKind::ALL.iter().map(|kind| kind.name()).collect();
            Complaint::new(format!("expected {}", all.join(" or ")), "").words(words)
        })
    };
    let Some(kinds) = reader.list("on", "what to tell", word) else { return usual };
    if kinds.is_empty() {
        let help = "take the whole table out, or this key: then it tells all but \"restarted\"";
        reader.complain("on", &Complaint::new("expected one thing to tell at least", help));
    }
    kinds.into_iter().map(|(kind, _)| kind).collect()
}

fn timeout(reader: &Reader<'_>) -> Duration {
    let limits = Duration::from_millis(100)..=Duration::from_secs(600);
    reader.duration("timeout", limits).unwrap_or(Duration::from_secs(20))
}

/// What the channel itself would refuse, and no rule here has found.
fn probe(reader: &Reader<'_>, channel: &Channel) {
    let settings = Settings { rules: Rules::default(), channels: vec![channel.clone()] };
    if reader.log.faults.borrow().is_empty()
        && let Err(error) = Prepared::new(settings)
    {
        reader.log.fault(error.to_string(), vec![(reader.opened(), "in this table".into())], "");
    }
}

fn exec(reader: &Reader<'_>) -> Option<Exec> {
    reader.require("command", "such as command = [\"/usr/local/bin/page-me\"]");
    let user = reader.text("user", values::name);
    Some(Exec { argv: reader.argv("command")?, user })
}

fn webhook(reader: &Reader<'_>, sources: &[Source]) -> Option<Webhook> {
    reader.forbid("url_file", "url", "`url_file` is for a URL that is a secret: keep one");
    let help = "such as url = \"https://hooks.example.com/…\", or url_file = \"/full/path\"";
    reader.require_one("url", "url_file", help);
    let given = reader.text("url", url);
    if given.as_ref().is_some_and(|(_, host, ..)| !is_near(host)) && is_shown(reader, "url", sources) {
        let title = "every user of this host can read this URL".into();
        let help =
            "where it holds a secret, `chmod o-r` this file, or put the URL in a file of its own: `url_file`";
        reader.log.warn(reader.place("url"), title, help);
    }
    let from_file = secret_line(reader, "url_file", url);
    let headers = headers(reader, sources);
    let token = secret_line(reader, "token_file", |token| match header::HeaderValue::from_str(token) {
        Ok(_) => Ok(Secret(format!("Bearer {token}"))),
        Err(_) => Err(Complaint::new("expected a file with one line: the token", "")),
    });
    let ca = ca(reader);
    let (secure, host, port, path) = given.or(from_file)?;
    if !secure && ca.is_some() {
        reader.complain("ca", &Complaint::new("an http:// webhook has no certificate", "take it out"));
    }
    if !secure && token.is_some() && !is_near(&host) {
        let title = "the token goes over the network in clear text".into();
        reader.log.warn(reader.place("token_file"), title, "use https://");
    }
    let headers = headers.into_iter().chain(token.map(|token| ("Authorization".to_owned(), token))).collect();
    Some(Webhook { secure, host, port, path: Secret(path), headers, ca })
}

type Url = (bool, String, u16, String);

fn url(text: &str) -> Result<Url, Complaint> {
    let such_as = "expected a URL such as \"https://hooks.example.com/…\"";
    let authority =
        text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
    if authority.contains('@') {
        return Err(Complaint::new(
            "expected a URL without user and password",
            "`token_file` and `headers` say who asks",
        ));
    }
    if !text.contains("://") {
        return Err(Complaint::new(such_as, "begin with https:// or http://").matching("^[HhTtPpSs]+://"));
    }
    match address::url(text) {
        Ok(Target::Http { secure, host, port, path }) => Ok((secure, host, port, path)),
        Ok(Target::Tcp { .. } | Target::Exec { .. }) => {
            Err(Complaint::new(such_as, "only http and https are spoken"))
        }
        Err(complaint) => Err(Complaint::new(such_as, complaint.help)),
    }
}

fn headers(reader: &Reader<'_>, sources: &[Source]) -> Vec<(String, Secret)> {
    let Some(table) = reader.table("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for name in table.names() {
        match header::HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => table.complain(name, &Complaint::new("no header can have this name", "")),
            Ok(header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::HOST) => {
                table.complain(name, &Complaint::new("this header is written by itself", "take it out"));
            }
            Ok(_) => {}
        }
        let value = table.text(name, |text| match header::HeaderValue::from_str(text) {
            Ok(_) if text != "\0" => Ok(Secret(text.to_owned())),
            _ => Err(Complaint::new("expected a text of visible ASCII characters on one line", "")),
        });
        if is_secret_header(name) && is_shown(&table, name, sources) {
            let title = format!("every user of this host can read the secret in the header {name}");
            table.log.warn(table.place(name), title, "`chmod o-r` this file, or use `token_file`");
        }
        headers.extend(value.map(|value| (name.to_owned(), value)));
    }
    headers
}

fn mail(reader: &Reader<'_>) -> Option<Mail> {
    reader.require("from", "such as from = \"watchdog@web1.example.com\"");
    reader.require("to", "such as to = [\"admin@example.com\"]");
    for key in OF_SMTP {
        reader.forbid(key, "sendmail", "`sendmail` hands the mail to a program, which knows the way");
    }
    let from = reader.text("from", mail_address);
    let to = reader.list("to", "mail addresses", mail_address);
    if to.as_ref().is_some_and(Vec::is_empty) {
        reader.complain("to", &Complaint::new("expected one mail address at least", ""));
    }
    let by = carrier(reader);
    Some(Mail { from: from?, to: to?.into_iter().map(|(to, _)| to).collect(), by: by? })
}

fn carrier(reader: &Reader<'_>) -> Option<Carrier> {
    let sendmail = reader.argv("sendmail");
    if reader.has("sendmail") {
        return Some(Carrier::Sendmail { argv: sendmail? });
    }
    let server = reader.text("server", server).unwrap_or_else(|| "localhost".into());
    let words = [("tls", MailTls::Tls), ("starttls", MailTls::Starttls), ("none", MailTls::None)];
    let usual = if is_near(&server) { MailTls::None } else { MailTls::Starttls };
    let tls = reader.word("tls", &words).unwrap_or(usual);
    let port = match tls {
        MailTls::Tls => 465,
        MailTls::Starttls => 587,
        MailTls::None => 25,
    };
    let port = reader.count("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(port);
    let ca = ca(reader);
    if ca.is_some() && tls == MailTls::None {
        reader.complain(
            "ca",
            &Complaint::new("without TLS there is no certificate", "take it out, or say `tls`"),
        );
    }
    let user = reader.text("user", |text| match text {
        "" | "\0" => Err(Complaint::new("expected the name of a user", "")),
        user => Ok(user.to_owned()),
    });
    let password = secret_line(reader, "password_file", |line| Ok(Secret(line.to_owned())));
    reader.together("user", "password_file");
    reader.together("password_file", "user");
    if password.is_some() && tls == MailTls::None && !is_near(&server) {
        let help = "tls = \"starttls\", or \"tls\"; `ca` names the issuer of the server's certificate, where it is none of the known";
        reader.complain("tls", &Complaint::new("the password would go over the network in clear text", help));
    }
    Some(Carrier::Smtp { server, port, tls, ca, login: user.zip(password) })
}

pub(super) fn server(text: &str) -> Result<String, Complaint> {
    let such_as = "expected a host name or an address, such as \"mail.example.com\"";
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    match address::url(&format!("tcp://{text}:25")) {
        Ok(Target::Tcp { host, .. }) => Ok(host),
        Ok(Target::Http { .. } | Target::Exec { .. }) | Err(_) => {
            Err(Complaint::new(such_as, "the port is a key of its own: `port`"))
        }
    }
}

pub(super) fn mail_address(text: &str) -> Result<String, Complaint> {
    let such_as = "expected a mail address such as \"admin@example.com\"";
    match text.parse::<lettre::Address>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Complaint::new(such_as, "the bare address, without a name before it")),
    }
}

fn ca(reader: &Reader<'_>) -> Option<std::path::PathBuf> {
    reader.text("ca", |text| {
        let path = values::path(text)?;
        pulse::certificates(&path).map(|()| path)
    })
}

/// The one line of a file that holds a secret.
fn secret_line<T>(
    reader: &Reader<'_>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, Complaint>,
) -> Option<T> {
    let path = reader.text(key, values::path)?;
    let read = line(&path).and_then(|line| parse(&line));
    read.map_err(|complaint| reader.complain(key, &complaint)).ok()
}

fn line(path: &Path) -> Result<String, Complaint> {
    match files::read_secret(path) {
        Err(Fault::Unreadable { path, error }) => {
            let help = "write the secret on one line of this file, for root alone: mode 0600";
            Err(Complaint::new(format!("cannot read {}: {error}", path.display()), help))
        }
        Err(fault) => Err(Complaint::new(fault.to_string(), fault.help())),
        Ok(text) => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            match line.is_empty() || line.contains(char::is_control) {
                true => Err(Complaint::new("expected a file with one line", "")),
                false => Ok(line.to_owned()),
            }
        }
    }
}

/// Whether others can read the file in which this key stands.
fn is_shown(reader: &Reader<'_>, key: &str, sources: &[Source]) -> bool {
    sources.get(reader.place(key).file).is_some_and(|source| source.world_readable)
}

/// Whether what is said to it never leaves the host.
fn is_near(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
