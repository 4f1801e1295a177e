//! Streams as the engine records them, whole and tampered with.

use std::{fmt::Write as _, time::Duration};

use expect_test::{Expect, expect};

use super::{guard, pulse, seconds, state};
use crate::{
    engine::{Core, Effect},
    explain::replay,
    model::{
        ActiveState, Answer, Ask, Command, End, Fact, Incarnation, Known, Look, Mono, Order, Phase, Question,
        Saw, Service, Sign, Source, UnitState, Verdict,
    },
    policy::{Gates, Host, Settings},
    stream::{Line, Record},
    suspicion,
};

/// A core, and the lines that an engine around it writes.
struct Recorder {
    core: Core,
    run: &'static str,
    lines: Vec<String>,
    asks: Vec<Ask>,
}

fn settings(failures: u32) -> Settings {
    let gates = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for: seconds(120) };
    let host = Host {
        observe: false,
        concurrent_restarts: 1,
        restarts: 20,
        within: seconds(600),
        gates,
        record: None,
    };
    let mut web = guard("web.service");
    web.heartbeats.push(pulse());
    web.heartbeats[0].failures = failures;
    Settings { host, services: [(Service::new("web"), web)].into() }
}

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

impl Recorder {
    fn new(run: &'static str) -> Recorder {
        let core = Core::new(at(0), settings(1), suspicion::Settings::default(), 7);
        let mut recorder = Recorder { core, run, lines: vec![], asks: vec![] };
        recorder.state(at(0));
        recorder
    }

    fn write(&mut self, record: Record) {
        let id = format!("{}-{}", self.run, self.lines.len());
        let (source, time) = ("watchdog/host".to_owned(), "2026-11-02T03:04:05Z".parse().unwrap());
        let line = Line { id, source, time, unit: record.said.unit().cloned(), record }.to_json();
        self.lines.push(String::from_utf8(line).unwrap());
    }

    fn state(&mut self, now: Mono) {
        let state = serde_json::to_value(self.core.policy()).unwrap();
        self.write(Record::state(now, state));
    }

    /// Nobody else is ever at work.
    fn effects(&mut self, now: Mono, effects: Vec<Effect>) {
        let mut found = Vec::new();
        for effect in effects {
            match effect {
                Effect::Order(Order::Tell(tell)) => self.write(Record::from(&tell)),
                Effect::Order(Order::Act(act)) => self.write(Record::action(now, &act)),
                Effect::Order(Order::Ask(ask)) => self.asks.push(ask),
                Effect::Suspicion(suspicion) => self.write(Record::from(&suspicion).taken(now)),
                Effect::Found(fact) => self.write(Record::from(&fact).taken(now)),
                Effect::HeldUp(sign) => self.write(Record::sign(&sign, None).taken(now)),
                Effect::Order(Order::Look(Look {
                    id: order, service, question: Question::Others, ..
                })) => {
                    found.push(Fact { order, service, at: now, known: Known::Others(Box::default()) });
                }
                Effect::Order(Order::Look(_))
                | Effect::Watch(_)
                | Effect::ReadListeners
                | Effect::Reconcile
                | Effect::TellState => {}
            }
        }
        for fact in found {
            self.write(Record::from(&fact).taken(now));
            let effects = self.core.fact(now, fact);
            self.effects(now, effects);
        }
    }

    /// Each waking in time, or a little late.
    fn caught_up(&mut self, now: Mono) {
        while let Some(at) = self.core.wake_at().filter(|at| *at < now) {
            self.held_up(now.min(at + Duration::from_micros(7)));
        }
        self.held_up(now);
    }

    /// Nothing was done until now.
    fn held_up(&mut self, now: Mono) {
        let effects = self.core.wake(now);
        self.effects(now, effects);
    }

    fn unit(&mut self, now: Mono, active: ActiveState, run: u8) {
        self.caught_up(now);
        let state = UnitState { active, incarnation: Some(Incarnation([run; 16])), ..state("web.service") };
        let sign = Sign { at: now, source: Source::Units, saw: Saw::Unit(Box::new(state)) };
        self.write(Record::sign(&sign, None).taken(now));
        let effects = self.core.sign(now, &sign);
        self.effects(now, effects);
    }

