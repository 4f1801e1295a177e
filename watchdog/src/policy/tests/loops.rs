//! Ends that come again and again, and ends that are none.

use std::time::Duration;

use expect_test::expect;

use super::{check, check_with, log_of};
use crate::model::Service;

#[test]
fn systemd_restarting_a_unit_for_ever_is_told_once() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active restart=on-failure
         1000 unit activating sub=auto-restart restart=on-failure result=exit-code
         1100 unit active run=2 restart=on-failure restarts=1
         2000 unit activating run=2 sub=auto-restart restart=on-failure restarts=1 result=exit-code
         2100 unit active run=3 restart=on-failure restarts=2
         3000 unit activating run=3 sub=auto-restart restart=on-failure restarts=2 result=exit-code
         3100 unit active run=4 restart=on-failure restarts=3
         4000 unit activating run=4 sub=auto-restart restart=on-failure restarts=3 result=exit-code
         4100 unit active run=5 restart=on-failure restarts=4
         5000 unit activating run=5 sub=auto-restart restart=on-failure restarts=4 result=exit-code
         5100 unit active run=6 restart=on-failure restarts=5",
        expect![[r#"
            > 0 unit active restart=on-failure
            > 1000 unit activating sub=auto-restart restart=on-failure result=exit-code
              1s web: held: Systemd
              1.1s look web: Unit
            > 1100 unit active run=2 restart=on-failure restarts=1
              1.1s web: Recovered after 100ms and 0 restarts
                  0 µs the unit ended: result exit-code (an unclean exit code); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  100000 µs recovered: the unit is active (it has no heartbeat)
            > 2000 unit activating run=2 sub=auto-restart restart=on-failure restarts=1 result=exit-code
              2s web: held: Systemd
              2.1s look web: Unit
            > 2100 unit active run=3 restart=on-failure restarts=2
              2.1s web: Recovered after 100ms and 0 restarts
                  0 µs the unit ended: result exit-code (an unclean exit code); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  100000 µs recovered: the unit is active (it has no heartbeat)
            > 3000 unit activating run=3 sub=auto-restart restart=on-failure restarts=2 result=exit-code
              3s look web: LastWords
              3s web: held: Systemd
              3.1s look web: Unit
            > 3100 unit active run=4 restart=on-failure restarts=3
              3.1s web: Recovered after 100ms and 0 restarts
                  0 µs crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: result exit-code (an unclean exit code)
                  0 µs the unit ended: result exit-code (an unclean exit code); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  100000 µs recovered: the unit is active (it has no heartbeat)
            > 4000 unit activating run=4 sub=auto-restart restart=on-failure restarts=3 result=exit-code
              4s web: held: Systemd
              4.1s look web: Unit
            > 4100 unit active run=5 restart=on-failure restarts=4
              4.1s web: ALERT systemd has restarted web.service more than 3 times within 300s, and it does not stay up: see `journalctl -u web.service`
              4.1s web: Recovered after 100ms and 0 restarts
                  0 µs the unit ended: result exit-code (an unclean exit code); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  100000 µs recovered: the unit is active (it has no heartbeat)
            > 5000 unit activating run=5 sub=auto-restart restart=on-failure restarts=4 result=exit-code
              5s web: held: Systemd
              5.1s look web: Unit
            > 5100 unit active run=6 restart=on-failure restarts=5
              5.1s web: Recovered after 100ms and 0 restarts
                  0 µs the unit ended: result exit-code (an unclean exit code); systemd restarts it by itself (Restart=on-failure)
                  100000 µs started again by its own Restart=
                  100000 µs recovered: the unit is active (it has no heartbeat)
        "#]],
    );
}

