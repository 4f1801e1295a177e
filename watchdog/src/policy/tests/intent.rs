use expect_test::{Expect, expect};

use super::{check, log_of};

#[test]
fn f4_a_start_after_a_stop_that_was_heard_of_before_the_unit_was_seen_is_no_stop() {
    check(
        "0 job 7 new
         1 job 7 done failed
         2 job 9 new start
         3 unit activating job=9
         4 unit failed result=exit-code
         4 job 9 failed failed
         5 nobody holds",
        expect![[r#"
            > 0 job 7 new
            > 1 job 7 done failed
            > 2 job 9 new start
            > 3 unit activating job=9
            > 4 unit failed result=exit-code
            > 4 job 9 failed failed
              4ms look web: Holders
            > 5 nobody holds
              5ms web: decided Start { reset: false }: the unit ended: result exit-code (an unclean exit code)
              5ms act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn f10_while_a_package_manager_is_at_work_nothing_is_started_and_soon_after_it_is() {
    check(
        "0 unit active
         0 alive
         900 others apt
         1000 exit signal 9
         1001 unit failed result=signal
         1002 nobody holds
         6003 nobody holds
         10000 others
         11004 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 900 others apt
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Holders
            > 1002 nobody holds
              1.002s web: held: Package { by: "process 7 (apt-get) holds /var/lib/dpkg/lock-frontend" }
              6.002s look web: Holders
            > 6003 nobody holds
            > 10000 others
              11.003s look web: Holders
            > 11004 nobody holds
              11.004s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              11.004s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn f10_a_package_manager_that_does_not_end_is_told_after_ten_minutes_and_the_unit_is_started() {
    ends(
        "0 unit active
         0 alive
         900 others apt
         1000 exit signal 9
         1001 unit failed result=signal",
        |script| (0..121).for_each(|look| script.push_str(&format!("{} nobody holds\n", 1500 + look * 5001))),
        expect![[r#"
              1.5s web: held: Package { by: "process 7 (apt-get) holds /var/lib/dpkg/lock-frontend" }
              601.001s web: ALERT nothing has been done for 600s, though it is needed: a package manager is at work: process 7 (apt-get) holds /var/lib/dpkg/lock-frontend; it is tried in spite of that
              601.501s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              601.501s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn c20_while_the_boot_runs_nothing_is_done_for_ninety_seconds_at_most() {
    ends(
        "0 unit active
         0 alive
         900 others boot
         1000 exit signal 9
         1001 unit failed result=signal",
        |script| (0..19).for_each(|look| script.push_str(&format!("{} nobody holds\n", 1500 + look * 5001))),
        expect![[r#"
              1.5s web: held: Boot
              91.001s web: ALERT nothing has been done for 90s, though it is needed: jobs of the boot are still running; it is tried in spite of that
              91.501s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              91.501s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn f4_in_a_shutdown_nothing_is_started() {
    ends(
        "0 unit active
         0 alive
         900 others shutdown
         1000 exit signal 9
         1001 unit failed result=signal",
        |script| (0..40).for_each(|look| script.push_str(&format!("{} nobody holds\n", 1500 + look * 5001))),
        expect![[r#"
              1.5s web: held: Shutdown
              121.001s web: ALERT nothing has been done for 120s, though it is needed: the host shuts down; it is left alone until that ends
        "#]],
    );
}

#[test]
fn g5_a_debugger_holds_a_restart_until_it_is_gone() {
    check(
        "0 unit active
         0 alive
         900 others gdb
         1000 suspicion
         1000 dead
         1200 dead
         6200 dead
         11200 dead
         20000 others
         21200 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 900 others gdb
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: held: Debugger { by: "process 8 (gdb) traces process 10 (web)" }
              6.2s ask web
            > 6200 dead
              11.2s ask web
            > 11200 dead
              16.2s ask web
            > 20000 others
            > 21200 alive
              21.2s web: Recovered after 20.2s and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs held: a debugger is attached: process 8 (gdb) traces process 10 (web)
                  5200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  10200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  20200000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms): well again without our help
        "#]],
    );
}

#[test]
fn g5_a_debugger_that_stays_wakes_someone_and_is_left_alone() {
    ends(
        "0 unit active
         0 alive
         900 others gdb
         1000 suspicion
         1000 dead
         1200 dead",
        |script| {
            for look in 0..6 {
                let lingers = [5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 30_200];
                lingers
                    .iter()
                    .for_each(|ms| script.push_str(&format!("{} dead\n", 1200 + look * 30_200 + ms)));
            }
        },
        expect![[r#"
              1.2s web: held: Debugger { by: "process 8 (gdb) traces process 10 (web)" }
              122s web: ALERT nothing has been done for 120.8s, though it is needed: a debugger is attached: process 8 (gdb) traces process 10 (web); it is left alone until that ends
        "#]],
    );
}

#[test]
fn a_frozen_unit_is_held_and_well_again_once_it_is_thawed() {
    check(
        "0 unit active
         0 alive
         900 others frozen
         1000 suspicion
         1000 dead
         1200 dead
         5000 others
         6200 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 900 others frozen
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: held: Frozen
            > 5000 others
              6.2s ask web
            > 6200 alive
              6.2s web: Recovered after 5.2s and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs held: its processes are frozen
                  5200000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms): well again without our help
        "#]],
    );
}

#[test]
fn d11_while_the_unit_says_that_it_reloads_failures_do_not_count() {
    check(
        "0 unit active
         0 alive
         1000 unit reloading
         1100 suspicion
         1100 dead
         1300 dead
         1310 dead
         2000 unit active
         2010 alive
         2011 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 unit reloading
            > 1100 suspicion
              1.1s ask web
            > 1100 dead
              1.3s ask web
            > 1300 dead
              1.3s ask web
            > 1310 dead
              1.32s ask web
            > 2000 unit active
            > 2010 alive
              2.01s web: Recovered after 910ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs the unit says that it reloads: failures do not count yet
                  210000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  910000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 2011 sleep
        "#]],
    );
}

#[test]
fn d11_a_reload_that_does_not_end_is_no_excuse() {
    ends(
        "0 unit active
         0 alive
         1000 unit reloading
         1100 suspicion
         1100 dead
         1300 dead
         10999 dead
         11001 dead
         11201 dead",
        |_| {},
        expect![[r#"
              11.201s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              11.201s act web: Restart { reset: false }
        "#]],
    );
}

/// A certificate is renewed, and the log rotated soon after; no heartbeat was due between.
#[test]
fn d11_each_reload_of_what_is_well_has_its_own_time() {
    ends(
        "0 unit active
         0 alive
         60000 unit reloading
         60001 unit active
         100000 unit reloading
         100000 suspicion
         100100 dead
         100300 dead
         101000 unit active
         101001 dead
         101100 alive",
        |_| {},
        expect![[r#"
            101.1s web: Recovered after 1.1s and 0 restarts
        "#]],
    );
}

#[test]
fn b10_a_disabled_unit_whose_socket_listens_is_kept_and_a_masked_one_is_not() {
    let script =
        |words: &str| format!("0 unit active {words}\n0 alive\n1000 suspicion\n1000 dead\n1200 dead");
    let log = |words| log_of(|_| {}, &script(words));
    assert!(log("disabled socket").contains("act web: Restart"), "{}", log("disabled socket"));
    assert!(log("disabled").contains("held: Disabled"));
    assert!(log("masked socket").contains("held: Disabled"));
}

#[test]
fn g10_another_hand_that_starts_it_again_and_again_is_told_once() {
    ends(
        "0 unit active
         0 alive",
        |script| {
            for run in 2..8 {
                let at = run * 10_000;
                script.push_str(&format!(
                    "{at} job {run} new\n{at} unit deactivating run={} job={run}\n",
                    run - 1
                ));
                script.push_str(&format!("{} unit active run={run}\n{} alive\n", at + 10, at + 11));
            }
        },
        expect![[r#"
              50.01s web: ALERT another hand has started web.service more than 3 times within 300s: where monit, a cron job or another watchdog keeps it too, the two fight; take it out of one of them
        "#]],
    );
}

#[test]
fn an_order_for_an_incarnation_that_is_gone_does_nothing_and_costs_nothing() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         1201 nothing
         1202 read active run=2
         1203 alive",
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
            > 1201 nothing
              1.201s look web: Unit
            > 1202 read active run=2
              1.202s ask web
            > 1203 alive
              1.203s web: Superseded after 203ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  201000 µs there was nothing to do any more
                  202000 µs started again by another hand
                  203000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

/// Only what is told and done, without the looks and the steps.
fn ends(script: &str, more: impl FnOnce(&mut String), expect: Expect) {
    let mut script = script.to_owned() + "\n";
    more(&mut script);
    let log = log_of(|_| {}, &script);
    let kept = log.lines().filter(|line| {
        !line.starts_with('>')
            && !line.starts_with("      ")
            && !line.contains(" look ")
            && !line.contains(" ask ")
    });
    expect.assert_eq(&kept.map(|line| format!("{}\n", line.trim_start())).collect::<String>());
}
