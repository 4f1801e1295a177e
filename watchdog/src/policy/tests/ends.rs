//! How a unit ended, as it was seen, decides what is done.

use expect_test::expect;

use super::{check, check_with};
use crate::model::{RestartOn, Service};

#[test]
fn a_killed_main_process_is_started_as_soon_as_systemd_lets_go() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 sleep
         1002 unit deactivating sub=stop-sigkill
         1002 nobody holds
         1003 job 9 new
         1003 queued 9
         1005 unit failed result=signal job=9
         1006 unit activating run=2 job=9
         1010 unit active run=2
         1010 job 9 done active
         1011 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 sleep
            > 1002 unit deactivating sub=stop-sigkill
              1.002s look web: Holders
            > 1002 nobody holds
              1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act web: Start { reset: false }
            > 1003 job 9 new
            > 1003 queued 9
            > 1005 unit failed result=signal job=9
            > 1006 unit activating run=2 job=9
            > 1010 unit active run=2
            > 1010 job 9 done active
              1.01s ask web
            > 1011 alive
              1.011s web: Recovered after 11ms and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  2000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  3000 µs requested
                  3000 µs systemd queued job 9
                  6000 µs stopped after 4ms; starting
                  10000 µs job done after 8ms, the unit is active
                  11000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn a_clean_end_is_told_and_left_alone() {
    check(
        "0 unit active
         0 alive
         1000 exit code 0
         1001 unit inactive
         9000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit code 0
            > 1001 unit inactive
              1.001s web: ALERT the unit ended: exit code 0 (a clean end); restart.on = "on-failure" does not act on that, so it stays down
              1.001s web: left alone: the unit ended: exit code 0 (a clean end); restart.on = "on-failure"
              1.001s web: StoodDown after 1ms and 0 restarts
                  0 µs main process 10 (web) ended: exit code 0
                  1000 µs the unit ended: exit code 0 (a clean end)
                  1000 µs left alone: the unit ended: exit code 0 (a clean end); restart.on = "on-failure"
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_clean_end_is_acted_upon_where_the_configuration_says_always() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().on = RestartOn::Always,
        "0 unit active
         0 alive
         1000 exit code 0
         1001 unit inactive
         1001 nobody holds
         1002 queued 9",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit code 0
            > 1001 unit inactive
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: false }: the unit ended: exit code 0 (a clean end)
              1.001s act web: Start { reset: false }
            > 1002 queued 9
        "#]],
    );
}

#[test]
fn a_clean_end_is_clean_whatever_the_result_says() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 15
         1001 unit failed result=exit-code",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 15
            > 1001 unit failed result=exit-code
              1.001s web: ALERT the unit ended: signal 15 (SIGTERM) (a clean end); restart.on = "on-failure" does not act on that, so it stays down
              1.001s web: left alone: the unit ended: signal 15 (SIGTERM) (a clean end); restart.on = "on-failure"
              1.001s web: StoodDown after 1ms and 0 restarts
                  0 µs main process 10 (web) ended: signal 15 (SIGTERM)
                  1000 µs the unit ended: signal 15 (SIGTERM) (a clean end)
                  1000 µs left alone: the unit ended: signal 15 (SIGTERM) (a clean end); restart.on = "on-failure"
        "#]],
    );
}

