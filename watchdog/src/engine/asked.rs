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
                let (done, said) = match &wish {
                    Wish::Pause { lasts, reason } => self.pause(&service, *lasts, by.to_string(), reason),
                    Wish::Resume => self.resume(&service),
                };
                Changed { service, done, said }
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
    ) -> (bool, String) {
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
        (true, format!("paused {how_long}: it is watched, and nothing is done to it"))
    }

    fn resume(&mut self, service: &Service) -> (bool, String) {
        if !self.core.policy().keeps(service) {
            return gone();
        }
        if !self.core.policy().is_paused(service, clock::now()) {
            return (true, "was not paused".to_owned());
        }
        self.event(Event::Command(Command::Resume { service: service.clone() }));
        (true, "resumed".to_owned())
    }
}

fn gone() -> (bool, String) {
    (false, "is not in the configuration any more".to_owned())
}
