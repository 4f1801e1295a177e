//! Services that fail together: watchdog asks itself first, and restarts one at a time.

use super::{Brief, Desk, Hold, Keeper, Mono, Plan, Service};
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

    /// The other service that is restarted, or has not proved itself since, while many fail together; and until when it is
    /// waited for.
    pub(super) fn waits_its_turn(&self, desk: &Desk<'_>, plan: Plan) -> Option<(String, Mono)> {
        if plan == Plan::Start || !desk.common.is_on(&self.service) {
            return None;
        }
        let mut others = desk.briefs.iter().filter(|(service, _)| **service != self.service);
        let verifies = |(service, brief): (&Service, &Brief)| {
            let until = brief.verifying_until.filter(|until| *until > desk.now)?;
            Some((service.to_string(), until))
        };
        others.find_map(verifies)
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
