//! systemd's words were missed for a while.

use expect_test::expect;

use super::{check, log_of};

#[test]
fn a_stop_whose_end_was_missed_is_a_stop() {
    check(
        "0 unit active
         0 alive
         1000 job 5 new
         1001 exit code 143
         1001 gap
         1002 unit failed result=exit-code
         1200 read failed result=exit-code
         9000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 5 new
            > 1001 exit code 143
            > 1001 gap
            > 1002 unit failed result=exit-code
              1.026s look web: Unit
            > 1200 read failed result=exit-code
              1.2s web: left alone: stopped on request
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_stop_that_was_missed_whole_is_known_by_what_it_left_behind() {
    check(
        "0 unit active
         0 alive
         1001 exit code 143
         1001 gap
         1002 unit failed result=exit-code stopped_first
         9000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1001 exit code 143
            > 1001 gap
            > 1002 unit failed result=exit-code stopped_first
              1.002s web: ALERT web.service was stopped while systemd's words were missed: taken for an operator's stop, it stays down
              1.002s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
              1.002s web: StoodDown after 1ms and 0 restarts
                  0 µs main process 10 (web) ended: exit code 143
                  1000 µs left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 9000 sleep
        "#]],
    );
}

#[test]
fn words_that_were_missed_while_it_ran_on_say_nothing_of_a_later_end() {
    check(
        "0 unit active
         0 alive
         1000 gap
         1100 unit active
         600000 exit code 1
         600001 unit failed result=exit-code stopped_first",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 gap
            > 1100 unit active
            > 600000 exit code 1
            > 600001 unit failed result=exit-code stopped_first
              600.001s look web: Holders
        "#]],
    );
}

#[test]
fn our_own_stop_is_not_taken_for_an_operators_where_words_were_missed() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1202 dead
         1203 queued 5
         1204 job 5 new
         1205 gap
         1206 unit deactivating job=5
         1300 job 5 canceled inactive
         1301 unit inactive stopped_first
         60000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 dead
              1.2s ask web
            > 1202 dead
              1.202s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.202s act web: Restart { reset: false }
            > 1203 queued 5
            > 1204 job 5 new
            > 1205 gap
            > 1206 unit deactivating job=5
            > 1300 job 5 canceled inactive
              1.3s look web: Unit
            > 1301 unit inactive stopped_first
              1.301s web: held: Backoff
              1.750305s look web: Holders
              2.250305s web: decided Start { reset: false }: the unit ended: result success (a clean end); its start is owed
              2.250305s act web: Start { reset: false }
              7.250305s look web: Unit
              32.250305s look web: Unit
              32.350305s look web: Unit
              32.750305s look web: Unit
              34.350305s look web: Unit
              40.750305s look web: Unit
            > 60000 sleep
        "#]],
    );
}

#[test]
fn a_stop_in_a_gap_stands_against_a_start_of_ours_that_had_come_up() {
    let log = log_of(
        |_| {},
        "0 unit active
         0 alive
         1000 unit failed result=signal
         1000 nobody holds
         1001 queued 3
         1002 unit activating run=2 job=3 never_up
         1003 dies
         9000 back
         9000 read failed run=2 result=exit-code stopped_first
         90000 sleep",
    );
    assert!(log.contains("taken for an operator's stop"), "{log}");
    assert_eq!(log.matches("act web: Start").count(), 1, "{log}");
}
