//! Waits: each has an end, and what comes meanwhile is not forgotten.

use std::time::Duration;

use expect_test::expect;

use super::{check, check_with, log_of};
use crate::model::Service;

#[test]
fn a_pause_that_comes_while_the_ports_are_looked_at_holds_the_start() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1002 pause 5000
         1003 nobody holds
         6003 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 pause 5000
            > 1003 nobody holds
              1.003s web: held: Pause
              6.002s look web: Holders
            > 6003 nobody holds
              6.003s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              6.003s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_start_past_its_limit_is_given_up_and_tried_again() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 queued 6
         1003 unit activating run=2 job=6
         6100 job 6 canceled activating
         6101 unit failed run=2 result=signal
         7700 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.001s act web: Start { reset: false }
            > 1002 queued 6
            > 1003 unit activating run=2 job=6
              6.001s web: ALERT the start took longer than 5s: it is given up, and tried again after a pause
              6.001s act web: Cancel { job: 6 }
            > 6100 job 6 canceled activating
              6.1s act web: Kill
              6.1s look web: Unit
            > 6101 unit failed run=2 result=signal
              6.101s look web: Holders
              6.601s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start is owed
              6.601s act web: Start { reset: false }
            > 7700 nobody holds
        "#]],
    );
}

#[test]
fn a_job_whose_end_was_never_told_is_found_to_be_over() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 queued 3
         1201 unit deactivating job=3
         6201 read active run=2
         6202 alive
         60000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act web: Restart { reset: false }
            > 1200 queued 3
            > 1201 unit deactivating job=3
              6.2s web: ALERT the stop took longer than 5s: what is left of the old incarnation is killed
              6.2s act web: Kill
              6.2s look web: Unit
            > 6201 read active run=2
              6.201s ask web
            > 6202 alive
              6.202s web: Recovered after 5.202s and 1 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs requested
                  200000 µs systemd queued job 3
                  5200000 µs the stop took longer than 5s: what is left of the old incarnation is killed
                  5201000 µs the job is over, and no word of it came
                  5201000 µs started again by another hand
                  5202000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 60000 sleep
        "#]],
    );
}

#[test]
fn a_restart_whose_start_needs_what_failed_is_owed_its_start() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 queued 3
         1201 unit deactivating job=3
         1202 unit inactive
         1202 job 3 dependency inactive
         2500 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act web: Restart { reset: false }
            > 1200 queued 3
            > 1201 unit deactivating job=3
            > 1202 unit inactive
            > 1202 job 3 dependency inactive
              1.202s web: ALERT the start of web.service ended dependency: see `journalctl -u web.service`
              1.202s web: held: Backoff
              1.748305s look web: Holders
              2.248305s web: decided Start { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms); a unit that it needs failed
              2.248305s act web: Start { reset: false }
            > 2500 nobody holds
        "#]],
    );
}

#[test]
fn a_foreign_job_whose_end_was_never_told_holds_only_until_the_unit_is_read() {
    check(
        "0 unit active
         0 alive
         1000 job 5 new
         1001 suspicion
         1001 dead
         1201 dead
         31201 read active",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 5 new
            > 1001 suspicion
              1.001s ask web
            > 1001 dead
              1.201s ask web
            > 1201 dead
              1.201s web: held: ForeignJob { job: 5 }
              6.201s ask web
              24.201s ask web
              31.201s look web: Unit
            > 31201 read active
              31.201s ask web
        "#]],
    );
}

#[test]
fn two_that_are_asked_through_each_other_do_not_wait_for_each_other() {
    check(
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         0 app behind web
         0 behind app
         1000 app suspicion
         1000 app dead
         1000 dead
         1200 app dead
         1200 dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 0 app behind web
            > 0 behind app
            > 1000 app suspicion
              1s ask app
              1s ask web
            > 1000 app dead
            > 1000 dead
              1.2s ask app
              1.2s ask web
            > 1200 app dead
              1.2s app: held: Dependency { on: "web" }
            > 1200 dead
              1.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act web: Restart { reset: false }
        "#]],
    );
}

#[test]
fn a_good_answer_from_before_a_sign_does_not_clear_it_up() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1100 suspicion
         1101 alive
         1102 dead
         1302 dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1100 suspicion
              1.1s ask web
            > 1101 alive
            > 1102 dead
              1.302s ask web
            > 1302 dead
              1.302s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.302s act web: Restart { reset: false }
        "#]],
    );
}

#[test]
fn what_was_held_and_is_found_well_is_told_to_its_end() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().backoff = Duration::from_secs(20),
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 queued 3
         1201 unit active run=2
         1201 job 3 done active
         1202 alive
         2000 suspicion
         2000 dead
         2200 dead
         20000 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act web: Restart { reset: false }
            > 1200 queued 3
            > 1201 unit active run=2
            > 1201 job 3 done active
              1.201s ask web
            > 1202 alive
              1.202s web: Recovered after 202ms and 1 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs requested
                  200000 µs systemd queued job 3
                  201000 µs stopped after 1ms; starting
                  201000 µs job done after 1ms, the unit is active
                  202000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 2000 suspicion
              2s ask web
            > 2000 dead
              2.2s ask web
            > 2200 dead
              2.2s web: held: Backoff
              7.2s ask web
              16.748305s ask web
              16.948305s ask web
            > 20000 alive
        "#]],
    );
}

#[test]
fn a9_without_a_deadline_of_its_own_a_stop_has_all_the_time_that_the_unit_gives_each_of_its_phases() {
    let log = log_of(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().stop_timeout = None,
        "0 unit active
         1 alive
         60000 suspicion
         60001 dead
         60300 dead
         60301 queued 1
         60302 unit deactivating
         330000 sleep
         331000 sleep",
    );
    let (before, after) = log.split_once("> 331000").expect("the last line");
    let (before, late) = before.split_once("> 330000").expect("the line before");
    assert!(!before.contains("Kill") && late.contains("act web: Kill"), "{log}{after}");
}

#[test]
fn a_new_run_whose_main_process_dies_and_that_systemd_holds_for_alive_goes_on_proving_itself() {
    check(
        "0 unit active
         1 dead
         1000 exit signal 15
         1101 read active
         1102 dead
         1112 dead
         1200 dead
         10100 dead
         10101 dead
         10301 dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 1 dead
              11ms ask web
            > 1000 exit signal 15
              1.025s look web: Unit
            > 1101 read active
              1.101s ask web
            > 1102 dead
            > 1112 dead
              1.122s ask web
            > 1200 dead
              1.22s ask web
              10s ask web
            > 10100 dead
            > 10101 dead
              10.2s ask web
            > 10301 dead
              10.301s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              10.301s act web: Restart { reset: false }
        "#]],
    );
}
