use serde::Serialize;

use super::{Exit, ask::There};
use crate::control::{PAUSE, RELOAD, RESUME, Reloaded, Report};

/// `watchdog pause`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  watchdog pause web --for 30m --reason 'upgrade of PHP'
  watchdog pause 'web*' mariadb.service --for ever
  watchdog pause '*'

A paused service is watched, and nothing is done to it. The pause outlives restarts of watchdog and of the host; `watchdog
status` says who asked for it, why, and for how much longer.")]
pub(super) struct Pause {
    #[command(flatten)]
    whom: Whom,
    /// For how long, such as 10m, 2h or 1d; `ever` lasts until `watchdog resume` [default: 1h]
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<String>,
    /// Why, for whoever reads `watchdog status` at night
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `watchdog resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    whom: Whom,
}

/// `watchdog reload`.
#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    #[command(flatten)]
    there: There,
}

#[derive(Debug, clap::Args)]
struct Whom {
    /// Names, units, groups, or patterns such as 'web*'
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    #[command(flatten)]
    there: There,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    services: &'a [String],
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    lasts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Pause {
    pub(super) fn main(self) -> Exit {
        self.whom.ask(PAUSE, self.lasts.as_deref(), self.reason.as_deref())
    }
}

impl Resume {
    pub(super) fn main(self) -> Exit {
        self.whom.ask(RESUME, None, None)
    }
}

impl Reload {
    pub(super) fn main(self) -> Exit {
        let reloaded: Result<Reloaded, Exit> = self.there.post(RELOAD, &serde_json::json!({}));
        match reloaded.and_then(|it| self.there.say(&it, || format!("{}\n", it.said))) {
            Ok(()) => Exit::Ok,
            Err(exit) => exit,
        }
    }
}

impl Whom {
    fn ask(&self, path: &str, lasts: Option<&str>, reason: Option<&str>) -> Exit {
        let report: Report = match self.there.post(path, &Body { services: &self.services, lasts, reason }) {
            Ok(report) => report,
            Err(exit) => return exit,
        };
        let width = report.services.iter().map(|it| it.service.as_str().chars().count()).max().unwrap_or(0);
        let text = || {
            let lines = report.services.iter().map(|it| {
                let service = it.service.as_str();
                format!("{service:<width$}  {}{}\n", if it.done { "" } else { "NOT DONE: " }, it.said)
            });
            lines.collect()
        };
        match self.there.say(&report, text) {
            Ok(()) if report.services.iter().all(|it| it.done) => Exit::Ok,
            Ok(()) => Exit::NotDone,
            Err(exit) => exit,
        }
    }
}
