use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use tokio::sync::mpsc;

use super::{Exit, Where, complain};
use crate::{
    config::{self, Loaded},
    engine::SIGNS,
    explain::{self, Given},
    model::{Service, UnitState},
    sources::units::Units,
    systemd::{self, Sockets, Way},
};

/// `watchdog check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    place: Where,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn main(self) -> Exit {
        let loaded = match config::load(self.place.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(faults) => {
                let code = faults.exit_code();
                let said = if self.json {
                    say(serde_json::to_string_pretty(&faults.told()))
                } else {
                    writeln!(io::stderr(), "{}", faults.render(config::wants_colour(&io::stderr())))
                };
                return finish(said, Exit::Configuration(code));
            }
        };
        let (units, rivals) = units(&loaded);
        let Loaded { settings, files, ignored, checked_only, .. } = &loaded;
        let warnings: Vec<String> = loaded.warnings.iter().cloned().chain(rivals).collect();
        let check = explain::check(&Given {
            settings,
            files,
            ignored,
            warnings: &warnings,
            checked_only,
            units: &units,
        });
        let said = if self.json {
            say(serde_json::to_string_pretty(&check))
        } else {
            writeln!(io::stdout(), "{check}")
        };
        finish(said, Exit::Ok)
    }
}

fn say(json: serde_json::Result<String>) -> io::Result<()> {
    writeln!(io::stdout(), "{}", json?)
}

fn finish(said: io::Result<()>, exit: Exit) -> Exit {
    match said {
        Ok(()) => exit,
        Err(fault) => {
            complain(format_args!("cannot write what was found: {fault}"));
            Exit::System
        }
    }
}

/// What systemd says of the units, and warnings of others who restart units; nothing where there is no systemd, or not for this
/// user: the configuration is explained without.
fn units(loaded: &Loaded) -> (BTreeMap<Service, UnitState>, Vec<String>) {
    let nothing = (BTreeMap::new(), Vec::new());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return nothing;
    };
    runtime.block_on(async {
        if systemd::open(&Sockets::default(), &[Way::Private, Way::Bus]).await.is_err() {
            return nothing;
        }
        let (signs, mut seen) = mpsc::channel(SIGNS);
        let (units, _task) = Units::start(Vec::new(), signs);
        tokio::spawn(async move { while seen.recv().await.is_some() {} });
        let mut states = BTreeMap::new();
        for (service, guard) in &loaded.settings.policy.services {
            if let Ok(state) = units.read(&guard.unit).await {
                states.insert(service.clone(), state);
            }
        }
        (states, rivals(&units).await)
    })
}

/// Warnings of others who restart units on this host.
pub(super) async fn rivals(units: &Units) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in explain::RIVALS {
        let Ok(unit) = name.parse() else { continue };
        if let Ok(state) = units.read(&unit).await {
            warnings.extend(explain::rival(&state));
        }
    }
    warnings
}
