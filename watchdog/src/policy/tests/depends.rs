//! A service that fails because what it needs does.

use expect_test::expect;

use super::{check_with, log_of};
use crate::{
    model::Service,
    policy::{Dependency, Settings},
};

/// web needs app.
fn on_app(settings: &mut Settings) {
    let needed = Dependency::Service(Service::new("app"));
    settings.services.get_mut(&Service::new("web")).unwrap().depends_on = vec![needed];
}

/// BindsTo=: systemd stops it by a job of its own, which nobody can tell from an operator's.
#[test]
fn g4_a_stop_while_what_it_needs_has_failed_is_respected_and_told() {
    let script = |ends: &str| {
        format!(
            "0 unit active
             0 alive
             0 app unit active run=7
             0 app alive
             60000 app unit {ends}
             60001 job 5 new
             60002 unit deactivating job=5
             60003 unit inactive
             60003 job 5 done inactive
             90000 sleep"
        )
    };
    let log = |ends| log_of(on_app, &script(ends));
    let failed = log("failed run=7 result=exit-code main=3");
    assert!(failed.contains("web.service was stopped while app, which it needs, is failing"), "{failed}");
    assert!(!failed.contains("act web"), "{failed}");
    assert!(!log("inactive run=7 main=0").contains("was stopped while"));
}

#[test]
fn a14_f12_what_fails_for_its_dependency_is_not_restarted_and_asked_again_once_that_is_well() {
    check_with(
        on_app,
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         1000 app exit signal 9
         1001 app unit failed result=signal
         1002 app nobody holds
         1003 app queued 3
         1004 suspicion
         1005 dead
         1205 dead
         1300 app unit active run=2
         1301 app job 3 done active
         1302 app alive
         1303 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 1000 app exit signal 9
            > 1001 app unit failed result=signal
              1.001s look app: Holders
            > 1002 app nobody holds
              1.002s app: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.002s act app: Start { reset: false }
            > 1003 app queued 3
            > 1004 suspicion
              1.004s ask web
            > 1005 dead
              1.204s ask web
            > 1205 dead
              1.205s web: held: Dependency { on: "app" }
            > 1300 app unit active run=2
            > 1301 app job 3 done active
              1.301s ask app
            > 1302 app alive
              1.302s app: Recovered after 302ms and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  1000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  2000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  3000 µs requested
                  3000 µs systemd queued job 3
                  301000 µs job done after 299ms, the unit is active
                  302000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
              1.302s ask web
              1.302s ask app
            > 1303 alive
              1.303s web: Recovered after 299ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  1000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  201000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  201000 µs held: it needs app, which is failing
                  298000 µs asked again before anything is done
                  299000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn g4_what_is_silent_because_its_dependency_hangs_waits_for_the_verdict_on_that() {
    check_with(
        on_app,
        "0 unit active
         0 app unit active
         0 alive
         0 app alive
         1000 suspicion
         1200 dead
         1400 dead
         4000 app dead
         4200 app dead
         4201 app queued 3
         4202 app unit active run=2
         4203 app job 3 done active
         4204 app alive
         4205 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 app unit active
              0ns ask app
            > 0 alive
            > 0 app alive
            > 1000 suspicion
              1s ask web
              1s ask app
              1.2s ask app
              1.2s ask web
            > 1200 dead
            > 1400 dead
              1.4s web: held: Dependency { on: "app" }
            > 4000 app dead
            > 4200 app dead
              4.2s app: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              4.2s act app: Restart { reset: false }
            > 4201 app queued 3
            > 4202 app unit active run=2
            > 4203 app job 3 done active
              4.203s ask app
            > 4204 app alive
              4.204s app: Recovered after 4ms and 1 restarts
                  0 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  0 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  1000 µs requested
                  1000 µs systemd queued job 3
                  2000 µs stopped after 2ms; starting
                  3000 µs job done after 3ms, the unit is active
                  4000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
              4.204s ask web
              4.204s ask app
            > 4205 alive
              4.205s web: Recovered after 3.205s and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  400000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  400000 µs held: it needs app, which is failing
                  3204000 µs asked again before anything is done
                  3205000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn g4_a_backstop_that_fails_has_the_dependency_asked_before_it_is_dead() {
    let one_failure = |settings: &mut Settings| {
        on_app(settings);
        settings.services.get_mut(&Service::new("web")).unwrap().heartbeats[0].failures = 1;
    };
    let script = "0 unit active
         0 app unit active
         0 alive
         0 app alive
         2000 in_use";
    let two = log_of(on_app, &format!("{script}\n6000 in_use\n6001 dead\n6201 dead"));
    assert!(two.contains("6.001s ask app") && two.contains("web: held: Dependency { on: \"app\" }"), "{two}");
    let one = log_of(one_failure, &format!("{script}\n6000 in_use\n6001 dead"));
    assert!(one.contains("6s ask app") && one.contains("web: held: Dependency { on: \"app\" }"), "{one}");
    let well = log_of(on_app, &format!("{script}\n6000 in_use\n6001 dead\n6002 app alive\n6201 dead"));
    assert!(well.contains("act web: Restart"), "{well}");
}

#[test]
fn f12_what_failed_before_its_dependency_was_well_again_is_no_failure_of_its_own() {
    let script = "0 unit active
         0 app unit active
         0 alive
         0 app alive
         1000 app exit signal 9
         1001 app unit failed result=signal
         1002 app nobody holds
         1003 app queued 3
         1004 suspicion
         1005 dead
         1010 app unit active run=2
         1011 app job 3 done active
         1012 app alive
         1210 dead";
    let log = log_of(on_app, script);
    assert!(!log.contains("act web") && !log.contains("web: held"), "{log}");
    let log = log_of(on_app, &format!("{script}\n1420 dead"));
    assert!(log.ends_with("act web: Restart { reset: false }\n"), "{log}");
}
