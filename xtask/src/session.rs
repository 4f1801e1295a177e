//! The terminal session of the README: what a newcomer types on a host with nginx, and what that shows.
//!
//! Invariant: nothing of it is written by hand. Each command is run as it stands there, on a terminal of its own, and what it
//! shows is compared with the README word by word, but for what differs each time: process IDs, times, and the names of incidents.
//! Of what is long, some lines are left out, and `[…]` says so.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use lab::Lab;
use regex::Regex;
use serde_json::Value;

/// Columns of the terminal.
const WIDTH: u32 = 100;
/// What happens at once has happened within this, also on a busy machine.
const SOON: Duration = Duration::from_secs(20);

const OPENS: &str = "```console\n";
const CLOSES: &str = "\n```";
const LEFT_OUT: &str = "  […]";

const DISCOVER: &str = "watchdog discover --output /etc/watchdog/watchdog.toml";
const LOOK: &str = "cat /etc/watchdog/watchdog.toml";
const CHECK: &str = "watchdog check";
const RUN: &str = "watchdog run --observe >/run/watchdog.jsonl 2>&1 &";
const FAULT: &str = "pkill -KILL --oldest nginx";
const STATUS: &str = "watchdog status";
const WHY: &str = "watchdog why nginx";

/// How much is shown of what a command shows.
enum Part {
    All,
    /// Paragraphs that begin so.
    Of(&'static [&'static str]),
    /// All but the paragraph with this heading, up to the next empty line.
    Without(&'static str),
}

const OF_CHECK: Part =
    Part::Of(&["nginx (", "  crash ", "  hang ", "  wrong answer ", "  budget spent ", "1 service"]);

/// Plays it in a lab without nginx and watchdog running.
pub fn play(lab: &Lab) -> Result<String> {
    // so many workers as CPUs would make a longer story on a larger host
    lab.sh("sed -i 's/^worker_processes .*/worker_processes 1;/' /etc/nginx/nginx.conf")?;
    lab.nginx()?;
    let mut session = Session { lab, text: Vec::new() };
    session.types(DISCOVER, &Part::All)?;
    session.types(LOOK, &Part::Without("# Left out:"))?;
    session.types(CHECK, &OF_CHECK)?;
    session.begins(RUN)?;
    session.until("nginx has answered", STATUS, |now| now["services"][0]["verdict"] == "alive")?;
    session.types(FAULT, &Part::All)?;
    session.until("what would be done is known", WHY, |told| {
        let steps = told["incident"]["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let has =
            |words: &str| steps.iter().any(|step| step["what"].as_str().is_some_and(|it| it.contains(words)));
        has("nobody listens") && has("observing only")
    })?;
    session.types(STATUS, &Part::Without("What ticks while all is well"))?;
    session.types(WHY, &Part::Without("Step by step"))?;
    Ok(session.text.join("\n\n"))
}

struct Session<'a> {
    lab: &'a Lab,
    /// Each command with what it shows.
    text: Vec<String>,
}

impl Session<'_> {
    /// Runs a line, and keeps this part of what it shows.
    fn types(&mut self, line: &str, part: &Part) -> Result<()> {
        let mut command = self.lab.command("script");
        let on_terminal = format!("stty cols {WIDTH}; {line}");
        command.args(["--quiet", "--command", &on_terminal, "/dev/null"]).env("NO_COLOR", "1");
        let output = command.stderr(Stdio::inherit()).output().context("cannot run script in the lab")?;
        let shown = String::from_utf8(output.stdout).context("it shows what is no text")?.replace('\r', "");
        self.text.push(format!("# {line}\n{}", shortened(shown.trim_end(), part)).trim_end().to_owned());
        Ok(())
    }

    /// Runs a line that ends with `&`: a terminal of its own would take the program with it.
    fn begins(&mut self, line: &str) -> Result<()> {
        self.lab.sh(line)?;
        self.text.push(format!("# {line}"));
        Ok(())
    }

    fn until(&self, what: &str, command: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        self.lab.until(SOON, || {
            let output = self.lab.run(&["sh", "-c", &format!("{command} --json")])?;
            let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            ensure!(holds(&said), "not yet so that {what}: {said}");
            Ok(())
        })
    }
}

fn shortened(shown: &str, part: &Part) -> String {
    match part {
        Part::All => shown.to_owned(),
        Part::Of(beginnings) => paragraphs(shown, beginnings),
        Part::Without(heading) => match shown.split_once(&format!("\n{heading}\n")) {
            Some((before, rest)) => {
                let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
                format!("{}\n{LEFT_OUT}\n{after}", before.trim_end())
            }
            None => shown.to_owned(),
        },
    }
}

/// The paragraphs that begin so: a line that stands further to the right goes on with the one before it.
fn paragraphs(shown: &str, beginnings: &[&str]) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut kept = false;
    for line in shown.lines() {
        let goes_on = line.starts_with("        ");
        kept = (goes_on && kept) || beginnings.iter().any(|begin| line.starts_with(begin));
        if kept {
            lines.push(line);
        } else if lines.last() != Some(&LEFT_OUT) {
            lines.push(LEFT_OUT);
        }
    }
    lines.join("\n")
}

