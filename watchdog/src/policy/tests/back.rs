//! Watchdog dies at some moment, and another process goes on from what was stored.

use expect_test::expect;

use super::check;

const UP: &str = "0 unit active\n10 alive\n";
const KILLED: &str = "1000 exit signal 9\n1001 unit failed result=signal\n1002 nobody holds\n";

fn after(story: &str, expected: expect_test::Expect) {
    check(&format!("{UP}{KILLED}{story}"), expected);
}

#[test]
fn c13_a_request_that_never_went_out_is_made_once_and_costs_one_restart() {
    after(
        "1003 dies\n3000 back\n3001 read failed result=signal\n3002 nobody holds\n3003 queued 5\n3004 unit activating run=2\n3005 unit active run=2\n3006 job 5 done active\n3010 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 nobody holds
              1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act web: Start { reset: false }
            > 1003 dies
            > 3000 back
              3s look web: Unit
            > 3001 read failed result=signal
              3.001s look web: Holders
            > 3002 nobody holds
              3.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal); its start is owed
              3.002s act web: Start { reset: false }
            > 3003 queued 5
            > 3004 unit activating run=2
            > 3005 unit active run=2
            > 3006 job 5 done active
              3.006s ask web
            > 3010 alive
              3.01s web: Recovered after 2.01s and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000000 µs watchdog died before it knew what became of its request
                  2001000 µs the request had not gone out
                  2001000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2002000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal); its start is owed
                  2003000 µs requested
                  2003000 µs systemd queued job 5
                  2006000 µs job done after 4ms, the unit is active
                  2010000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn c13_a_request_that_went_out_is_not_made_again() {
    after(
        "1003 dies\n3000 back\n3001 read active run=2\n3010 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 nobody holds
              1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act web: Start { reset: false }
            > 1003 dies
            > 3000 back
              3s look web: Unit
            > 3001 read active run=2
              3.001s ask web
            > 3010 alive
              3.01s web: Recovered after 2.01s and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000000 µs watchdog died before it knew what became of its request
                  2001000 µs started again upon the request that went out before watchdog died
                  2010000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn c13_a_request_that_is_being_carried_out_is_waited_for() {
    after(
        "1003 dies\n3000 back\n3001 read activating run=2 job=5\n3005 unit active run=2\n3006 job 5 done active\n3010 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 nobody holds
              1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act web: Start { reset: false }
            > 1003 dies
            > 3000 back
              3s look web: Unit
            > 3001 read activating run=2 job=5
            > 3005 unit active run=2
              3.005s ask web
            > 3006 job 5 done active
            > 3010 alive
              3.01s web: Recovered after 2.01s and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000000 µs watchdog died before it knew what became of its request
                  2001000 µs started again upon the request that went out before watchdog died
                  2010000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn c13_a_job_that_ended_meanwhile_is_taken_as_it_is() {
    after(
        "1003 queued 5\n1004 dies\n3000 back\n3001 read active run=2\n3010 alive",
        expect![[r#"
        > 0 unit active
          0ns ask web
        > 10 alive
        > 1000 exit signal 9
        > 1001 unit failed result=signal
          1.001s look web: Holders
        > 1002 nobody holds
          1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
          1.002s act web: Start { reset: false }
        > 1003 queued 5
        > 1004 dies
        > 3000 back
          3s look web: Unit
        > 3001 read active run=2
          3.001s ask web
        > 3010 alive
          3.01s web: Recovered after 2.01s and 1 restarts
              0 µs main process 10 (web) ended: signal 9 (SIGKILL)
              1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
              2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              3000 µs requested
              3000 µs systemd queued job 5
              2001000 µs the job is over, and no word of it came
              2001000 µs started again by another hand
              2010000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
    "#]],
    );
}

#[test]
fn c13_a_stop_that_takes_too_long_is_ended_though_watchdog_died_in_it() {
    check(
        "0 unit active\n10 alive\n1000 suspicion\n1001 dead\n1201 dead\n1202 queued 5\n1203 unit deactivating job=5\n1204 dies\n4000 back\n4001 read deactivating job=5\n7000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 suspicion
              1s ask web
            > 1001 dead
              1.2s ask web
            > 1201 dead
              1.201s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.201s act web: Restart { reset: false }
            > 1202 queued 5
            > 1203 unit deactivating job=5
            > 1204 dies
            > 4000 back
              4s look web: Unit
            > 4001 read deactivating job=5
              6.201s web: ALERT the stop took longer than 5s: what is left of the old incarnation is killed
              6.201s act web: Kill
              6.201s look web: Unit
            > 7000 sleep
        "#]],
    );
}

#[test]
fn c13_a_service_that_was_well_is_asked_again() {
    check(
        "0 unit active\n10 alive\n1000 dies\n3000 back\n3001 read active\n3101 read active\n3102 alive\n3103 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 dies
            > 3000 back
              3s look web: Unit
            > 3001 read active
              3.1s look web: Unit
            > 3101 read active
              3.101s ask web
            > 3102 alive
            > 3103 sleep
        "#]],
    );
}

#[test]
fn c13_a_service_that_died_meanwhile_is_started() {
    check(
        "0 unit active\n10 alive\n1000 dies\n3000 back\n3001 read failed result=signal\n3002 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 dies
            > 3000 back
              3s look web: Unit
            > 3001 read failed result=signal
              3.001s look web: Holders
            > 3002 nobody holds
              3.002s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              3.002s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn c13_a_service_that_was_stopped_stays_down_also_by_a_stop_that_nobody_heard() {
    check(
        "0 unit active\n10 alive\n1000 job 4 new\n1001 unit deactivating job=4\n1002 unit inactive\n1003 job 4 done inactive\n2000 dies\n3000 back\n3001 unit inactive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 job 4 new
            > 1001 unit deactivating job=4
            > 1002 unit inactive
            > 1003 job 4 done inactive
              1.003s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 2000 dies
            > 3000 back
            > 3001 unit inactive
        "#]],
    );
    check(
        "0 unit active\n10 alive\n1000 dies\n3000 back\n3001 read failed result=exit-code stopped_first",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 dies
            > 3000 back
              3s look web: Unit
            > 3001 read failed result=exit-code stopped_first
              3.001s web: ALERT web.service was stopped while systemd's words were missed: taken for an operator's stop, it stays down
              3.001s web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
        "#]],
    );
}

#[test]
fn c13_budgets_pauses_and_quarantine_are_kept() {
    after(
        "1003 queued 5\n1004 unit activating run=2\n1005 unit failed run=2 result=signal never_up\n1006 job 5 failed failed\n1100 dies\n1200 back\n1201 read failed run=2 result=signal never_up",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 nobody holds
              1.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act web: Start { reset: false }
            > 1003 queued 5
            > 1004 unit activating run=2
            > 1005 unit failed run=2 result=signal never_up
            > 1006 job 5 failed failed
              1.006s web: ALERT the start of web.service ended failed: see `journalctl -u web.service`
              1.006s web: held: Backoff
            > 1100 dies
            > 1200 back
              1.2s look web: Unit
            > 1201 read failed run=2 result=signal never_up
              1.201s web: held: Backoff
        "#]],
    );
    check(
        "0 unit active\n10 alive\n20 pause 60000\n1000 exit signal 9\n1001 unit failed result=signal\n1100 dies\n1200 back\n1201 read failed result=signal\n1202 sleep 60000",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 10 alive
            > 20 pause 60000
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s web: held: Pause
            > 1100 dies
            > 1200 back
              1.2s look web: Unit
            > 1201 read failed result=signal
              1.201s web: held: Pause
            > 1202 sleep 60000
              60.02s look web: Holders
              60.52s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              60.52s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_service_that_comes_back_into_the_configuration_waits_for_what_became_of_its_last_request() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         2000 unconfigured
         3000 configured
         3001 unit failed result=signal
         3002 read failed result=signal
         3003 nobody holds",
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
            > 2000 unconfigured
              2s web: ALERT taken out of the configuration while a job of ours is on web.service: nobody looks after its stop and start any more; see `systemctl status web.service`
              2s web: StoodDown after 1s and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000000 µs left alone: it is not in the configuration any more
            > 3000 configured
              3s look web: Unit
            > 3001 unit failed result=signal
            > 3002 read failed result=signal
              3.002s look web: Holders
            > 3003 nobody holds
              3.003s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              3.003s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_run_that_another_hand_began_and_that_ended_by_itself_meanwhile_is_judged_like_any_other() {
    let on = |on| {
        let always = move |settings: &mut crate::policy::Settings| {
            settings.services.values_mut().for_each(|guard| guard.on = on);
        };
        super::log_of(
            always,
            "0 unit active
             0 alive
             1000 job 5 new
             1001 unit inactive
             1001 job 5 done inactive
             2000 dies
             3000 back
             3001 unit inactive run=2",
        )
    };
    use crate::model::RestartOn;
    assert!(on(RestartOn::Always).contains("3.001s look web: Holders"), "{}", on(RestartOn::Always));
    assert!(on(RestartOn::OnFailure).contains("so it stays down"), "{}", on(RestartOn::OnFailure));
}
