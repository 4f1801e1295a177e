//! The status as OpenMetrics' text.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::model::{FileState, Health, ServiceStatus, Status};

const EACH: [Health; 5] = [Health::Well, Health::Unsure, Health::Down, Health::Failing, Health::Quarantined];

type Labels = Vec<(&'static str, String)>;

/// All of it.
pub(super) fn text(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Taken(status.clone())));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// What was taken at one moment: nothing is counted here.
#[derive(Debug)]
struct Taken(Status);

impl Collector for Taken {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        host(&mut out, &self.0)?;
        services(&mut out, &self.0.services)
    }
}

fn host(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    let version = vec![("version", status.version.clone())];
    out.gauge("watchdog_build", "Which watchdog runs", None, [(version, 1)])?;
    let up = status.at.since(status.since).as_secs_f64();
    out.host("watchdog_uptime", "For how long it has run", Some(Unit::Seconds), up)?;
    let observe = i64::from(status.observe);
    out.host("watchdog_observe", "1: everything is decided, and nothing is done", None, observe)?;
    let left = i64::from(status.budget.left);
    out.host("watchdog_host_budget_left", "Restarts that the whole host may cost yet", None, left)?;
    let rung = |class: &str, rung: &str| vec![("class", class.to_owned()), ("rung", rung.to_owned())];
    let rungs = status.rungs.iter().map(|it| (rung(it.class.name(), it.rung.name()), 1));
    out.gauge("watchdog_rung", "By what a failure class is seen", None, rungs)?;
    let class = |class: &str| vec![("class", class.to_owned())];
    let lower = status.rungs.iter().map(|it| (class(it.class.name()), i64::from(!it.why.is_empty())));
    out.gauge("watchdog_rung_degraded", "1: a better rung than this does not work here", None, lower)?;
    let source = |source: &str| vec![("source", source.to_owned())];
    let works = status.sources.iter().filter_map(|it| Some((source(it.source.name()), i64::from(it.works?))));
    out.gauge("watchdog_source_working", "Whether a source works", None, works)?;
    let losses = status.sources.iter().map(|it| (source(it.source.name()), it.losses));
    out.counter("watchdog_losses", "How often a source has lost something", None, losses)?;
    let lost = status.sources.iter().map(|it| (source(it.source.name()), it.lost));
    out.counter("watchdog_lost_records", "What sources have lost, as far as it is known", None, lost)?;
    let sink = |sink: &str| vec![("sink", sink.to_owned())];
    let unwritten = status.events.iter().map(|it| (sink(&it.sink), it.lost));
    out.counter("watchdog_unwritten_events", "Events that a sink has not taken", None, unwritten)
}

fn services(out: &mut Out<'_>, services: &[ServiceStatus]) -> fmt::Result {
    let of = |it: &ServiceStatus| vec![("service", it.service.to_string()), ("unit", it.unit.to_string())];
    let mut gauge = |name, help, value: &dyn Fn(&ServiceStatus) -> Option<i64>| {
        out.gauge(name, help, None, services.iter().filter_map(|it| Some((of(it), value(it)?))))
    };
    gauge("watchdog_service_enabled", "Its unit is not disabled or masked", &|it| {
        Some(i64::from(it.file? == FileState::Other))
    })?;
    gauge("watchdog_service_up", "Its unit is active", &|it| Some(i64::from(it.active?.is_up())))?;
    gauge("watchdog_service_healthy", "It answers as it should; left out while nobody can say", &|it| {
        (it.health != Health::Unsure).then_some(i64::from(it.health == Health::Well))
    })?;
    gauge("watchdog_service_quarantined", "Its budget is spent", &|it| {
        Some(i64::from(it.health == Health::Quarantined))
    })?;
    gauge("watchdog_service_paused", "An operator wants hands off", &|it| {
        Some(i64::from(it.pause.is_some()))
    })?;
    gauge("watchdog_incident_open", "Something is going on", &|it| Some(i64::from(it.incident.is_some())))?;
    gauge("watchdog_budget_left", "Restarts that it may cost yet", &|it| Some(i64::from(it.budget.left)))?;

    let with = |it: &ServiceStatus, key, value: &str| {
        vec![("service", it.service.to_string()), (key, value.to_owned())]
    };
    let health = services.iter().flat_map(|it| {
        EACH.map(|health| (with(it, "health", health.name()), i64::from(it.health == health)))
    });
    out.gauge("watchdog_service_health", "1 for the one that is true", None, health)?;
    let ends = services.iter().flat_map(|it| {
        let counts = &it.counts;
        let ends = [
            ("recovered", counts.recovered),
            ("quarantined", counts.quarantined),
            ("stood_down", counts.stood_down),
        ];
        ends.map(|(end, count)| (with(it, "end", end), count))
    });
    out.counter("watchdog_incidents", "Incidents that have ended", None, ends)?;
    let alone = |it: &ServiceStatus| vec![("service", it.service.to_string())];
    let restarts = services.iter().map(|it| (alone(it), it.counts.restarts));
    out.counter("watchdog_restarts", "Restarts and starts that were requested", None, restarts)?;
    let verdicts = services.iter().flat_map(|it| {
        let counts = &it.counts;
        let verdicts = [("alive", counts.alive), ("dead", counts.dead), ("unknown", counts.unknown)];
        verdicts.map(|(verdict, count)| (with(it, "verdict", verdict), count))
    });
    out.counter("watchdog_heartbeats", "Heartbeats that have ended", None, verdicts)?;
    let took = services.iter().map(|it| (alone(it), it.counts.asked.as_secs_f64()));
    out.counter("watchdog_heartbeats_took", "How long all of them took", Some(Unit::Seconds), took)?;
    let suspicions = services.iter().flat_map(|it| {
        let all: &BTreeMap<String, u64> = &it.counts.suspicions;
        all.iter().map(move |(why, count)| (with(it, "why", why), *count))
    });
    out.counter("watchdog_suspicions", "What made it suspect", None, suspicions)
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn host<N: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: N,
    ) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)
    }

    fn gauge<N: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        rows: impl IntoIterator<Item = (Labels, N)>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            unit,
            rows.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value))),
        )
    }

    fn counter<N: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        rows: impl IntoIterator<Item = (Labels, N)>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            unit,
            rows.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value))),
        )
    }

    /// Nothing is said of what nobody has.
    fn family<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        rows: impl Iterator<Item = (Labels, M)>,
    ) -> fmt::Result {
        let mut rows = rows.peekable();
        let Some((_, first)) = rows.peek() else { return Ok(()) };
        let kind = first.metric_type();
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        rows.try_for_each(|(labels, metric)| metric.encode(encoder.encode_family(&labels)?))
    }
}
