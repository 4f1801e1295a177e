//! The sockets of a unit with their queues, from the tables of its own network namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::files::{NEEDED, Own};
use crate::{clock, model::Mono};

/// So much of each table is read: some ten thousand connections.
const TABLE: u64 = 4 << 20;
/// So many sockets are named, those with the longest queues first.
const NAMED: usize = 200;
/// The clock is looked at after so many lines.
const LINES: usize = 512;

/// As the kernel numbers them.
const STATES: [&str; 13] = [
    "?",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];
const LISTEN: usize = 10;
/// ESTABLISHED and CLOSE_WAIT.
const OPEN: [usize; 2] = [1, 8];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tcp {
    local: SocketAddr,
    peer: SocketAddr,
    state: usize,
    sends: u64,
    waits: u64,
    inode: u64,
}

/// Their own, and connections to their listeners that nobody has accepted. Where nobody may see which are their own, the queues
/// of all listeners beside them.
pub(super) fn of(pids: &[u32], own: &Own, until: Mono) -> String {
    let Some(pid) = pids.first() else { return "there is no process".into() };
    let mut all: Vec<Tcp> = Vec::new();
    let mut text = String::new();
    for name in ["tcp", "tcp6"] {
        match lines(&format!("/proc/{pid}/net/{name}"), until, |line| all.extend(tcp(line))) {
            Ok(true) => {}
            Ok(false) => text += &format!("the table {name} was not read to its end\n"),
            Err(fault) => text += &format!("the table {name} is not shown: {fault}\n"),
        }
    }
    told(&all, own, &mut text);
    let read = lines(&format!("/proc/{pid}/net/unix"), until, |line| {
        if let Some((listens, path)) = unix(line, &own.inodes) {
            let _ = writeln!(text, "unix {} {path}", if listens { "LISTEN" } else { "socket" });
        }
    });
    if let Err(fault) = read {
        let _ = writeln!(text, "the table unix is not shown: {fault}");
    }
    text
}

fn told(all: &[Tcp], own: &Own, text: &mut String) {
    let inodes = &own.inodes;
    if own.hidden {
        let _ = writeln!(
            text,
            "which sockets are its own is not shown in full ({NEEDED}); the queues of all listeners here:"
        );
        for it in all.iter().filter(|it| it.state == LISTEN).take(NAMED) {
            let _ = writeln!(text, "LISTEN {}, {} wait to be accepted", it.local, it.waits);
        }
        if inodes.is_empty() {
            return;
        }
    }
    let listens = all.iter().filter(|it| it.state == LISTEN && inodes.contains(&it.inode));
    let ports: BTreeSet<u16> = listens.map(|it| it.local.port()).collect();
    // one that is over, or not open yet, has no owner either
    let unaccepted = |it: &Tcp| it.inode == 0 && OPEN.contains(&it.state) && ports.contains(&it.local.port());
    let mut ours: Vec<&Tcp> = all.iter().filter(|it| inodes.contains(&it.inode) || unaccepted(it)).collect();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    ours.iter().for_each(|it| *states.entry(state(it.state)).or_default() += 1);
    let states: Vec<String> = states.iter().map(|(name, number)| format!("{number} {name}")).collect();
    let _ = writeln!(text, "TCP: {}", if states.is_empty() { "none".into() } else { states.join(", ") });
    ours.sort_by_key(|it| (it.state != LISTEN, std::cmp::Reverse(it.waits + it.sends)));
    for it in ours.iter().take(NAMED) {
        let Tcp { local, peer, sends, waits, .. } = it;
        let name = state(it.state);
        let _ = match it.state {
            LISTEN => writeln!(text, "{name} {local}, {waits} wait to be accepted"),
            _ => {
                let open = if it.inode == 0 { ", nobody has accepted it" } else { "" };
                writeln!(
                    text,
                    "{name} {local} from {peer}, {waits} bytes to read, {sends} bytes to send{open}"
                )
            }
        };
    }
    if ours.len() > NAMED {
        let _ = writeln!(text, "and {} more", ours.len() - NAMED);
    }
}

fn state(number: usize) -> &'static str {
    STATES.get(number).copied().unwrap_or("?")
}

