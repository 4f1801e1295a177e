//! What a service needs, and what stands in front of it.

use expect_test::expect;

use super::{check, check_with, log_of};
use crate::{
    model::Service,
    policy::{Dependency, Settings},
};

#[test]
fn a_sick_front_end_holds_the_restart_of_what_stands_behind_it() {
    check(
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         0 app behind web
         1000 app suspicion
         1000 app dead
         1200 app dead
         1200 dead
         1400 dead
         1401 queued 3
         1402 unit active run=2
         1402 job 3 done active
         1403 alive
         1500 app alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 0 app behind web
            > 1000 app suspicion
              1s ask app
              1s ask web
            > 1000 app dead
              1.2s ask app
              1.2s ask web
            > 1200 app dead
              1.2s app: held: Dependency { on: "web" }
            > 1200 dead
            > 1400 dead
              1.4s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.4s act web: Restart { reset: false }
            > 1401 queued 3
            > 1402 unit active run=2
            > 1402 job 3 done active
              1.402s ask web
            > 1403 alive
              1.403s web: Recovered after 3ms and 1 restarts
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  0 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  1000 µs requested
                  1000 µs systemd queued job 3
                  2000 µs stopped after 2ms; starting
                  2000 µs job done after 2ms, the unit is active
                  3000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
              1.403s ask app
              1.403s ask web
            > 1500 app alive
              1.5s app: Recovered after 500ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  200000 µs held: it needs web, which is failing
                  403000 µs asked again before anything is done
                  500000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn a_front_end_that_answers_leaves_the_blame_with_what_stands_behind_it() {
    check(
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         0 app behind web
         1000 app suspicion
         1001 alive
         1001 app dead
         1200 app dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 0 app behind web
            > 1000 app suspicion
              1s ask app
              1s ask web
            > 1001 alive
            > 1001 app dead
              1.2s ask app
            > 1200 app dead
              1.2s app: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.2s act app: Restart { reset: false }
        "#]],
    );
}

#[test]
fn a_unit_that_rests_or_has_done_its_work_holds_no_start_of_what_needs_it() {
    for rests in
        ["db unit inactive", "db unit inactive oneshot", "db unit inactive absent", "db unit inactive socket"]
    {
        let script = format!(
            "0 {rests}
             0 unit active
             0 alive
             1000 exit signal 9
             1001 unit failed result=signal
             1001 nobody holds"
        );
        let depends = |settings: &mut Settings| {
            let needed = Dependency::Unit("db.service".parse().unwrap());
            settings.services.get_mut(&Service::new("web")).unwrap().depends_on = vec![needed];
        };
        let log = log_of(depends, &script);
        assert!(log.contains("act web: Start"), "{rests}: {log}");
    }
}

#[test]
fn a14_a_unit_that_is_on_its_way_holds_what_needs_it_until_it_is_there() {
    for on_its_way in ["activating", "deactivating"] {
        let script = format!(
            "0 db unit {on_its_way}
             0 unit active
             0 alive
             1000 exit signal 9
             1001 unit failed result=signal
             2000 db unit active
             2000 nobody holds"
        );
        let depends = |settings: &mut Settings| {
            let needed = Dependency::Unit("db.service".parse().unwrap());
            settings.services.get_mut(&Service::new("web")).unwrap().depends_on = vec![needed];
        };
        let log = log_of(depends, &script);
        assert!(log.contains("1.001s web: held: Dependency") && log.contains("2s act web: Start"), "{log}");
    }
}

#[test]
fn a_failed_dependency_holds_for_two_minutes_and_then_one_try_is_made() {
    check_with(
        |settings| {
            let needed = Dependency::Unit("db.service".parse().unwrap());
            settings.services.get_mut(&Service::new("web")).unwrap().depends_on = vec![needed];
        },
        "0 db unit failed
         0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         121001 nobody holds",
        expect![[r#"
            > 0 db unit failed
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s web: held: Dependency { on: "db.service" }
              121.001s web: ALERT nothing has been done for 120s, though it is needed: it needs db.service, which is failing; it is tried once without that
              121.001s look web: Holders
            > 121001 nobody holds
              121.001s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              121.001s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn a_front_that_was_restarted_in_vain_holds_nobody_behind_it_any_more() {
    check(
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         0 app behind web
         1000 app suspicion
         1000 app dead
         1000 dead
         1200 app dead
         1200 dead
         1201 queued 3
         1202 unit active run=2
         1202 job 3 done active
         1203 dead
         11210 dead
         11215 dead
         11420 dead
         11430 app dead
         11440 app dead
         11640 app dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 0 app behind web
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
            > 1201 queued 3
            > 1202 unit active run=2
            > 1202 job 3 done active
              1.202s ask web
            > 1203 dead
              1.213s ask web
              6.2s ask app
              11.202s ask web
            > 11210 dead
            > 11215 dead
              11.402s ask web
            > 11420 dead
              11.42s ask app
              11.42s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              11.42s act web: Restart { reset: false }
            > 11430 app dead
            > 11440 app dead
              11.62s ask app
            > 11640 app dead
              11.64s app: held: Concurrency
        "#]],
    );
}
