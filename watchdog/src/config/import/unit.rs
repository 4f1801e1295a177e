//! Which unit a command of monit starts or stops: `/etc/init.d/X start`, `service X start`, `systemctl start X`.

use super::super::service;

/// Programs that only run another one.
const WRAPPERS: [&str; 8] = ["sudo", "nohup", "exec", "setsid", "nice", "ionice", "command", "env"];
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];
const VERBS: [&str; 12] = [
    "start",
    "stop",
    "restart",
    "reload",
    "force-reload",
    "try-restart",
    "condrestart",
    "reload-or-restart",
    "reload-or-try-restart",
    "is-enabled",
    "is-active",
    "kill",
];

/// What a command does to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Does {
    pub(super) verb: String,
    pub(super) unit: String,
}

/// The one unit that a command speaks of; `None` where it is a script of its own, or there are several.
pub(super) fn of(command: &str) -> Option<Does> {
    let mut found: Vec<Does> = Vec::new();
    for words in commands(command, 2) {
        let Some(does) = one(&words) else { continue };
        if found.iter().all(|other| other.unit != does.unit) {
            found.push(does);
        }
    }
    let only = found.pop()?;
    found.is_empty().then_some(only)
}

/// The program and its arguments, as monit itself splits them: at spaces, but for quotes.
pub(super) fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, any) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// The commands in a command: those of a shell's `-c`, too.
fn commands(command: &str, depth: usize) -> Vec<Vec<String>> {
    let words = words(command);
    let mut rest = words.as_slice();
    while let [first, more @ ..] = rest {
        let wrapper = WRAPPERS.contains(&name(first));
        let assigned = first.contains('=') && !first.starts_with('/');
        if !wrapper && !assigned {
            break;
        }
        let options = more.iter().take_while(|word| wrapper && word.starts_with('-')).count();
        rest = more.get(options..).unwrap_or_default();
    }
    let Some(program) = rest.first() else { return Vec::new() };
    let script = rest.iter().skip_while(|word| !(word.starts_with('-') && word.ends_with('c'))).nth(1);
    match (SHELLS.contains(&name(program)), script, depth) {
        (true, Some(script), 1..) => {
            let parts = script.split([';', '&', '|', '\n']).filter(|part| !part.trim().is_empty());
            parts.flat_map(|part| commands(part, depth - 1)).collect()
        }
        _ => vec![rest.to_vec()],
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn one(words: &[String]) -> Option<Does> {
    let (program, arguments) = words.split_first()?;
    let plain: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let script = ["/etc/init.d/", "/etc/rc.d/init.d/", "/etc/rc.d/", "/usr/local/etc/rc.d/"];
    let script = script.iter().find_map(|folder| program.strip_prefix(folder));
    let (verb, unit) = match (script, name(program), plain.as_slice()) {
        (Some(unit), _, [verb, ..]) => (*verb, unit),
        (None, "systemctl", [verb, unit]) => (*verb, *unit),
        (None, "service" | "invoke-rc.d" | "rc-service", [unit, verb, ..]) => (*verb, *unit),
        (None, "initctl", [verb, unit]) => (*verb, *unit),
        (None, verb @ ("start" | "stop" | "restart"), [unit]) if program.contains('/') => (verb, *unit),
        _ => return None,
    };
    if !VERBS.contains(&verb) {
        return None;
    }
    Some(Does { verb: verb.to_owned(), unit: whole(unit)? })
}

/// `nginx` is `nginx.service`; `None` for what is no service unit, or watchdog's own.
pub(super) fn whole(name: &str) -> Option<String> {
    let plain = name.strip_suffix(".sh").unwrap_or(name);
    let unit = if plain.ends_with(".service") { plain.to_owned() } else { format!("{plain}.service") };
    let other = [".socket", ".target", ".timer", ".path", ".mount", ".slice", ".scope"];
    let fits = !other.iter().any(|kind| plain.ends_with(kind)) && service::unit(&unit).is_ok();
    fits.then_some(unit)
}
