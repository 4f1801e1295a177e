//! What an operator asks for over the control socket: each service gets its own answer, and the whole is on record.

use std::time::Duration;

use jiff::fmt::friendly::{Spacing, SpanPrinter};

use super::{Engine, Event};
use crate::{
    clock,
    model::{Audit, Change, Changed, Command, Pause, Service, Wish},
    stream::Record,
};

/// A pause that lasts until it is resumed ends when nobody remembers it.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Engine {
    /// Decided and on record before it returns.
    pub(super) fn change(&mut self, change: Change) -> Vec<Changed> {
        let Change { by, asked, wish, services } = change;
        let changed: Vec<Changed> = services
            .into_iter()
            .map(|service| {
                let done = match &wish {
                    Wish::Pause { lasts, reason } => self.pause(&service, *lasts, by.to_string(), reason),
                    Wish::Resume => self.resume(&service),
                    Wish::Restart { reason } => self.restart(&service, by.to_string(), reason),
                    Wish::Drill { fault } => self.drill(&service, *fault),
                };
                let incident = self.core.policy().standing(clock::now(), &service).and_then(|it| it.incident);
                let incident = incident.filter(|_| matches!(wish, Wish::Restart { .. }) && done.is_ok());
                let (done, said) = match done {
                    Ok(said) => (true, said),
                    Err(why) => (false, why),
                };
                Changed { service, done, said, incident: incident.map(|it| it.id) }
            })
            .collect();
        let done = changed.iter().all(|it| it.done);
        let answer: Vec<String> = changed.iter().map(|it| format!("{}: {}", it.service, it.said)).collect();
        let audit = Audit { by, asked, done, answer: answer.join("; "), untold: 0 };
        self.write(&Record::audit(clock::now(), audit));
        changed
    }

    fn pause(
        &mut self,
        service: &Service,
        lasts: Option<Duration>,
        by: String,
        reason: &str,
    ) -> Result<String, String> {
        if !self.core.policy().keeps(service) {
            return gone();
        }
        let until = clock::now() + lasts.unwrap_or(FOR_EVER);
        let pause = Pause { until, since: clock::wall(), by, reason: reason.to_owned() };
        self.event(Event::Command(Command::Pause { service: service.clone(), pause }));
        let how_long = match lasts {
            None => "until it is resumed".to_owned(),
            Some(lasts) => format!(
                "for {}",
                SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&lasts)
            ),
        };
        Ok(format!("paused {how_long}: it is watched, and nothing is done to it"))
    }

    fn resume(&mut self, service: &Service) -> Result<String, String> {
        if !self.core.policy().keeps(service) {
            return gone();
        }
        if !self.core.policy().is_paused(service, clock::now()) {
            return Ok("was not paused".to_owned());
        }
        self.event(Event::Command(Command::Resume { service: service.clone() }));
        Ok("resumed".to_owned())
    }

    fn restart(&mut self, service: &Service, by: String, reason: &str) -> Result<String, String> {
        if !self.core.policy().keeps(service) {
            return gone();
        }
        let now = self.caught_up();
        self.core.may_restart(now, service)?;
        let reason = reason.to_owned();
        self.event(Event::Command(Command::Restart { service: service.clone(), by, reason }));
        let standing = self.core.policy().standing(clock::now(), service);
        let held = standing.and_then(|it| it.held).map(|held| crate::stream::held(&held.hold));
        Ok(match held {
            Some(hold) => format!("its restart waits: {hold}"),
            None => "its restart is on its way".to_owned(),
        })
    }
}

fn gone() -> Result<String, String> {
    Err("is not in the configuration any more".to_owned())
}
