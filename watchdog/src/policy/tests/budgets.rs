//! What restarts cost, and what comes when the budget is spent: by stories.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::{check_with, log_of};
use crate::{
    model::{OnFailure, Service},
    policy::{Guard, Settings},
};

pub(super) fn web(change: impl FnOnce(&mut Guard)) -> impl FnOnce(&mut Settings) {
    |settings| change(settings.services.get_mut(&Service::new("web")).unwrap())
}

/// The lines of a log that tell someone of something, and what is done.
pub(super) fn check_told(change: impl FnOnce(&mut Guard), script: &str, expect: Expect) {
    let log = log_of(web(change), script);
    let told =
        |line: &&str| ["ALERT", " act ", "Quarantined", "Recovered"].iter().any(|word| line.contains(word));
    expect.assert_eq(&log.lines().filter(told).map(|line| format!("{}\n", line.trim())).collect::<String>());
}

/// A unit that is up for a minute, and then ends at once after each start.
fn crashes(times: u32) -> String {
    let mut script =
        "0 unit active\n60000 unit failed result=exit-code main=3\n60000 nobody holds\n".to_owned();
    let mut at = 60_000;
    for run in 2..2 + times {
        script += &format!(
            "{at} queued {run}
             {} unit active run={run}
             {} job {run} done active
             {} unit failed run={run} result=exit-code main=3\n",
            at + 1,
            at + 1,
            at + 2
        );
        at += 100_000;
        script += &format!("{at} nobody holds\n");
    }
    script
}

fn no_heartbeat(guard: &mut Guard) {
    guard.heartbeats.clear();
    (guard.burst, guard.within) = (10, Duration::from_secs(3600));
    guard.backoff_max = guard.backoff;
}