    fn answer(&mut self, now: Mono, verdict: Verdict) {
        self.caught_up(now);
        let ask = self.asks.pop().expect("it was asked");
        let end = if verdict == Verdict::Alive { End::Good { status: Some(200) } } else { End::Refused };
        let Ask { id: order, service, heartbeat, incident } = ask;
        let (asked, phase) = ("127.0.0.1:80".to_owned(), Phase::Connect);
        let (began, took) = (now, seconds(0));
        let (body_bytes, warnings) = (0, vec![]);
        let answer = Answer {
            order,
            service,
            heartbeat,
            incident,
            verdict,
            end,
            phase,
            asked,
            began,
            took,
            body_bytes,
            warnings,
            evidence: None,
            ailments: None,
        };
        self.write(Record::from(&answer).taken(now));
        let effects = self.core.answer(now, Box::new(answer));
        self.effects(now, effects);
    }

    fn reload(&mut self, now: Mono, failures: u32) {
        self.caught_up(now);
        self.write(Record::command(now, &Command::Reload { faults: None }).taken(now));
        let effects = self.core.replace(now, settings(failures), suspicion::Settings::default());
        self.effects(now, effects);
        self.state(now);
    }
}

/// It comes up, fails a heartbeat, is restarted, fails again and waits, is reloaded, and is restarted again.
fn recorded(run: &'static str) -> Vec<String> {
    let mut it = Recorder::new(run);
    it.unit(at(1), ActiveState::Active, 1);
    it.answer(at(2), Verdict::Alive);
    it.caught_up(at(70_000));
    it.answer(at(70_001), Verdict::Dead);
    it.unit(at(70_100), ActiveState::Deactivating, 1);
    it.unit(at(70_200), ActiveState::Active, 2);
    it.reload(at(70_250), 2);
    it.caught_up(at(130_000));
    it.unit(at(130_001), ActiveState::Active, 2);
    it.lines
}

fn check(lines: &[String], expected: Expect) {
    let replay = replay(lines.join("\n").as_bytes(), 1).unwrap();
    let mut text = replay.to_string();
    let _ = write!(text, "\nsame: {}", replay.is_same());
    expected.assert_eq(&text);
}

