use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{
        fs::MetadataExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use proptest::prelude::*;

use super::{SockDiag, wire};
use crate::model::{CgroupId, Connection, Listener, Place, Port};

/// The inode of our own cgroup, which is the kernel's number of it.
fn own_cgroup() -> Option<CgroupId> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let root = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = root.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let folder = Path::new(root.split(' ').nth(4).unwrap()).join(path);
    Some(CgroupId(fs::metadata(folder).unwrap().ino()))
}

fn check(listening: &[SocketAddr], waiting: usize) {
    let own: Vec<TcpListener> = listening.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
    own.iter().for_each(|listener| rustix::net::listen(listener, 16).unwrap());
    let addresses: BTreeSet<SocketAddr> = own.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let _clients: Vec<TcpStream> = addresses
        .iter()
        .flat_map(|address| (0..waiting).map(move |_| TcpStream::connect(address).unwrap()))
        .collect();
    let mut diag = SockDiag::open().unwrap();
    let expected: Vec<Listener> = addresses
        .iter()
        .map(|address| Listener {
            place: Place::Tcp(*address),
            cgroup: own_cgroup(),
            queue: u32::try_from(waiting).unwrap(),
            limit: 16,
        })
        .collect();
    let ours: Vec<Listener> = diag
        .listeners()
        .unwrap()
        .into_iter()
        .filter(|listener| matches!(listener.place, Place::Tcp(address) if addresses.contains(&address)))
        .collect();
    assert_eq!(ours, expected);
    for listener in expected {
        let Place::Tcp(address) = &listener.place else { panic!("a TCP listener") };
        // Another test may have this port at another address.
        assert!(diag.listeners_on(Port(address.port())).unwrap().contains(&listener));
    }
}

const V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

#[test]
fn a_listener_is_found_with_its_address_cgroup_and_limit() {
    check(&[V4], 0);
}

#[test]
fn connections_that_wait_are_counted_for_each_listener() {
    check(&[V4, V6, V4], 3);
}

#[test]
fn a_table_of_many_datagrams_is_read_whole() {
    check(&[V4; 400], 0);
}

#[test]
fn a_port_is_found_at_every_address_until_it_is_closed() {
    let first = TcpListener::bind((Ipv4Addr::new(127, 0, 77, 1), 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind((Ipv4Addr::new(127, 0, 77, 2), port)).unwrap();
    let _client = TcpStream::connect(second.local_addr().unwrap()).unwrap();
    let mut diag = SockDiag::open().unwrap();
    let mut found = || -> Vec<(String, u32)> {
        let found = diag.listeners_on(Port(port)).unwrap();
        let ours = found.into_iter().filter_map(|listener| match listener.place {
            // Another test may have this port at another address.
            Place::Tcp(address) => Some((address.ip().to_string(), listener.queue)),
            Place::Unix(_) => None,
        });
        ours.filter(|(address, _)| address.starts_with("127.0.77.")).collect()
    };
    assert_eq!(found(), [("127.0.77.1".to_owned(), 0), ("127.0.77.2".to_owned(), 1)]);
    drop((first, second));
    assert_eq!(found(), []);
}

#[test]
fn a_unix_listener_is_found_by_its_path_and_its_holder_by_the_cgroup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let _clients: Vec<UnixStream> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut diag = SockDiag::open().unwrap();
    let place = Place::Unix(path.clone());
    let found = diag.listeners().unwrap().into_iter().find(|listener| listener.place == place).unwrap();
    assert_eq!((found.queue, found.cgroup), (2, None));

    let procs = folder.path().join("cgroup.procs");
    // The last one is no process any more; 0 is one outside of our PID namespace.
    fs::write(&procs, format!("0\n{}\n{}\n", std::process::id(), i32::MAX)).unwrap();
    assert!(diag.listeners_of(&procs).unwrap().contains(&Place::Unix(path)));
    fs::write(&procs, "").unwrap();
    assert_eq!(diag.listeners_of(&procs).unwrap(), []);
}

#[test]
fn a_cgroup_that_is_gone_is_said_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let gone = Path::new("/nowhere/cgroup.procs");
    let error = SockDiag::open().unwrap().listeners_of(gone).unwrap_err().to_string();
    expect_test::expect![[
        r#"cannot read /nowhere/cgroup.procs: No such file or directory (os error 2) (is the unit running?)"#
    ]]
    .assert_eq(&error);
}

