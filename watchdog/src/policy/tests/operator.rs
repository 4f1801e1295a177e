//! Restarts that an operator asks for: through the policy, and refused by no budget.

use expect_test::expect;

use super::{check, check_with};
use crate::model::Service;

#[test]
fn a_restart_that_is_asked_for_is_one_incident_which_ends_when_it_answers() {
    check(
        "0 unit active
         0 alive
         1000 restart
         1001 queued 1
         1500 unit active run=2
         1500 job 1 done active
         1501 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 restart
              1s web: decided Restart { reset: false }: asked for by root (deploy)
              1s act web: Restart { reset: false }
            > 1001 queued 1
            > 1500 unit active run=2
            > 1500 job 1 done active
              1.5s ask web
            > 1501 alive
              1.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  500000 µs stopped after 500ms; starting
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn what_is_stopped_is_started_for_that_is_the_operators_last_word() {
    check(
        "0 unit active
         0 alive
         500 job 9 new
         600 job 9 done inactive
         600 unit inactive
         1000 restart
         1000 nobody holds
         1001 queued 10
         1500 unit active run=2
         1500 job 10 done active
         1501 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 500 job 9 new
            > 600 job 9 done inactive
              600ms web: left alone: stopped on request (a stop that watchdog did not order), not known who asked
            > 600 unit inactive
            > 1000 restart
              1s look web: Holders
            > 1000 nobody holds
              1s web: decided Start { reset: false }: asked for by root (deploy)
              1s act web: Start { reset: false }
            > 1001 queued 10
            > 1500 unit active run=2
            > 1500 job 10 done active
              1.5s ask web
            > 1501 alive
              1.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs start: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 10
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn no_budget_refuses_it_and_every_budget_counts_it() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().burst = 1,
        "0 unit active
         0 alive
         1000 restart
         1001 queued 1
         1500 unit active run=2
         1500 job 1 done active
         1501 alive
         2000 restart
         2001 queued 2
         2500 unit active run=3
         2500 job 2 done active
         2501 alive
         3000 exit signal 9
         3000 unit failed run=3
         4000 restart
         4000 nobody holds
         4001 queued 3
         4500 unit active run=4
         4500 job 3 done active
         4501 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 restart
              1s web: decided Restart { reset: false }: asked for by root (deploy)
              1s act web: Restart { reset: false }
            > 1001 queued 1
            > 1500 unit active run=2
            > 1500 job 1 done active
              1.5s ask web
            > 1501 alive
              1.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  500000 µs stopped after 500ms; starting
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 2000 restart
              2s web: decided Restart { reset: false }: asked for by root (deploy)
              2s act web: Restart { reset: false }
            > 2001 queued 2
            > 2500 unit active run=3
            > 2500 job 2 done active
              2.5s ask web
            > 2501 alive
              2.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 2
                  500000 µs stopped after 500ms; starting
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 3000 exit signal 9
            > 3000 unit failed run=3
              3s web: held: Quarantine
              3s web: ALERT quarantined: 1 restarts within 300s did not help (the unit ended: signal 9 (SIGKILL) (an unclean signal)); it is still watched and tried again, more and more seldom
              3s web: Quarantined after 0ns and 0 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  0 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  0 µs held: its budget of restarts is spent
            > 4000 restart
              4s look web: Holders
            > 4000 nobody holds
              4s web: decided Start { reset: false }: asked for by root (deploy)
              4s act web: Start { reset: false }
            > 4001 queued 3
            > 4500 unit active run=4
            > 4500 job 3 done active
              4.5s ask web
            > 4501 alive
              4.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs start: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 3
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn a_good_answer_does_not_end_it_and_a_failed_preflight_leaves_it_as_it_was() {
    check_with(
        |settings| {
            let web = settings.services.get_mut(&Service::new("web")).unwrap();
            web.preflight = Some(vec!["/bin/check".into()]);
        },
        "0 unit active
         0 alive
         1000 suspicion
         1000 restart
         1001 alive
         1002 preflight failed
         1003 alive
         2000 restart
         2001 preflight passed
         2002 queued 1
         2500 unit active run=2
         2500 job 1 done active
         2501 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1000 restart
              1s look web: Preflight
            > 1001 alive
            > 1002 preflight failed
              1.002s web: ALERT not restarted, for its configuration is invalid: its preflight ended with code 1: [emerg] unknown directive
              1.002s web: ALERT not restarted, though asked for by root (deploy): a living instance is not stopped for an invalid configuration: its preflight ended with code 1: [emerg] unknown directive
              1.002s ask web
            > 1003 alive
              1.003s web: StoodDown after 3ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  0 µs a restart is asked for by root (deploy)
                  2000 µs not restarted: a living instance is not stopped for an invalid configuration: its preflight ended with code 1: [emerg] unknown directive
                  2000 µs asked again before anything is done
                  3000 µs left alone: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 2000 restart
              2s look web: Preflight
            > 2001 preflight passed
              2.001s web: decided Restart { reset: false }: asked for by root (deploy)
              2.001s act web: Restart { reset: false }
            > 2002 queued 1
            > 2500 unit active run=2
            > 2500 job 1 done active
              2.5s ask web
            > 2501 alive
              2.501s web: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  1000 µs restart: asked for by root (deploy)
                  2000 µs requested
                  2000 µs systemd queued job 1
                  500000 µs stopped after 499ms; starting
                  500000 µs job done after 499ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn several_are_restarted_one_after_the_other() {
    check(
        "0 app unit active
         0 web unit active
         0 app alive
         0 web alive
         1000 app restart
         1000 web restart
         1001 app queued 1
         1500 app unit active run=2
         1500 app job 1 done active
         1501 app alive
         1502 web queued 2
         1600 web unit active run=3
         1600 web job 2 done active
         1601 web alive",
        expect![[r#"
            > 0 app unit active
              0ns ask app
            > 0 web unit active
              0ns ask web
            > 0 app alive
            > 0 web alive
            > 1000 app restart
              1s app: decided Restart { reset: false }: asked for by root (deploy)
              1s act app: Restart { reset: false }
            > 1000 web restart
              1s web: held: Concurrency
            > 1001 app queued 1
            > 1500 app unit active run=2
            > 1500 app job 1 done active
              1.5s ask app
              1.5s web: decided Restart { reset: false }: asked for by root (deploy)
              1.5s act web: Restart { reset: false }
            > 1501 app alive
              1.501s app: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  500000 µs stopped after 500ms; starting
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 1502 web queued 2
            > 1600 web unit active run=3
            > 1600 web job 2 done active
              1.6s ask web
            > 1601 web alive
              1.601s web: Recovered after 601ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs held: another living unit is being restarted
                  500000 µs restart: asked for by root (deploy)
                  502000 µs requested
                  502000 µs systemd queued job 2
                  600000 µs stopped after 100ms; starting
                  600000 µs job done after 100ms, the unit is active
                  601000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn what_stands_against_it_is_said_at_once() {
    check(
        "0 restart
         0 unit active
         0 alive
         1000 pause 5000
         1001 restart
         1002 resume
         1003 job 7 new
         1004 restart
         1005 job 7 done active
         1006 restart
         1007 restart
         1008 queued 8
         1009 unit deactivating
         2000 unit active run=2
         2000 job 8 done active
         2001 alive
         3000 observe
         3001 restart",
        expect![[r#"
            > 0 restart
              refused: nothing is known of its unit yet; try again in a moment
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 pause 5000
            > 1001 restart
              refused: an operator's pause of root (deploy); `watchdog resume web` first
            > 1002 resume
            > 1003 job 7 new
            > 1004 restart
              refused: job 7, which is not ours, is on the unit
            > 1005 job 7 done active
            > 1006 restart
              1.006s web: decided Restart { reset: false }: asked for by root (deploy)
              1.006s act web: Restart { reset: false }
            > 1007 restart
              refused: it is being restarted already
            > 1008 queued 8
            > 1009 unit deactivating
            > 2000 unit active run=2
            > 2000 job 8 done active
              2s ask web
            > 2001 alive
              2.001s web: Recovered after 995ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  2000 µs requested
                  2000 µs systemd queued job 8
                  994000 µs stopped after 994ms; starting
                  994000 µs job done after 994ms, the unit is active
                  995000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 3000 observe
            > 3001 restart
              refused: mode = "observe": nothing is done; `systemctl restart web.service` does it
        "#]],
    );
}

#[test]
fn a_pause_that_comes_before_it_is_requested_ends_it() {
    check(
        "0 app unit active
         0 web unit active
         0 app alive
         0 web alive
         1000 app restart
         1000 web restart
         1001 web pause 60000
         1001 app queued 1
         1500 app unit active run=2
         1500 app job 1 done active
         1501 app alive
         1502 web alive",
        expect![[r#"
            > 0 app unit active
              0ns ask app
            > 0 web unit active
              0ns ask web
            > 0 app alive
            > 0 web alive
            > 1000 app restart
              1s app: decided Restart { reset: false }: asked for by root (deploy)
              1s act app: Restart { reset: false }
            > 1000 web restart
              1s web: held: Concurrency
            > 1001 web pause 60000
              1.001s web: ALERT not restarted, though asked for by root (deploy): an operator's pause of root (deploy); `watchdog resume web` first
              1.001s web: StoodDown after 1ms and 0 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs held: another living unit is being restarted
                  1000 µs not restarted: an operator's pause of root (deploy); `watchdog resume web` first
              1.001s ask web
            > 1001 app queued 1
              1.201s ask web
            > 1500 app unit active run=2
            > 1500 app job 1 done active
              1.5s ask app
            > 1501 app alive
              1.501s app: Recovered after 501ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs restart: asked for by root (deploy)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  500000 µs stopped after 500ms; starting
                  500000 µs job done after 500ms, the unit is active
                  501000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 1502 web alive
        "#]],
    );
}

#[test]
fn what_ends_while_its_restart_waits_is_not_forgotten() {
    check(
        "0 app unit active
         0 web unit active
         0 app alive
         0 web alive
         1000 app restart
         1000 web restart
         1100 web exit signal 9
         1100 web unit failed
         1100 web nobody holds
         1101 web queued 2
         1200 web unit active run=2
         1200 web job 2 done active
         1201 web alive",
        expect![[r#"
            > 0 app unit active
              0ns ask app
            > 0 web unit active
              0ns ask web
            > 0 app alive
            > 0 web alive
            > 1000 app restart
              1s app: decided Restart { reset: false }: asked for by root (deploy)
              1s act app: Restart { reset: false }
            > 1000 web restart
              1s web: held: Concurrency
            > 1100 web exit signal 9
            > 1100 web unit failed
              1.1s look web: Holders
            > 1100 web nobody holds
              1.1s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.1s act web: Start { reset: false }
            > 1101 web queued 2
            > 1200 web unit active run=2
            > 1200 web job 2 done active
              1.2s ask web
            > 1201 web alive
              1.201s web: Recovered after 201ms and 1 restarts
                  0 µs a restart is asked for by root (deploy)
                  0 µs held: another living unit is being restarted
                  100000 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  100000 µs the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  100000 µs start: the unit ended: signal 9 (SIGKILL) (an unclean signal)
                  101000 µs requested
                  101000 µs systemd queued job 2
                  200000 µs job done after 100ms, the unit is active
                  201000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}
