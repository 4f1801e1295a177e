//! What is watched where there is no configuration: whatever listens, and nothing is done about it.

use std::{path::Path, time::Duration};

use super::{complain, found, survey};
use crate::{
    config::{
        self, Loaded,
        discover::{self, Findings},
    },
    model::SystemState,
};

/// While the host boots, it is asked as often as this whether that is over.
const PAUSE: Duration = Duration::from_secs(2);
/// So many units are named at the start; more are counted.
const NAMED: usize = 5;

/// What is found, as settings that act on nothing; none at all where nobody could look.
pub(super) fn loaded() -> Result<Loaded, config::Faults> {
    let findings = found::look().unwrap_or_else(|fault| {
        complain(fault);
        Findings::default()
    });
    let mut loaded = config::of_text(Path::new("what was discovered"), discover::written(&findings))?;
    loaded.settings.policy.host.observe = true;
    loaded.settings.discovered = true;
    announce(&findings);
    Ok(loaded)
}

/// Nobody must take this for a host that is kept.
fn announce(findings: &Findings) {
    let folder = config::DEFAULT_FOLDER;
    let names: Vec<&str> = findings.units.iter().map(|it| it.unit.as_str()).collect();
    let units = match names.len() {
        0 => "no unit listens here".to_owned(),
        1..=NAMED => format!("it only OBSERVES what listens here: {}", names.join(", ")),
        many => format!(
            "it only OBSERVES the {many} units that listen here: {} and others",
            names[..NAMED].join(", ")
        ),
    };
    complain(format_args!("THERE IS NO CONFIGURATION in {folder}: {units}; NOTHING IS RESTARTED"));
    complain(format_args!(
        "`watchdog discover --output {folder}/watchdog.toml` writes that down; a SIGHUP (`systemctl reload`) then brings it into force"
    ));
}

/// Over when the host has booted, where it had not yet: units come up meanwhile, and are worth another look. Never, where it had.
pub(super) async fn booted() {
    let mut boots = false;
    loop {
        match state().await {
            Some(SystemState::Booting) => boots = true,
            Some(SystemState::Running | SystemState::Stopping) | None if boots => return,
            Some(SystemState::Running | SystemState::Stopping) | None => std::future::pending().await,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn state() -> Option<SystemState> {
    survey::connect().await.ok()?.system_state().await.ok()
}
