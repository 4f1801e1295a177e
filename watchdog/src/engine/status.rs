//! What is true now, for whoever looks: nothing is decided by it, and nothing waits for it.

use std::{collections::BTreeMap, time::Duration};

use super::{Engine, RECONCILE};
use crate::{
    clock,
    model::{OnFailure, Rung, ServiceStatus, SinkStatus, Status, Tick},
    policy::Guard,
    stream::Record,
};

/// As often at most, where no probe sees what the table of sockets shows.
const LOOKS: Duration = Duration::from_millis(250);

/// So many services are named; more are counted.
const NAMED: usize = 5;

impl Engine {
    /// Something else that happens again and again while all is well.
    pub fn also_ticks(&mut self, tick: Tick) {
        self.other_ticks.push(tick);
    }

    /// The stream knows which unit each service is of.
    pub(super) fn name_units(&self) {
        let services = self.core.policy().settings().services;
        self.stream.know(services.into_iter().map(|(service, guard)| (service, guard.unit)).collect());
    }

    /// Counts a record, and hands it to the stream.
    pub(super) fn write(&mut self, record: &Record) {
        self.tally.record(record);
        self.stream.write(record);
    }

    pub(super) fn status(&self) -> Status {
        let (now, policy) = (clock::now(), self.core.policy());
        let counted = |standing: ServiceStatus| ServiceStatus {
            last: self.tally.last(&standing.service).or_else(|| self.past.last(&standing.service)),
            counts: self.tally.counts(&standing.service),
            unknown: self.tally.unknown(&standing.service),
            ..standing
        };
        let sinks = self.stream.state().into_iter().map(|sink| SinkStatus {
            sink: sink.sink.to_string(),
            queued: sink.queued as u64,
            lost: sink.lost,
            fault: sink.fault,
        });
        Status {
            at: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            observe: policy.observes(),
            discovered: self.discovered,
            budget: policy.host_budget(now),
            services: policy.standings(now).into_iter().map(counted).collect(),
            rungs: self.serving.borrow().clone(),
            ticks: self.ticks(),
            sources: self.tally.sources(),
            events: sinks.collect(),
        }
    }

    fn ticks(&self) -> Vec<Tick> {
        let settings = self.core.policy().settings();
        let mut alike: BTreeMap<(Duration, Duration), Vec<&str>> = BTreeMap::new();
        for (service, guard) in &settings.services {
            if let Some(times) = backstop(guard) {
                alike.entry(times).or_default().push(service.as_str());
            }
        }
        let backstops = alike.into_iter().map(|((every, in_use), services)| {
            let whose = match services.len() {
                1..=NAMED => services.join(", "),
                many => format!("{many} services"),
            };
            let in_use = if every == in_use { String::new() } else { format!(" (in use: {in_use:?})") };
            Tick { what: format!("backstop heartbeat of {whose}{in_use}"), every }
        });
        let table = self.serving.borrow().iter().any(|it| it.rung == Rung::SockDiag);
        let what = "the table of sockets is looked at, for no probe sees what it shows".to_owned();
        let table = table.then_some(Tick { what, every: LOOKS });
        let reconcile = Tick { what: "every unit is read again".to_owned(), every: RECONCILE };
        backstops.chain(table).chain([reconcile]).chain(self.other_ticks.iter().cloned()).collect()
    }
}

/// How often the most eager heartbeat of a service is asked: by itself, and while clients connect.
fn backstop(guard: &Guard) -> Option<(Duration, Duration)> {
    let asked = guard.heartbeats.iter().filter(|pulse| pulse.on_failure != OnFailure::Off);
    let every = asked.clone().map(|pulse| pulse.every).min()?;
    let in_use = asked.map(|pulse| pulse.every_in_use).min()?;
    Some((every, in_use.min(every)))
}
