mod book;
mod mail;
mod webhook;
mod words;

use std::time::Duration;

use super::{
    book::{Book, Message},
    notice::Moment,
    *,
};
use crate::model::{
    Action, Decision, Fate, IncidentEnd, IncidentId, Mono, NoticeKind, Service, Step, Story, Tell, Wall,
};

/// Seconds after the boot; the wall clock shows three in the morning then.
fn at(seconds: u64) -> Moment {
    let three = 1_793_588_400_000_000; // 2026-11-02T03:00:00Z
    let micros = i64::try_from(seconds * 1_000_000).expect("a time");
    Moment { mono: Mono(seconds * 1_000_000_000), wall: Wall(three + micros) }
}

/// The policy says this of a service, in this incident.
fn tell(at: Moment, service: &str, incident: Option<u32>, decision: Decision) -> Tell {
    Tell {
        service: Service::new(service),
        unit: format!("{service}.service").parse().expect("a unit's name"),
        incarnation: None,
        incident: incident.map(|number| IncidentId { run: 0xab, number }),
        at: at.mono,
        decision,
    }
}

fn alert(what: &str) -> Decision {
    Decision::Alert { what: what.into() }
}

fn restart(rule: &str) -> Decision {
    Decision::Act { action: Action::Restart { reset: false }, rule: rule.into(), observed_only: false }
}

fn end(end: IncidentEnd, at: Moment, restarts: u32) -> Decision {
    let steps = vec![
        Step { mono_us: at.mono, after_us: 0, what: "main process 812 (nginx) ended: SIGKILL".into() },
        Step { mono_us: at.mono, after_us: 0, what: "restarted".into() },
    ];
    Decision::End(Box::new(Story { end, took: Duration::from_millis(4_213), restarts, steps }))
}

fn channel(name: &str, on: &[NoticeKind], way: Way) -> Channel {
    let on = on.iter().copied().collect();
    Channel { name: name.into(), on, timeout: Duration::from_secs(20), way }
}

fn runs() -> Way {
    Way::Exec(Exec { argv: vec!["/bin/true".into()], user: None })
}

/// All but `restarted`.
const USUAL: [NoticeKind; 5] = [
    NoticeKind::Quarantined,
    NoticeKind::Failed,
    NoticeKind::Alert,
    NoticeKind::Repeated,
    NoticeKind::Recovered,
];
