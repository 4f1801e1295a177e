use expect_test::expect;

use super::check;

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
fn a_calm_as_long_as_the_quiet_makes_the_next_suspicion_a_new_one() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 accept 80
         1 alive web
         500 accept 80
         1002 alive web
         6000 accept 80
         6001 alive web
         6500 accept 80
         9000 works",
        expect![[r#"
            > 0 only suspicions
            > 0 accept 80
              0ns web, since 0ns: accepts stall on 80
            > 1 alive web
            > 500 accept 80
              1.001s web, since 500ms: accepts stall on 80
            > 1002 alive web
            > 6000 accept 80
              6s web, since 6s: accepts stall on 80
            > 6001 alive web
            > 6500 accept 80
              7.001s web, since 6.5s: accepts stall on 80
            > 9000 works
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