/// Holds what was played against what the README shows.
pub fn compare(played: &str, shown: &str) -> Result<()> {
    let (played, shown) = (lasting(played), lasting(shown));
    let (played, shown): (Vec<&str>, Vec<&str>) = (played.split(' ').collect(), shown.split(' ').collect());
    let longest = played.len().max(shown.len());
    let Some(at) = (0..longest).find(|at| played.get(*at) != shown.get(*at)) else { return Ok(()) };
    let around = |words: &[&str]| {
        let from = at.saturating_sub(8).min(words.len());
        words[from..words.len().min(at + 8)].join(" ")
    };
    bail!(
        "the session in the README is another one than this host shows (`cargo xtask session --write` renews it):\n  README: {}\n  shown:  {}",
        around(&shown),
        around(&played)
    )
}

/// What must be the same each time: words one space apart, for lines are folded where a number is longer.
fn lasting(text: &str) -> String {
    let varies = [
        (r"\bprocess \d+", "process PID"),
        (r"\b\w+day \d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} \w+", "DATE"),
        (r"\b\d{2}:\d{2}:\d{2}\.\d{3}", "TIME"),
        (r"\b[0-9a-f]{8}-\d+\b", "INCIDENT"),
        (r"\bINCIDENT for \d+m?s\b", "INCIDENT for SPAN"),
        (r"\brunning for \d+m?s\b", "running for SPAN"),
        (r"\bwaits \d+m?s so far", "waits SPAN so far"),
        (r"\bagain in \d+s\b", "again in SPAN"),
        (r"(\+|→ )\d+(\.\d+)? (µs|ms|s)\b", "${1}SPAN"),
        (r"\bstatus 200 after \d+(\.\d+)?(µs|ms)", "status 200 after SPAN"),
        (r"\bwatchdog \d+\.\d+\.\d+, ", "watchdog VERSION, "),
    ];
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (pattern, word) in varies {
        if let Ok(pattern) = Regex::new(pattern) {
            text = pattern.replace_all(&text, word).into_owned();
        }
    }
    text
}

/// What the README shows.
pub fn in_readme() -> Result<String> {
    let readme = read()?;
    let (before, after) = place(&readme)?;
    Ok(readme[before..after].to_owned())
}

/// Puts a session into the README, in the place of the one that is there.
pub fn write(played: &str) -> Result<()> {
    let readme = read()?;
    let (before, after) = place(&readme)?;
    let text = format!("{}{played}{}", &readme[..before], &readme[after..]);
    fs::write(path(), text).context("cannot write README.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).context("cannot read README.md")
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md")
}

fn place(readme: &str) -> Result<(usize, usize)> {
    let before = readme.find(OPENS).context("README.md has no block of kind `console`")? + OPENS.len();
    let length = readme[before - 1..].find(CLOSES).context("the block in README.md has no end")?;
    Ok((before, (before - 1 + length).max(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "# watchdog status\nwatchdog 0.1.0, running for 6s; it only observes\nnginx  yes  3 of 3 in 5m\n    \
                         holding: incident b8ee3148-1 for 3s: main process 99 (nginx)\n    ended; waits 3s so far: observing only; \
                         looked at again in 26s\n  23:11:37.475  +7.72 ms  decided";

    #[test]
    fn what_differs_each_time_is_no_difference() {
        let other = SHOWN
            .replace("running for 6s", "running for 850ms")
            .replace("b8ee3148-1", "00ab3148-12")
            .replace("process 99 (nginx)\n   ", "process 12345\n    (nginx)")
            .replace("waits 3s", "waits 14s")
            .replace("26s", "9s")
            .replace("37.475", "59.001")
            .replace("7.72 ms", "912 µs");
        compare(&other, SHOWN).unwrap();
    }

    #[test]
    fn another_word_or_figure_is_a_difference_and_is_shown() {
        for (was, is) in [("3 of 3", "2 of 3"), ("observes", "acts"), ("watchdog status", "watchdog why")] {
            let fault = compare(&SHOWN.replace(was, is), SHOWN).unwrap_err().to_string();
            assert!(fault.contains("--write") && fault.contains("README:"), "{fault}");
        }
        assert!(compare(&format!("{SHOWN} more"), SHOWN).is_err());
        assert!(compare("", SHOWN).is_err());
    }

    #[test]
    fn of_paragraphs_those_that_are_wanted_are_shown_and_a_mark_for_others() {
        let shown = "read x\n\nweb\n  crash        at once\n                 and more\n  5xx          that\n                 too\n  hang         x\n1 service";
        let short = paragraphs(shown, &["web", "  crash", "  hang", "1 service"]);
        let all = "  […]\nweb\n  crash        at once\n                 and more\n  […]\n  hang         x\n1 service";
        assert_eq!(short, all);
        assert_eq!(shortened("a\n\nStep\n b\n\nc", &Part::Without("Step")), "a\n  […]\nc");
    }
}
