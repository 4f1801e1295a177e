//! Who else starts and stops services by the clock: the lines of crontabs that do.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where crontabs are: files, and folders of files.
const CRONTABS: [&str; 8] = [
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
];

/// A script that is larger does more than to restart a service.
const LARGEST: u64 = 64 * 1024;

/// A line that starts or stops a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restarter {
    /// The file.
    pub path: PathBuf,
    /// Its line, counted from 1.
    pub line: usize,
    /// The command, without what stands around it.
    pub command: String,
    /// Units that it names, with their `.service`.
    pub units: Vec<String>,
}

/// Every such line of this host; what cannot be read is left out.
pub fn restarters() -> Vec<Restarter> {
    restarters_in(Path::new("/"))
}

/// The same of a host whose files are below this folder.
fn restarters_in(root: &Path) -> Vec<Restarter> {
    let mut found = Vec::new();
    for place in CRONTABS {
        let place = root.join(place.trim_start_matches('/'));
        let mut files: Vec<PathBuf> = match fs::read_dir(&place) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![place],
        };
        files.sort();
        for path in files {
            let small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
            let Some(text) = small.then(|| fs::read(&path).ok()).flatten() else { continue };
            let text = String::from_utf8_lossy(&text);
            for (index, line) in text.lines().enumerate() {
                found.extend(commands(line).into_iter().map(|(command, units)| Restarter {
                    path: path.clone(),
                    line: index + 1,
                    command,
                    units,
                }));
            }
        }
    }
    found
}

/// The commands of one line that start or stop units, each with the units.
fn commands(line: &str) -> Vec<(String, Vec<String>)> {
    if line.trim_start().starts_with('#') {
        return Vec::new();
    }
    line.split([';', '|', '&', '(', ')', '`', '{', '}'])
        .filter_map(|command| {
            let words: Vec<&str> =
                command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
            let (at, units) =
                words.iter().enumerate().find_map(|(at, word)| Some((at, units(word, &words[at + 1..])?)))?;
            let command: Vec<&str> =
                words[at..].iter().copied().take_while(|word| !is_redirect(word)).collect();
            Some((command.join(" "), units))
        })
        .collect()
}

/// The units that this program with these arguments starts or stops; `None` where it does not.
fn units(program: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let acts = |word: &str| {
        let word =
            word.trim_start_matches("try-").trim_start_matches("cond").trim_start_matches("reload-or-");
        ["start", "stop", "restart", "kill"].contains(&word)
    };
    let words = || {
        arguments.iter().copied().take_while(|word| !is_redirect(word)).filter(|word| !word.starts_with('-'))
    };
    if let Some(name) = program.strip_prefix("/etc/init.d/").filter(|name| !name.is_empty()) {
        return words().next().filter(|verb| acts(verb)).map(|_| vec![format!("{name}.service")]);
    }
    match program.rsplit('/').next()? {
        "systemctl" => {
            let mut words = words();
            words.next().filter(|verb| acts(verb))?;
            let units: Vec<String> = words.map(whole).collect();
            (!units.is_empty()).then_some(units)
        }
        "service" | "invoke-rc.d" | "rc-service" => {
            let mut words = words();
            let name = words.next()?;
            words.next().filter(|verb| acts(verb)).map(|_| vec![whole(name)])
        }
        _ => None,
    }
}

fn is_redirect(word: &str) -> bool {
    word.contains(['>', '<'])
}

fn whole(name: &str) -> String {
    if name.contains('.') && name.rsplit('.').next().is_some_and(|kind| kind == "service" || kind == "target")
    {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, wanted: &[(&str, &[&str])]) {
        let wanted: Vec<(String, Vec<String>)> = wanted
            .iter()
            .map(|(command, units)| {
                ((*command).to_owned(), units.iter().map(|unit| (*unit).to_owned()).collect())
            })
            .collect();
        assert_eq!(commands(line), wanted, "{line}");
    }

    #[test]
    fn lines_that_start_or_stop_a_unit_are_found() {
        check(
            "*/5 * * * * root pgrep nginx >/dev/null || systemctl restart nginx",
            &[("systemctl restart nginx", &["nginx.service"])],
        );
        check(
            "@daily /usr/bin/systemctl --quiet try-restart php8.2-fpm.service nginx >/dev/null 2>&1",
            &[(
                "/usr/bin/systemctl --quiet try-restart php8.2-fpm.service nginx",
                &["php8.2-fpm.service", "nginx.service"],
            )],
        );
        check(
            "0 4 * * * root /etc/init.d/apache2 restart",
            &[("/etc/init.d/apache2 restart", &["apache2.service"])],
        );
        check(
            "if ! curl -fs localhost; then service apache2 stop; service apache2 start; fi",
            &[
                ("service apache2 stop", &["apache2.service"]),
                ("service apache2 start", &["apache2.service"]),
            ],
        );
    }

    #[test]
    fn what_only_looks_or_reloads_or_is_no_command_is_left_alone() {
        for line in [
            "# systemctl restart nginx",
            "systemctl reload nginx",
            "service nginx status",
            "systemctl restart",
            "echo restart nginx",
            "",
            "; ; | &",
            "/etc/init.d/ restart",
        ] {
            check(line, &[]);
        }
    }

    #[test]
    fn the_files_of_a_host_are_read_in_their_order() {
        let host = tempfile::tempdir().expect("a folder");
        let cron = host.path().join("etc/cron.d");
        fs::create_dir_all(&cron).expect("a folder");
        fs::write(cron.join("b"), "# b\n* * * * * root systemctl restart b\n").expect("a file");
        fs::write(cron.join("a"), b"\xff\xfe\n* * * * * root service a restart\n").expect("a file");
        fs::write(host.path().join("etc/crontab"), "x".repeat(100_000) + "; systemctl restart c\n")
            .expect("a file");
        let found = restarters_in(host.path());
        let found: Vec<(usize, &str)> = found.iter().map(|it| (it.line, it.units[0].as_str())).collect();
        assert_eq!(found, [(2, "a.service"), (2, "b.service")]);
    }
}
