//! What this program is called: packages give it a name that nobody else has.
//!
//! Invariant: texts are written for the name `watchdog`, and said, at the edge, by the name by which the program was called: beside
//! Debian's package `watchdog`, a hint that names ours so would have root run another daemon. Recorded texts keep the written name,
//! so that a replay decides the same by any.

use std::{borrow::Cow, env, path::Path, sync::LazyLock};

/// The name for which texts are written.
const WRITTEN: &str = "watchdog";

/// What may stand behind the name where nothing marks it as a command.
pub const COMMANDS: [&str; 17] = [
    "run",
    "check",
    "discover",
    "status",
    "pause",
    "resume",
    "restart",
    "reload",
    "events",
    "why",
    "doctor",
    "import-monit",
    "notify",
    "drill",
    "replay",
    "papers",
    "schema",
];

/// The name by which it was called, for what people are told to type.
pub fn called() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| called_by(env::args().next().as_deref()));
    // tests are programs of other names
    if cfg!(test) { WRITTEN } else { &NAME }
}

/// A text, with the commands in it by the name by which this program was called.
pub fn by_name(text: &str) -> Cow<'_, str> {
    by(text, called())
}

/// A text, with the commands in it by that name: in backticks, after `sudo`, and where one stands at the beginning of a line or of
/// a column.
pub fn by<'a>(text: &'a str, name: &str) -> Cow<'a, str> {
    if name == WRITTEN {
        return Cow::Borrowed(text);
    }
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(WRITTEN) {
        let (before, from) = rest.split_at(at);
        let behind = &from[WRITTEN.len()..];
        said += before;
        said += if is_command(&said, behind) { name } else { WRITTEN };
        rest = behind;
    }
    Cow::Owned(said + rest)
}

fn is_command(before: &str, behind: &str) -> bool {
    if before.ends_with('`') {
        return behind.starts_with([' ', '\n']); // the group is `watchdog` by any name
    }
    let begins = before.is_empty() || before.ends_with('\n') || before.ends_with("  ");
    let named = behind.strip_prefix(' ').and_then(|behind| behind.split(|c: char| !is_of_a_word(c)).next());
    (begins || before.ends_with("sudo ")) && named.is_some_and(|word| COMMANDS.contains(&word))
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// A name that is none for a shell would be no help.
fn called_by(first: Option<&str>) -> String {
    let name = first.and_then(|path| Path::new(path).file_name()?.to_str());
    let plain = |name: &&str| name.chars().all(|c| is_of_a_word(c) || "._".contains(c));
    name.filter(plain).unwrap_or(WRITTEN).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_the_name_that_it_was_called_by() {
        assert_eq!(called_by(Some("/usr/bin/service-watchdog")), "service-watchdog");
        assert_eq!(called_by(Some("watchdog")), "watchdog");
        assert_eq!(called_by(Some("/tmp/a b")), "watchdog");
        assert_eq!(called_by(None), "watchdog");
    }

    #[test]
    fn commands_in_a_text_have_the_name_and_other_words_stay() {
        let by = |text| by(text, "service-watchdog").into_owned();
        assert_eq!(by("try `sudo watchdog run`"), "try `sudo service-watchdog run`");
        assert_eq!(by("`watchdog\nstatus` says"), "`service-watchdog\nstatus` says");
        assert_eq!(by("Examples:\n  watchdog drill web"), "Examples:\n  service-watchdog drill web");
        assert_eq!(by("look       watchdog why web"), "look       service-watchdog why web");
        assert_eq!(by("watchdog why web tells"), "service-watchdog why web tells");
        for other in [
            "no watchdog runs",
            "members of the group `watchdog` may",
            "/etc/watchdog/watchdog.toml",
            "a watchdog that runs\nwatchdog itself",
            "`systemctl status watchdog.service`",
        ] {
            assert_eq!(by(other), other);
        }
        assert!(matches!(super::by("`watchdog run`", "watchdog"), Cow::Borrowed(_)));
    }
}
