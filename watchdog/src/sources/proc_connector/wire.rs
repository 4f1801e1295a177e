//! The bytes of the kernel's messages on processes. Pure: bytes in, events out; any bytes never panic.

use crate::{
    model::{Cause, Mono},
    sources::wait,
};

/// `struct nlmsghdr`, then `struct cn_msg`, then `struct proc_event`: where in a message what lies.
const NETLINK: usize = 16;
const CONNECTOR: usize = 20;
pub(super) const WHAT: usize = NETLINK + CONNECTOR;
const STAMP: usize = WHAT + 8;
pub(super) const PID: usize = WHAT + 16;
pub(super) const TGID: usize = PID + 4;
const CODE: usize = PID + 8;

/// `PROC_EVENT_NONE`: the answer to a request; `PROC_EVENT_EXIT`.
pub(super) const ANSWER: u32 = 0;
pub(super) const EXIT: u32 = 0x8000_0000;

/// `CN_IDX_PROC`, `CN_VAL_PROC`, `NLMSG_DONE`.
const INDEX: u32 = 1;
const VALUE: u32 = 1;
const DONE: u16 = 3;

/// What is asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Listen = 1,
    Ignore = 2,
}

/// What it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// To a request of anybody: an errno, or 0.
    Answer(u32),
    /// A process ended: its first thread.
    Exit { at: Mono, pid: u32, cause: Cause },
}

pub(super) fn request(ask: Ask) -> Vec<u8> {
    let length = u32::try_from(WHAT + 4).unwrap_or_default();
    let mut bytes = Vec::with_capacity(WHAT + 4);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(DONE.to_ne_bytes());
    bytes.extend([0; 2 + 4 + 4]); // flags, sequence, port: the kernel's own
    bytes.extend(INDEX.to_ne_bytes());
    bytes.extend(VALUE.to_ne_bytes());
    bytes.extend([0; 4 + 4]); // sequence, acknowledgement
    bytes.extend(4_u16.to_ne_bytes());
    bytes.extend([0; 2]); // flags
    bytes.extend((ask as u32).to_ne_bytes());
    bytes
}

/// Every event of a datagram that means something here.
pub(super) fn events(mut bytes: &[u8]) -> Vec<Event> {
    let mut found = Vec::new();
    while let Some(length) = word(bytes, 0) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(..length).filter(|message| message.len() >= WHAT) else { break };
        found.extend(event(message));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn event(message: &[u8]) -> Option<Event> {
    if (word(message, NETLINK)?, word(message, NETLINK + 4)?) != (INDEX, VALUE) {
        return None;
    }
    match word(message, WHAT)? {
        ANSWER => Some(Event::Answer(word(message, PID)?)),
        EXIT => {
            let (pid, process) = (word(message, PID)?, word(message, TGID)?);
            let at = u64::from_ne_bytes(message.get(STAMP..STAMP + 8)?.try_into().ok()?);
            let exit = Event::Exit { at: Mono(at).whole(), pid, cause: wait::cause(word(message, CODE)?) };
            (pid == process).then_some(exit)
        }
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// As the kernel writes it.
    pub(in super::super) fn message(what: u32, words: [u32; 4]) -> Vec<u8> {
        let mut bytes = request(Ask::Listen);
        bytes.truncate(WHAT);
        bytes.extend(what.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(1_500_000_007_u64.to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    fn check(bytes: &[u8], expected: Expect) {
        expected.assert_eq(&events(bytes).iter().map(|event| format!("{event:?}\n")).collect::<String>());
    }

    #[test]
    fn ends_are_told_with_code_signal_and_core() {
        let all = [
            message(EXIT, [812, 812, 3 << 8, 17]),
            message(EXIT, [813, 813, 9, 17]),
            message(EXIT, [814, 814, 0x8b, 17]),
        ];
        check(
            &all.concat(),
            expect![[r#"
                Exit { at: Mono(1500000000), pid: 812, cause: Code(3) }
                Exit { at: Mono(1500000000), pid: 813, cause: Signal { signal: 9, core: false } }
                Exit { at: Mono(1500000000), pid: 814, cause: Signal { signal: 11, core: true } }
            "#]],
        );
    }

    #[test]
    fn a_thread_another_event_and_another_connector_are_nothing() {
        check(&message(EXIT, [813, 812, 0, 17]), expect![""]);
        check(&message(1, [812, 812, 0, 0]), expect![""]);
        let mut other = message(EXIT, [812, 812, 0, 17]);
        other[NETLINK] = 7;
        check(&other, expect![""]);
    }

    #[test]
    fn the_answer_to_a_request_is_told() {
        check(
            &message(ANSWER, [0, 0, 0, 0]),
            expect![[r#"
            Answer(0)
        "#]],
        );
    }

    #[test]
    fn what_is_cut_short_is_no_event() {
        let whole = message(EXIT, [812, 812, 9, 17]);
        for length in 0..whole.len() {
            assert_eq!(events(&whole[..length]), []);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = events(&bytes);
        }

        #[test]
        fn a_message_with_any_byte_changed_never_panics(at in 0_usize..68, byte in any::<u8>()) {
            let mut bytes = message(EXIT, [812, 812, 9, 17]);
            bytes[at] = byte;
            let _ = events(&bytes);
        }
    }
}