#[test]
fn systemds_own_restart_acts_first_and_is_only_verified() {
    check(
        "0 unit active restart=on-failure
         0 alive
         1000 exit signal 11
         1001 unit activating restart=on-failure sub=auto-restart result=signal
         1100 unit activating restart=on-failure run=2 restarts=1
         1110 unit active restart=on-failure run=2 restarts=1
         1111 alive",
        expect![[r#"
            > 0 unit active restart=on-failure
              0ns ask web
            > 0 alive
            > 1000 exit signal 11
            > 1001 unit activating restart=on-failure sub=auto-restart result=signal
              1.001s web: held: Systemd
              1.025s look web: Unit
            > 1100 unit activating restart=on-failure run=2 restarts=1
            > 1110 unit active restart=on-failure run=2 restarts=1
              1.11s ask web
            > 1111 alive
              1.111s web: Recovered after 111ms and 0 restarts
                  0 µs main process 10 (web) ended: signal 11 (SIGSEGV)
                  1000 µs the unit ended: signal 11 (SIGSEGV) (an unclean signal); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  111000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn systemds_start_limit_makes_it_our_turn_and_is_cleared() {
    check(
        "0 unit active restart=on-failure
         0 alive
         1000 exit code 1
         1001 unit failed restart=on-failure result=start-limit-hit
         1001 nobody holds
         1002 queued 4",
        expect![[r#"
            > 0 unit active restart=on-failure
              0ns ask web
            > 0 alive
            > 1000 exit code 1
            > 1001 unit failed restart=on-failure result=start-limit-hit
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: true }: the unit ended: exit code 1 (an unclean exit code)
              1.001s act web: Start { reset: true }
            > 1002 queued 4
        "#]],
    );
}

#[test]
fn a_unit_that_is_absent_is_watched_until_it_appears() {
    check(
        "0 unit inactive absent
         9000 unit active run=1
         9001 alive
         9100 exit signal 9
         9101 unit failed
         9101 nobody holds",
        expect![[r#"
            > 0 unit inactive absent
              0ns web: ALERT there is no unit web.service: it is watched as soon as it appears
            > 9000 unit active run=1
              9s ask web
            > 9001 alive
            > 9100 exit signal 9
            > 9101 unit failed
              9.101s look web: Holders
            > 9101 nobody holds
              9.101s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              9.101s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn the_oom_killer_is_no_clean_end_though_systemd_terms_the_main_process() {
    check(
        "0 unit active
         0 alive
         1000 exit code 0
         1001 unit failed result=oom-kill
         1001 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit code 0
            > 1001 unit failed result=oom-kill
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: false }: the unit ended: exit code 0 (an abnormal end: oom-kill)
              1.001s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_start_that_fails_in_its_startpost_is_no_clean_end() {
    check(
        "0 unit active
         0 alive
         1000 job 5 new
         1001 unit deactivating job=5
         1002 unit activating run=2 job=5
         1003 unit failed run=2 never_up result=exit-code
         1003 job 5 failed failed
         1003 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 5 new
            > 1001 unit deactivating job=5
            > 1002 unit activating run=2 job=5
            > 1003 unit failed run=2 never_up result=exit-code
            > 1003 job 5 failed failed
              1.003s look web: Holders
            > 1003 nobody holds
              1.003s web: decided Start { reset: false }: the unit did not come up: result exit-code (an unclean exit code)
              1.003s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn without_a_main_process_the_last_process_says_how_the_unit_ended() {
    check(
        "0 unit active no_main
         0 alive
         1000 worker signal 9
         1001 unit inactive no_main
         1001 nobody holds",
        expect![[r#"
            > 0 unit active no_main
              0ns ask web
            > 0 alive
            > 1000 worker signal 9
              1s ask web
            > 1001 unit inactive no_main
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.001s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn f13_a_storm_of_dying_workers_is_told_at_most_once_an_hour_and_nothing_is_done() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active
         1000 storm
         61000 storm
         3590000 storm
         3602000 storm
         3700000 job 7 new
         7300000 storm",
        expect![[r#"
            > 0 unit active
            > 1000 storm
              1s web: ALERT 5 of its processes died within 2.0s under a living main process, the last: process 11 (web), signal 11 (SIGSEGV, core dumped); it is not restarted for that: see its log
            > 61000 storm
            > 3590000 storm
            > 3602000 storm
              3602s web: ALERT 5 of its processes died within 2.0s under a living main process, the last: process 11 (web), signal 11 (SIGSEGV, core dumped); it is not restarted for that: see its log
            > 3700000 job 7 new
            > 7300000 storm
        "#]],
    );
}
