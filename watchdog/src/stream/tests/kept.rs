//! What is kept on disk, and what is made of it.

use std::{fs, path::Path, time::Duration};

use super::{
    samples::{AT, INCARNATION, INCIDENT, answer, nginx, outcome, story, tell, unit},
    stamp,
};
use crate::{
    model::{
        Act, Action, Decision, End, Hold, IncidentEnd, IncidentId, OrderId, Port, Result, Service, Suspicion,
        Verdict, Why,
    },
    stream::{
        Incident, Kept, Record, Said,
        drain::Out as _,
        kept::{self, Keeper},
        line::Stamp,
    },
};

/// A watchdog's run: it keeps what it tells.
struct Run {
    stamp: Stamp,
    keeper: Keeper,
}

impl Run {
    fn new(folder: &Path) -> Run {
        Run { stamp: stamp(), keeper: Keeper::new(folder) }
    }

    fn tell(&mut self, record: &Record) {
        if kept::is_kept(record) {
            let line = self.stamp.line(record);
            self.keeper.deliver(&super::super::lines::terminated(&line.to_json())).unwrap();
        }
    }
}

fn suspicion() -> Record {
    Record::from(&Suspicion { service: nginx(), at: AT, why: Why::ListenerLost(Port(80)) })
}

fn dead() -> Record {
    answer(Verdict::Dead, End::Refused)
}

fn decided() -> Record {
    let action = Action::Restart { reset: false };
    tell(Decision::Act { action, rule: "2 of 2 heartbeats dead".into(), observed_only: false })
}

fn requested() -> Record {
    let act = Act {
        id: OrderId(4),
        service: nginx(),
        unit: unit(),
        incarnation: Some(INCARNATION),
        incident: INCIDENT,
        action: Action::Restart { reset: false },
    };
    Record::action(AT, &act)
}

/// The same record, of another incident.
fn of(number: u32, record: Record) -> Record {
    let Said::Decision(told) = record.said else { panic!("no decision") };
    let incident = Some(IncidentId { number, ..INCIDENT });
    Record::from(&crate::model::Tell { incident, ..told })
}

fn incidents(folder: &Path) -> Vec<Incident> {
    Kept::new(folder).incidents(&nginx()).unwrap()
}

/// The kinds of the records of each incident.
fn kinds(folder: &Path) -> Vec<Vec<&'static str>> {
    let kind = |line: &crate::stream::Line| line.record.said.kind().trim_start_matches("watchdog.");
    incidents(folder).iter().map(|incident| incident.lines.iter().map(kind).collect()).collect()
}

#[test]
fn what_came_before_a_decision_belongs_to_its_incident_and_a_false_alarm_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    for record in [suspicion(), dead(), of(6, story(IncidentEnd::StoodDown, 0))] {
        run.tell(&record);
    }
    assert!(incidents(folder.path()).is_empty());
    let whole = [suspicion(), dead(), decided(), requested(), outcome(Result::Queued { job: 9 })];
    for record in whole.into_iter().chain([story(IncidentEnd::Recovered, 1), suspicion()]) {
        run.tell(&record);
    }
    let wanted = ["suspicion", "heartbeat", "decision", "action", "outcome", "recovered"];
    assert_eq!(kinds(folder.path()), [wanted.to_vec()]);
    let told = &incidents(folder.path())[0];
    assert_eq!((told.id(), told.unit()), (Some(INCIDENT), Some(&unit())));
    assert_eq!(told.end().map(|story| story.end), Some(IncidentEnd::Recovered));
}

#[test]
fn what_only_says_that_all_is_well_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    let Said::Heartbeat(well) = answer(Verdict::Alive, End::Good { status: Some(200) }).said else {
        panic!()
    };
    run.tell(&Record::from(&crate::model::Answer { incident: None, ..well }));
    run.tell(&Record::from(&Suspicion { service: nginx(), at: AT, why: Why::InUse }));
    run.tell(&Record::state(AT, serde_json::json!({"services": {}})));
    assert_eq!(Kept::new(folder.path()).recent().unwrap(), "");
}

