//! A living instance is not stopped for one that could not be started, and what stands against each try is not told each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Desk, Hold, Keeper, words};
use crate::model::{LoadState, Mono, Preflight};

/// How often someone hears of the same fault again.
const REMIND: Duration = Duration::from_secs(60 * 60);

/// What keeps it from being started, and when that was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unfit {
    why: String,
    told: Mono,
    /// It was told as a hold; from the second look on it is nothing new.
    held: bool,
}

impl Keeper {
    /// What the service's own check of its configuration said.
    pub(super) fn preflight(&mut self, desk: &mut Desk<'_>, preflight: &Preflight) -> Option<Hold> {
        match preflight {
            Preflight::Passed => {
                self.unfit = None;
                None
            }
            Preflight::NotRun { why } => {
                self.unfit = None;
                let what = format!("its preflight says nothing and counts as passed: {why}");
                self.step(desk.now, what.clone());
                self.alert_seldom(desk, what);
                None
            }
            Preflight::Failed { .. } => {
                let why = words::preflight(preflight);
                let known = self.unfit.as_ref().filter(|unfit| unfit.why == why);
                let held = known.is_some_and(|unfit| unfit.held);
                let told = known.map(|unfit| unfit.told).filter(|told| desk.now.since(*told) < REMIND);
                if told.is_none() {
                    self.alert(desk, format!("not restarted, for its configuration is invalid: {why}"));
                }
                self.unfit = Some(Unfit { why: why.clone(), told: told.unwrap_or(desk.now), held });
                Some(Hold::Preflight { why })
            }
        }
    }

    /// An alert about what lasts and is met at each try, such as a fault of the unit file.
    pub(super) fn alert_seldom(&mut self, desk: &mut Desk<'_>, what: String) {
        self.seldom.retain(|_, at| desk.now.since(*at) < REMIND);
        if !self.seldom.contains_key(&what) {
            self.seldom.insert(what.clone(), desk.now);
            self.alert(desk, what);
        }
    }

    /// Whether this hold is an old one and was told.
    pub(super) fn is_unfit_still(&mut self, hold: &Hold) -> bool {
        match (&mut self.unfit, hold) {
            (Some(unfit), Hold::Preflight { why }) if unfit.why == *why => {
                std::mem::replace(&mut unfit.held, true)
            }
            (Some(_) | None, _) => false,
        }
    }
}

/// What systemd would refuse to start once it is stopped.
pub(super) fn cannot_start(load: LoadState) -> Option<&'static str> {
    match load {
        LoadState::Loaded => None,
        LoadState::NotFound => Some("its unit file is gone"),
        LoadState::Masked => Some("it is masked"),
        LoadState::Error => Some("its unit file has a fault"),
    }
}
