use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use futures_util::StreamExt as _;

use super::{Exit, complain};
use crate::{
    config::import::{self, Answers, Question, Report},
    look,
    systemd::{self, Opened, Sockets, Way},
};

/// `watchdog import-monit`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The configuration goes to standard output, and what became of each statement to standard error. \
Nothing of the host is changed. Then:

  watchdog import-monit > /etc/watchdog/watchdog.toml
  watchdog check

Exit code:
  0   every statement is converted, or not needed any more
  1   some are not, or not wholly, or something is to be filled in: the report says which, and why
  65  nothing of it is a service
  66  a file cannot be read"
)]
pub(super) struct ImportMonit {
    /// Files of monit; what they include is read, too [default: /etc/monit/monitrc, /etc/monitrc or /etc/monit.conf]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seconds of a cycle, where no `set daemon` says it [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    cycle: Option<u64>,
    /// The whole report as JSON, the configuration in its `toml`, for programs
    #[arg(long)]
    json: bool,
}

impl ImportMonit {
    pub(super) fn main(self) -> Exit {
        let files = match self.files.is_empty() {
            false => self.files,
            true => match import::USUAL.iter().find(|path| Path::new(path).exists()) {
                Some(path) => vec![PathBuf::from(path)],
                None => {
                    complain(format_args!("none of {} is here: name the file", import::USUAL.join(", ")));
                    return Exit::NoInput;
                }
            },
        };
        let script = match import::read(&files) {
            Ok(script) => script,
            Err(fault) => {
                complain(fault);
                return Exit::NoInput;
            }
        };
        let report = import::convert(&script, &answers(&import::questions(&script)), self.cycle);
        if let (Some(faults), false) = (import::faults(&report.toml), report.services.is_empty()) {
            complain(format_args!("what was written does not load, please report this:\n{faults}"));
            return Exit::Software;
        }
        match say(&report, self.json) {
            Ok(()) if report.services.is_empty() => {
                complain("there is no service in it: nothing would be watched");
                Exit::Data
            }
            Ok(()) if report.is_whole() => Exit::Ok,
            Ok(()) => Exit::Different,
            Err(fault) => {
                complain(format_args!("cannot write what became of it: {fault}"));
                Exit::System
            }
        }
    }
}

fn say(report: &Report, json: bool) -> io::Result<()> {
    if json {
        return writeln!(io::stdout(), "{}", serde_json::to_string_pretty(report)?);
    }
    write!(io::stdout(), "{}", report.toml)?;
    write!(io::stderr(), "{report}")
}

/// Asks the host for the units that no command names: whose process is in the PID file, or whose PIDFile= is it? What monit
/// has started itself belongs to monit's own unit, and tells nothing.
fn answers(questions: &[Question]) -> Answers {
    let files: Vec<_> =
        questions.iter().filter_map(|it| Some((it.check.clone(), it.pid_file.clone()?))).collect();
    let mut answers = Answers::new();
    let mut open = Vec::new();
    for (check, file) in files {
        match look::owner(&file).filter(|unit| unit != "monit.service") {
            Some(unit) => drop(answers.insert(check, unit)),
            None => open.push((check, in_run(&file))),
        }
    }
    if open.is_empty() {
        return answers;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let by_file = runtime.map(|runtime| runtime.block_on(pid_files())).unwrap_or_default();
    for (check, file) in open {
        if let Some((_, unit)) = by_file.iter().find(|(known, _)| *known == file) {
            answers.insert(check, unit.clone());
        }
    }
    answers
}

/// PIDFile= of every service, and its unit; nothing where there is no systemd, or not for this user.
async fn pid_files() -> Vec<(PathBuf, String)> {
    let Ok(Opened { connection, mut messages }) =
        systemd::open(&Sockets::default(), &[Way::Private, Way::Bus]).await
    else {
        return Vec::new();
    };
    tokio::spawn(async move { while messages.next().await.is_some() {} });
    let mut found = Vec::new();
    for unit in connection.services().await.unwrap_or_default() {
        let Ok(said) = connection.read(&unit).await else { continue };
        if let Some(file) = said.pid_file.flatten() {
            found.push((in_run(&file), said.id.unwrap_or_else(|| unit.to_string())));
        }
    }
    found
}

/// `/var/run` is a link to `/run`.
fn in_run(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_owned(), |rest| Path::new("/run").join(rest))
}
