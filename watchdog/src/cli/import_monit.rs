use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;

use super::{Exit, complain, discover, say, write};
use crate::{
    called::by_name,
    config::import::{self, Answers, Question},
    look,
    systemd::{self, Opened, Sockets, Way},
};

/// `watchdog import-monit`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The configuration goes to standard output, or into a new file; what became of each statement goes to standard \
error. Nothing else of the host is changed. Then:

  watchdog import-monit --output /etc/watchdog/watchdog.toml
  watchdog check

Exit code:
  0   every statement is converted, or not needed any more
  1   some are not, or not wholly, or something is to be filled in: the report says which, and why
  65  nothing of it is a service
  66  a file cannot be read
  73  the file is there already, or cannot be made"
)]
pub(super) struct ImportMonit {
    /// Files of monit; what they include is read, too [default: /etc/monit/monitrc, /etc/monitrc or /etc/monit.conf]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A new file for the configuration; one that is there already is never written over [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
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
        let mut report = import::convert(&script, &answers(&import::questions(&script)), self.cycle);
        if let (Some(faults), false) = (import::faults(&report.toml), report.services.is_empty()) {
            complain(format_args!("what was written does not load, please report this:\n{faults}"));
            return Exit::Software;
        }
        report.toml = by_name(&report.toml).into_owned();
        let nothing = report.services.is_empty();
        if let Some(path) = self.output.as_deref().filter(|_| !nothing)
            && let Err(fault) = write::new(path, &report.toml)
        {
            complain(fault);
            return Exit::CannotCreate;
        }
        let said = match (self.json, &self.output) {
            (true, _) => say::json(&report),
            (false, Some(_)) => Ok(()),
            (false, None) => say::text(&report.toml),
        };
        if let Err(exit) = said {
            return exit;
        }
        if !self.json {
            say::note(&report.to_string());
            if let Some(path) = self.output.as_deref().filter(|_| !nothing) {
                complain(discover::written(report.services.len(), path));
            }
        }
        match report.is_whole() {
            _ if nothing => {
                complain("there is no service in it: nothing would be watched");
                Exit::Data
            }
            true => Exit::Ok,
            false => Exit::Different,
        }
    }
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
