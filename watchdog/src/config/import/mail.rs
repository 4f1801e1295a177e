//! `set alert`, `set mailserver` and `set mail-format`: who is told by mail.
//!
//! Invariant: an address that monit told of nothing that watchdog tells is told nothing. Deliberately absent: passwords; where
//! monit had one, a person puts it in a file of its own.

use super::{
    At,
    change::Change,
    convert::{Changes, settle},
    cursor::Cursor,
    draft::{Key, Section, milliseconds, text},
    lexer::Token,
    model::Says,
    report::Fate,
    source::{Said, Script},
    statements::Statement,
};
use crate::config::notify;

const TABLE: &str = "[watchdog.notify.mail]";
/// Events of monit behind which watchdog sees something, too.
const FAILURES: [&str; 4] = ["nonexist", "connection", "status", "content"];
const NOBODY: &str =
    "no `set alert` here names somebody whom watchdog could tell, and [watchdog.notify.mail] needs `to`";
const FORM: &str = "subject and text of a mail are watchdog's own";

/// Addresses, each with the statement that names it.
type People = Vec<(String, At)>;

/// Gives each of these statements its fate; answers the tables that come of them, one for each choice of what is told.
pub(super) fn tables(
    script: &Script,
    outside: &[usize],
    fates: &mut [Option<Fate>],
    changes: &mut Changes,
) -> Vec<Section> {
    let said = || outside.iter().filter_map(|index| script.said.get(*index).map(|said| (*index, said)));
    let set = |what: &'static [&'static str]| {
        said().filter(move |(_, said)| matches!(&said.says, Says::Set(set) if what.contains(&set.as_str())))
    };
    let alerts: Vec<(usize, At, Alert)> =
        set(&["alert"]).map(|(index, said)| (index, said.statement.at(), Alert::of(said))).collect();
    let anybody = alerts.iter().any(|(_, _, alert)| !alert.on.is_empty());

    let mut common = Section::default();
    for (index, said) in set(&["mail-format", "mailformat"]) {
        settle(fates, index, form(&mut common, &said.statement));
    }
    let own_from = common.has("from");
    if !own_from {
        common.notes.push(
            "TODO: from: an address that the mail server takes; monit's was monit@ and the host's name"
                .into(),
        );
        common.keys.push(Key { name: "from", value: text("monit@localhost"), at: None });
    }
    let mut server = Section::default();
    for (index, said) in set(&["mailserver"]) {
        let fate = if anybody { self::server(&mut server, &said.statement) } else { Fate::lost(NOBODY) };
        settle(fates, index, fate);
    }

    let mut tables: Vec<(Vec<&str>, People)> = Vec::new();
    for (index, at, alert) in alerts {
        let fate = match own_from || alert.on.is_empty() {
            true => alert.fate,
            false => alert.fate.but("`from` stands for an address that only you know"),
        };
        settle(fates, index, fate);
        if alert.on.is_empty() {
            continue;
        }
        changes.entry(Change::Mail).or_default().insert(at);
        let to = (alert.address, at);
        match tables.iter_mut().find(|(on, _)| *on == alert.on) {
            Some((_, all)) if all.iter().any(|(known, _)| *known == to.0) => {}
            Some((_, all)) => all.push(to),
            None => tables.push((alert.on, vec![to])),
        }
    }
    let list = |words: Vec<&str>| format!("[{}]", words.into_iter().map(text).collect::<Vec<_>>().join(", "));
    let table = |(on, to): (Vec<&str>, People)| {
        let mut table = common.clone();
        let at = to.first().map(|(_, at)| *at);
        let to = list(to.iter().map(|(to, _)| to.as_str()).collect());
        table.keys.push(Key { name: "to", value: to, at });
        table.keys.push(Key { name: "on", value: list(on), at });
        table.notes.extend(server.notes.iter().cloned());
        table.keys.extend(server.keys.iter().cloned());
        table
    };
    tables.into_iter().map(table).collect()
}

/// `set alert ADDRESS [[not] on { EVENT, … }] [with reminder on N cycles]`
struct Alert {
    address: String,
    /// What it is told by the words of `on`; nothing where nothing comes of it.
    on: Vec<&'static str>,
    fate: Fate,
}

