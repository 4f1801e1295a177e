//! A journald that hangs, comes back, or gets more than a datagram holds.

use std::{
    fs::{self, File},
    io::{IoSliceMut, Read, Seek},
    mem::MaybeUninit,
    os::unix::net::UnixDatagram,
    path::Path,
    time::Duration,
};

use expect_test::expect;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::{numbered, over, until};
use crate::{
    model::{
        Action, Decision, Incarnation, IncidentId, Listener, Mono, Place, Saw, Service, Sign, Source, Tell,
    },
    stream::{Line, Record, Said, Sink, Stream, journal, read},
};

fn journald(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn stream(path: &Path) -> Stream {
    over(Sink::Journald, journal::Journal::new(path.to_owned()))
}

/// The field of a message that holds the line.
fn event(message: &[u8]) -> Line {
    let text = std::str::from_utf8(message).unwrap();
    read(text.lines().find_map(|line| line.strip_prefix("WATCHDOG_EVENT=")).unwrap()).unwrap()
}

fn receive(socket: &UnixDatagram) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    let length = socket.recv(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn a_message_has_a_sentence_for_people_and_fields_for_filters() {
    let line = Line {
        id: "run-1".into(),
        source: "watchdog/host".into(),
        time: "2026-11-02T03:04:05Z".parse().unwrap(),
        unit: Some("nginx.service".parse().unwrap()),
        record: Record::from(&Tell {
            service: Service::new("nginx"),
            unit: "nginx.service".parse().unwrap(),
            incarnation: Some(Incarnation([1; 16])),
            incident: Some(IncidentId { run: 1, number: 2 }),
            at: Mono(1_000),
            decision: Decision::Act {
                action: Action::Restart { reset: false },
                rule: "2 of 2 heartbeats dead".into(),
                observed_only: false,
            },
        }),
    };
    let message = journal::datagram(&line, &line.to_json());
    assert_eq!(event(&message), line);
    expect![[r#"
        MESSAGE=nginx: decided: restart nginx.service, because 2 of 2 heartbeats dead
        PRIORITY=4
        MESSAGE_ID=46688357a03f4ecbac880b5218df0006
        SYSLOG_IDENTIFIER=watchdog
        WATCHDOG_TYPE=watchdog.decision
        WATCHDOG_SERVICE=nginx
        WATCHDOG_UNIT=nginx.service
        OBJECT_SYSTEMD_UNIT=nginx.service
        WATCHDOG_INCARNATION=01010101010101010101010101010101
        OBJECT_SYSTEMD_INVOCATION_ID=01010101010101010101010101010101
        WATCHDOG_INCIDENT=00000001-2
        WATCHDOG_EVENT={"specversion":"1.0","id":"run-1","source":"watchdog/host","type":"watchdog.decision","subject":"nginx","time":"2026-11-02T03:04:05.000000Z","schemaversion":1,"data":{"decision":{"act":{"action":{"restart":{"reset":false}},"observed_only":false,"rule":"2 of 2 heartbeats dead"}},"incarnation":"01010101010101010101010101010101","incident":"00000001-2","mono_us":1,"unit":"nginx.service"}}
    "#]].assert_eq(std::str::from_utf8(&message).unwrap());
}

#[test]
fn a_journald_that_comes_late_or_again_gets_every_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let stream = stream(&path);
    stream.write(&numbered(1));
    until("it is missed", || stream.state()[0].fault.is_some());
    let first = journald(&path);
    assert_eq!(event(&receive(&first)).record, numbered(1));
    until("the fault is over", || stream.state()[0].fault.is_none());

    drop(first);
    fs::remove_file(&path).unwrap();
    let second = journald(&path);
    stream.write(&numbered(2));
    assert_eq!(event(&receive(&second)).record, numbered(2));
}

#[test]
fn a_journald_that_hangs_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let hanging = journald(&path);
    let stream = stream(&path);
    (0..10_000).for_each(|number| stream.write(&numbered(number)));
    let lost = stream.state()[0].lost;
    let mut read = 0;
    let said = loop {
        let record = event(&receive(&hanging)).record;
        if let Said::Loss(loss) = &record.said {
            break loss.lost;
        }
        assert_eq!(record, numbered(read));
        read += 1;
    };
    assert_eq!((said, u64::from(read) + lost), (lost, 10_000));
}

#[test]
fn a_message_that_is_too_long_for_a_datagram_comes_in_a_sealed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = journald(&path);
    let stream = stream(&path);
    let listener =
        Listener { place: Place::Tcp("127.0.0.1:80".parse().unwrap()), cgroup: None, queue: 0, limit: 128 };
    let many = Saw::Listeners(vec![listener; 8_000]);
    let record = Record::from(&Sign { at: Mono(1_000), source: Source::SockDiag, saw: many });
    stream.write(&record);

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut nothing = [0; 16];
    let got = recvmsg(&socket, &mut [IoSliceMut::new(&mut nothing)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .unwrap();
    assert_eq!(got.bytes, 0);
    let file = control.drain().find_map(|message| {
        if let RecvAncillaryMessage::ScmRights(mut files) = message { files.next() } else { None }
    });
    let mut file = File::from(file.unwrap());
    file.rewind().unwrap();
    let mut message = Vec::new();
    file.read_to_end(&mut message).unwrap();
    assert_eq!(event(&message).record, record);
}
