//! A plan that waits for somebody else who is at work: a package manager, the boot, a debugger.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Desk, Hold, Keeper, Plan, decide::alike};
use crate::model::{Mono, Others, SystemState};

/// A package manager that is still at work after this has forgotten the service, or waits for an answer.
const PACKAGE: Duration = Duration::from_secs(600);
/// Jobs of the boot that run for longer than systemd's default for one start do not hold others up.
const BOOT: Duration = Duration::from_secs(90);
/// What has no end of its own is worth waking someone after this.
const LONG: Duration = Duration::from_secs(120);
/// A dead unit is looked after soon when the others are done; a living one is asked first each time.
const START_AGAIN: Duration = Duration::from_secs(5);
const RESTART_AGAIN: Duration = Duration::from_secs(30);

/// Who is at work, and since when somebody has been: others that take turns do not hold for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AtWork {
    hold: Hold,
    since: Mono,
    /// Someone heard that it lasts.
    told: bool,
    /// It was told as a hold; from the second look on it is nothing new.
    held: bool,
}

impl Keeper {
    /// What a look found. `None`: nobody's work stands against the plan, or it has for long enough.
    pub(super) fn others(&mut self, desk: &mut Desk<'_>, plan: Plan, others: &Others) -> Option<Hold> {
        let Some(hold) = stands_against(plan, others) else {
            if self.at_work.take().is_some() {
                self.step(desk.now, "nobody else is at work any more");
            }
            return None;
        };
        let new = AtWork { hold: hold.clone(), since: desk.now, told: false, held: false };
        let mut at_work = self.at_work.take().unwrap_or(new);
        if !alike(&at_work.hold, &hold) {
            (at_work.told, at_work.held) = (false, false);
        }
        at_work.hold = hold.clone();
        let lasts = desk.now.since(at_work.since);
        let (limit, tried) = limit(&hold);
        let long = lasts >= limit;
        if long && !at_work.told {
            at_work.told = true;
            let then =
                if tried { "it is tried in spite of that" } else { "it is left alone until that ends" };
            let why = super::words::hold(&hold);
            self.alert(
                desk,
                format!("nothing has been done for {lasts:?}, though it is needed: {why}; {then}"),
            );
        }
        self.at_work = Some(at_work);
        (!(long && tried)).then_some(hold)
    }

    /// Somebody else starts it though nobody had stopped it: told when it happens again and again, once until it is over.
    pub(super) fn started_by_others(&mut self, desk: &mut Desk<'_>) {
        let (now, within, burst) = (desk.now, self.guard.within, self.guard.burst);
        self.by_others.retain(|at| now.since(*at) < within);
        self.by_others.push_back(now);
        let many = burst as usize + 1;
        if self.by_others.len() == many {
            let unit = &self.guard.unit;
            self.alert(desk, format!("another hand has started {unit} more than {burst} times within {within:?}: where monit, a cron job or another watchdog keeps it too, the two fight; take it out of one of them"));
        }
        if self.by_others.len() > many {
            self.by_others.pop_front();
        }
    }

    /// When a plan that others hold is looked at again: at the latest when it has waited for long enough.
    pub(super) fn others_until(&self, desk: &Desk<'_>, plan: Plan) -> Mono {
        let again = match plan {
            Plan::Start => START_AGAIN,
            Plan::Restart => RESTART_AGAIN,
        };
        let enough = self.at_work.as_ref().map(|it| it.since + limit(&it.hold).0);
        enough
            .into_iter()
            .filter(|enough| *enough > desk.now)
            .chain([desk.now + again])
            .min()
            .unwrap_or(desk.now)
    }

    /// Whether this hold is an old one, for the same kind of work, and was told.
    pub(super) fn is_at_work_still(&mut self, hold: &Hold) -> bool {
        match &mut self.at_work {
            Some(at_work) if alike(&at_work.hold, hold) => std::mem::replace(&mut at_work.held, true),
            Some(_) | None => false,
        }
    }
}

/// The weightiest first.
pub(super) fn stands_against(plan: Plan, others: &Others) -> Option<Hold> {
    let Others { system, package, frozen, tracer, began: _ } = others;
    let living = plan == Plan::Restart;
    match (system, package, tracer) {
        (SystemState::Stopping, _, _) => Some(Hold::Shutdown),
        _ if living && *frozen => Some(Hold::Frozen),
        (_, _, Some(by)) if living => Some(Hold::Debugger { by: by.clone() }),
        (_, Some(by), _) => Some(Hold::Package { by: by.clone() }),
        (SystemState::Booting, None, _) => Some(Hold::Boot),
        (SystemState::Running, None, _) => None,
    }
}

/// How long it holds until someone hears of it, and whether it is tried then.
fn limit(hold: &Hold) -> (Duration, bool) {
    match hold {
        Hold::Package { .. } => (PACKAGE, true),
        Hold::Boot => (BOOT, true),
        Hold::Shutdown
        | Hold::Reboot { .. }
        | Hold::Frozen
        | Hold::Debugger { .. }
        | Hold::Backoff
        | Hold::Quarantine
        | Hold::HostBudget
        | Hold::Concurrency
        | Hold::Dependency { .. }
        | Hold::ForeignJob { .. }
        | Hold::Request
        | Hold::PortHeld { .. }
        | Hold::Gate { .. }
        | Hold::Preflight { .. }
        | Hold::Ourselves { .. }
        | Hold::Together { .. }
        | Hold::Unstartable { .. }
        | Hold::Instance { .. }
        | Hold::Systemd
        | Hold::Twin { .. }
        | Hold::Pause
        | Hold::Disabled
        | Hold::Observe => (LONG, false),
    }
}
