//! Told the time, and what became of each message: who is told what, and when?

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

/// One thing that happens.
enum Then {
    /// The policy says something.
    Says(&'static str, Option<u32>, Decision),
    /// Channels do not work from now on, or do again.
    Broken(bool),
    /// watchdog dies with what it was sending, and is back; on the same boot or another.
    Dies { same_boot: bool },
    /// Time goes on.
    Nothing,
}
use Then::{Broken, Dies, Nothing, Says};

/// Plays a script, in seconds, and says what was sent and recorded when.
fn check(channels: &[Channel], script: Vec<(u64, Then)>, expected: Expect) {
    check_by(Rules::default(), channels, script, expected);
}

fn check_by(rules: Rules, channels: &[Channel], script: Vec<(u64, Then)>, expected: Expect) {
    let mut book = Book::default();
    book.replace(Mono(0), rules.clone(), channels);
    let (mut text, mut broken) = (String::new(), false);
    let last = script.last().map_or(0, |(seconds, _)| *seconds);
    let mut script = script.into_iter().peekable();
    for seconds in 0..=last {
        let now = at(seconds);
        while let Some((_, then)) = script.next_if(|(when, _)| *when == seconds) {
            match then {
                Says(service, incident, decision) => {
                    book.hear(now, &tell(now, service, incident, decision));
                }
                Broken(now) => broken = now,
                Dies { same_boot } => {
                    let kept = serde_json::to_string(&book).expect("JSON");
                    book = Book::default();
                    book.resume(now, serde_json::from_str(&kept).expect("a book"), same_boot);
                    book.replace(now.mono, rules.clone(), channels);
                }
                Nothing => {}
            }
        }
        for message in book.due(now.mono) {
            send(&mut text, &mut book, now, &message, broken);
        }
        assert!(book.wake_at().is_none_or(|at| at > now.mono), "it would be woken again and again");
    }
    expected.assert_eq(&text);
}

fn send(text: &mut String, book: &mut Book, now: Moment, message: &Message, broken: bool) {
    let seconds = now.mono.0 / 1_000_000_000;
    let says = |notice: &notice::Notice| format!("{} {}", notice.service, notice.state);
    let says: Vec<String> = message.notices.iter().map(says).collect();
    _ = writeln!(text, "{seconds:<5}  {}: {}", message.channel, says.join("; "));
    let ended = if broken { Err("no route".to_owned()) } else { Ok(()) };
    for record in book.done(now.mono, &message.channel, ended) {
        match record.fate {
            Fate::Told => {}
            Fate::Failed { why, again } => {
                _ = writeln!(text, "       {why}, again at {}", again.0 / 1_000_000_000);
            }
            Fate::GivenUp { why } => _ = writeln!(text, "       given up: {why}"),
            Fate::Dropped { count } => _ = writeln!(text, "       {count} dropped"),
        }
    }
}

fn usual() -> Vec<Channel> {
    vec![channel("mail", &USUAL, runs())]
}

fn quarantined(at_second: u64, incident: u32) -> Vec<(u64, Then)> {
    let says = |decision| (at_second, Says("web", Some(incident), decision));
    vec![
        says(alert("quarantined: 3 restarts within 5m did not help")),
        says(end(IncidentEnd::Quarantined, at(at_second), 3)),
    ]
}

fn recovered(at_second: u64, incident: u32) -> (u64, Then) {
    (at_second, Says("web", Some(incident), end(IncidentEnd::Recovered, at(at_second), 1)))
}

#[test]
fn f8_a_quarantine_is_told_once_and_then_its_end() {
    let mut script = quarantined(10, 1);
    script.extend(quarantined(100, 2)); // a slow retry that did not help
    script.extend([recovered(200, 3), (300, Nothing)]);
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
            202    mail: web is well again
        "#]],
    );
}

