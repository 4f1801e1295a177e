//! Scripts of messages from systemd against what is asked and what leaves, in order.
//!
//! `watch UNIT…` · `read READER UNIT` · `all UNIT[/READER] SAID…` (a reply) · `part`, `change UNIT SAID…` (a signal's first and last
//! half) · `+JOB UNIT`, `-JOB UNIT` (JobNew, JobRemoved) · `job JOB KIND` (a reply; `over`) · `wait MS` · `connected`,
//! `disconnect` · `reloaded` · `refused UNIT` · `housed UNIT PATH CGROUP`. SAID: `STATE[/SUB]` `inc=N` `pid=N` `job=N`
//! `code=N` `died=SIGNAL` `at=US` `cgroup=N` `sockets=UNIT` `id=NAME` `load=WORD` `restart=WORD` `success=CODE`.

mod reload;
mod scripts;

use std::{fmt::Write as _, time::Duration};

use expect_test::Expect;

use super::ledger::{Ask, Ledger, Out};
use crate::{model::*, systemd::Said, systemd::path_of};

fn check(script: &str, expect: Expect) {
    let (mut ledger, mut now, mut log) = (Ledger::default(), Mono(0), String::new());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let _ = writeln!(log, "> {line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        obey(&mut ledger, &mut now, &words);
        while let Some(ask) = ledger.next_ask() {
            let _ = match ask {
                Ask::All(unit, None) => writeln!(log, "  ask {unit}"),
                Ask::All(unit, Some(reader)) => writeln!(log, "  ask {unit} for {reader}"),
                Ask::Job(id) => writeln!(log, "  ask job {id}"),
                Ask::Home { unit, path, before } => {
                    let before = before.map_or(0, |cgroup| cgroup.0);
                    writeln!(log, "  look whether {unit} lives at {path} in another cgroup than {before}")
                }
            };
        }
        while let Some(out) = ledger.next(now) {
            let _ = writeln!(log, "  {}", shown(&out));
        }
    }
    expect.assert_eq(&log);
}

fn obey(ledger: &mut Ledger, now: &mut Mono, words: &[&str]) {
    match *words {
        ["watch", ref units @ ..] => ledger.watch(units.iter().map(|name| unit(name)).collect()),
        ["read", reader, name] => ledger.read(&unit(name), number(reader)),
        ["all", name, ref said @ ..] => {
            let (name, reader) = name.split_once('/').map_or((name, None), |(n, r)| (n, Some(number(r))));
            ledger.replied(*now, &unit(name), reader, everything(said));
        }
        ["part", name, ref said @ ..] => ledger.changed(*now, &path_of(&unit(name)), &heard(said), false),
        ["change", name, ref said @ ..] => ledger.changed(*now, &path_of(&unit(name)), &heard(said), true),
        ["job", id, kind] => ledger.job_is(*now, number(id), kind_of(kind)),
        ["wait", ms] => *now = *now + Duration::from_millis(number(ms)),
        ["connected"] => ledger.connected(),
        ["disconnect"] => ledger.disconnect(),
        ["housed", name, path, cgroup] => ledger.housed(*now, &unit(name), path, CgroupId(number(cgroup))),
        ["refused", name] => ledger.refused(*now, &unit(name)),
        ["reloaded"] => ledger.reconcile(),
        [job, name] if job.starts_with('+') => ledger.job_new(*now, number(&job[1..]), name),
        [job, name] if job.starts_with('-') => {
            ledger.job_removed(*now, number(&job[1..]), name, JobResult::Done);
        }
        _ => panic!("no such line: {words:?}"),
    }
}

/// What GetAll says of a service, and what it says besides.
fn everything(words: &[&str]) -> Said {
    let said = heard(words);
    Said {
        load: said.load.or(Some(LoadState::Loaded)),
        active: said.active.or(Some(ActiveState::Inactive)),
        incarnation: said.incarnation.or(Some(None)),
        main_pid: said.main_pid.or(Some(0)),
        exec_code: said.exec_code.or(Some(0)),
        ..said
    }
}

fn heard(words: &[&str]) -> Said {
    let mut said = Said::default();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            let (state, sub) = word.split_once('/').unwrap_or((word, "-"));
            let quoted = format!("{state:?}");
            said.active = Some(serde_json::from_str(&quoted).expect("a state"));
            said.sub = Some(sub.to_owned());
            continue;
        };
        match key {
            "inc" => said.incarnation = Some(Some(Incarnation([number(value); 16]))),
            "pid" => said.main_pid = Some(number(value)),
            "job" => said.job = Some(number(value)),
            "code" => (said.exec_code, said.exec_status) = (Some(1), Some(number(value))),
            "died" => (said.exec_code, said.exec_status) = (Some(2), Some(number(value))),
            "at" => said.exec_exit = Some(number(value)),
            "cgroup" => {
                said.cgroup = Some(Some(CgroupId(number(value))));
                said.cgroup_path = Some(format!("/{value}"));
            }
            "sockets" => said.triggered_by = Some(vec![value.to_owned(), "a.timer".to_owned()]),
            "id" => said.id = Some(value.to_owned()),
            "restart" => said.restart = Some(serde_json::from_str(&format!("{value:?}")).expect("a word")),
            "success" => said.success = Some(Ends { codes: vec![number(value)], signals: Vec::new() }),
            "load" => said.load = Some(serde_json::from_str(&format!("{value:?}")).expect("a load state")),
            _ => panic!("no such key: {key}"),
        }
    }
    said
}

fn shown(out: &Out) -> String {
    match out {
        Out::Answer(reader, state) => format!("answer {reader}: {}", state_shown(state)),
        Out::Sign(Sign { saw: Saw::Unit(state), .. }) => state_shown(state),
        Out::Sign(Sign { saw: Saw::Job(job), .. }) => format!("job {} {} {:?}", job.id, job.unit, job.step),
        Out::Sign(sign) => format!("{:?}", sign.saw),
    }
}

fn state_shown(state: &UnitState) -> String {
    let mut text = format!("{} {:?}/{}", state.unit, state.active, state.sub);
    if state.load != LoadState::Loaded {
        let _ = write!(text, " {:?}", state.load);
    }
    for (key, value) in [
        ("inc", state.incarnation.map(|it| it.0[0].to_string())),
        ("pid", state.main_pid.map(|it| it.to_string())),
        ("cgroup", state.cgroup.map(|it| it.0.to_string())),
        ("ended", state.main_ended.map(|it| format!("{it:?}"))),
        ("success", state.success.codes.first().map(ToString::to_string)),
        ("job", state.job.map(|it| format!("{} {:?}", it.id, it.kind))),
    ] {
        let _ = value.map(|value| write!(text, " {key} {value}"));
    }
    if state.socket_activated {
        text.push_str(" socket");
    }
    text
}

fn kind_of(word: &str) -> Option<JobKind> {
    (word != "over").then(|| serde_json::from_str(&format!("{word:?}")).expect("a kind"))
}

fn unit(name: &str) -> Unit {
    name.parse().expect("a unit")
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a number")
}
