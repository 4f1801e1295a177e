use std::time::Duration;

use expect_test::expect;

use super::{World, check, settings};

#[test]
fn a_suspicion_that_is_answered_alive_costs_nothing_but_a_heartbeat() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1001 alive
         9000 sleep",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 alive
              1.001s web: StoodDown after 1ms and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  1000 µs left alone: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
            > 9000 sleep
        "#]],
    );
}

#[test]
fn a_silent_service_is_dead_after_its_timeout_and_one_retry_pause() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         4000 dead
         4200 dead
         4201 job 7 new
         4201 queued 7
         4300 unit deactivating job=7
         4400 unit activating run=2 job=7
         4500 unit active run=2
         4500 job 7 done active
         4501 dead
         4511 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
              1.2s ask web
            > 4000 dead
            > 4200 dead
              4.2s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              4.2s act web: Restart { reset: false }
            > 4201 job 7 new
            > 4201 queued 7
            > 4300 unit deactivating job=7
            > 4400 unit activating run=2 job=7
            > 4500 unit active run=2
            > 4500 job 7 done active
              4.5s ask web
            > 4501 dead
              4.511s ask web
            > 4511 alive
              4.511s web: Recovered after 3.511s and 1 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  3000000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  3200000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  3200000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  3201000 µs requested
                  3201000 µs systemd queued job 7
                  3400000 µs stopped after 200ms; starting
                  3500000 µs job done after 300ms, the unit is active
                  3501000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  3511000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn failures_before_the_grace_is_over_do_not_count() {
    check(
        "0 unit active
         1 dead
         4000 dead
         9000 dead
         9990 dead
         10100 dead
         10300 dead
         10301 queued 3",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 1 dead
              11ms ask web
            > 4000 dead
              4.02s ask web
            > 9000 dead
              9.04s ask web
            > 9990 dead
              10s ask web
            > 10100 dead
              10.2s ask web
            > 10300 dead
              10.3s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              10.3s act web: Restart { reset: false }
            > 10301 queued 3
        "#]],
    );
}

#[test]
fn five_unknowns_in_a_row_raise_an_alert_and_no_restart() {
    check(
        "0 unit active
         0 alive
         1000 suspicion
         1001 unknown
         2000 unknown
         3000 unknown
         5000 unknown
         9000 unknown
         20000 unknown",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 unknown
              1.201s ask web
              1.401s ask web
            > 2000 unknown
            > 3000 unknown
              3.8s ask web
              4s ask web
            > 5000 unknown
            > 9000 unknown
              9s web: ALERT cannot tell whether it is alive: 127.0.0.1:80: our own fault: EMFILE (phase: headers, after 1ms)
              12.2s ask web
              12.4s ask web
            > 20000 unknown
        "#]],
    );
}

#[test]
fn clients_that_connect_make_it_ask_more_often() {
    check(
        "0 unit active
         0 alive
         3000 in_use
         5000 in_use
         5001 alive
         6000 in_use",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 3000 in_use
            > 5000 in_use
              5s ask web
            > 5001 alive
            > 6000 in_use
        "#]],
    );
}

#[test]
fn what_nobody_can_tell_is_asked_more_and_more_seldom_however_soon_the_answer_comes() {
    let mut world = World::new(settings(false));
    world.say("unit active");
    let end = world.now + Duration::from_secs(600);
    while world.now < end {
        world.say("sleep 1");
        if !world.asks.is_empty() {
            world.say("unknown");
        }
    }
    let asks = world.log.matches(" ask web").count();
    assert!((55..75).contains(&asks), "asked {asks} times in ten minutes");
    assert_eq!(world.log.matches("ALERT").count(), 1, "{}", world.log);
}