#[test]
fn a_recovery_is_told_to_those_to_whom_the_failure_was_told_and_to_nobody_else() {
    let on = [NoticeKind::Failed, NoticeKind::Recovered];
    let channels =
        [usual(), vec![channel("page", &on, runs()), channel("log", &[NoticeKind::Quarantined], runs())]]
            .concat();
    let mut script = quarantined(10, 1);
    script.extend([recovered(20, 2), recovered(30, 3), (40, Nothing)]);
    check(
        &channels,
        script,
        expect![[r#"
            12     mail: web is in quarantine
            12     log: web is in quarantine
            22     mail: web is well again
        "#]],
    );
}

#[test]
fn a_restart_that_helps_wakes_nobody_and_one_that_does_not_does() {
    let says = |decision| Says("web", Some(1), decision);
    let script = vec![
        (5, Says("php", Some(7), restart("it does not answer"))),
        (6, Says("php", Some(7), end(IncidentEnd::Recovered, at(6), 1))),
        (10, says(restart("it does not answer"))),
        (15, says(restart("it does not answer"))),
        (20, says(restart("it does not answer"))),
        (30, says(end(IncidentEnd::Recovered, at(30), 3))),
        (40, Nothing),
    ];
    check(
        &usual(),
        script,
        expect![[r#"
            17     mail: web fails again after a restart
            32     mail: web is well again
        "#]],
    );
}

#[test]
fn who_wants_to_know_of_each_restart_is_told() {
    let on = [NoticeKind::Restarted, NoticeKind::Quarantined, NoticeKind::Recovered];
    let mut script = vec![recovered(10, 1)];
    script.extend(quarantined(20, 2));
    script.extend([recovered(40, 3), (50, Nothing)]);
    check(
        &[channel("mail", &on, runs())],
        script,
        expect![[r#"
            12     mail: web was restarted and is well again
            22     mail: web is in quarantine
            42     mail: web is well again
        "#]],
    );
}

#[test]
fn restarts_that_help_again_and_again_are_told_as_repeated() {
    let script = (1..=7).map(|number| recovered(u64::from(number) * 600, number)).chain([(5_000, Nothing)]);
    check(
        &usual(),
        script.collect(),
        expect![[r#"
            1802   mail: web needed a restart 3 times within 1h
            3602   mail: web needed a restart 3 times within 1h
        "#]],
    );
}

#[test]
fn an_alert_that_differs_only_in_its_figures_is_told_once_in_a_while() {
    let alert = |figure: u32| Says("web", None, alert(&format!("{figure} workers died: see its log")));
    let script =
        vec![(10, alert(5)), (500, alert(17)), (3_609, alert(6)), (3_610, alert(7)), (3_620, Nothing)];
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web needs a look
            3612   mail: web needs a look
        "#]],
    );
}

#[test]
fn what_does_not_work_is_tried_again_with_growing_pauses_and_given_up_in_the_end() {
    let rules = Rules { give_up_after: Duration::from_secs(300), ..Rules::default() };
    let mut script = vec![(0, Broken(true))];
    script.extend(quarantined(10, 1));
    script.extend([(1_000, Broken(false)), recovered(1_000, 2), (1_100, Nothing)]);
    check_by(
        rules,
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
                   no route, again at 22
            22     mail: web is in quarantine
                   no route, again at 42
            42     mail: web is in quarantine
                   no route, again at 82
            82     mail: web is in quarantine
                   no route, again at 162
            162    mail: web is in quarantine
                   given up: no route
        "#]],
    );
}

#[test]
fn what_is_new_is_tried_soon_though_the_last_tries_failed() {
    let mut script = vec![(0, Broken(true))];
    script.extend(quarantined(10, 1));
    script.extend([
        (400, Broken(false)),
        (400, Says("php", None, alert("its socket is gone"))),
        (700, Nothing),
    ]);
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
                   no route, again at 22
            22     mail: web is in quarantine
                   no route, again at 42
            42     mail: web is in quarantine
                   no route, again at 82
            82     mail: web is in quarantine
                   no route, again at 162
            162    mail: web is in quarantine
                   no route, again at 322
            322    mail: web is in quarantine
                   no route, again at 642
            400    mail: web is in quarantine; php needs a look
        "#]],
    );
}

#[test]
fn a_failure_and_its_end_that_could_not_be_told_are_told_together() {
    let mut script = vec![(0, Broken(true))];
    script.extend(quarantined(10, 1));
    script.extend([recovered(15, 2), (20, Broken(false)), (100, Nothing)]);
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
                   no route, again at 22
            22     mail: web is in quarantine; web is well again
        "#]],
    );
}

#[test]
fn a_storm_is_a_few_messages_and_what_there_is_no_room_for_is_counted() {
    let rules = Rules { burst: 2, per: Duration::from_secs(600), ..Rules::default() };
    let names: Vec<&'static str> = vec!["a", "b", "c"];
    let mut script: Vec<(u64, Then)> = Vec::new();
    for seconds in 1..=100 {
        for name in &names {
            let what: String = std::iter::repeat_n('x', seconds).collect();
            script.push((seconds as u64, Says(name, None, alert(&what))));
        }
    }
    script.push((101, Says("last", Some(1), end(IncidentEnd::Quarantined, at(101), 3))));
    script.push((700, Nothing));
    let mut book = Book::default();
    book.replace(Mono(0), rules, &usual());
    let mut sent = Vec::new();
    let mut script = script.into_iter().peekable();
    for seconds in 0..=700 {
        let now = at(seconds);
        while let Some((_, then)) = script.next_if(|(when, _)| *when == seconds) {
            if let Says(service, incident, decision) = then {
                book.hear(now, &tell(now, service, incident, decision));
            }
        }
        for message in book.due(now.mono) {
            let last = message.notices.iter().any(|notice| notice.service.as_str() == "last");
            sent.push((seconds, message.notices.len(), message.dropped, last));
            book.done(now.mono, &message.channel, Ok(()));
        }
    }
    expect!["[(3, 9, 0, false), (6, 9, 0, false), (603, 200, 83, true)]"].assert_eq(&format!("{sent:?}"));
}

#[test]
fn after_a_death_of_watchdog_nothing_is_told_twice_and_nothing_is_left_out() {
    let mut script = quarantined(10, 1);
    script.push((20, Dies { same_boot: true }));
    script.extend(quarantined(20, 1)); // the end of an incident may be told again
    script.extend([(30, Broken(true)), (30, Says("php", None, alert("its socket is gone")))]);
    script.extend([(34, Dies { same_boot: true }), (34, Broken(false)), recovered(50, 2), (60, Nothing)]);
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
            32     mail: php needs a look
                   no route, again at 42
            42     mail: php needs a look
            52     mail: web is well again
        "#]],
    );
}

#[test]
fn after_a_reboot_those_who_were_told_of_a_failure_are_told_that_all_begins_afresh() {
    let mut script = quarantined(10, 1);
    script.extend([(20, Dies { same_boot: false }), (30, Nothing)]);
    script.extend(quarantined(40, 1)); // of a new boot, with numbers of its own
    script.push((60, Nothing));
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: web is in quarantine
            22     mail: web begins afresh with the host
            42     mail: web is in quarantine
        "#]],
    );
}

#[test]
fn what_waits_for_a_channel_that_is_taken_out_is_given_up_aloud() {
    let mut book = Book::default();
    book.replace(Mono(0), Rules::default(), &usual());
    book.hear(at(1), &tell(at(1), "web", None, alert("its socket is gone")));
    let said = book.replace(at(2).mono, Rules::default(), &[]);
    let fates: Vec<_> = said.iter().map(|record| &record.fate).collect();
    expect![[r#"[GivenUp { why: "it is taken out of the configuration" }]"#]]
        .assert_eq(&format!("{fates:?}"));
    assert!(book.due(at(100).mono).is_empty() && book.wake_at().is_none());
}

#[test]
fn an_operators_stop_of_what_was_told_is_told_and_a_false_alarm_in_quarantine_is_not() {
    let says = |service, incident, end_as, second| {
        (second, Says(service, Some(incident), end(end_as, at(second), 0)))
    };
    let mut script = vec![
        (10, Says("php", Some(5), alert("not restarted, for its configuration is invalid"))),
        says("php", 5, IncidentEnd::StoodDown, 20),
        says("php", 6, IncidentEnd::StoodDown, 30),
    ];
    script.extend(quarantined(40, 1));
    script.extend([
        says("web", 2, IncidentEnd::StoodDown, 50),
        says("web", 3, IncidentEnd::Superseded, 60),
        (70, Nothing),
    ]);
    check(
        &usual(),
        script,
        expect![[r#"
            12     mail: php needs a look
            22     mail: php is left alone now
            42     mail: web is in quarantine
            62     mail: web is well again
        "#]],
    );
}