#[test]
fn a_recorded_stream_gives_the_same_decisions_over_wakings_and_a_reload() {
    check(
        &recorded("run"),
        expect![[r#"
            no difference: 8 inputs told from 1 states on; 1 decisions, 1 actions and 1 states are compared
            same: true"#]],
    );
}

#[test]
fn what_was_decided_after_watchdog_was_held_up_is_decided_again() {
    let mut it = Recorder::new("run");
    it.unit(at(1), ActiveState::Active, 1);
    it.answer(at(2), Verdict::Alive);
    it.held_up(at(200_000));
    assert!(it.lines.iter().any(|line| line.contains("nothing was done for")), "{:?}", it.lines);
    it.answer(at(200_001), Verdict::Dead);
    it.unit(at(200_100), ActiveState::Deactivating, 1);
    it.held_up(at(300_000));
    it.state(at(300_000));
    check(
        &it.lines,
        expect![[r#"
        no difference: 7 inputs told from 1 states on; 1 decisions, 1 actions and 1 states are compared
        same: true"#]],
    );
}

#[test]
fn two_runs_in_one_file_are_replayed_each_from_its_own_state() {
    check(
        &[recorded("one"), recorded("two")].concat(),
        expect![[r#"
            no difference: 16 inputs told from 2 states on; 2 decisions, 2 actions and 2 states are compared
            same: true"#]],
    );
}

#[test]
fn an_edited_verdict_gives_another_decision() {
    let mut lines = recorded("run");
    for line in &mut lines {
        *line = line.replace(r#""verdict":"dead""#, r#""verdict":"unknown""#);
    }
    check(
        &lines,
        expect![[r#"
            line 6:
              recorded: web: decided: restart web.service, because heartbeat failed: 127.0.0.1:80: connection refused (phase: connect, after 0ns)
              replayed: nothing
            line 7:
              recorded: web: restart web.service
              replayed: nothing
            line 11:
              recorded: state, /briefs/web/restarting_until: 160200000
              replayed: state, /briefs/web/restarting_until: null
            3 differences: 8 inputs told from 1 states on; 0 decisions, 0 actions and 1 states are compared
            same: false"#]],
    );
}

#[test]
fn a_decision_that_was_taken_out_is_missed() {
    let mut lines = recorded("run");
    let decided = lines.iter().position(|line| line.contains(r#""decision":{"act""#)).unwrap();
    lines.remove(decided);
    check(
        &lines,
        expect![[r#"
            line 7:
              recorded: nothing
              replayed: web: decided: restart web.service, because heartbeat failed: 127.0.0.1:80: connection refused (phase: connect, after 0ns)
            1 difference: 8 inputs told from 1 states on; 0 decisions, 1 actions and 1 states are compared
            same: false"#]],
    );
}

#[test]
fn an_action_that_was_taken_out_or_edited_is_missed() {
    let mut lines = recorded("run");
    let acted = lines.iter().position(|line| line.contains("watchdog.action")).unwrap();
    let line = lines.remove(acted);
    check(
        &lines,
        expect![[r#"
            line 11:
              recorded: nothing
              replayed: web: restart web.service
            1 difference: 8 inputs told from 1 states on; 1 decisions, 0 actions and 1 states are compared
            same: false"#]],
    );
    lines.insert(acted, line.replace(r#""reset":false"#, r#""reset":true"#));
    check(
        &lines,
        expect![[r#"
            line 7:
              recorded: web: clear the start limit and restart web.service
              replayed: web: restart web.service
            1 difference: 8 inputs told from 1 states on; 1 decisions, 0 actions and 1 states are compared
            same: false"#]],
    );
}

#[test]
fn a_gap_is_not_stepped_over_and_the_next_state_begins_anew() {
    let mut lines = recorded("run");
    let loss = r#"{"specversion":"1.0","id":"run-9","source":"s","type":"watchdog.loss","time":"2026-11-02T03:04:05Z","schemaversion":1,"data":{"mono_us":1,"lost":2,"place":"events"}}"#;
    lines.splice(3..6, [loss.to_owned()]);
    check(
        &lines,
        expect![[r#"
        line 4: not stepped over: 2 records are missing here (events); goes on at the next state
        no difference: 3 inputs told from 2 states on; 0 decisions, 0 actions and 0 states are compared
        same: true"#]],
    );
}

#[test]
fn a_line_that_was_cut_is_a_gap() {
    let mut lines = recorded("run");
    lines[4].truncate(100);
    check(
        &lines,
        expect![[r#"
        line 5: not stepped over: cannot read this line as a record: EOF while parsing a string at line 1 column 100; goes on at the next state
        no difference: 4 inputs told from 2 states on; 0 decisions, 0 actions and 0 states are compared
        same: true"#]],
    );
}

#[test]
fn a_stream_that_ends_in_the_middle_has_no_difference() {
    let lines = recorded("run");
    for length in 1..lines.len() {
        let replay = replay(lines[..length].join("\n").as_bytes(), 1).unwrap();
        let reloads = lines[length - 1].contains("\"reload\"");
        assert!(replay.is_same(), "up to line {length}: {replay}");
        assert_eq!(replay.gaps.len(), usize::from(reloads), "up to line {length}: {replay}");
    }
}

#[test]
fn a_stream_without_a_state_is_not_replayed() {
    check(
        &recorded("run")[1..4],
        expect![[r#"
        nothing was replayed: there is no state to begin at
        same: false"#]],
    );
}

#[test]
fn the_moment_at_which_an_input_was_taken_is_needed() {
    let lines: Vec<String> = recorded("run").iter().map(|line| line.replace("taken_us", "told_us")).collect();
    check(
        &lines,
        expect![[r#"
            line 2: not stepped over: this input does not say when the policy took it (an older version of watchdog?); goes on at the next state
            line 12: not stepped over: this input does not say when the policy took it (an older version of watchdog?); goes on at the next state
            no difference: 0 inputs told from 2 states on; 0 decisions, 0 actions and 0 states are compared
            same: false"#]],
    );
}
