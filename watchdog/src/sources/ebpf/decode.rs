//! Records of the kernel side as signs. Pure: bytes in, sign out; any bytes never panic.

use std::time::Duration;

use watchdog_common::{CODE_UNKNOWN, Kind, Record, SENDER_KERNEL};

use crate::{
    model::{
        CgroupId, CommandRun, Exit, Mono, OomKill, Port, Saw, Sender, ServerErrors, Sign, SignalSent, Source,
        Stall,
    },
    sources::wait,
};

/// The sign in a record; `None` where the bytes are no record of ours.
pub(super) fn sign(bytes: &[u8]) -> Option<Sign> {
    let record = Record::from_bytes(bytes)?;
    let saw = match Kind::from_u32(record.kind)? {
        Kind::Exit => Saw::Exit(Exit {
            cgroup: CgroupId(record.cgroup),
            pid: record.pid,
            cause: (record.code != CODE_UNKNOWN).then(|| wait::cause(record.code)),
            comm: text(&record.comm),
            more: record.count,
        }),
        Kind::Signal => Saw::SignalSent(SignalSent {
            cgroup: CgroupId(record.cgroup),
            pid: record.pid,
            signal: u8::try_from(record.code).ok()?,
            sender: sender(&record),
            more: record.count,
        }),
        Kind::ListenerUp => Saw::ListenerUp(port(&record)?),
        Kind::ListenerDown => Saw::ListenerDown { port: port(&record)?, left: record.count },
        Kind::AcceptStall => Saw::AcceptStall(stall(&record)?),
        Kind::AnswerStall => Saw::AnswerStall(stall(&record)?),
        Kind::StallOver => Saw::StallOver(port(&record)?),
        Kind::InUse => Saw::InUse(port(&record)?),
        Kind::Oom => Saw::OomKill(OomKill {
            cgroup: CgroupId(record.cgroup),
            pid: record.pid,
            comm: text(&record.comm),
        }),
        Kind::ServerErrors => Saw::ServerErrors(ServerErrors {
            cgroup: CgroupId(record.cgroup),
            port: port(&record)?,
            status: u16::try_from(record.code).ok()?,
            errors: record.count,
        }),
        Kind::CommandRun => Saw::CommandRun(CommandRun {
            pid: record.sender_pid,
            comm: text(&record.comm),
            uid: record.sender_uid,
            cgroup: CgroupId(record.sender_cgroup),
            unit: String::new(),
        }),
    };
    Some(Sign { at: Mono(record.at).whole(), source: Source::Ebpf, saw })
}

/// What a kind is called where its signs are recorded.
pub(super) fn name(kind: u32) -> &'static str {
    match Kind::from_u32(kind) {
        Some(Kind::Exit) => "exit",
        Some(Kind::Signal) => "signal_sent",
        Some(Kind::ListenerUp) => "listener_up",
        Some(Kind::ListenerDown) => "listener_down",
        Some(Kind::AcceptStall) => "accept_stall",
        Some(Kind::AnswerStall) => "answer_stall",
        Some(Kind::StallOver) => "stall_over",
        Some(Kind::InUse) => "in_use",
        Some(Kind::Oom) => "oom_kill",
        Some(Kind::ServerErrors) => "server_errors",
        Some(Kind::CommandRun) => "command_run",
        None => "an unknown kind",
    }
}

fn port(record: &Record) -> Option<Port> {
    u16::try_from(record.port).ok().map(Port)
}

fn stall(record: &Record) -> Option<Stall> {
    Some(Stall {
        port: port(record)?,
        age: Duration::from_micros(record.age_ns / 1_000),
        waiting: record.count,
    })
}

fn sender(record: &Record) -> Sender {
    if record.sender == SENDER_KERNEL {
        return Sender::Kernel;
    }
    Sender::Process {
        pid: record.sender_pid,
        uid: record.sender_uid,
        comm: text(&record.comm),
        cgroup: CgroupId(record.sender_cgroup),
        unit: String::new(),
    }
}

