//! The evidence is taken before it is gone, and holds up a restart no longer than was set, and nothing else at all.

use std::time::Duration;

use expect_test::expect;

use super::{check_with, log_of};
use crate::policy::{Over, Settings, Threshold};

fn records(settings: &mut Settings) {
    settings.host.record = Some(Duration::from_secs(2));
}

const SICK: &str = "0 unit active
    0 alive
    1000 suspicion
    1001 dead
    1201 dead";

#[test]
fn f9_a_living_unit_is_restarted_once_its_evidence_is_kept_and_the_story_names_the_file() {
    check_with(
        records,
        &(SICK.to_owned()
            + "
         1215 recorded
         1216 queued 5
         1217 unit deactivating job=5
         1300 unit activating run=2 job=5
         1301 unit active run=2
         1302 job 5 done active
         1303 alive"),
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 dead
              1.2s ask web
            > 1201 dead
              1.201s look web: Record { incident: IncidentId { run: 1674306020, number: 1 }, moment: Restart }
            > 1215 recorded
              1.215s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.215s act web: Restart { reset: false }
            > 1216 queued 5
            > 1217 unit deactivating job=5
            > 1300 unit activating run=2 job=5
            > 1301 unit active run=2
            > 1302 job 5 done active
              1.302s ask web
            > 1303 alive
              1.303s web: Recovered after 303ms and 1 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  1000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  201000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  215000 µs evidence kept in /evidence
                  215000 µs restart: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  216000 µs requested
                  216000 µs systemd queued job 5
                  300000 µs stopped after 85ms; starting
                  302000 µs job done after 87ms, the unit is active
                  303000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
        "#]],
    );
}

#[test]
fn f9_a_recording_that_does_not_come_back_delays_the_restart_by_its_bound_and_no_more() {
    check_with(
        records,
        &(SICK.to_owned() + "\n9000 sleep"),
        expect![[r#"
        > 0 unit active
          0ns ask web
        > 0 alive
        > 1000 suspicion
          1s ask web
        > 1001 dead
          1.2s ask web
        > 1201 dead
          1.201s look web: Record { incident: IncidentId { run: 1674306020, number: 1 }, moment: Restart }
          3.201s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
          3.201s act web: Restart { reset: false }
          8.201s look web: Unit
        > 9000 sleep
    "#]],
    );
}

#[test]
fn f9_a_death_waits_for_no_evidence() {
    check_with(
        records,
        "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1001 nobody holds
         1002 recorded
         1003 queued 6",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 exit signal 9
            > 1001 unit failed result=signal
              1.001s look web: Record { incident: IncidentId { run: 1674306020, number: 1 }, moment: Death }
              1.001s look web: Holders
            > 1001 nobody holds
              1.001s web: decided Start { reset: false }: the unit ended: signal 9 (SIGKILL) (an unclean signal)
              1.001s act web: Start { reset: false }
            > 1002 recorded
            > 1003 queued 6
        "#]],
    );
}

#[test]
fn f9_a_stop_that_takes_too_long_is_recorded_ahead_of_the_kill() {
    check_with(
        records,
        &(SICK.to_owned()
            + "
         1202 recorded
         1203 queued 5
         1204 unit deactivating job=5
         4300 recorded
         6500 sleep"),
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 dead
              1.2s ask web
            > 1201 dead
              1.201s look web: Record { incident: IncidentId { run: 1674306020, number: 1 }, moment: Restart }
            > 1202 recorded
              1.202s web: decided Restart { reset: false }: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
              1.202s act web: Restart { reset: false }
            > 1203 queued 5
            > 1204 unit deactivating job=5
              4.202s look web: Record { incident: IncidentId { run: 1674306020, number: 1 }, moment: Kill }
            > 4300 recorded
              6.202s web: ALERT the stop took longer than 5s: what is left of the old incarnation is killed
              6.202s act web: Kill
              6.202s look web: Unit
            > 6500 sleep
        "#]],
    );
}

#[test]
fn f9_the_kill_waits_for_no_evidence() {
    let script = SICK.to_owned() + "\n1202 recorded\n1203 queued 5\n1204 unit deactivating job=5\n9000 sleep";
    let log = log_of(records, &script);
    assert!(log.contains("\n  6.202s act web: Kill\n"), "{log}");
    assert_eq!(log.matches("moment: Kill").count(), 1, "{log}");
}

#[test]
fn f9_one_run_is_recorded_once_in_an_incident_however_often_it_is_looked_at() {
    let mut script = SICK.to_owned() + "\n1202 recorded\n1203 pressed memory=91/12 cpu=5/0 disk=9";
    for at in [6300, 11_400, 16_500, 21_600, 26_700, 31_300, 31_500] {
        script += &format!("\n{at} dead");
    }
    script += "\n31600 pressed memory=5/12 cpu=5/0 disk=9";
    let gated = |settings: &mut Settings| {
        records(settings);
        settings.host.gates.memory = Some(Threshold { full: false, over: Over::Ten, limit: 4_000 });
    };
    let log = log_of(gated, &script);
    assert_eq!(log.matches("look web: Pressure").count(), 2, "{log}");
    assert_eq!(log.matches("moment: Restart").count(), 1, "{log}");
    assert!(log.ends_with("act web: Restart { reset: false }\n"), "{log}");
}

#[test]
fn f9_where_none_is_wanted_none_is_ordered() {
    let log =
        log_of(|_| {}, &(SICK.to_owned() + "\n1202 queued 5\n1204 unit deactivating job=5\n9000 sleep"));
    assert!(!log.contains("Record") && log.contains("1.201s act web: Restart"), "{log}");
}
