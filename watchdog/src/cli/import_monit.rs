use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{Exit, complain};
use crate::{
    config::import::{self, Answers, Question, Report},
    look,
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

/// Asks the host for the units that no command names: whose process is in the PID file? What monit has started itself
/// belongs to monit's own unit, and tells nothing.
fn answers(questions: &[Question]) -> Answers {
    let answer = |question: &Question| {
        let unit = look::owner(question.pid_file.as_ref()?).filter(|unit| unit != "monit.service")?;
        Some((question.check.clone(), unit))
    };
    questions.iter().filter_map(answer).collect()
}
