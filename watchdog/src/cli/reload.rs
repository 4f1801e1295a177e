//! Reads the configuration again while the engine runs on: on a thread that may wait.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{complain, control::Reloaded, unconfigured};
use crate::{
    config,
    engine::{Prepared, Request, Settings},
};

/// What a reload goes by.
#[derive(Clone, Debug)]
pub(super) struct Reload {
    pub(super) config: Option<PathBuf>,
    pub(super) observe: bool,
    /// There has never been a configuration: what listens is looked up again, where there still is none.
    pub(super) discovered: Arc<AtomicBool>,
    /// In force since the start, and until the end.
    pub(super) state_directory: PathBuf,
    /// In force since the start, and until the end.
    pub(super) control_socket: PathBuf,
}

impl Reload {
    /// Over when the engine has taken the new configuration, or was told that it keeps the old one; whoever asked is told then.
    pub(super) async fn run(self, requests: mpsc::Sender<Request>, asked: Option<Reloaded>) {
        let prepared = tokio::task::spawn_blocking(move || self.prepare()).await;
        let prepared = prepared.unwrap_or_else(|fault| Err(fault.to_string()));
        let reloaded = match prepared {
            Ok(prepared) => {
                let (taken, is_taken) = oneshot::channel();
                requests.send(Request::Reload { prepared: Box::new(prepared), taken }).await.ok();
                is_taken.await.unwrap_or_else(|_| Err("watchdog is ending".to_owned()))
            }
            Err(faults) => {
                requests.send(Request::KeptOld { faults: faults.clone() }).await.ok();
                Err(faults)
            }
        };
        if let Some(asked) = asked {
            asked.send(reloaded).ok();
        }
    }

    fn prepare(&self) -> Result<Prepared, String> {
        let kept = |faults: String| {
            complain(format_args!("the configuration has faults: the old one stays in force\n{faults}"));
            faults
        };
        let mut loaded = match config::load(self.config.as_deref()) {
            Err(faults) if faults.are_absence() && self.discovered.load(Ordering::Relaxed) => {
                unconfigured::loaded()
            }
            other => other,
        }
        .map_err(|faults| kept(faults.render(false)))?;
        loaded.settings.policy.host.observe |= self.observe;
        let needs_restart = self.needs_restart(&loaded.settings);
        let prepared = Prepared::new(loaded.settings).map_err(|fault| kept(fault.to_string()))?;
        self.discovered.store(prepared.is_discovered(), Ordering::Relaxed);
        loaded.warnings.iter().chain(&needs_restart).for_each(complain);
        loaded.checked_only.iter().for_each(|key| complain(format_args!("not yet in this version: {key}")));
        Ok(prepared)
    }

    /// What is not in force before a restart.
    fn needs_restart(&self, new: &Settings) -> Vec<String> {
        let fixed = [
            ("state_directory", &self.state_directory, &new.state_directory),
            ("control_socket", &self.control_socket, &new.control_socket),
        ];
        let changed = fixed.into_iter().filter(|(_, old, new)| old != new);
        let say = |(key, old, _): (&str, &PathBuf, &PathBuf)| {
            format!("{key} stays {} until watchdog is restarted", old.display())
        };
        changed.map(say).collect()
    }
}
