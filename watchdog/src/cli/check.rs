use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal as _},
};

use super::{Exit, Where, complain, fix, say, survey};
use crate::{
    called::by_name,
    config::{self, Loaded},
    explain::{self, Given, Known},
    look,
    model::{LoadState, Service, Unit},
    policy::{Dependency, Guard, StalePidFile},
    sources::units::Units,
};

/// `watchdog check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit code:
  0   no fault; warnings may stand all the same
  64  a service that the configuration does not have
  66, 77, 78  what `run` would end with: no such file, not allowed, a fault; 78 too where nothing could ever be done for a service")]
pub(super) struct Check {
    /// Only these services, by name or unit
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    place: Where,
    /// Write drop-ins (50-watchdog.conf) with which units and policies go together, and have systemd read them; vendors' files
    /// stay as they are, and no unit is restarted
    #[arg(long)]
    fix: bool,
    /// With --fix: only show what would be written
    #[arg(long, requires = "fix")]
    dry_run: bool,
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
                    say::json(&faults.told())
                } else {
                    say::faults(&faults);
                    Ok(())
                };
                return said.err().unwrap_or(Exit::Configuration(code));
            }
        };
        let chosen = match self.chosen(&loaded) {
            Ok(chosen) => chosen,
            Err(exit) => return exit,
        };
        let asked = ask(&loaded, &chosen);
        if self.fix {
            let all = loaded
                .settings
                .policy
                .services
                .iter()
                .filter(|(name, _)| chosen.is_empty() || chosen.contains(name));
            let units: Vec<(&Unit, &Known)> =
                all.filter_map(|(name, guard)| Some((&guard.unit, asked.units.get(name)?))).collect();
            let ourselves = asked.ourselves.as_ref().map(|(unit, known)| (unit, known));
            return fix::fix(&loaded, &units, ourselves, self.dry_run, self.json);
        }
        let Loaded { settings, files, ignored, checked_only, .. } = &loaded;
        let own = own_unit(&loaded, &asked);
        let warnings: Vec<String> = loaded.warnings.iter().cloned().chain(asked.rivals).chain(own).collect();
        let restarters = look::restarters();
        let check = explain::check(&Given {
            settings,
            files,
            ignored,
            warnings: &warnings,
            checked_only,
            units: &asked.units,
            needs: &asked.needs,
            restarters: &restarters,
            chosen: &chosen,
        });
        let said = if self.json {
            say::json(&check)
        } else {
            let coloured = config::wants_colour(&io::stdout());
            say::text(&explain::page(&by_name(&check.to_string()), columns(), coloured))
        };
        let found = if check.errors.is_empty() { Exit::Ok } else { Exit::Configuration(FAULTY) };
        said.err().unwrap_or(found)
    }

    /// The services that are asked for; none is all.
    fn chosen(&self, loaded: &Loaded) -> Result<Vec<Service>, Exit> {
        let services = &loaded.settings.policy.services;
        let mut chosen = Vec::new();
        for asked in &self.services {
            let is_it =
                |(name, guard): &(&Service, &Guard)| name.as_str() == asked || guard.unit.as_str() == asked;
            let Some((name, _)) = services.iter().find(is_it) else {
                let known: Vec<&str> = services.keys().map(Service::as_str).collect();
                complain(format_args!("there is no service {asked:?}: there are {}", known.join(", ")));
                return Err(Exit::Usage);
            };
            chosen.push(name.clone());
        }
        Ok(chosen)
    }
}

/// EX_CONFIG.
const FAULTY: u8 = 78;

/// How wide the terminal is; `None` where nobody sits there.
pub(super) fn columns() -> Option<usize> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    Some(size.ws_col.into())
}

/// What systemd says; nothing where there is no systemd, or not for this user: the configuration is explained without.
#[derive(Debug, Default)]
struct Asked {
    units: BTreeMap<Service, Known>,
    needs: BTreeMap<Unit, LoadState>,
    rivals: Vec<String>,
    /// watchdog's own unit, where this program is one.
    ourselves: Option<(Unit, Known)>,
}

/// What watchdog's own unit lacks for this configuration.
fn own_unit(loaded: &Loaded, asked: &Asked) -> Vec<String> {
    let Some((unit, known)) = &asked.ourselves else { return Vec::new() };
    let services = &loaded.settings.policy.services;
    let units: Vec<(&Unit, &Known)> =
        services.iter().filter_map(|(name, guard)| Some((&guard.unit, asked.units.get(name)?))).collect();
    explain::fix::lacking(unit, &fix::own_settings(loaded, &units, known))
}

/// Of the chosen services (none is all) and what they need: PID 1 takes its time for each answer.
fn ask(loaded: &Loaded, chosen: &[Service]) -> Asked {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Asked::default();
    };
    let services = &loaded.settings.policy.services;
    let is_chosen = |name: &Service| chosen.is_empty() || chosen.contains(name);
    // what watchdog's own unit must be allowed depends on where these have their PID files, whatever is chosen
    let is_asked =
        |(name, guard): &(&Service, &Guard)| is_chosen(name) || guard.stale_pid_file == StalePidFile::Remove;
    let units = services.iter().filter(is_asked).map(|(_, guard)| guard.unit.clone());
    let needs: BTreeSet<Unit> = services
        .iter()
        .filter(|(name, _)| is_chosen(name))
        .map(|(_, guard)| guard)
        .flat_map(|guard| &guard.depends_on)
        .filter_map(|need| match need {
            Dependency::Unit(unit) => Some(unit.clone()),
            Dependency::Service(_) => None,
        })
        .collect();
    let rivals: BTreeSet<Unit> = explain::RIVALS.iter().filter_map(|name| name.parse().ok()).collect();
    let names = ["watchdog.service", "service-watchdog.service"];
    let ours: Vec<Unit> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let all = units
        .chain(needs.iter().cloned())
        .chain(rivals.iter().cloned())
        .chain(ours.iter().cloned())
        .collect();
    let program = std::env::current_exe().ok();
    runtime.block_on(async {
        let Ok(connection) = survey::connect().await else { return Asked::default() };
        let known = survey::units(&connection, all).await;
        let load = |unit: &Unit| Some((unit.clone(), known.get(unit)?.state.load));
        let of = |(name, guard): (&Service, &Guard)| Some((name.clone(), known.get(&guard.unit)?.clone()));
        Asked {
            units: services.iter().filter_map(of).collect(),
            needs: needs.iter().filter_map(load).collect(),
            rivals: rivals.iter().filter_map(|unit| explain::rival(&known.get(unit)?.state)).collect(),
            ourselves: ours.into_iter().find_map(|unit| {
                let ours = known.get(&unit)?;
                let is_this = program.is_some() && ours.state.program == program;
                is_this.then(|| (unit, ours.clone()))
            }),
        }
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