impl Alert {
    fn of(said: &Said) -> Alert {
        let mut cursor = Cursor::new(said.statement.tokens.get(2..).unwrap_or_default());
        let address = cursor.text().unwrap_or_default();
        if notify::mail_address(&address).is_err() {
            let fate = Fate::lost(
                "this is no mail address of the form name@host: write it in `to` of [watchdog.notify.mail]",
            );
            return Alert { address, on: Vec::new(), fate };
        }
        let negated = cursor.skip("not");
        let events: Vec<String> =
            cursor.braces().into_iter().map(Token::word).filter(|word| word != ",").collect();
        let is_told = |event: &str| events.is_empty() || negated != events.iter().any(|it| it == event);
        let failures = FAILURES.iter().filter(|event| is_told(event)).count();
        let mut on = Vec::new();
        if is_told("timeout") {
            on.push("quarantined");
        }
        if failures > 0 {
            on.extend(["failed", "alert", "repeated", "restarted"]);
        }
        if on.is_empty() {
            return Alert { address, on, fate: Fate::lost("watchdog tells of none of these events") };
        }
        on.push("recovered");
        let mut fate = Fate::to(TABLE);
        if failures > 0 && failures < FAILURES.len() {
            fate = fate.but("failures are not told apart by what shows them: all are told");
        }
        let rest = cursor.rest();
        if rest.iter().any(|word| word.eq_ignore_ascii_case("reminder")) {
            fate = fate.but("reminders: of a quarantine there is one after an hour, and then each day");
        }
        if rest.iter().any(|word| ["mail-format", "mailformat"].contains(&word.to_ascii_lowercase().as_str()))
        {
            fate = fate.but(FORM);
        }
        Alert { address, on, fate }
    }
}

/// `set mail-format { from: … subject: … message: … }`
fn form(table: &mut Section, statement: &Statement) -> Fate {
    const FIELDS: [&str; 4] = ["from:", "reply-to:", "subject:", "message:"];
    let (mut from, mut inside, mut others) = (None::<String>, false, false);
    for token in &statement.tokens {
        let word = token.text.to_ascii_lowercase();
        if FIELDS.contains(&word.as_str()) {
            inside = word == "from:";
            others |= !inside;
            from = from.or(inside.then(String::new));
        } else if inside && token.text != "}" {
            let from = from.get_or_insert_default();
            from.push_str(&token.text);
            from.push(' ');
        }
    }
    let Some(from) = from else { return Fate::lost(FORM) };
    let bare =
        from.rsplit_once('<').map_or(from.as_str(), |(_, rest)| rest.split('>').next().unwrap_or(rest));
    let bare = bare.trim();
    if notify::mail_address(bare).is_err() {
        return Fate::lost(format!("`from` has to be one address, without a name and without $HOST; {FORM}"));
    }
    let taken = table.set("from", text(bare), statement.at());
    let fate =
        if taken { Fate::to("from") } else { return Fate::lost("an earlier `set mail-format` says `from`") };
    if others { fate.but(FORM) } else { fate }
}

/// `set mailserver HOST [port N] [username U password P] [using tls] [with timeout N seconds], HOST …`
fn server(table: &mut Section, statement: &Statement) -> Fate {
    let at = statement.at();
    let mut cursor = Cursor::new(statement.tokens.get(2..).unwrap_or_default());
    let host = cursor.text().unwrap_or_default();
    if table.has("server") {
        return Fate::lost(
            "there is one server: an earlier `set mailserver` names it; what it does not take is tried again for six hours",
        );
    }
    if notify::server(&host).is_err() {
        return Fate::lost(
            "this is no name or address of a host: write it in `server` of [watchdog.notify.mail]",
        );
    }
    let (mut port, mut user, mut secure, mut timeout, mut less) = (25, None, false, None, Vec::new());
    while let Some(token) = cursor.take() {
        match token.word().as_str() {
            "port" => match cursor.number().filter(|port| (1..=65_535).contains(port)) {
                Some(number) => port = number,
                None => less.push("there is no such port".to_owned()),
            },
            "username" | "user" => user = cursor.text(),
            "password" => drop(cursor.text()),
            "ssl" | "tls" | "auto" | "sslauto" | "sslv2" | "sslv3" | "tlsv1" | "tlsv11" | "tlsv12"
            | "tlsv13" => {
                secure = true;
                cursor.braces();
            }
            "timeout" => timeout = cursor.time(),
            "," => {
                cursor.rest();
                less.push(
                    "there is one server: the first; what it does not take is tried again for six hours"
                        .into(),
                );
            }
            _ => {
                cursor.rest();
                less.push(
                    "of what a server may be told, there are `port`, `user`, `tls`, `ca` and `timeout`"
                        .into(),
                );
            }
        }
    }
    let tls = match (secure, port) {
        (true, 465) => "tls",
        (true, _) => "starttls",
        (false, _) => "none",
    };
    table.set("server", text(&host), at);
    table.set("tls", text(tls), at);
    table.set("port", port.to_string(), at);
    if let Some(timeout) = timeout {
        table.set("timeout", milliseconds(timeout.clamp(100, 600_000)), at);
    }
    if let Some(user) = user {
        table.notes.push(format!(
            "TODO: user = {}, and password_file = \"/full/path\" of a file of mode 0600 with the password",
            text(&user)
        ));
        let less_so = match secure {
            true => "",
            false => ", and `tls`: watchdog sends no password in clear text over a network",
        };
        less.push(format!("the password is not copied: add `user`, `password_file`{less_so}"));
    }
    less.into_iter().fold(Fate::to(TABLE), Fate::but)
}