#[test]
fn a_question_after_a_failed_one_is_answered_for_itself() {
    let listener = TcpListener::bind(V4).unwrap();
    let port = Port(listener.local_addr().unwrap().port());
    let mut diag = SockDiag::open().unwrap();
    let buffer = std::mem::replace(&mut diag.buffer, vec![0; 20]);
    assert!(diag.listeners_on(port).is_err());
    diag.buffer = buffer;
    assert!(!diag.listeners_on(port).unwrap().is_empty());
}

/// A LISTEN row of 127.0.0.1:80, sequence 1, as a kernel 6.18 sent it, but for its last attributes.
fn reply() -> Vec<u8> {
    let mut row = vec![0; 16 + 72 + 12];
    row[0] = 100;
    row[4] = 20;
    row[8] = 1;
    row[16] = 2;
    row[17] = 10;
    row[20..22].copy_from_slice(&80_u16.to_be_bytes());
    row[24..28].copy_from_slice(&[127, 0, 0, 1]);
    row[88..92].copy_from_slice(&[12, 0, 21, 0]);
    row[92] = 7;
    row
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = wire::decode(&bytes, 1, &mut Vec::new());
    }

    #[test]
    fn a_reply_with_any_bytes_changed_is_no_panic(
        changes in proptest::collection::vec((0..100_usize, any::<u8>()), 0..6),
        length in 0..=100_usize,
        family in prop_oneof![Just(1_u8), Just(2), Just(10)],
    ) {
        let mut bytes = reply();
        bytes[16] = family;
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = wire::decode(&bytes[..length], 1, &mut Vec::new());
    }
}

#[test]
fn a_reply_to_another_question_is_left_out_and_an_interrupted_one_is_noticed() {
    let mut rows = Vec::new();
    wire::decode(&reply(), 2, &mut rows).unwrap();
    assert_eq!(format!("{rows:?}"), "[]");
    let mut interrupted = reply();
    interrupted[6] = 0x10;
    let seen = wire::decode(&interrupted, 1, &mut rows).unwrap();
    expect_test::expect![[r#"
        Reply { answer: More, interrupted: true }
        [Tcp { listener: Listener { place: Tcp(127.0.0.1:80), cgroup: Some(CgroupId(7)), queue: 0, limit: 0 }, inode: 0, open: Open { cookie: 0, port: Port(80), cgroup: Some(CgroupId(7)), queue: 0 } }]
    "#]]
    .assert_eq(&format!("{seen:?}\n{rows:?}\n"));
}

#[test]
fn g1_a_connection_is_accepted_when_a_process_has_it_and_tells_what_was_sent() {
    let listener = TcpListener::bind(V4).unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let mut diag = SockDiag::open().unwrap();
    let mut found = || diag.connections_to(Port(address.port()), own_cgroup()).unwrap();
    let waits = Connection {
        local: address,
        peer: client.local_addr().unwrap(),
        accepted: false,
        ended: false,
        sent: 0,
    };
    assert_eq!(found(), [waits]);
    let (mut server, _) = listener.accept().unwrap();
    assert_eq!(found(), [Connection { accepted: true, ..waits }]);
    std::io::Write::write_all(&mut server, b"twelve bytes").unwrap();
    assert_eq!(found(), [Connection { accepted: true, sent: 12, ..waits }]);
    drop(server);
    let ended = found();
    assert!(ended.len() == 1 && ended[0].ended, "{ended:?}");
}
