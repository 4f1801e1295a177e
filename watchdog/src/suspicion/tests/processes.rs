//! Whose process that was, and whether its end is told.

use expect_test::expect;

use super::check;

#[test]
fn the_end_of_a_main_process_is_told_apart_from_that_of_a_worker_and_of_a_stranger() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 exit 7 101 signal 11
         1001 exit 7 102 code 1
         1002 exit 7 103 code 0
         1003 exit 8 100 signal 9
         1004 exit 7 100 code 0
         1005 exit 7 0 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 exit 7 101 signal 11
              1s web, since 1s: process 101 ended: Signal { signal: 11, core: false }
            > 1001 exit 7 102 code 1
              1.001s web, since 1.001s: process 102 ended: Code(1)
            > 1002 exit 7 103 code 0
            > 1003 exit 8 100 signal 9
            > 1004 exit 7 100 code 0
              1.004s web, since 1.004s: main process 100 ended: Code(0)
            > 1005 exit 7 0 signal 9
              1.005s web, since 1.005s: process 0 ended: Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn d10_a_worker_that_its_master_lets_go_is_no_suspicion_unless_it_may_be_the_master() {
    check(
        "web web.service own:80; app app.service own:81",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 unit app.service run=2 cgroup=8
         1000 exit 7 101 signal 15
         1001 exit 7 102 signal 1
         1002 exit 7 103 signal 9
         1003 exit 8 200 signal 15
         1004 exit 7 100 signal 15",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 unit app.service run=2 cgroup=8
            > 1000 exit 7 101 signal 15
            > 1001 exit 7 102 signal 1
            > 1002 exit 7 103 signal 9
              1.002s web, since 1.002s: process 103 ended: Signal { signal: 9, core: false }
            > 1003 exit 8 200 signal 15
              1.003s app, since 1.003s: process 200 ended: Signal { signal: 15, core: false }
            > 1004 exit 7 100 signal 15
              1.004s web, since 1.004s: main process 100 ended: Signal { signal: 15, core: false }
        "#]],
    );
}

#[test]
fn of_a_service_that_nobody_asks_only_the_end_is_told() {
    check(
        "web web.service unasked; app app.service own:80",
        "0 unit web.service run=1 cgroup=7 main=100
         1 listeners 0.0.0.0:80@7 0.0.0.0:81@7
         1000 exit 7 101 signal 11
         1001 accept 80
         1002 in_use 80
         1003 loss
         1004 exit 7 100 code 0",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms)]
            > 1 listeners 0.0.0.0:80@7 0.0.0.0:81@7
              app is asked through [web]
            > 1000 exit 7 101 signal 11
            > 1001 accept 80
              1.001s app, since 1.001s: accepts stall on 80
            > 1002 in_use 80
              1.002s app, since 1.002s: in use
            > 1003 loss
              ask for the listeners
              1.003s app, since 1.003s: signs were lost
              1.003s web, since 1.003s: signs were lost
            > 1004 exit 7 100 code 0
              1.004s web, since 1.004s: main process 100 ended: Code(0)
        "#]],
    );
}

#[test]
fn a_main_process_is_known_still_when_systemd_has_forgotten_it() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 unit web.service run=1 cgroup=7 down
         1001 exit 7 100 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 unit web.service run=1 cgroup=7 down
            > 1001 exit 7 100 signal 9
              1.001s web, since 1.001s: main process 100 ended: Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn an_exit_of_the_last_run_says_nothing_of_the_present_one() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 unit web.service run=2 cgroup=8 main=200
         1001 exit 7 100 signal 9
         1002 exit 8 200 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 unit web.service run=2 cgroup=8 main=200
            > 1001 exit 7 100 signal 9
            > 1002 exit 8 200 signal 9
              1.002s web, since 1.002s: main process 200 ended: Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn a_loss_makes_every_service_suspect_and_asks_for_the_listeners() {
    check(
        "web web.service own:80; app app.service own:8080",
        "0 loss
         1 works",
        expect![[r#"
            > 0 loss
              ask for the listeners
              0ns app, since 0ns: signs were lost
              0ns web, since 0ns: signs were lost
            > 1 works
              ask for the listeners
        "#]],
    );
}

#[test]
fn c13_the_end_of_a_process_that_a_watchdog_before_watched_is_understood() {
    check(
        "web web.service own:80",
        "1000 inherit web.service 7 100
         1000 inherit stranger.service 8 200
         1000 sent 7 100 9 by 55
         1000 exit 7 100 signal 9
         1000 exit 8 200 signal 9
         1001 unit web.service down
         1002 unit web.service run=2 cgroup=9 main=300",
        expect![[r#"
            > 1000 inherit web.service 7 100
              watch cgroups [7:100], ports [80 (250ms)]
            > 1000 inherit stranger.service 8 200
              watch cgroups [7:100], ports [80 (250ms)]
            > 1000 sent 7 100 9 by 55
            > 1000 exit 7 100 signal 9
              1s web, since 1s: main process 100 ended: Signal { signal: 9, core: false }, signal 9 sent by 55
            > 1000 exit 8 200 signal 9
            > 1001 unit web.service down
            > 1002 unit web.service run=2 cgroup=9 main=300
              ask for the listeners
              watch cgroups [9:300], ports [80 (250ms)]
        "#]],
    );
}

#[test]
fn a_process_that_is_stopped_makes_its_service_suspect_at_once() {
    check(
        "web web.service own:80; cron cron.service unasked",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         0 unit cron.service run=2 cgroup=8 main=200
         1000 sent 7 100 19 by 4711
         1001 sent 7 101 20 by kernel
         1002 sent 7 100 15 by 4711
         1003 sent 8 200 19 by 4711
         1004 alive web
         1005 sent 7 100 19 by 4711",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 0 unit cron.service run=2 cgroup=8 main=200
            > 1000 sent 7 100 19 by 4711
              1s web, since 1s: process 100 is stopped
            > 1001 sent 7 101 20 by kernel
              1.001s web, since 1.001s: process 101 is stopped
            > 1002 sent 7 100 15 by 4711
            > 1003 sent 8 200 19 by 4711
            > 1004 alive web
            > 1005 sent 7 100 19 by 4711
        "#]],
    );
}
