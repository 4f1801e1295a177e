use std::io;

use serde::Serialize;

use super::{
    Exit, complain,
    past::{self, Known, Past},
    say,
};
use crate::{
    config, explain,
    model::Service,
    stream::{Incident, incidents_of},
};

/// So many earlier incidents are told in a line each.
const EARLIER: usize = 5;

/// `watchdog why`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code:
  0   an incident was told, or there was none
  64  there is no such service, or no such incident of it
  66  what is kept cannot be read
  77  not allowed: what is kept is root's")]
pub(super) struct Why {
    /// The service, by its name or unit
    #[arg(value_name = "SERVICE")]
    service: String,
    /// An earlier incident, by its id [default: the last one]
    #[arg(value_name = "INCIDENT")]
    incident: Option<String>,
    #[command(flatten)]
    past: Past,
}

/// What is told to programs.
#[derive(Serialize)]
struct Told {
    service: Service,
    /// Since when incidents are kept.
    since: Option<jiff::Timestamp>,
    /// `null`: there was none.
    incident: Option<explain::Why>,
    /// Those before it, the newest first.
    earlier: Vec<explain::Moment>,
}

impl Why {
    pub(super) fn main(self) -> Exit {
        self.tell().err().unwrap_or(Exit::Ok)
    }

    fn tell(&self) -> Result<(), Exit> {
        let known = self.past.known()?;
        let recorded = self.past.recorded().transpose()?;
        let service = self.service(&known, recorded.as_deref())?;
        let incidents = match &recorded {
            Some(text) => incidents_of(&service, text),
            None => known.read(|kept| kept.incidents(&service))?,
        };
        let at = self.chosen(&service, &incidents)?;
        let since = known.read(|kept| kept.since())?;
        let incident = at.and_then(|at| explain::why(&service, incidents.get(at)?));
        let before = incidents[..at.unwrap_or(0)].iter().rev().take(EARLIER);
        let earlier = before.filter_map(|incident| explain::in_a_line(&service, incident)).collect();
        let told = Told { service, since, incident, earlier };
        match self.past.json {
            true => say::json(&told),
            false => say::text(&self.text(&told, &known, recorded.is_some())),
        }
    }

    fn text(&self, told: &Told, known: &Known, recorded: bool) -> String {
        let zone = past::zone();
        let mut text = match &told.incident {
            Some(why) => why.text(&zone, config::wants_colour(&io::stdout())),
            None if recorded => format!("{}: no incident in this stream\n", told.service),
            None => match told.since {
                Some(since) => format!(
                    "{}: no incident since {}, when watchdog began to keep them\n",
                    told.service,
                    since.to_zoned(zone.clone()).strftime("%A %F %T %Z")
                ),
                None => format!(
                    "{}: no incident, for no watchdog has run yet with its state in {}\n",
                    told.service,
                    known.folder.display()
                ),
            },
        };
        text += &explain::earlier(&told.earlier, &zone);
        if !recorded && !known.somebody_runs() {
            text += "\nNo watchdog runs now: this is what the last one kept. What came later is not known.\n";
        }
        text
    }

    fn service(&self, known: &Known, recorded: Option<&str>) -> Result<Service, Exit> {
        if let Some(service) = known.service(&self.service) {
            return Ok(service);
        }
        let service = Service::new(&self.service);
        let past = match recorded {
            Some(text) => text.contains(&format!("\"subject\":\"{service}\"")),
            None => known.kept.services().contains(&service),
        };
        if past {
            return Ok(service);
        }
        let names: Vec<&str> = known.services.iter().map(|(name, _, _)| name.as_str()).collect();
        let help = match names.is_empty() {
            true => "none is configured".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        complain(format_args!("there is no service {:?}: {help}", self.service));
        Err(Exit::Usage)
    }

    /// `None`: there is none at all.
    fn chosen(&self, service: &Service, incidents: &[Incident]) -> Result<Option<usize>, Exit> {
        let Some(asked) = &self.incident else { return Ok(incidents.len().checked_sub(1)) };
        let is = |incident: &Incident| incident.id().is_some_and(|id| id.to_string() == *asked);
        if let Some(at) = incidents.iter().rposition(is) {
            return Ok(Some(at));
        }
        let kept: Vec<String> = incidents.iter().rev().filter_map(|it| Some(it.id()?.to_string())).collect();
        let help = match kept.is_empty() {
            true => "none is kept".to_owned(),
            false => format!("kept are {}", kept.join(", ")),
        };
        complain(format_args!("there is no incident {asked:?} of {service}: {help}"));
        Err(Exit::Usage)
    }
}
