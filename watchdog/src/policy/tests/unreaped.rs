//! A main process is dead, and systemd holds its unit for active.

use expect_test::expect;

use super::{check, check_with};
use crate::model::Service;

#[test]
fn c2_a_dead_main_process_that_nobody_reaps_is_restarted_though_nobody_asks_the_unit() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active
         1000 exit signal 9
         1101 read active
         1102 unreaped
         1103 queued 9
         1104 job 9 new
         1105 unit active run=2 job=9
         1106 job 9 done active",
        expect![[r#"
            > 0 unit active
            > 1000 exit signal 9
              1.025s look web: Unit
            > 1101 read active
              1.101s look web: MainProcess
            > 1102 unreaped
              1.102s web: decided Restart { reset: false }: main process 10 (web) ended: signal 9 (SIGKILL), nobody reaps it, and systemd holds the unit for active
              1.102s act web: Restart { reset: false }
            > 1103 queued 9
            > 1104 job 9 new
            > 1105 unit active run=2 job=9
            > 1106 job 9 done active
              1.106s web: Recovered after 106ms and 1 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  102000 µs main process 10 (web) ended: signal 9 (SIGKILL), nobody reaps it, and systemd holds the unit for active
                  102000 µs restart: main process 10 (web) ended: signal 9 (SIGKILL), nobody reaps it, and systemd holds the unit for active
                  103000 µs requested
                  103000 µs systemd queued job 9
                  105000 µs stopped after 3ms; starting
                  106000 µs job done after 4ms, the unit is active
                  106000 µs recovered: the unit is active (it has no heartbeat)
        "#]],
    );
}

#[test]
fn c2_a_main_process_that_another_than_systemd_reaped_is_left_to_that_one() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active
         1000 exit signal 9
         1101 read active
         1102 no zombie
         9000 exit signal 9
         9101 read active
         20000 read active
         20001 sleep",
        expect![[r#"
            > 0 unit active
            > 1000 exit signal 9
              1.025s look web: Unit
            > 1101 read active
              1.101s look web: MainProcess
            > 1102 no zombie
              1.102s web: StoodDown after 102ms and 0 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  102000 µs left alone: the unit is active (it has no heartbeat)
            > 9000 exit signal 9
              9.025s look web: Unit
            > 9101 read active
              9.101s look web: MainProcess
              9.425s look web: Unit
              11.025s look web: Unit
              17.425s look web: Unit
            > 20000 read active
              20s web: StoodDown after 11s and 0 restarts
                  0 µs main process 10 (web) ended: signal 9 (SIGKILL)
                  11000000 µs left alone: the unit is active (it has no heartbeat)
            > 20001 sleep
        "#]],
    );
}

#[test]
fn c2_restart_on_decides_about_a_dead_main_process_too_and_a_hold_does_not_forget_it() {
    check_with(
        |settings| settings.services.get_mut(&Service::new("web")).unwrap().heartbeats.clear(),
        "0 unit active
         1000 exit code 0
         1101 read active
         1102 unreaped
         2000 job 7 new
         2001 exit signal 9
         2102 read active job=7
         2103 unreaped
         9000 job 7 canceled active
         9101 read active
         9102 unreaped",
        expect![[r#"
            > 0 unit active
            > 1000 exit code 0
              1.025s look web: Unit
            > 1101 read active
              1.101s look web: MainProcess
            > 1102 unreaped
              1.102s web: ALERT main process 10 (web) ended: exit code 0, nobody reaps it, and systemd holds the unit for active; restart.on = "on-failure" does not act on that, so it is left as it is
              1.102s web: StoodDown after 102ms and 0 restarts
                  0 µs main process 10 (web) ended: exit code 0
                  102000 µs main process 10 (web) ended: exit code 0, nobody reaps it, and systemd holds the unit for active
                  102000 µs left alone: the unit is active (it has no heartbeat)
            > 2000 job 7 new
            > 2001 exit signal 9
              2.026s look web: Unit
            > 2102 read active job=7
              2.102s look web: MainProcess
            > 2103 unreaped
              2.103s web: held: ForeignJob { job: 7 }
            > 9000 job 7 canceled active
              9.025s look web: Unit
            > 9101 read active
              9.101s look web: MainProcess
            > 9102 unreaped
              9.102s web: decided Restart { reset: false }: main process 10 (web) ended: signal 9 (SIGKILL), nobody reaps it, and systemd holds the unit for active
              9.102s act web: Restart { reset: false }
        "#]],
    );
}

#[test]
fn c2_a_heartbeat_says_what_a_dead_main_process_means_where_there_is_one() {
    check(
        "0 unit active
         0 alive
         1000 exit signal 9
         1101 read active
         1102 dead
         1400 dead",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
              1.025s look web: Unit
            > 1101 read active
              1.101s ask web
            > 1102 dead
              1.301s ask web
            > 1400 dead
              1.4s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.4s act web: Restart { reset: false }
        "#]],
    );
}
