use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    thread,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use serde::Serialize;

use super::{Exit, ask::There};
use crate::{
    control::{PAUSE, RELOAD, RESTART, RESUME, Reloaded, Report, STATUS},
    explain,
    model::{Changed, IncidentEnd, IncidentId, Service, Status},
};

/// How often it is looked whether a restart is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// `watchdog pause`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  watchdog pause web --for 30m --reason 'upgrade of PHP'
  watchdog pause 'web*' mariadb.service --for ever
  watchdog pause '*'

A paused service is watched, and nothing is done to it. The pause outlives restarts of watchdog and of the host; `watchdog
status` says who asked for it, why, and for how much longer.

Exit code: 0 done, 75 not done for one of them, 64 no such service or no such time, 69 no watchdog runs, 77 not root.")]
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
#[command(after_long_help = "What is wrong with a service by then is dealt with at once.

Exit code: 0 done, 75 not done for one of them, 64 no such service, 69 no watchdog runs, 77 not root.")]
pub(super) struct Resume {
    #[command(flatten)]
    whom: Whom,
}

/// `watchdog restart`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "It goes through the policy: one job of systemd for the running incarnation, a stop that outlasts its deadline is ended, the
heartbeat says when it is done, and the budgets count it; but no spent budget refuses it. A pause, a package manager at work, a
configuration that fails its preflight, a port held by another program, a dependency that fails, or a host that is short of
memory, I/O, CPU or disk space ([watchdog.gates]) is a reason to refuse; `systemctl restart` asks nobody. Several services are
restarted as [watchdog.budget] says, one after the other by default.

Exit code: 0 all of them answer again, 75 something stood against one of them, it does not answer, or that is not known in time,
64 no such service, 69 no watchdog runs, 77 not root."
)]
pub(super) struct Restart {
    #[command(flatten)]
    whom: Whom,
    /// Why, for whoever reads about it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Ask for it, and do not wait for what comes of it
    #[arg(long)]
    no_wait: bool,
    /// Wait for it at most so long, such as 90s; what is asked for goes on
    #[arg(long, value_name = "TIME", default_value = "5m", conflicts_with = "no_wait")]
    timeout: SignedDuration,
}

/// `watchdog reload`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "SIGHUP and `systemctl reload` do the same; the log tells what came of it then.

Exit code: 0 the new configuration is in force, 78 it has faults and the old one stays, 69 no watchdog runs, 77 not root.")]
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

impl Restart {
    pub(super) fn main(self) -> Exit {
        self.run().unwrap_or_else(|exit| exit)
    }

    fn run(&self) -> Result<Exit, Exit> {
        let mut report = self.whom.post(RESTART, None, self.reason.as_deref())?;
        let goes_on = report.services.iter().any(|it| it.done && it.incident.is_some());
        if !self.no_wait && goes_on {
            if !self.whom.there.json {
                self.whom.say(&report)?;
            }
            self.wait(&mut report)?;
        }
        self.whom.say(&report)?;
        Ok(if report.services.iter().all(|it| it.done) { Exit::Ok } else { Exit::NotDone })
    }

    /// Until the incident of each is over. That may take long, where a service comes up and nobody can tell whether it is well.
    fn wait(&self, report: &mut Report) -> Result<(), Exit> {
        let until = Instant::now() + self.timeout.unsigned_abs();
        let mut steps = BTreeMap::new();
        let mut open: BTreeMap<Service, IncidentId> = report
            .services
            .iter()
            .filter_map(|it| Some((it.service.clone(), it.incident.filter(|_| it.done)?)))
            .collect();
        while !open.is_empty() {
            thread::sleep(LOOK_AGAIN);
            let now: Status = self.whom.there.get(STATUS)?;
            let late = Instant::now() >= until;
            for changed in &mut report.services {
                let Some(id) = open.get(&changed.service).copied() else { continue };
                if is_over(&now, changed, id) {
                    open.remove(&changed.service);
                    continue;
                }
                let Some(step) = last_step(&now, &changed.service) else { continue };
                if late {
                    let waited = explain::rounded(self.timeout.unsigned_abs());
                    (changed.done, changed.said) = (false, format!("not over after {waited}; {step}"));
                } else if steps.insert(changed.service.clone(), step.to_owned()).as_deref() != Some(step)
                    && !self.whom.there.json
                {
                    writeln!(io::stderr(), "{}: {step}", changed.service).ok();
                }
            }
            if late {
                break;
            }
        }
        Ok(())
    }
}

/// Of the incident that is on its way.
fn last_step<'a>(now: &'a Status, service: &Service) -> Option<&'a str> {
    let it = now.services.iter().find(|it| it.service == *service)?;
    it.incident.as_ref().map(|open| open.last_step.as_str())
}

/// Says what came of it, where it is over.
fn is_over(now: &Status, changed: &mut Changed, id: IncidentId) -> bool {
    let Some(it) = now.services.iter().find(|it| it.service == changed.service) else {
        (changed.done, changed.said) = (false, "is not in the configuration any more".to_owned());
        return true;
    };
    if it.incident.as_ref().is_some_and(|open| open.id == id) {
        return false;
    }
    let last = it.last.as_ref().filter(|last| last.id == Some(id));
    (changed.done, changed.said) = match last {
        None => (false, "nobody knows what became of it; see `watchdog status`".to_owned()),
        Some(last) => match last.end {
            IncidentEnd::Recovered | IncidentEnd::Superseded => {
                (true, format!("restarted within {}; {}", explain::rounded(last.took), last.last_step))
            }
            IncidentEnd::Quarantined => (false, format!("it does not answer; {}", last.last_step)),
            IncidentEnd::StoodDown => (false, last.last_step.clone()),
        },
    };
    true
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
        let report = self.post(path, lasts, reason);
        match report.and_then(|report| self.say(&report).map(|()| report)) {
            Ok(report) if report.services.iter().all(|it| it.done) => Exit::Ok,
            Ok(_) => Exit::NotDone,
            Err(exit) => exit,
        }
    }

    fn post(&self, path: &str, lasts: Option<&str>, reason: Option<&str>) -> Result<Report, Exit> {
        self.there.post(path, &Body { services: &self.services, lasts, reason })
    }

    fn say(&self, report: &Report) -> Result<(), Exit> {
        let width = report.services.iter().map(|it| it.service.as_str().chars().count()).max().unwrap_or(0);
        self.there.say(report, || {
            let lines = report.services.iter().map(|it| {
                let (service, not) = (it.service.as_str(), if it.done { "" } else { "NOT DONE: " });
                format!("{service:<width$}  {not}{}\n", it.said)
            });
            lines.collect()
        })
    }
}
