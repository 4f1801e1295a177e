//! Whatever the readers do, writers do not wait, and no line is cut.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;

use super::{numbered, over, until};
use crate::{
    model::{Saw, Sign},
    stream::{
        Said, Sink,
        drain::Out,
        lines::{Writer, lines, terminated},
        queue::LINES,
        read,
    },
};

fn pipe() -> (io::PipeReader, impl Out) {
    let (reader, writer) = io::pipe().unwrap();
    let mut writer = Some(writer);
    let out = lines(move || {
        let to = writer.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Writer { to: Box::new(to), cut: false })
    });
    (reader, out)
}

/// Reads to the end; each line must be whole. Returns the ports that were read, and how many lines were said to be lost.
fn read_all(reader: impl io::Read) -> (Vec<u16>, u64) {
    let (mut ports, mut lost) = (Vec::new(), 0);
    for line in BufReader::new(reader).lines() {
        let line = line.unwrap();
        let line = read(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Said::Loss(loss) = line.record.said {
            lost += loss.lost;
            continue;
        }
        let Said::Sign(Sign { saw: Saw::InUse(port), .. }) = line.record.said else { panic!("{line:?}") };
        ports.push(port.0);
    }
    (ports, lost)
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_and_is_told_later_what_it_missed() {
    let (reader, out) = pipe();
    let stream = over(Sink::Stdout, out);
    let many = u16::try_from(3 * LINES).unwrap();
    // Nobody reads: were this to wait, it would wait for ever.
    (0..many).for_each(|number| stream.write(&numbered(number)));
    let state = stream.state().remove(0);
    assert!(state.lost > 0 && state.queued <= LINES + 1, "{state:?}");
    assert_eq!(stream.gaps_said(), 0);

    let reading = std::thread::spawn(|| read_all(reader));
    until("the gap is said", || stream.gaps_said() == 1);
    stream.write(&numbered(u16::MAX));
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    let (ports, lost) = reading.join().unwrap();
    assert_eq!(lost, state.lost);
    assert_eq!(ports.len() as u64 + lost, u64::from(many) + 1);
    assert!(ports.is_sorted() && ports.last() == Some(&u16::MAX));
}

#[test]
fn the_end_does_not_wait_longer_than_it_is_allowed_to() {
    let (_reader, out) = pipe();
    let stream = over(Sink::Stdout, out);
    (0..2_000).for_each(|number| stream.write(&numbered(number)));
    assert!(stream.close(Duration::from_millis(10)) > 0);
}

#[test]
fn what_is_written_before_the_end_is_read() {
    let (reader, out) = pipe();
    let reading = std::thread::spawn(|| read_all(reader));
    let stream = over(Sink::Stdout, out);
    (0..300).for_each(|number| stream.write(&numbered(number)));
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    assert_eq!(reading.join().unwrap(), ((0..300).collect(), 0));
}

#[test]
fn lines_of_several_writers_are_whole() {
    let (reader, out) = pipe();
    let reading = std::thread::spawn(|| read_all(reader));
    let stream = over(Sink::Stdout, out);
    std::thread::scope(|scope| {
        for first in [0, 1_000, 2_000, 3_000] {
            let stream = &stream;
            scope.spawn(move || (first..first + 500).for_each(|number| stream.write(&numbered(number))));
        }
    });
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    let (mut ports, lost) = reading.join().unwrap();
    ports.sort_unstable();
    let expected: Vec<u16> =
        [0, 1_000, 2_000, 3_000].into_iter().flat_map(|first| first..first + 500).collect();
    assert_eq!((ports, lost), (expected, 0));
}

/// Does to each write what its script says, then takes everything.
#[derive(Clone, Default)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Step>>>,
    written: Arc<Mutex<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(usize),
    Fail(i32),
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self.script.lock().unwrap().pop_front() {
            Some(Step::Take(most)) => most.min(bytes.len()),
            Some(Step::Fail(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            None => bytes.len(),
        };
        self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scripted(script: impl IntoIterator<Item = Step>, cut: bool) -> (Scripted, impl Out) {
    let to = Scripted::default();
    to.script.lock().unwrap().extend(script);
    let opened = to.clone();
    (to, lines(move || Ok(Writer { to: Box::new(opened.clone()), cut })))
}

#[test]
fn a_disk_that_was_full_for_a_while_has_every_line_whole() {
    let full = Step::Fail(libc::ENOSPC);
    let (to, out) = scripted([Step::Take(40), full, Step::Take(7), full, full, Step::Take(1)], false);
    let stream = over(Sink::File("/full".into()), out);
    (0..3).for_each(|number| stream.write(&numbered(number)));
    until("room comes", || to.script.lock().unwrap().is_empty());
    assert_eq!(stream.close(Duration::from_secs(20)), 0);
    let written = to.written.lock().unwrap();
    assert_eq!(read_all(written.as_slice()), (vec![0, 1, 2], 0));
}

#[test]
fn a_fault_of_a_sink_is_told_while_it_lasts() {
    let (_to, out) = scripted(vec![Step::Fail(libc::ENOSPC); 10_000], false);
    let stream = over(Sink::File("/full".into()), out);
    stream.write(&numbered(0));
    until("the fault is told", || stream.state()[0].fault.is_some());
    expect_test::expect![[r#"[SinkState { sink: File("/full"), queued: 1, lost: 0, fault: Some("No space left on device (os error 28)") }]"#]].assert_eq(&format!("{:?}", stream.state()));
    assert_eq!(stream.close(Duration::from_secs(20)), 1);
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..30_usize).prop_map(Step::Take),
        prop_oneof![Just(libc::ENOSPC), Just(libc::EINTR), Just(libc::EIO)].prop_map(Step::Fail),
    ]
}

proptest! {
    /// However the writes go: a line that is delivered is whole, on a line of its own; one that is abandoned spoils no other.
    #[test]
    fn no_line_is_cut(
        script in proptest::collection::vec(step(), 0..60),
        abandoned in proptest::collection::vec(any::<bool>(), 12),
        cut in any::<bool>(),
    ) {
        let (to, mut out) = scripted(script, cut);
        if cut {
            to.written.lock().unwrap().extend_from_slice(b"{\"half of a li");
        }
        let mut delivered = Vec::new();
        for (number, &abandon) in abandoned.iter().enumerate() {
            let line = terminated(format!("<{number:020}>").as_bytes());
            loop {
                match out.deliver(&line) {
                    Ok(()) => {
                        delivered.push(format!("<{number:020}>"));
                        break;
                    }
                    Err(_) if abandon => {
                        out.abandon();
                        break;
                    }
                    Err(_) => {}
                }
            }
        }
        // Whatever is left of the script, one more line ends the last one.
        while out.deliver(b"end\n").is_err() {}
        let written = to.written.lock().unwrap().clone();
        let whole: Vec<String> = String::from_utf8(written)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with('<') && line.ends_with('>'))
            .map(str::to_owned)
            .collect();
        prop_assert!(whole.iter().all(|line| line.len() == 22), "{whole:?}");
        // In order, each once; an abandoned one may be whole but for its end.
        prop_assert!(whole.windows(2).all(|pair| pair[0] < pair[1]), "{whole:?}");
        prop_assert!(delivered.iter().all(|line| whole.contains(line)), "{whole:?} lacks one of {delivered:?}");
    }
}