#[test]
fn an_incident_goes_on_when_another_watchdog_takes_over_in_its_midst() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Run::new(folder.path());
    [suspicion(), dead(), decided(), requested()].iter().for_each(|record| first.tell(record));
    drop(first); // as a kill -9 would
    let place = folder.path().join("incidents/nginx.jsonl");
    let half = fs::read_to_string(&place).unwrap();
    fs::write(&place, half + "{\"specversion\":\"1.0\",\"id\"").unwrap(); // as a power cut might
    let mut second = Run::new(folder.path());
    [outcome(Result::Queued { job: 9 }), story(IncidentEnd::Recovered, 1)]
        .iter()
        .for_each(|it| second.tell(it));
    let wanted = ["suspicion", "heartbeat", "decision", "action", "outcome", "recovered"];
    assert_eq!(kinds(folder.path()), [wanted.to_vec()]);
}

#[test]
fn a_decision_outside_of_any_incident_is_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    let Said::Decision(alert) = tell(Decision::Alert { what: "the certificate expires".into() }).said else {
        panic!()
    };
    run.tell(&Record::from(&crate::model::Tell { incident: None, ..alert }));
    run.tell(&suspicion());
    assert_eq!(kinds(folder.path()), [["decision"]]);
    assert_eq!(incidents(folder.path())[0].id(), None);
}

#[test]
fn an_incident_without_an_end_is_bounded_and_its_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    run.tell(&decided());
    let hold = tell(Decision::Hold { hold: Hold::Backoff, until: AT + Duration::from_secs(1) });
    for _ in 0..2_000 {
        [&dead(), &hold, &decided(), &requested()].into_iter().for_each(|record| run.tell(record));
    }
    run.tell(&story(IncidentEnd::Quarantined, 3));
    let length = fs::metadata(folder.path().join("incidents/nginx.jsonl")).unwrap().len();
    assert!(length < 80 * 1024, "{length} bytes");
    let told = incidents(folder.path());
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].end().map(|story| story.end), Some(IncidentEnd::Quarantined));
}

#[test]
fn the_last_incidents_stay_whole_and_the_file_is_bounded_whatever_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    for number in 1..=1_000 {
        for record in [suspicion(), of(number, decided()), of(number, story(IncidentEnd::Recovered, 1))] {
            run.tell(&record);
        }
    }
    let length = fs::metadata(folder.path().join("incidents/nginx.jsonl")).unwrap().len();
    assert!(length < 128 * 1024, "{length} bytes");
    let kinds = kinds(folder.path());
    assert!(kinds.len() > 10 && kinds.iter().all(|kinds| *kinds == ["suspicion", "decision", "recovered"]));
    assert_eq!(incidents(folder.path()).last().unwrap().id(), Some(IncidentId { number: 1_000, ..INCIDENT }));
}

#[test]
fn the_last_of_everything_has_two_parts_of_bounded_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut recent = kept::Recent::with(folder.path(), 100);
    for number in 10..40 {
        recent.write(format!("line {number}\n").as_bytes()).unwrap();
    }
    for name in ["events.jsonl", "events.1.jsonl"] {
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() <= 100);
    }
    let all = Kept::new(folder.path()).recent().unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let wanted: Vec<String> = (40 - lines.len()..40).map(|number| format!("line {number}")).collect();
    assert!(lines.len() > 12, "{lines:?}");
    assert_eq!(lines, wanted);
}

#[test]
fn a_line_that_cannot_be_kept_now_is_kept_later_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path());
    let line = |run: &Run| super::super::lines::terminated(&run.stamp.line(&decided()).to_json());
    let blocked = folder.path().join("incidents");
    fs::write(&blocked, "in the way").unwrap();
    let bytes = line(&run);
    assert!(run.keeper.deliver(&bytes).is_err());
    assert!(run.keeper.deliver(&bytes).is_err());
    fs::remove_file(&blocked).unwrap();
    run.keeper.deliver(&bytes).unwrap();
    assert_eq!(Kept::new(folder.path()).recent().unwrap().lines().count(), 1);
    assert_eq!(kinds(folder.path()), [["decision"]]);
}

#[test]
fn what_was_never_kept_is_nothing_and_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(&folder.path().join("nowhere"));
    assert_eq!(kept.recent().unwrap(), "");
    assert_eq!(kept.incidents(&Service::new("nginx")).unwrap(), []);
    assert_eq!(kept.since().unwrap(), None);
    assert!(kept.services().is_empty());
}