#[test]
fn c16_a_program_that_cannot_start_is_a_crash_loop_by_its_third_try() {
    let script = crashes(3).replace("360000 nobody holds", "260003 last cannot open /etc/web.conf");
    check_told(
        no_heartbeat,
        &script,
        expect![[r#"
            60s act web: Start { reset: false }
            60.001s web: Recovered after 1ms and 1 restarts
            61.455804s act web: Start { reset: false }
            160.001s web: Recovered after 99.999s and 1 restarts
            160.502s act web: Start { reset: false }
            260.001s web: Recovered after 99.999s and 1 restarts
            260.003s web: ALERT crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: exit code 3 (an unclean exit code); its last words: cannot open /etc/web.conf
        "#]],
    );
}

#[test]
fn c16_a_journal_that_does_not_answer_keeps_the_alert_for_five_seconds_and_the_start_not_at_all() {
    check_told(
        no_heartbeat,
        &(crashes(3) + "400000 sleep"),
        expect![[r#"
        60s act web: Start { reset: false }
        60.001s web: Recovered after 1ms and 1 restarts
        61.455804s act web: Start { reset: false }
        160.001s web: Recovered after 99.999s and 1 restarts
        160.502s act web: Start { reset: false }
        260.001s web: Recovered after 99.999s and 1 restarts
        260.502s act web: Start { reset: false }
        265.002s web: ALERT crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: exit code 3 (an unclean exit code); see `journalctl -u web.service`
    "#]],
    );
}

#[test]
fn c15_systemds_own_restarts_cost_the_same_budget_and_its_start_limit_means_quarantine() {
    check_told(
        |guard| guard.heartbeats.clear(),
        "0 unit active restart=on-failure
         60000 unit activating sub=auto-restart restart=on-failure result=exit-code main=1
         60100 unit active run=2 restart=on-failure restarts=1
         60101 unit activating run=2 sub=auto-restart restart=on-failure restarts=1 result=exit-code main=1
         60200 unit active run=3 restart=on-failure restarts=2
         60201 unit activating run=3 sub=auto-restart restart=on-failure restarts=2 result=exit-code main=1
         60300 unit active run=4 restart=on-failure restarts=3
         60301 unit failed run=4 restart=on-failure restarts=3 result=start-limit-hit main=1
         60310 last no such table
         361000 nobody holds
         361001 queued 9
         361002 unit active run=5 restart=on-failure
         361002 job 9 done active",
        expect![[r#"
            60.1s web: Recovered after 100ms and 0 restarts
            60.2s web: Recovered after 99ms and 0 restarts
            60.3s web: Recovered after 99ms and 0 restarts
            60.301s web: ALERT quarantined: 3 restarts within 300s did not help (the unit ended: exit code 1 (an unclean exit code)); it is still watched and tried again, more and more seldom
            60.301s web: Quarantined after 0ns and 0 restarts
            60.31s web: ALERT crash loop: 3 runs in a row ended before they were 10s old, the last so: the unit ended: exit code 1 (an unclean exit code); its last words: no such table
            360.6s act web: Start { reset: true }
            361.002s web: Recovered after 902ms and 1 restarts
        "#]],
    );
}

#[test]
fn g8_a_heartbeat_that_fails_and_recovers_again_and_again_is_told_though_never_dead() {
    let mut script = "0 unit active\n1 alive\n".to_owned();
    for round in 1..=8 {
        let at = round * 10_000;
        script += &format!("{at} suspicion\n{} dead\n{} alive\n", at + 1, at + 300);
    }
    check_told(
        |_| {},
        &script,
        expect![[r#"
        50.3s web: ALERT it fails and recovers again and again, never often enough in a row to be restarted; now: 127.0.0.1:80: status 200 (phase: headers, after 1ms)
    "#]],
    );
}

#[test]
fn b7_a_spent_budget_means_an_alert_and_quarantine_at_once() {
    check_told(
        |guard| (guard.burst, guard.heartbeats) = (1, Vec::new()),
        "0 unit active
         60000 unit failed result=exit-code main=3
         60000 nobody holds
         60001 queued 1
         60002 unit active run=2
         60002 job 1 done active
         120000 unit failed run=2 result=exit-code main=3",
        expect![[r#"
            60s act web: Start { reset: false }
            60.002s web: Recovered after 2ms and 1 restarts
            120s web: ALERT quarantined: 1 restarts within 300s did not help (the unit ended: exit code 3 (an unclean exit code)); it is still watched and tried again, more and more seldom
            120s web: Quarantined after 0ns and 0 restarts
        "#]],
    );
}

#[test]
fn b8_two_sites_that_fail_at_once_cost_their_server_one_restart() {
    check_told(
        |guard| guard.heartbeats.push(guard.heartbeats[0].clone()),
        "0 unit active
         1 alive
         1 alive
         60000 suspicion
         60001 dead
         60001 dead
         60300 dead
         60300 dead
         60400 queued 1
         60500 unit active run=2
         60500 job 1 done active
         60501 alive
         60501 alive",
        expect![[r#"
            60.3s act web: Restart { reset: false }
            60.501s web: Recovered after 501ms and 1 restarts
        "#]],
    );
}

#[test]
fn b9_a_single_broken_site_alerts_and_restarts_nothing() {
    check_told(
        |guard| {
            guard.heartbeats.push(guard.heartbeats[0].clone());
            guard.heartbeats[1].on_failure = OnFailure::Alert;
        },
        "0 unit active
         1 alive
         1 alive
         60000 suspicion
         60001 alive
         60001 dead
         60300 dead
         70000 sleep",
        expect![[r#"
            60.3s web: ALERT 127.0.0.1:80: status 503 (phase: headers, after 1ms): no restart, for this heartbeat only alerts
        "#]],
    );
}

#[test]
fn a19_a_heartbeat_restarts_or_alerts_or_is_off() {
    let script = "0 unit active\n1 alive\n60000 suspicion\n60001 dead\n60300 dead";
    check_told(
        |_| {},
        script,
        expect![[r#"
        60.3s act web: Restart { reset: false }
    "#]],
    );
    check_told(
        |guard| guard.heartbeats[0].on_failure = OnFailure::Alert,
        script,
        expect![[r#"
        60.3s web: ALERT 127.0.0.1:80: status 503 (phase: headers, after 1ms): no restart, for this heartbeat only alerts
    "#]],
    );
    check_with(
        web(|guard| guard.heartbeats[0].on_failure = OnFailure::Off),
        "0 unit active\n60000 suspicion\n70000 sleep",
        expect![[r#"
            > 0 unit active
            > 60000 suspicion
            > 70000 sleep
        "#]],
    );
}

#[test]
fn c5_ten_tries_are_ten_and_then_it_goes_on_slowly() {
    let script = crashes(9)
        + "960001 queued 11
           960002 unit active run=11
           960002 job 11 done active
           960003 unit failed run=11 result=exit-code main=3";
    let log = log_of(web(no_heartbeat), &script);
    let (before, _) = log.split_once("Quarantined after").expect("quarantine");
    assert_eq!(before.matches(" act web: Start").count(), 10, "{log}");
}

#[test]
fn a13_a_budget_is_counted_in_time_and_not_in_rounds() {
    // some 100 s apart: the oldest no longer count, however often the service was looked at meanwhile
    let spaced = |guard: &mut Guard| {
        no_heartbeat(guard);
        (guard.burst, guard.within) = (4, Duration::from_secs(250));
    };
    let log = log_of(web(spaced), &crashes(6));
    assert_eq!(log.matches("Quarantined").count(), 0, "{log}");
    assert_eq!(log.matches(" act web: Start").count(), 7, "{log}");
}

#[test]
fn a28_what_was_left_for_a_human_is_watched_again_without_one() {
    // an operator's pause ends, and so does quarantine; only a stop on request waits for a start
    check_told(
        |guard| guard.burst = 1,
        "0 unit active
         1 alive
         50000 pause 100000
         60000 unit failed result=exit-code main=3
         150000 sleep
         150001 nobody holds
         150002 queued 1
         150003 unit active run=2
         150003 job 1 done active
         150004 alive",
        expect![[r#"
            150.001s act web: Start { reset: false }
            150.004s web: Recovered after 90.004s and 1 restarts
        "#]],
    );
}

/// systemd restarts `web` three times, then `app` dies.
const RESTARTED_BY_SYSTEMD: &str = "0 unit active restart=on-failure
    0 app unit active run=50
    1000 unit activating sub=auto-restart restart=on-failure result=exit-code main=1
    1100 unit active run=2 restart=on-failure restarts=1
    2000 unit activating run=2 sub=auto-restart restart=on-failure restarts=1 result=exit-code main=1
    2100 unit active run=3 restart=on-failure restarts=2
    3000 unit activating run=3 sub=auto-restart restart=on-failure restarts=2 result=exit-code main=1
    3100 unit active run=4 restart=on-failure restarts=3
    5000 app unit failed run=50 result=signal";

#[test]
fn c15_systemds_own_restarts_cost_the_hosts_budget_too() {
    for (restarts, holds) in [(3, true), (4, false)] {
        let log = log_of(|settings| settings.host.restarts = restarts, RESTARTED_BY_SYSTEMD);
        assert_eq!(log.contains("app: held: HostBudget"), holds, "{log}");
        assert_eq!(log.contains("look app: Holders"), !holds, "{log}");
    }
}

#[test]
fn c15_a_service_that_systemd_restarts_for_ever_leaves_the_others_their_restarts() {
    let change = |settings: &mut Settings| {
        settings.host.restarts = 2;
        web(|guard| guard.burst = 1)(settings);
    };
    let log = log_of(change, RESTARTED_BY_SYSTEMD);
    assert!(log.contains("look app: Holders") && !log.contains("HostBudget"), "{log}");
}

/// No heartbeat says that it is well all the while: how long it was up counts.
#[test]
fn a22_pauses_begin_afresh_for_what_was_stable_before_it_ended() {
    let mut script = "0 unit active\n".to_owned();
    for run in 2..5 {
        let at = run * 1_200_000;
        script += &format!(
            "{at} unit failed run={} result=exit-code main=3
             {at} nobody holds
             {at} queued {run}
             {at} unit active run={run}
             {at} job {run} done active\n",
            run - 1
        );
    }
    script += "4800010 unit failed run=4 result=exit-code main=3\n4801010 nobody holds";
    let log = log_of(web(|guard| guard.heartbeats.clear()), &script);
    assert_eq!(log.matches("act web: Start").count(), 4, "{log}");
}