/// Each line after the first; `false` where there are more of them than are read, or no time is left.
fn lines(path: &str, until: Mono, mut each: impl FnMut(&str)) -> std::io::Result<bool> {
    let mut table = BufReader::with_capacity(64 << 10, File::open(path)?.take(TABLE));
    let mut line = String::new();
    for number in 0_usize.. {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            break;
        }
        if number % LINES == LINES - 1 && clock::now() >= until {
            return Ok(false);
        }
        if number > 0 {
            each(&line);
        }
    }
    Ok(table.into_inner().limit() > 0)
}

/// One line of /proc/net/tcp or tcp6.
fn tcp(line: &str) -> Option<Tcp> {
    let words: Vec<&str> = line.split_whitespace().take(10).collect();
    let [_, local, peer, state, queues, _, _, _, _, inode] = words.as_slice() else { return None };
    let (sends, waits) = queues.split_once(':')?;
    Some(Tcp {
        local: end(local)?,
        peer: end(peer)?,
        state: usize::from_str_radix(state, 16).ok()?,
        sends: u64::from_str_radix(sends, 16).ok()?,
        waits: u64::from_str_radix(waits, 16).ok()?,
        inode: inode.parse().ok()?,
    })
}

/// `0100007F:1F90`: words of 32 bits in the host's order.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// One line of /proc/net/unix that is about one of these: whether it listens, and its path.
fn unix<'a>(line: &'a str, inodes: &BTreeSet<u64>) -> Option<(bool, &'a str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, flags, _, _, inode, path, ..] = words.as_slice() else { return None };
    let listens = u32::from_str_radix(flags, 16).ok()? & 0x1_0000 != 0;
    inodes.contains(&inode.parse().ok()?).then_some((listens, *path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_told_of_the_units_own_sockets_the_longest_first() {
        let table = "   0: 00000000:0050 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 71 1 0\n\
             1: 0100007F:0050 0100007F:9C40 01 00000000:0000004E 00:00000000 00000000    33        0 0 1 0\n\
             2: 0100007F:0050 0100007F:9C41 08 00000010:00000000 00:00000000 00000000    33        0 72 1 0\n\
             3: 0100007F:0051 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 73 1 0\n\
             4: odd";
        let all: Vec<Tcp> = table.lines().filter_map(tcp).collect();
        let mut text = String::new();
        told(&all, &Own { inodes: [71, 72].into(), hidden: false }, &mut text);
        expect_test::expect![[r#"
            TCP: 1 CLOSE_WAIT, 1 ESTABLISHED, 1 LISTEN
            LISTEN 0.0.0.0:80, 3 wait to be accepted
            ESTABLISHED 127.0.0.1:80 from 127.0.0.1:40000, 78 bytes to read, 0 bytes to send, nobody has accepted it
            CLOSE_WAIT 127.0.0.1:80 from 127.0.0.1:40001, 0 bytes to read, 16 bytes to send
        "#]]
        .assert_eq(&text);
        let mut text = String::new();
        told(&all, &Own { inodes: [].into(), hidden: true }, &mut text);
        expect_test::expect![[r#"
            which sockets are its own is not shown in full (CAP_SYS_PTRACE); the queues of all listeners here:
            LISTEN 0.0.0.0:80, 3 wait to be accepted
            LISTEN 127.0.0.1:81, 0 wait to be accepted
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn ends_of_both_families_are_read() {
        let end = |text: &str| end(text).map(|end| end.to_string());
        assert_eq!(end("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(end("00000000000000000000000001000000:0050").as_deref(), Some("[::1]:80"));
        assert_eq!(end("0000000000000000FFFF00000100007F:0050").as_deref(), Some("127.0.0.1:80"));
        assert_eq!((end("0100007:1F90"), end("x"), end("0100007é:1F90")), (None, None, None));
    }

    #[test]
    fn a_listening_unix_socket_is_told_by_its_path() {
        let line = "ffff9: 00000002 00000000 00010000 0001 01 4711 /run/app.sock";
        assert_eq!(unix(line, &[4711].into()), Some((true, "/run/app.sock")));
        assert_eq!(unix(line, &[4712].into()), None);
    }
}
