use std::fs;

use proptest::prelude::*;

use super::{beside, holds, script};
use crate::config::import::{Answers, convert, questions};

/// Any bytes at all: no panic, one fate for each statement, and what is written loads.
fn check(bytes: &[u8]) {
    let script = script(bytes);
    questions(&script);
    let report = convert(&script, &Answers::new(), None);
    holds(&script, &report);
    assert!(!report.to_string().is_empty());
}

fn inputs() -> Vec<Vec<u8>> {
    let names = [
        "front_and_backend",
        "stack_nginx",
        "stack_httpd",
        "tcp_daemon",
        "apache",
        "snippets",
        "websites",
        "not_converted",
        "broken",
    ];
    names.iter().map(|name| fs::read(beside(&format!("{name}.monit"))).expect("an input")).collect()
}

/// One thing that happens to a text on its way.
#[derive(Clone, Debug)]
enum Mutation {
    Cut(prop::sample::Index, usize),
    Byte(prop::sample::Index, u8),
    Insert(prop::sample::Index, String),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || any::<prop::sample::Index>();
    prop_oneof![
        (at(), 1..80_usize).prop_map(|(at, length)| Mutation::Cut(at, length)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        (at(), prop::sample::select(WORDS)).prop_map(|(at, word)| Mutation::Insert(at, word.to_owned())),
        (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutations: Vec<Mutation>) -> Vec<u8> {
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match mutation {
            Mutation::Cut(at, cut) => {
                let at = at.index(length);
                bytes.drain(at..(at + cut).min(length));
            }
            Mutation::Byte(at, byte) => bytes[at.index(length)] = byte,
            Mutation::Insert(at, word) => {
                let at = at.index(length);
                bytes.splice(at..at, word.bytes());
            }
            Mutation::Swap(one, other) => {
                let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                bytes = lines.join(&b'\n');
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_fates(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_mix_of_monits_words_ends_in_fates(words in proptest::collection::vec(prop::sample::select(WORDS), 0..120)) {
        check(words.concat().as_bytes());
    }

    #[test]
    fn any_change_of_a_true_configuration_ends_in_fates(
        input in 0..9_usize,
        mutations in proptest::collection::vec(mutation(), 1..12),
    ) {
        check(&mutate(inputs().swap_remove(input), mutations));
    }
}

const WORDS: &[&str] = &[
    "check process a ",
    "check process b with pidfile /run/b ",
    "check file c with path /c ",
    "check host d ",
    "check program e with path \"/bin/systemctl is-enabled b\" ",
    "check program f path \"/bin/f\" ",
    "\n",
    "\n",
    "start program = \"/etc/init.d/b start\" ",
    "start = \"service a start\" ",
    "stop \"systemctl stop a\" ",
    "restart program \"systemctl restart ",
    "with timeout ",
    "360 seconds ",
    "18446744073709551615 ",
    "0 ",
    "1 ",
    "99999999 days ",
    "if failed ",
    "host ",
    "\"\" ",
    "::1 ",
    "port ",
    "80 ",
    "protocol http ",
    "request ",
    "\"/ü\" ",
    "content = ",
    "\"[\" ",
    "status ",
    "!= 0 ",
    "> 4",
    "ssl {",
    "}",
    "certificate valid > ",
    "unixsocket ",
    "/run/",
    "url http://u:p@h:1/ ",
    "then restart ",
    "then alert ",
    "then exec ",
    "then unmonitor ",
    "for 3 cycles ",
    "2 times within 9 cycles ",
    "if 3 restarts within 3 cycles ",
    "if does not exist ",
    "if match \"5[0-9][0-9]\\\"\" ",
    "depends on a, b ",
    "depends on e ",
    "depends on c",
    "group ",
    "every ",
    "mode ",
    "alert x ",
    "include ",
    "not every ",
    "set daemon ",
    "set alert ",
    "else ",
    "if ",
    "#",
    "'",
    "\"",
    "=",
    "(",
    ",",
    "\0",
    "\u{7f}",
    "\u{2028}",
    "$HOST ",
    "-",
    "http headers [a: b, A: c, Cookie: d] ",
    "hostheader ",
    "send \"x\" ",
    "retry ",
    "type udp ",
    "username x password y ",
];
