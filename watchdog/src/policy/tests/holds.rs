use std::time::Duration;

use expect_test::expect;

use super::{check, check_with, log_of};
use crate::model::Service;

#[test]
fn a_budget_that_is_spent_leads_to_quarantine_which_is_left_by_itself() {
    check_with(
        |settings| {
            let web = settings.services.get_mut(&Service::new("web")).unwrap();
            web.burst = 2;
            web.within = Duration::from_secs(20);
            web.backoff_max = Duration::from_secs(2);
        },
        "0 unit active
         0 alive
         1000 exit signal 9
         1000 unit failed
         1000 nobody holds
         1001 queued 1
         1002 unit active run=2
         1002 job 1 done active
         1003 exit signal 9
         1003 unit failed run=2
         2100 nobody holds
         2101 queued 2
         2102 unit active run=3
         2102 job 2 done active
         2103 exit signal 9
         2103 unit failed run=3
         21100 nobody holds
         21101 queued 3
         21102 unit active run=4
         21102 job 3 done active
         21103 dead
         21103 dead
         21103 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1000 unit failed
              1s look web: Holders
            > 1000 nobody holds
              1s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1s act web: Start { reset: false }
            > 1001 queued 1
            > 1002 unit active run=2
            > 1002 job 1 done active
              1.002s ask web
            > 1003 exit signal 9
            > 1003 unit failed run=2
              1.003s web: held: Backoff
              1.972203s look web: Holders
            > 2100 nobody holds
              2.1s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              2.1s act web: Start { reset: false }
            > 2101 queued 2
            > 2102 unit active run=3
            > 2102 job 2 done active
              2.102s ask web
            > 2103 exit signal 9
            > 2103 unit failed run=3
              2.103s look web: LastWords
              2.103s web: held: Quarantine
              2.103s web: ALERT quarantined: 2 restarts within 20s did not help (the unit ended: signal 9 (SIGKILL) (an unclean signal)); it is still watched and tried again, more and more seldom
              2.103s web: Quarantined after 1.103s and 2 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  0 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  0 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  2000 µs job done after 2ms, the unit is active
                  3000 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  3000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  3000 µs held: the pause before the next restart
                  1100000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1101000 µs requested
                  1101000 µs systemd queued job 2
                  1102000 µs job done after 2ms, the unit is active
                  1103000 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1103000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1103000 µs crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  1103000 µs held: its budget of restarts is spent
              7.103s web: ALERT crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: signal 9 (SIGKILL) (an unclean signal); see `journalctl -u web.service`
              21s look web: Holders
            > 21100 nobody holds
              21.1s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              21.1s act web: Start { reset: false }
            > 21101 queued 3
            > 21102 unit active run=4
            > 21102 job 3 done active
              21.102s ask web
            > 21103 dead
            > 21103 dead
            > 21103 alive
              21.103s web: Recovered after 103ms and 1 restarts
                  100000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  101000 µs requested
                  101000 µs systemd queued job 3
                  102000 µs job done after 2ms, the unit is active
                  103000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  103000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  103000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn a_port_held_by_another_program_holds_the_start_and_names_it() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed
         1002 held
         31002 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 unit failed
              1.001s look web: Holders
            > 1002 held
              1.002s web: ALERT not started: 0.0.0.0:80 is held by process 99 (apache2) of apache2.service, outside the unit; stop that program, or give it to the unit
              1.002s web: held: PortHeld { by: "0.0.0.0:80 is held by process 99 (apache2) of apache2.service, outside the unit" }
              31.002s look web: Holders
            > 31002 nobody holds
              31.002s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              31.002s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_dead_unit_is_started_while_a_living_one_is_stopped_for_long() {
    check(
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         1000 suspicion
         1000 dead
         1200 dead
         1200 queued 3
         1201 unit deactivating job=3
         2000 app exit signal 9
         2001 app unit failed
         2001 app nobody holds
         2002 app queued 4",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act web: Restart { reset: false }
            > 1200 queued 3
            > 1201 unit deactivating job=3
            > 2000 app exit signal 9
            > 2001 app unit failed
              2.001s look app: Holders
            > 2001 app nobody holds
              2.001s app: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              2.001s act app: Start { reset: false }
            > 2002 app queued 4
        "#]],
    );
}

#[test]
fn a_pause_holds_and_ends_by_itself() {
    check(
        "0 unit active
         0 alive
         500 pause 20000
         1000 exit signal 9
         1001 unit failed
         20501 nobody holds",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 500 pause 20000
            > 1000 exit signal 9
            > 1001 unit failed
              1.001s web: held: Pause
              20.5s look web: Holders
            > 20501 nobody holds
              20.501s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              20.501s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn observe_decides_and_does_nothing() {
    check_with(
        |settings| settings.host.observe = true,
        "0 unit active
         0 alive
         1000 suspicion
         1000 dead
         1200 dead
         7000 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1000 dead
              1.2s ask web
            > 1200 dead
              1.2s web: decided Restart { reset: false } (observed only): heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s web: held: Observe
              6.2s ask web
            > 7000 alive
              7s web: Recovered after 6s and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs held: mode = "observe": nothing is done
                  6000000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms): well again without our help
        "#]],
    );
}

#[test]
fn of_two_services_that_name_one_unit_only_the_first_acts() {
    check(
        "0 app unit active run=7
         0 unit active run=7
         0 app alive
         0 alive
         1000 app unit failed run=7 result=signal
         1000 unit failed run=7 result=signal
         1000 app nobody holds",
        expect![[r#"
            > 0 app unit active run=7
              0ns ask app
            > 0 unit active run=7
              0ns web: ALERT web.service is an alias of the unit of service app, which keeps it; take one of the two out of the configuration
              0ns ask web
            > 0 app alive
            > 0 alive
            > 1000 app unit failed run=7 result=signal
              1s look app: Holders
            > 1000 unit failed run=7 result=signal
              1s web: held: Twin { service: "app" }
            > 1000 app nobody holds
              1s app: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              1s act app: Start { reset: false }
        "#]],
    );
}

#[test]
fn of_two_services_that_name_one_unit_only_the_first_acts_whichever_is_told_of_first() {
    check(
        "0 unit active run=7
         0 app unit active run=7
         0 app alive
         0 alive
         1000 unit failed run=8 result=signal
         1000 app unit failed run=8 result=signal
         1000 app nobody holds",
        expect![[r#"
            > 0 unit active run=7
              0ns ask web
            > 0 app unit active run=7
              0ns web: ALERT web.service is an alias of the unit of service app, which keeps it; take one of the two out of the configuration
              0ns ask app
            > 0 app alive
            > 0 alive
            > 1000 unit failed run=8 result=signal
              1s web: held: Twin { service: "app" }
            > 1000 app unit failed run=8 result=signal
              1s look app: Holders
            > 1000 app nobody holds
              1s app: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
              1s act app: Start { reset: false }
        "#]],
    );
}

/// Such as after a reload that names the unit anew.
#[test]
fn of_two_services_that_name_one_unit_the_first_waits_for_what_the_other_has_asked_for() {
    let log = log_of(
        |_| {},
        "0 unit active run=7
         0 alive
         1000 unit failed run=7 result=signal
         1000 nobody holds
         1001 app unit failed run=7 result=signal
         1002 queued 3
         1003 unit active run=8
         1003 app unit active run=8
         1003 job 3 done active
         1003 app job 3 done active
         2000 app alive
         90000 sleep",
    );
    assert!(log.contains("1.001s app: held: Twin { service: \"web\" }"), "{log}");
    assert!(!log.contains("act app") && log.contains("app: Superseded"), "{log}");
}
