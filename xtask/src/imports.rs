//! The floors of `watchdog/src`: a room imports from lower floors only, never from its own floor or above.
//!
//! Reads the sources as text: `crate::room`, `use crate::{room, …}` and `super::` as far as it leaves the room.
//! Deliberately absent: macros that build paths.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// From the ground up.
const FLOORS: [&[&str]; 7] = [
    &["model"],
    &["called", "clock", "crash"], // needs no more than the words, and serves every floor but the pure rooms
    &["suspicion", "policy", "systemd"],
    &["sources", "heartbeat", "actuator", "look", "recorder", "notify", "stream", "store"],
    &["engine", "control"],
    &["config", "explain"],
    &["cli", "main"],
];

/// Rooms that are told everything, the time among it.
const PURE: [&str; 3] = ["model", "suspicion", "policy"];

/// Fails with every import that points up or sideways.
pub(crate) fn check(sources: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for file in rust_files(sources)? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let inner = file.strip_prefix(sources).unwrap_or(&file);
        faults
            .extend(faults_of(inner, &text).into_iter().map(|fault| format!("{}: {fault}", inner.display())));
    }
    if !faults.is_empty() {
        bail!("imports point down only:\n{}", faults.join("\n"));
    }
    Ok(())
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The faults of one file; `path` is below `watchdog/src`.
fn faults_of(path: &Path, text: &str) -> Vec<String> {
    let module = module_of(path);
    let Some(own) = module.first() else { return Vec::new() }; // lib.rs names every room
    let Some(floor) = floor_of(own) else {
        return vec![format!("room `{own}` has no floor in xtask/src/imports.rs")];
    };
    let mut faults = Vec::new();
    for (line, room) in rooms_named(&code_only(text), module.len()) {
        if ["called", "clock"].contains(&room.as_str()) && PURE.contains(&own.as_str()) {
            faults.push(format!("line {line}: `{own}` is pure and imports `{room}`"));
            continue;
        }
        match floor_of(&room) {
            Some(below) if below < floor => {}
            Some(_) if room == *own => {}
            Some(same) if same == floor => {
                faults.push(format!("line {line}: `{own}` imports `{room}` of its own floor"))
            }
            Some(_) => faults.push(format!("line {line}: `{own}` imports `{room}` of a higher floor")),
            None => {}
        }
    }
    faults
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// `policy/settings.rs` is `[policy, settings]`, `policy/mod.rs` is `[policy]`, `lib.rs` is the crate itself.
fn module_of(path: &Path) -> Vec<String> {
    let names =
        path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>();
    names.into_iter().filter(|name| name != "mod" && name != "lib").collect()
}

/// The text with comments and string literals blanked, line by line as it was.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if next == '"' {
            end_of_string(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            0
        };
        if skipped == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every room that a path names, with its line. `depth` is the file's own depth below the crate's root.
fn rooms_named(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut rooms = Vec::new();
    for start in ["crate::", &to_root] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            rooms.extend(first_names(&code[at + start.len()..]).into_iter().map(|room| (line, room)));
        }
    }
    rooms
}

/// `policy::Settings` names `policy`; `{heartbeat, model::{Mono, Unit}}` names `heartbeat` and `model`.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()];
    };
    let (mut names, mut name, mut nested, mut taken) = (Vec::new(), String::new(), 0, false);
    for c in group.chars() {
        match c {
            '{' => nested += 1,
            '}' if nested == 0 => break,
            '}' => nested -= 1,
            ',' if nested == 0 => {
                names.push(std::mem::take(&mut name));
                taken = false;
            }
            _ if nested > 0 || taken || c.is_whitespace() => {}
            ':' => taken = true,
            _ => name.push(c),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{check as check_tree, faults_of};

    fn check(path: &str, text: &str, faults: &[&str]) {
        assert_eq!(faults_of(Path::new(path), text), faults);
    }

    #[test]
    fn the_floors_of_watchdog_hold() {
        check_tree(&crate::steps::tree().join("watchdog/src")).expect("imports point down only");
    }

    #[test]
    fn an_import_from_a_lower_floor_is_good() {
        check("policy/mod.rs", "use crate::model::{Mono, Unit};", &[]);
        check("actuator/mod.rs", "use crate::{model::Act, systemd};", &[]);
        check(
            "engine/settings.rs",
            "use crate::{heartbeat, model::Service, policy, stream, suspicion};",
            &[],
        );
    }

    #[test]
    fn an_import_from_a_higher_floor_is_refused() {
        check(
            "policy/mod.rs",
            "\nuse crate::config::Fragment;",
            &["line 2: `policy` imports `config` of a higher floor"],
        );
        check(
            "model/name.rs",
            "use crate::{\n    policy::{self, Settings},\n};",
            &["line 1: `model` imports `policy` of a higher floor"],
        );
    }

    #[test]
    fn an_import_from_the_same_floor_is_refused() {
        check(
            "policy/mod.rs",
            "fn f(_: crate::systemd::Connection) {}",
            &["line 1: `policy` imports `systemd` of its own floor"],
        );
        check(
            "look/mod.rs",
            "use crate::{model::{Look, Fact}, sources};",
            &["line 1: `look` imports `sources` of its own floor"],
        );
    }

    #[test]
    fn a_pure_room_may_not_read_the_clock() {
        check("policy/mod.rs", "use crate::clock;", &["line 1: `policy` is pure and imports `clock`"]);
        check("systemd/mod.rs", "use crate::clock;", &[]);
    }

    #[test]
    fn a_room_may_name_itself() {
        check("policy/budget.rs", "use crate::policy::Settings; use super::Settings;", &[]);
    }

    #[test]
    fn super_is_followed_out_of_the_room() {
        check(
            "policy/settings.rs",
            "use super::super::engine::Engine;",
            &["line 1: `policy` imports `engine` of a higher floor"],
        );
        check(
            "policy/mod.rs",
            "use super::config;",
            &["line 1: `policy` imports `config` of a higher floor"],
        );
    }

    #[test]
    fn comments_and_texts_import_nothing() {
        check(
            "model/mod.rs",
            "//! crate::engine\nconst A: &str = \"crate::engine \\\" crate::cli\"; /* crate::cli */",
            &[],
        );
    }

    #[test]
    fn a_room_without_a_floor_is_refused() {
        check("utils/mod.rs", "", &["room `utils` has no floor in xtask/src/imports.rs"]);
    }

    #[test]
    fn the_crate_root_and_main_may_name_all() {
        check("lib.rs", "use crate::cli;", &[]);
        check("main.rs", "fn main() { crate::engine::run() }", &[]);
    }
}