#[test]
fn a_unit_without_heartbeats_stays_in_quarantine_until_it_is_stable() {
    check_with(
        |settings| {
            let web = settings.services.get_mut(&Service::new("web")).unwrap();
            web.heartbeats.clear();
            (web.burst, web.within) = (1, Duration::from_secs(20));
            (web.backoff_max, web.stable) = (Duration::from_secs(40), Duration::from_secs(100));
        },
        "0 unit active
         1000 unit failed result=signal
         1000 nobody holds
         1001 queued 1
         1002 unit active run=2
         1002 job 1 done active
         2000 unit failed run=2 result=signal
         21001 nobody holds
         21002 queued 2
         21003 unit active run=3
         21003 job 2 done active
         22000 unit failed run=3 result=signal
         61000 nobody holds
         61001 queued 3
         61002 unit active run=4
         61002 job 3 done active
         200000 unit failed run=4 result=signal",
        expect![[r#"
            > 0 unit active
            > 1000 unit failed result=signal
              1s look web: Holders
            > 1000 nobody holds
              1s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              1s act web: Start { reset: false }
            > 1001 queued 1
            > 1002 unit active run=2
            > 1002 job 1 done active
              1.002s web: Recovered after 2ms and 1 restarts
                  0 µs the unit ended: result signal (an unclean exit code)
                  0 µs start: the unit ended: result signal (an unclean exit code)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  2000 µs job done after 2ms, the unit is active
                  2000 µs recovered: the unit is active (it has no heartbeat)
            > 2000 unit failed run=2 result=signal
              2s web: held: Quarantine
              2s web: ALERT quarantined: 1 restarts within 20s did not help (the unit ended: result signal (an unclean exit code)); it is still watched and tried again, more and more seldom
              2s web: Quarantined after 0ns and 0 restarts
                  0 µs the unit ended: result signal (an unclean exit code)
                  0 µs held: its budget of restarts is spent
              21s look web: Holders
            > 21001 nobody holds
              21.001s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              21.001s act web: Start { reset: false }
            > 21002 queued 2
            > 21003 unit active run=3
            > 21003 job 2 done active
              21.003s web: Recovered after 3ms and 1 restarts
                  1000 µs start: the unit ended: result signal (an unclean exit code)
                  2000 µs requested
                  2000 µs systemd queued job 2
                  3000 µs job done after 2ms, the unit is active
                  3000 µs recovered: the unit is active (it has no heartbeat)
            > 22000 unit failed run=3 result=signal
              22s look web: LastWords
              22s web: held: Quarantine
              22s web: Quarantined after 0ns and 0 restarts
                  0 µs the unit ended: result signal (an unclean exit code)
                  0 µs crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: result signal (an unclean exit code)
                  0 µs held: its budget of restarts is spent
              27s web: ALERT crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: result signal (an unclean exit code); see `journalctl -u web.service`
              56.610346s look web: Holders
              57.110346s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              57.110346s act web: Start { reset: false }
            > 61000 nobody holds
            > 61001 queued 3
            > 61002 unit active run=4
            > 61002 job 3 done active
              61.002s web: Recovered after 4.391654s and 1 restarts
                  500000 µs not known in time: who holds its ports
                  500000 µs start: the unit ended: result signal (an unclean exit code)
                  4390654 µs requested
                  4390654 µs systemd queued job 3
                  4391654 µs job done after 3.891654s, the unit is active
                  4391654 µs recovered: the unit is active (it has no heartbeat)
            > 200000 unit failed run=4 result=signal
              200s look web: Holders
        "#]],
    );
}

#[test]
fn a_oneshot_that_has_done_its_work_is_no_stop_and_no_fault() {
    check(
        "0 unit inactive oneshot
         1000 job 5 new
         1001 unit activating run=2 oneshot job=5
         1002 unit inactive run=2 oneshot
         1002 job 5 done inactive",
        expect![[r#"
            > 0 unit inactive oneshot
              0ns web: left alone: web.service is not running, and was not when watchdog first saw it
            > 1000 job 5 new
            > 1001 unit activating run=2 oneshot job=5
            > 1002 unit inactive run=2 oneshot
            > 1002 job 5 done inactive
              1.002s web: left alone: it has done its work (Type=oneshot)
              1.002s web: StoodDown after 0ns and 0 restarts
                  0 µs the unit ended: result success (a clean end)
                  0 µs left alone: it has done its work (Type=oneshot)
        "#]],
    );
}

#[test]
fn a_restart_that_systemd_counts_before_the_new_run_has_a_name_is_its_own() {
    let log = log_of(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active restart=on-failure
         1000 unit activating sub=auto-restart restart=on-failure result=exit-code
         1100 unit activating sub=auto-restart restart=on-failure restarts=1 result=exit-code
         1101 unit active run=2 restart=on-failure restarts=1
         90000 unit failed run=2 result=exit-code main=1
         90000 unit active run=3 restart=on-failure",
    );
    let by = |whose: &str| log.matches(&format!("started again by {whose}")).count();
    assert_eq!((by("its own Restart="), by("another hand")), (1, 1), "{log}");
}

/// Quick ones: systemd's words of the whole run come before its reply to the request.
#[test]
fn c16_runs_that_are_over_before_the_request_is_answered_are_as_short_as_others() {
    let log = log_of(
        |_| {},
        "0 unit active
         100000 unit failed result=exit-code main=1
         100000 nobody holds
         100001 job 1 new
         100002 unit active run=2
         100002 job 1 done active
         100003 unit failed run=2 result=exit-code main=1
         100004 queued 1
         100005 read failed run=2 result=exit-code main=1
         103000 nobody holds
         103001 job 2 new
         103002 unit active run=3
         103002 job 2 done active
         103003 unit failed run=3 result=exit-code main=1
         103004 queued 2
         103005 read failed run=3 result=exit-code main=1
         109000 nobody holds
         109001 job 3 new
         109002 unit active run=4
         109002 job 3 done active
         109003 unit failed run=4 result=exit-code main=1
         109004 queued 3
         109005 read failed run=4 result=exit-code main=1",
    );
    assert!(log.contains("crash loop: 3 runs in a row"), "{log}");
}
