use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::{check, saw, settings};
use crate::{
    model::{Finding, Mono, Service, Sign, Source, Verdict},
    suspicion::Suspicions,
};

#[test]
fn a_suspicion_that_is_answered_alive_is_quiet_for_a_second_doubled_up_to_sixty() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 accept 80
         1 alive web
         500 accept 80
         1002 alive web
         1500 accept 80
         3003 alive web
         3500 accept 80
         7004 alive web
         7500 accept 80
         15005 alive web
         16000 accept 80
         31006 alive web
         32000 accept 80
         63007 alive web
         64000 accept 80
         123008 alive web
         124000 accept 80
         190000 in_use 80",
        expect![[r#"
            > 0 only suspicions
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 500 accept 80
              1.001s web, since 500ms: accepts stall on 80
            > 1002 alive web
            > 1500 accept 80
              3.002s web, since 1.5s: accepts stall on 80
            > 3003 alive web
            > 3500 accept 80
              7.003s web, since 3.5s: accepts stall on 80
            > 7004 alive web
            > 7500 accept 80
              15.004s web, since 7.5s: accepts stall on 80
            > 15005 alive web
            > 16000 accept 80
              31.005s web, since 16s: accepts stall on 80
            > 31006 alive web
            > 32000 accept 80
              63.006s web, since 32s: accepts stall on 80
            > 63007 alive web
            > 64000 accept 80
              123.007s web, since 64s: accepts stall on 80
            > 123008 alive web
            > 124000 accept 80
              183.008s web, since 124s: accepts stall on 80
            > 190000 in_use 80
              190s web, since 190s: in use
        "#]],
    );
}

#[test]
fn what_is_over_before_the_quiet_time_is_not_told() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 accept 80
         1 alive web
         500 accept 80
         600 over 80
         5000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 500 accept 80
            > 600 over 80
            > 5000 works
        "#]],
    );
}

#[test]
fn a_stall_that_is_over_takes_nothing_else_with_it() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 accept 80
         0 exit 7 101 signal 11
         1 alive web
         500 accept 80
         550 exit 7 101 signal 11
         600 over 80
         5000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 0 exit 7 101 signal 11
              0ns web, since 0ns: process 101 ended: Signal { signal: 11, core: false }
            > 1 alive web
            > 500 accept 80
            > 550 exit 7 101 signal 11
            > 600 over 80
              1.001s web, since 550ms: process 101 ended: Signal { signal: 11, core: false }
            > 5000 works
        "#]],
    );
}

#[test]
fn a_process_that_was_told_to_stop_may_answer_once_more_and_is_asked_about_twice() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 sent 7 101 19 by 88
         8 alive web began 3
         1010 alive web began 1009
         5000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 sent 7 101 19 by 88
              0ns web, since 0ns: process 101 is stopped
            > 8 alive web began 3
              1.008s web, since 0ns: process 101 is stopped
            > 1010 alive web began 1009
            > 5000 works
        "#]],
    );
}

#[test]
fn a_dead_answer_ends_the_quiet() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 accept 80
         1 alive web
         500 accept 80
         600 dead web
         700 accept 80
         701 alive web
         800 accept 80
         5000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 500 accept 80
            > 600 dead web
            > 700 accept 80
              700ms web, since 700ms: accepts stall on 80
            > 701 alive web
            > 800 accept 80
              1.701s web, since 800ms: accepts stall on 80
            > 5000 works
        "#]],
    );
}

#[test]
fn each_minute_of_calm_takes_one_doubling_back() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 accept 80
         1 alive web
         500 accept 80
         1002 alive web
         3000 accept 80
         3003 alive web
         70000 accept 80
         70001 alive web
         70500 accept 80
         74002 alive web
         400000 accept 80
         400001 alive web
         400500 accept 80
         402000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 500 accept 80
              1.001s web, since 500ms: accepts stall on 80
            > 1002 alive web
            > 3000 accept 80
              3.002s web, since 3s: accepts stall on 80
            > 3003 alive web
            > 70000 accept 80
              70s web, since 70s: accepts stall on 80
            > 70001 alive web
            > 70500 accept 80
              74.001s web, since 70.5s: accepts stall on 80
            > 74002 alive web
            > 400000 accept 80
              400s web, since 400s: accepts stall on 80
            > 400001 alive web
            > 400500 accept 80
              401.001s web, since 400.5s: accepts stall on 80
            > 402000 works
        "#]],
    );
}

