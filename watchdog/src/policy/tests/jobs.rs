use expect_test::expect;

use super::{check, check_with, log_of};
use crate::model::Service;

#[test]
fn an_operators_stop_is_respected() {
    check(
        "0 unit active
         0 alive
         1000 job 5 new
         1001 unit deactivating job=5
         1002 exit code 0
         1003 unit inactive
         1003 job 5 done inactive
         9000 sleep
         9001 unit activating run=2 job=6
         9002 unit active run=2
         9003 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 5 new
            > 1001 unit deactivating job=5
            > 1002 exit code 0
            > 1003 unit inactive
            > 1003 job 5 done inactive
              1.003s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 9000 sleep
            > 9001 unit activating run=2 job=6
            > 9002 unit active run=2
              9.002s ask web
            > 9003 alive
        "#]],
    );
}

#[test]
fn an_operators_stop_that_crosses_our_start_wins() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 job 5 new
         1002 job 5 done failed
         1003 job 6 new
         1003 queued 6
         1004 unit activating run=2 job=6
         1005 job 7 new
         1005 queued 7
         1006 unit inactive run=2
         1006 job 7 done inactive
         9000 sleep",
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
            > 1002 job 5 new
            > 1002 job 5 done failed
            > 1003 job 6 new
            > 1003 queued 6
              1.003s act web: Undo
            > 1004 unit activating run=2 job=6
            > 1005 job 7 new
            > 1005 queued 7
            > 1006 unit inactive run=2
            > 1006 job 7 done inactive
              1.006s web: left alone: an operator stopped it
              1.006s web: StoodDown after 6ms and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  3000 µs requested
                  3000 µs systemd queued job 6
                  3000 µs an operator's stop crossed this start: it is taken back
                  5000 µs requested
                  5000 µs systemd queued job 7
                  6000 µs job done after 3ms, the unit is inactive
                  6000 µs left alone: an operator stopped it
            > 9000 sleep
        "#]],
    );
}

#[test]
fn b17_whatever_is_seen_while_a_restart_is_on_its_way_no_other_one_is_queued_behind_it() {
    let log = log_of(
        |_| {},
        "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1201 dead
         1202 suspicion
         1202 queued 3
         1203 unit deactivating job=3
         1204 exit signal 9
         1204 suspicion
         1205 listener_lost
         1206 unit inactive
         1207 unit activating run=2 job=3
         1208 suspicion
         1209 in_use
         1210 unit active run=2
         1210 job 3 done active
         1211 suspicion
         1212 alive
         9000 sleep",
    );
    assert_eq!(log.matches(" act web: ").count(), 1, "{log}");
    assert!(log.contains("web: Recovered after 212ms and 1 restarts"), "{log}");
}

#[test]
fn a_stop_of_a_failed_unit_means_leave_it_down() {
    check_with(
        |settings| {
            settings.services.get_mut(&Service::new("web")).unwrap().backoff =
                std::time::Duration::from_secs(60)
        },
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 queued 6
         1003 unit active run=2
         1003 job 6 done active
         1004 alive
         1100 exit signal 9
         1101 unit failed result=signal run=2
         2000 job 9 new
         2000 job 9 done failed
         99000 sleep",
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
            > 1003 unit active run=2
            > 1003 job 6 done active
              1.003s ask web
            > 1004 alive
              1.004s web: Recovered after 4ms and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs requested
                  2000 µs systemd queued job 6
                  3000 µs job done after 2ms, the unit is active
                  4000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 1100 exit signal 9
            > 1101 unit failed result=signal run=2
              1.101s web: held: Backoff
            > 2000 job 9 new
            > 2000 job 9 done failed
              2s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
              2s web: StoodDown after 900ms and 0 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000 µs held: the pause before the next restart
                  900000 µs left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 99000 sleep
        "#]],
    );
}

