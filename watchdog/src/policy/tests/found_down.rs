//! Units that ended before anyone saw them run.

use expect_test::expect;

use super::check;

#[test]
fn a_failed_unit_that_was_stopped_before_watchdog_came_is_left_alone() {
    check(
        "0 unit failed result=exit-code main=143 stopped_first
         9000 sleep",
        expect![[r#"
            > 0 unit failed result=exit-code main=143 stopped_first
              0ns web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_failed_unit_that_ended_by_itself_before_watchdog_came_is_started() {
    check(
        "0 unit failed result=exit-code main=1
         200 nobody holds",
        expect![[r#"
            > 0 unit failed result=exit-code main=1
              0ns look web: Holders
            > 200 nobody holds
              200ms web: decided Start { reset: false }: the unit ended: exit code 1 (an unclean exit code)
              200ms act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn c13_an_end_that_was_told_before_the_unit_was_seen_is_its_cause() {
    check(
        "0 exit signal 9
         1 unit failed result=signal
         1 nobody holds
         2 sleep",
        expect![[r#"
            > 0 exit signal 9
            > 1 unit failed result=signal
              1ms look web: Holders
            > 1 nobody holds
              1ms web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1ms act web: Start { reset: false }
            > 2 sleep
        "#]],
    );
}

#[test]
fn c13_an_end_of_a_run_before_the_one_that_is_seen_first_is_nothing() {
    check(
        "0 exit signal 9
         1 unit active run=2
         2 alive
         1000 unit failed result=exit-code run=2
         1000 nobody holds
         1001 sleep",
        expect![[r#"
            > 0 exit signal 9
            > 1 unit active run=2
              1ms ask web
            > 2 alive
            > 1000 unit failed result=exit-code run=2
              1s look web: Holders
            > 1000 nobody holds
              1s web: decided Start { reset: false }: the unit ended: result exit-code (an unclean exit code)
              1s act web: Start { reset: false }
            > 1001 sleep
        "#]],
    );
}

#[test]
fn c13_a_unit_that_was_stopped_while_nobody_watched_is_left_alone() {
    check(
        "0 exit signal 15
         1 unit inactive
         9000 sleep",
        expect![[r#"
            > 0 exit signal 15
            > 1 unit inactive
              1ms web: left alone: web.service is not running, and was not when watchdog first saw it
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_run_that_failed_before_anyone_heard_of_it_is_judged_like_any_other() {
    check(
        "0 unit active
         0 alive
         1000 job 5 new
         1000 job 5 done inactive
         2000 gap
         2000 unit failed run=2 result=exit-code main=1
         2000 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 5 new
            > 1000 job 5 done inactive
              1s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 2000 gap
            > 2000 unit failed run=2 result=exit-code main=1
              2s look web: Holders
            > 2000 nobody holds
              2s web: decided Start { reset: false }: the unit ended: exit code 1 (an unclean exit code)
              2s act web: Start { reset: false }
        "#]],
    );
}
