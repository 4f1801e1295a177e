//! What goes on for long is told again, and what is over is not.

use expect_test::expect;

use super::*;
use crate::policy::tests::budgets::{check_told, web};

#[test]
fn f8_a_quarantine_reminds_after_an_hour_and_then_daily_and_is_left_by_itself() {
    check_told(
        |guard| {
            (guard.burst, guard.within) = (1, Duration::from_secs(200_000));
        },
        "0 unit active
         0 alive
         60000 unit failed result=exit-code main=3
         60000 nobody holds
         60001 queued 1
         60002 unit active run=2
         60002 job 1 done active
         60003 unit failed run=2 result=exit-code main=3
         100000000 sleep
         200059000 sleep
         200060001 nobody holds
         200060002 queued 2
         200060003 unit active run=3
         200060003 job 2 done active
         200060004 alive
         200060005 alive",
        expect![[r#"
            60s act web: Start { reset: false }
            60.003s web: ALERT quarantined: 1 restarts within 200000s did not help (the unit ended: exit code 3 (an unclean exit code)); it is still watched and tried again, more and more seldom
            60.003s web: Quarantined after 3ms and 1 restarts
            3660.003s web: ALERT web.service has been in quarantine for 1 h and was tried 0 times since; it is still watched and tried again
            90060.003s web: ALERT web.service has been in quarantine for 25 h and was tried 0 times since; it is still watched and tried again
            176460.003s web: ALERT web.service has been in quarantine for 49 h and was tried 0 times since; it is still watched and tried again
            200060.001s act web: Start { reset: false }
            200060.005s web: Recovered after 5ms and 1 restarts
        "#]],
    );
}

/// A service without a heartbeat that spends its budget, in quarantine at 60 s, and is tried again at 120 s.
const WITHOUT_A_HEARTBEAT: &str = "0 unit active
    60000 unit failed result=exit-code main=3
    60000 nobody holds
    60001 queued 1
    60002 unit active run=2
    60002 job 1 done active
    60003 unit failed run=2 result=exit-code main=3
    120001 nobody holds
    120002 queued 2
    120003 unit active run=3
    120003 job 2 done active\n";

#[test]
fn f8_a_service_without_a_heartbeat_that_stays_up_leaves_its_quarantine_too() {
    let script = format!("{WITHOUT_A_HEARTBEAT} 100000000 sleep");
    check_told(
        |guard| {
            guard.heartbeats.clear();
            (guard.burst, guard.within) = (1, Duration::from_secs(60));
        },
        &script,
        expect![[r#"
            60s act web: Start { reset: false }
            60.002s web: Recovered after 2ms and 1 restarts
            60.003s web: ALERT quarantined: 1 restarts within 60s did not help (the unit ended: exit code 3 (an unclean exit code)); it is still watched and tried again, more and more seldom
            60.003s web: Quarantined after 0ns and 0 restarts
            120.001s act web: Start { reset: false }
            120.003s web: Recovered after 3ms and 1 restarts
        "#]],
    );
    let log = log_of(
        web(|guard| {
            guard.heartbeats.clear();
            (guard.burst, guard.within) = (1, Duration::from_secs(60));
            guard.stable = Duration::from_secs(7_200);
        }),
        &format!("{WITHOUT_A_HEARTBEAT} 7000000 unit failed run=3 result=signal\n100000000 sleep"),
    );
    assert!(log.contains("ALERT web.service has been in quarantine"), "not stable, and down again: {log}");
}

#[test]
fn f8_a_quarantine_of_what_an_operator_stopped_reminds_nobody() {
    let log = log_of(
        web(|guard| (guard.burst, guard.within) = (1, Duration::from_secs(200_000))),
        "0 unit active
         0 alive
         60000 unit failed result=exit-code main=3
         60000 nobody holds
         60001 queued 1
         60002 unit active run=2
         60002 job 1 done active
         60003 unit failed run=2 result=exit-code main=3
         70000 job 7 new
         70001 job 7 done failed
         100000000 sleep",
    );
    assert!(log.contains("ALERT quarantined") && log.contains("left alone: stopped on request"), "{log}");
    assert!(!log.contains("has been in quarantine"), "{log}");
}

#[test]
fn g7_a_hosts_budget_that_holds_for_two_minutes_wakes_someone_once() {
    let log = log_of(
        |settings| settings.host.restarts = 1,
        "0 unit active
         0 alive
         0 app unit active run=7
         0 app alive
         60000 unit failed result=exit-code main=3
         60000 nobody holds
         60001 queued 1
         60002 unit active run=2
         60002 job 1 done active
         60003 alive
         70000 app unit failed run=7 result=exit-code main=3
         80000 unit failed run=2 result=exit-code main=3
         660001 app nobody holds
         660001 sleep",
    );
    let told: Vec<&str> = log
        .lines()
        .filter(|l| l.contains(" app: ") || l.contains("act app") || l.contains("ALERT"))
        .collect();
    expect![[r#"
        70s app: held: HostBudget
        190s app: ALERT nothing has been done for 120s, though it is needed: the host's budget of restarts is spent
        660s look app: Holders
        660.001s app: decided Start { reset: false }: the unit ended: exit code 3 (an unclean exit code)
        660.001s act app: Start { reset: false }
    "#]]
    .assert_eq(&told.iter().map(|line| format!("{}\n", line.trim())).collect::<String>());
}

/// Its unit file has a fault, or it may not be started by hand.
#[test]
fn g7_a_start_that_systemd_refuses_for_ever_is_told_once_an_hour() {
    let mut world = World::new(settings(false));
    world.say("unit active");
    world.say("alive");
    world.sleep_until(ms(60_000));
    world.say("unit failed result=exit-code main=3");
    for second in 60..9_000 {
        world.sleep_until(ms(second * 1_000));
        if world.looks.iter().any(|look| look.question == Question::Holders) {
            world.say("nobody holds");
        }
        if !world.acts.is_empty() {
            world.say("refused org.freedesktop.systemd1.BadUnitSetting");
        }
    }
    let tries = world.log.matches("act web: Start").count();
    assert!(tries > 20, "{tries}");
    assert_eq!(world.log.matches("ALERT").count(), 3, "{}", world.log);
}

#[test]
fn g7_a_loop_of_systemds_own_that_goes_on_is_told_again_after_an_hour() {
    let mut script = String::from("0 unit active restart=on-failure\n");
    for run in 2_u32..240 {
        let (at, before) = (u64::from(run) * 60_000, run - 2);
        script += &format!(
            "{at} unit activating sub=auto-restart restart=on-failure result=exit-code run={last} restarts={before}
             {at} unit active restart=on-failure run={run} restarts={count}\n",
            last = run - 1,
            count = run - 1,
        );
    }
    let change = |settings: &mut Settings| {
        let web = settings.services.get_mut(&Service::new("web")).unwrap();
        web.heartbeats.clear();
    };
    let log = log_of(change, &script);
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains("ALERT")).map(str::trim).collect();
    expect![[r#"
        300s web: ALERT systemd has restarted web.service more than 3 times within 300s, and it does not stay up: see `journalctl -u web.service`
        3900s web: ALERT systemd has restarted web.service more than 3 times within 300s, and it does not stay up: see `journalctl -u web.service`
    "#]]
    .assert_eq(&alerts.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// A full disk holds what lives for as long as it is full, and keeps the preflight from running.
#[test]
fn f11_a_preflight_that_cannot_run_is_told_once_an_hour_however_often_it_is_asked() {
    let mut settings = settings(false);
    settings.host.gates.disk_free = 100;
    let guard = settings.services.get_mut(&Service::new("web")).unwrap();
    guard.preflight = Some(vec!["/usr/sbin/nginx".into(), "-t".into()]);
    let mut world = World::new(settings);
    world.say("unit active");
    world.say("alive");
    world.sleep_until(ms(60_000));
    world.say("suspicion");
    for second in 60..9_000 {
        world.sleep_until(ms(second * 1_000));
        while !world.asks.is_empty() {
            world.say("dead");
        }
        let asks = |world: &World, question| world.looks.iter().any(|look| look.question == question);
        if asks(&world, Question::Preflight) {
            world.say("preflight late");
        }
        if asks(&world, Question::Pressure) {
            world.say("pressed disk=0");
        }
    }
    assert!(world.log.matches("look web: Preflight").count() > 100, "{}", world.log);
    assert_eq!(world.log.matches("ALERT its preflight says nothing").count(), 3, "{}", world.log);
    assert!(!world.log.contains("act web"), "{}", world.log);
}