#[test]
fn a_stop_past_its_deadline_is_killed_in_each_phase_and_goes_on_to_the_start() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 queued 3
         1201 unit deactivating sub=stop-sigterm job=3
         6300 unit deactivating sub=stop-post job=3
         6400 unit activating run=2 job=3
         6500 unit active run=2
         6500 job 3 done active
         6501 alive",
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
            > 1201 unit deactivating sub=stop-sigterm job=3
              6.2s web: ALERT the stop took longer than 5s: what is left of the old incarnation is killed
              6.2s act web: Kill
              6.2s look web: Unit
            > 6300 unit deactivating sub=stop-post job=3
              6.3s act web: Kill
              6.3s look web: Unit
            > 6400 unit activating run=2 job=3
            > 6500 unit active run=2
            > 6500 job 3 done active
              6.5s ask web
            > 6501 alive
              6.501s web: Recovered after 5.501s and 1 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs requested
                  200000 µs systemd queued job 3
                  5200000 µs the stop took longer than 5s: what is left of the old incarnation is killed
                  5400000 µs stopped after 5.2s; starting
                  5500000 µs job done after 5.3s, the unit is active
                  5501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn a_start_that_fails_is_tried_again_after_a_pause() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 queued 6
         1100 job 6 failed failed
         3000 sleep",
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
            > 1100 job 6 failed failed
              1.1s web: ALERT the start of web.service ended failed: see `journalctl -u web.service`
              1.1s web: held: Backoff
              1.973203s look web: Holders
              2.473203s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal); its start failed
              2.473203s act web: Start { reset: false }
            > 3000 sleep
        "#]],
    );
}

#[test]
fn a_request_that_systemd_refuses_for_another_job_waits_for_that_job() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 job 8 new
         1200 refused org.freedesktop.systemd1.TransactionIsDestructive
         1201 read deactivating job=8
         1300 unit inactive
         1300 job 8 done inactive
         9000 sleep",
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
            > 1200 job 8 new
            > 1200 refused org.freedesktop.systemd1.TransactionIsDestructive
              1.2s look web: Unit
            > 1201 read deactivating job=8
              1.3s look web: Unit
            > 1300 unit inactive
            > 1300 job 8 done inactive
              1.3s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
              1.3s web: StoodDown after 300ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs systemd refused: no (org.freedesktop.systemd1.TransactionIsDestructive)
                  300000 µs left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_restart_of_another_hand_that_is_merged_into_our_start_has_a_deadline_for_its_stop() {
    let log = log_of(
        |_| {},
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 queued 6
         1003 unit activating run=2 job=6
         2000 unit deactivating run=2 job=6
         7001 sleep",
    );
    assert!(log.ends_with("7s act web: Kill\n  7s look web: Unit\n> 7001 sleep\n"), "{log}");
}

#[test]
fn f3_a_stop_names_what_was_run_just_before_it_and_says_where_that_is_not_known() {
    check(
        "0 unit active
         0 alive
         1000 job 7 new
         1000 asked 7 dpkg systemctl
         1001 unit deactivating job=7
         1002 exit signal 15
         1003 unit inactive job=7
         1003 job 7 done inactive
         2000 asked 7 systemctl
         3000 job 8 new start
         3001 unit active run=2
         3002 job 8 done active
         3003 alive
         4000 job 9 new
         4000 asked 9 systemctl
         4001 job 9 done inactive
         5000 unit active run=3
         5001 alive
         6000 job 10 new
         6001 job 10 done inactive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 job 7 new
            > 1000 asked 7 dpkg systemctl
            > 1001 unit deactivating job=7
            > 1002 exit signal 15
            > 1003 unit inactive job=7
            > 1003 job 7 done inactive
              1.003s web: left alone: stopped on request (a stop that watchdog did not order), asked for by one of: process 812 (systemctl) of user 1000 in session-3.scope, process 812 (dpkg) of user 1000 in session-3.scope
            > 2000 asked 7 systemctl
            > 3000 job 8 new start
            > 3001 unit active run=2
              3.001s ask web
            > 3002 job 8 done active
            > 3003 alive
            > 4000 job 9 new
            > 4000 asked 9 systemctl
            > 4001 job 9 done inactive
              4.001s web: left alone: stopped on request (a stop that watchdog did not order), asked for by process 812 (systemctl) of user 1000 in session-3.scope
            > 5000 unit active run=3
              5s ask web
            > 5001 alive
            > 6000 job 10 new
            > 6001 job 10 done inactive
              6.001s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
        "#]],
    );
}
