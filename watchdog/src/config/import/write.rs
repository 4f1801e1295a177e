//! Puts drafts down as TOML, each line with the statement that it comes of.

use std::fmt::Write as _;

use super::{
    At,
    draft::{Draft, Key, Section, text},
    report::{Account, Fate},
    source::Script,
    statements::plain,
};

/// The whole file.
pub(super) fn write(script: &Script, mails: &[Section], drafts: &[Draft], accounts: &[Account]) -> String {
    let mut toml =
        String::from("# Written by `watchdog import-monit`; behind each # the statement of monit.\n");
    for mail in mails {
        toml.push('\n');
        let header = if mails.len() == 1 { "[watchdog.notify.mail]" } else { "[[watchdog.notify.mail]]" };
        section(&mut toml, script, header, mail);
    }
    for draft in drafts {
        service(&mut toml, script, draft);
    }
    let less = accounts.iter().filter(|account| account.fate.is_less());
    let mut first = true;
    for account in less {
        if std::mem::take(&mut first) {
            toml.push_str("\n# Not converted, or not wholly:\n");
        }
        let reason = match &account.fate {
            Fate::Partly { reason, .. } | Fate::Lost { reason } | Fate::Needless { reason } => {
                reason.as_str()
            }
            Fate::Converted { .. } => "",
        };
        comment(&mut toml, &format!("{}: {}", account.place, account.statement));
        comment(&mut toml, &format!("    {reason}"));
    }
    toml
}

fn service(toml: &mut String, script: &Script, draft: &Draft) {
    let table = format!("service.{}", key(&draft.name));
    toml.push('\n');
    for at in &draft.opened {
        comment(toml, &place(script, *at));
    }
    for what in &draft.fill_in {
        comment(toml, &format!("TODO: {what}"));
    }
    let mut main = draft.main.clone();
    if !draft.depends_on.is_empty() {
        let names: Vec<_> = draft.depends_on.iter().map(|(name, _)| text(name)).collect();
        let at = draft.depends_on.first().map(|(_, at)| *at);
        main.keys.push(Key { name: "depends_on", value: format!("[{}]", names.join(", ")), at });
    }
    section(toml, script, &format!("[{table}]"), &main);
    for beat in &draft.beats {
        let header = match draft.beats.len() {
            1 => format!("[{table}.heartbeat]"),
            _ => format!("[[{table}.heartbeat]]"),
        };
        toml.push('\n');
        section(toml, script, &header, beat);
    }
    for log in &draft.logs {
        let header =
            if draft.logs.len() == 1 { format!("[{table}.log]") } else { format!("[[{table}.log]]") };
        toml.push('\n');
        section(toml, script, &header, log);
    }
    if !draft.restart.keys.is_empty() {
        toml.push('\n');
        section(toml, script, &format!("[{table}.restart]"), &draft.restart);
    }
}

fn section(toml: &mut String, script: &Script, header: &str, section: &Section) {
    for note in &section.notes {
        comment(toml, note);
    }
    let _ = writeln!(toml, "{header}"); // a String takes every write
    for key in &section.keys {
        let line = format!("{} = {}", key.name, key.value);
        let _ = match key.at {
            Some(at) => writeln!(toml, "{line:<37} # {}", plain(&place_of(script, at))),
            None => writeln!(toml, "{line}"),
        };
    }
}

fn comment(toml: &mut String, text: &str) {
    let _ = writeln!(toml, "{}", format!("# {}", plain(text)).trim_end());
}

/// `monitrc:12`
fn place_of(script: &Script, at: At) -> String {
    let file = script.files.get(at.file).map(|path| path.display().to_string()).unwrap_or_default();
    format!("{file}:{}", at.line)
}

/// `monitrc:12: check process …`
fn place(script: &Script, at: At) -> String {
    let said = script.said.iter().find(|said| said.statement.at() == at);
    format!("{}: {}", place_of(script, at), said.map(|said| said.statement.text()).unwrap_or_default())
}

/// A part of a table's name.
pub(super) fn key(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare && !name.is_empty() { name.to_owned() } else { text(name) }
}
