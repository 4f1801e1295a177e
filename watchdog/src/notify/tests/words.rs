//! What people read.

use expect_test::expect;
use jiff::tz::TimeZone;

use super::*;

fn message(said: Vec<Tell>, dropped: u64) -> Message {
    let mut book = Book::default();
    book.replace(Mono(0), Rules::default(), &[channel("mail", &NoticeKind::ALL, runs())]);
    for tell in said {
        let now = Moment { mono: tell.at, wall: at(tell.at.0 / 1_000_000_000).wall };
        book.hear(now, &tell);
    }
    let message = book.due(at(1_000_000).mono).remove(0);
    Message { dropped, ..message }
}

fn shown(words: &Words) -> String {
    let text = words.text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    format!("Subject: {}\n\n{text}\n", words.subject)
}

#[test]
fn a_quarantine_is_understood_at_three_in_the_morning() {
    let said = vec![
        tell(at(60), "web", Some(1), alert("quarantined: 3 restarts within 5m did not help")),
        tell(at(60), "web", Some(1), end(IncidentEnd::Quarantined, at(56), 3)),
    ];
    expect![[r#"
        Subject: [web1] web is in quarantine

        web (web.service) on web1 is in quarantine
          happened   03:00:56 main process 812 (nginx) ended: SIGKILL
                     03:00:56 restarted
                     03:01:00 quarantined: 3 restarts within 5m did not help
          done       3 restarts within 4s 200ms, none of them helped
          next       it is still watched and tried again, more and more seldom; it leaves quarantine by itself when it answers
          time       2026-11-02 03:01:00 UTC
          look       watchdog why web   journalctl -u web.service

        told by watchdog VERSION on web1
    "#]].assert_eq(&shown(&text::words(&message(said, 0), "web1", &TimeZone::UTC)));
}

#[test]
fn several_services_are_one_message_and_the_gravest_comes_first_in_the_subject() {
    let said = vec![
        tell(at(60), "php", None, alert("certificate expired on 2026-11-01")),
        tell(at(61), "web", Some(1), end(IncidentEnd::Quarantined, at(56), 3)),
        tell(at(61), "db", Some(2), end(IncidentEnd::Quarantined, at(56), 3)),
        tell(at(62), "db", Some(3), end(IncidentEnd::Recovered, at(62), 1)),
    ];
    let words = text::words(&message(said, 12), "web1", &TimeZone::UTC);
    expect![[r#"
        Subject: [web1] 3 services: web is in quarantine; php: certificate expired on 2026-11-01; db is well again

        php (php.service) on web1 needs a look
          happened   03:01:00 certificate expired on 2026-11-01
          time       2026-11-02 03:01:00 UTC
          look       watchdog why php   journalctl -u php.service

        web (web.service) on web1 is in quarantine
          happened   03:00:56 main process 812 (nginx) ended: SIGKILL
                     03:00:56 restarted
          done       3 restarts within 4s 200ms, none of them helped
          next       it is still watched and tried again, more and more seldom; it leaves quarantine by itself when it answers
          time       2026-11-02 03:01:01 UTC
          look       watchdog why web   journalctl -u web.service

        db (db.service) on web1 is in quarantine
          happened   03:00:56 main process 812 (nginx) ended: SIGKILL
                     03:00:56 restarted
          done       3 restarts within 4s 200ms, none of them helped
          next       it is still watched and tried again, more and more seldom; it leaves quarantine by itself when it answers
          time       2026-11-02 03:01:01 UTC
          look       watchdog why db   journalctl -u db.service

        db (db.service) on web1 is well again
          happened   03:01:02 main process 812 (nginx) ended: SIGKILL
                     03:01:02 restarted
          done       1 restart within 4s 200ms
          time       2026-11-02 03:01:02 UTC
          look       watchdog why db   journalctl -u db.service

        12 more were left out for want of room: see `watchdog events`

        told by watchdog VERSION on web1
    "#]].assert_eq(&shown(&words));
}

#[test]
fn programs_read_the_same_as_json_and_in_their_environment() {
    let said = vec![tell(at(60), "web", Some(1), end(IncidentEnd::Quarantined, at(56), 3))];
    let mut words = text::words(&message(said, 0), "web1", &TimeZone::UTC);
    words.json["text"] = "…".into();
    words.json["events"][0]["text"] = "…".into();
    let json = serde_json::to_string_pretty(&words.json).expect("JSON");
    let facts: Vec<String> = words.facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    expect![[r#"
        {
          "events": [
            {
              "done": "3 restarts within 4s 200ms, none of them helped",
              "happened": [
                {
                  "time": "2026-11-02T03:00:56.000000Z",
                  "what": "main process 812 (nginx) ended: SIGKILL"
                },
                {
                  "time": "2026-11-02T03:00:56.000000Z",
                  "what": "restarted"
                }
              ],
              "host": "web1",
              "id": "000000ab-1/quarantined/60000000",
              "incident": "000000ab-1",
              "kind": "quarantined",
              "next": "it is still watched and tried again, more and more seldom; it leaves quarantine by itself when it answers",
              "service": "web",
              "state": "is in quarantine",
              "text": "…",
              "time": "2026-11-02T03:01:00.000000Z",
              "unit": "web.service"
            }
          ],
          "host": "web1",
          "left_out": 0,
          "subject": "[web1] web is in quarantine",
          "text": "…"
        }
        WATCHDOG_HOST=web1
        WATCHDOG_SUBJECT=[web1] web is in quarantine
        WATCHDOG_EVENT=quarantined
        WATCHDOG_SERVICE=web
        WATCHDOG_UNIT=web.service
        WATCHDOG_EVENTS=1
    "#]].assert_eq(&format!("{json}\n{}\n", facts.join("\n")));
}

#[test]
fn a_long_alert_is_short_in_the_subject_and_holds_no_control_characters() {
    let said =
        vec![tell(at(60), "web", None, alert(&format!("\u{1b}[31mred\r\nBcc: all {}", "x".repeat(2_000))))];
    let words = text::words(&message(said, 0), "web1", &TimeZone::UTC);
    assert!(
        words.subject.chars().count() <= 120 && !words.subject.contains(char::is_control),
        "{}",
        words.subject
    );
    assert!(words.text.len() < 1_200, "{}", words.text.len());
    assert!(!words.text.contains(['\u{1b}', '\r']));
}

#[test]
fn of_a_long_story_the_beginning_and_the_end_are_told() {
    let steps =
        (1..=40).map(|n| Step { mono_us: at(n).mono, after_us: 0, what: format!("step {n}") }).collect();
    let story = Story { end: IncidentEnd::Quarantined, took: Duration::from_secs(40), restarts: 3, steps };
    let said = vec![tell(at(60), "web", Some(1), Decision::End(Box::new(story)))];
    let words = text::words(&message(said, 0), "web1", &TimeZone::UTC);
    let steps: Vec<&str> = words.text.lines().filter(|line| line.contains("step")).map(str::trim).collect();
    expect![[r#"
        happened   03:00:01 step 1
        03:00:02 step 2
        03:00:03 step 3
        03:00:04 step 4
        03:00:05 … 30 more steps …
        03:00:35 step 35
        03:00:36 step 36
        03:00:37 step 37
        03:00:38 step 38
        03:00:39 step 39
        03:00:40 step 40"#]]
    .assert_eq(&steps.join("\n"));
}