#[test]
fn what_is_suspected_for_another_reason_is_told_at_once_and_quiet_from_then_on() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 answer 80
         1 alive web
         500 answer 80
         600 accept 80
         601 alive web
         700 accept 80
         701 answer 80
         800 exit 7 101 signal 11
         801 alive web
         802 exit 7 102 signal 11",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 answer 80
              0ns web, since 0ns: answers stall on 80
            > 1 alive web
            > 500 answer 80
            > 600 accept 80
              600ms web, since 600ms: accepts stall on 80
            > 601 alive web
            > 700 accept 80
            > 701 answer 80
            > 800 exit 7 101 signal 11
              800ms web, since 800ms: process 101 ended: Signal { signal: 11, core: false }
            > 801 alive web
            > 802 exit 7 102 signal 11
        "#]],
    );
}

#[test]
fn b4_errors_in_a_log_are_a_suspicion_of_their_service_that_grows_quiet() {
    check(
        "web web.service own:80; shop shop.service unasked",
        "0 log web 20 40
         1 alive web
         2 log web 30 40
         3 log shop 40 40
         4 log gone 40 40
         2000 alive web",
        expect![[r#"
            > 0 log web 20 40
              0ns web, since 0ns: 20 errors in /var/log/access.log
            > 1 alive web
            > 2 log web 30 40
            > 3 log shop 40 40
            > 4 log gone 40 40
              1.001s web, since 2ms: 30 errors in /var/log/access.log
            > 2000 alive web
        "#]],
    );
}

#[test]
fn an_alive_answer_that_nothing_asked_for_makes_nothing_quiet() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 alive web
         1 accept 80
         2 unknown web
         3 answer 80",
        expect![[r#"
            > 0 only suspicions
            > 0 alive web
            > 1 accept 80
              1ms web, since 1ms: accepts stall on 80
            > 2 unknown web
            > 3 answer 80
              3ms web, since 3ms: answers stall on 80
        "#]],
    );
}

#[test]
fn the_end_of_a_main_process_and_clients_are_never_quiet() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 accept 80
         1 alive web
         2 in_use 80
         3 exit 7 100 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 2 in_use 80
              2ms web, since 2ms: in use
            > 3 exit 7 100 signal 9
              3ms web, since 3ms: main process 100 ended: Signal { signal: 9, core: false }
        "#]],
    );
}

proptest! {
    #[test]
    fn however_suspicions_come_those_that_are_answered_alive_cost_one_heartbeat_a_minute(
        pauses in prop::collection::vec(prop_oneof![0..2_000_u64, 1_000..90_000_u64, 60_000..200_000_u64], 1..400),
    ) {
        let mut room = Suspicions::new(settings("web web.service own:80"));
        let (web, mut now, mut asked) = (Service::new("web"), Mono(0), 0_u64);
        for pause in pauses {
            let next = now + Duration::from_millis(pause);
            while let Some(at) = room.wake_at().filter(|at| *at <= next) {
                asked += u64::from(!room.wake(at).is_empty());
                room.answered(at, &web, at, Verdict::Alive);
            }
            now = next;
            let found = room.step(now, &Sign { at: now, source: Source::Ebpf, saw: saw(&["answer", "80"]) });
            asked += found.iter().filter(|found| matches!(found, Finding::Suspicion(_))).count() as u64;
            room.answered(now, &web, now, Verdict::Alive);
        }
        // the first seven lead to the longest quiet
        prop_assert!(asked <= 8 + now.0 / 60_000_000_000, "{asked} heartbeats in {now} s");
    }
}
