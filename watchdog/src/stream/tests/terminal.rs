//! What a person sees who runs it on a terminal.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use expect_test::expect;
use jiff::tz::TimeZone;

use super::{numbered, over};
use crate::{
    model::{FailureClass, Loss, Mono, Rung, Saw, Serving, Sign, Source},
    stream::{Record, Sink, drain::Out, terminal::Terminal},
};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Out for Paper {
    fn deliver(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(())
    }

    fn abandon(&mut self) {}

    fn reopen(&mut self) {}
}

#[test]
fn a_terminal_shows_words_and_nothing_of_what_is_well() {
    let paper = Paper::default();
    let stream = over(Sink::Stdout, Terminal::new(paper.clone(), TimeZone::UTC));
    stream.write(&numbered(80)); // clients connect: all is well
    let why = "private socket".to_owned();
    let saw = Saw::Working { works: true, why };
    stream.write(&Record::sign(&Sign { at: Mono(1_000), source: Source::Units, saw }, None));
    let seen = |class, rung, why: &str| Serving { class, rung, why: why.into() };
    let saw = Saw::Serving(vec![
        seen(FailureClass::Exit, Rung::TpBtf, ""),
        seen(FailureClass::ServerErrors, Rung::Heartbeat, "not allowed"),
        seen(FailureClass::Sender, Rung::TpBtf, ""),
    ]);
    stream.write(&Record::sign(&Sign { at: Mono(1_500), source: Source::Ebpf, saw }, None));
    stream.write(&Record::loss(Mono(2_000), &Loss { lost: 3, place: "events: stdout".into() }));
    assert_eq!(stream.close(Duration::from_secs(10)), 0);
    let shown = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    let words: Vec<&str> = shown.lines().map(|line| line.splitn(3, ' ').last().unwrap()).collect();
    expect![[r#"
        the connection to systemd works (private socket)
        seen from now on: exit, sender by tp_btf; server_errors by heartbeat (not allowed)
        3 records are missing here (events: stdout)"#]]
    .assert_eq(&words.join("\n"));
    let date = shown.split(' ').next().unwrap();
    assert!(date.parse::<jiff::civil::Date>().is_ok(), "{shown}");
}