/// A name, which its owner may have made of any bytes.
fn text(comm: &[u8; 16]) -> String {
    let name = comm.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use watchdog_common::{Kind, RECORD_SIZE, SENDER_KERNEL, SENDER_PROCESS};

    use super::sign;

    /// A record as the kernel writes it: the fields in order.
    fn record(kind: u32, longs: [u64; 3], words: [u32; 7], comm: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        bytes.extend(1_500_000_007_u64.to_ne_bytes());
        bytes.extend(longs.iter().flat_map(|long| long.to_ne_bytes()));
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(comm);
        bytes.resize(RECORD_SIZE, 0);
        bytes
    }

    fn check(bytes: &[u8], expected: Expect) {
        let text = match sign(bytes) {
            Some(sign) => format!("{} {}", sign.at, serde_json::to_string(&sign.saw).unwrap()),
            None => "no sign".to_owned(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn an_exit_code_is_told_with_cgroup_and_name() {
        check(
            &record(Kind::Exit as u32, [77, 0, 0], [812, 3 << 8, 0, 0, 0, 0, 0], b"nginx"),
            expect![[r#"1.500000 {"exit":{"cgroup":77,"pid":812,"cause":{"code":3},"comm":"nginx"}}"#]],
        );
    }

    #[test]
    fn a_fatal_signal_with_a_core_is_told() {
        check(
            &record(Kind::Exit as u32, [77, 0, 0], [0, 0x8b, 0, 0, 0, 0, 0], b"php-fpm8.2\0junk"),
            expect![[
                r#"1.500000 {"exit":{"cgroup":77,"pid":0,"cause":{"signal":{"signal":11,"core":true}},"comm":"php-fpm8.2"}}"#
            ]],
        );
    }

    #[test]
    fn what_was_left_out_before_is_told() {
        check(
            &record(Kind::Exit as u32, [77, 0, 0], [812, 3 << 8, 0, 42, 0, 0, 0], b"cgi"),
            expect![[
                r#"1.500000 {"exit":{"cgroup":77,"pid":812,"cause":{"code":3},"comm":"cgi","more":42}}"#
            ]],
        );
    }

    #[test]
    fn the_sender_of_a_signal_is_told() {
        let words = [812, 9, 0, 0, SENDER_PROCESS, 4711, 1000];
        check(
            &record(Kind::Signal as u32, [77, 99, 0], words, b"kill"),
            expect![[
                r#"1.500000 {"signal_sent":{"cgroup":77,"pid":812,"signal":9,"sender":{"process":{"pid":4711,"uid":1000,"comm":"kill","cgroup":99}}}}"#
            ]],
        );
    }

    #[test]
    fn the_kernel_is_a_sender_too() {
        check(
            &record(Kind::Signal as u32, [77, 0, 0], [812, 11, 0, 0, SENDER_KERNEL, 0, 0], b""),
            expect![[r#"1.500000 {"signal_sent":{"cgroup":77,"pid":812,"signal":11,"sender":"kernel"}}"#]],
        );
    }

    #[test]
    fn listeners_come_and_go() {
        check(
            &record(Kind::ListenerUp as u32, [77, 0, 0], [0, 0, 80, 0, 0, 0, 0], b""),
            expect![[r#"1.500000 {"listener_up":80}"#]],
        );
        check(
            &record(Kind::ListenerDown as u32, [0, 0, 0], [0, 0, 80, 3, 0, 0, 0], b""),
            expect![[r#"1.500000 {"listener_down":{"port":80,"left":3}}"#]],
        );
    }

    #[test]
    fn stalls_and_use_are_told_with_their_port() {
        check(
            &record(Kind::AcceptStall as u32, [0, 0, 252_000_000], [0, 0, 80, 7, 0, 0, 0], b""),
            expect![[r#"1.500000 {"accept_stall":{"port":80,"age_us":252000,"waiting":7}}"#]],
        );
        check(
            &record(Kind::AnswerStall as u32, [0, 0, 1_004_000_000], [0, 0, 443, 2, 0, 0, 0], b""),
            expect![[r#"1.500000 {"answer_stall":{"port":443,"age_us":1004000,"waiting":2}}"#]],
        );
        check(
            &record(Kind::StallOver as u32, [0; 3], [0, 0, 80, 0, 0, 0, 0], b""),
            expect![[r#"1.500000 {"stall_over":80}"#]],
        );
        check(
            &record(Kind::InUse as u32, [0; 3], [0, 0, 80, 0, 0, 0, 0], b""),
            expect![[r#"1.500000 {"in_use":80}"#]],
        );
    }

    #[test]
    fn g14_a_kill_for_want_of_memory_names_its_victim() {
        check(
            &record(Kind::Oom as u32, [77, 0, 0], [812, 0, 0, 0, 0, 0, 0], b"php-fpm8.2"),
            expect![[r#"1.500000 {"oom_kill":{"cgroup":77,"pid":812,"comm":"php-fpm8.2"}}"#]],
        );
    }

    #[test]
    fn f3_a_program_that_may_ask_systemd_is_told_with_its_user() {
        check(
            &record(Kind::CommandRun as u32, [0, 99, 0], [0, 0, 0, 0, 0, 4711, 1000], b"systemctl"),
            expect![[r#"1.500000 {"command_run":{"pid":4711,"comm":"systemctl","uid":1000,"cgroup":99}}"#]],
        );
    }

    #[test]
    fn an_unknown_kind_a_wrong_port_and_a_wrong_length_are_no_sign() {
        check(&record(99, [0; 3], [0; 7], b""), expect!["no sign"]);
        check(&record(Kind::InUse as u32, [0; 3], [0, 0, 70_000, 0, 0, 0, 0], b""), expect!["no sign"]);
        check(&[0; 79], expect!["no sign"]);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = sign(&bytes);
        }

        #[test]
        fn any_bytes_of_any_kind_never_panic(kind in 1u32..=11, mut bytes in proptest::collection::vec(any::<u8>(), RECORD_SIZE)) {
            bytes[32..36].copy_from_slice(&kind.to_ne_bytes());
            let _ = sign(&bytes);
        }
    }
}
