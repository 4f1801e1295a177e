mod files;
mod journald;
mod kept;
mod never_blocks;
mod reading;
mod samples;
mod schema;
mod signs;
mod tap;
mod terminal;
mod words;

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use super::{Record, Stream, drain::Out, line::Stamp, settings::Sink};
use crate::model::{Mono, Port, Saw, Sign, Source};

/// A stamp that is the same in each run of the tests.
fn stamp() -> Stamp {
    Stamp {
        run: "run".into(),
        source: "watchdog/host".into(),
        lines: AtomicU64::new(0),
        units: Default::default(),
    }
}

fn over(sink: Sink, out: impl Out + 'static) -> Stream {
    Stream::start(stamp(), vec![(sink, Box::new(out))]).unwrap()
}

/// A record that can be told from others by its port.
fn numbered(number: u16) -> Record {
    Record::from(&Sign { at: Mono(1_000), source: Source::Ebpf, saw: Saw::InUse(Port(number)) })
}

/// Waits for a state that another thread brings about.
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 20 s");
        std::thread::yield_now();
    }
}
