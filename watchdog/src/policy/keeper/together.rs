//! Services that fail together: watchdog asks itself first, and restarts one at a time.

use super::{Desk, Hold, Keeper, Plan};
use crate::policy::common::Told;

impl Keeper {
    /// It failed by heartbeat alone. What a failing dependency explains is no part of a common cause.
    pub(super) fn fails_with_others(&mut self, desk: &mut Desk<'_>) {
        if self.failing_dependency(desk, Plan::Restart).is_some() {
            return;
        }
        let asked = desk.briefs.values().filter(|brief| brief.asked && !brief.rests).count();
        let own = usize::from(!desk.briefs.contains_key(&self.service));
        desk.common.failed(desk.now, &self.service, asked + own);
    }

    /// The other service that is restarted, or has not proved itself since, while many fail together.
    pub(super) fn waits_its_turn(&self, desk: &Desk<'_>, plan: Plan) -> Option<String> {
        if plan == Plan::Start || !desk.common.is_on(&self.service) {
            return None;
        }
        let others = desk.briefs.iter().filter(|(service, _)| **service != self.service);
        others.filter(|(_, brief)| brief.verifying).map(|(service, _)| service.to_string()).next()
    }

    /// Whether watchdog could ask itself, as many services fail together.
    pub(super) fn ourselves(&mut self, desk: &mut Desk<'_>, fault: Option<&str>) -> Option<Hold> {
        let names = desk.common.names();
        match fault {
            None => {
                if desk.common.tell(Told::OneByOne) {
                    self.alert(desk, format!("{names} fail together, and watchdog is well: they are restarted one at a time, each verified before the next"));
                }
                None
            }
            Some(why) => {
                if desk.common.tell(Told::Ourselves) {
                    self.alert(desk, format!("{names} fail together, and watchdog cannot ask itself either ({why}): nothing is restarted"));
                }
                Some(Hold::Ourselves { why: why.to_owned() })
            }
        }
    }
}
