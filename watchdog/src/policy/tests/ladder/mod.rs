//! The last rung: by stories of a service that nothing cures.

mod stays;

use std::time::Duration;

use expect_test::{Expect, expect};

use super::log_of;
use crate::{
    model::Service,
    policy::{Guard, Settings},
};

/// The rung may be taken ten minutes into the quarantine, where the host has been up for an hour. Slow retries are 280 s apart.
fn rung(guard: &mut Guard) {
    guard.ladder.reboot = true;
    guard.ladder.reboot_after = Duration::from_secs(600);
    (guard.burst, guard.within) = (1, Duration::from_secs(280));
    (guard.backoff_max, guard.grace) = (guard.backoff, Duration::ZERO);
    guard.heartbeats[0].every = Duration::from_secs(1_000_000);
    guard.stable = Duration::from_secs(100_000);
}

fn of_web(change: impl FnOnce(&mut Guard)) -> impl FnOnce(&mut Settings) {
    |settings| {
        let web = settings.services.get_mut(&Service::new("web")).unwrap();
        rung(web);
        change(web);
    }
}

fn lines(log: &str, words: &[&str]) -> String {
    let told = log.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    told.map(|line| format!("{}\n", line.trim())).collect()
}

/// The lines that tell of the rung, and what is done.
fn check(change: impl FnOnce(&mut Guard), script: &str, expect: Expect) {
    let log = log_of(of_web(change), script);
    expect.assert_eq(&lines(&log, &["eboot", " act ", "held: Shutdown", "Recovered"]));
}

/// The host is not rebooted, for this reason.
fn check_stays(change: impl FnOnce(&mut Guard), script: &str, expect: Expect) {
    let log = log_of(of_web(change), script);
    expect.assert_eq(&lines(&log, &["decided Reboot", "act web: Reboot", "held: Reboot"]));
}

/// A unit that ends so many seconds after the boot, and again after each start; ten minutes of its quarantine are over at
/// `from + 600`.
fn ends(from: u32) -> String {
    let mut script = format!("0 unit active\n1 alive\n{from}000 unit failed result=exit-code main=3\n");
    for (run, after) in [(2, 0), (3, 280), (4, 560)] {
        script += &ends_again(from + after, run);
    }
    script
}

fn ends_again(second: u32, run: u32) -> String {
    let words = [
        "nobody holds".to_owned(),
        format!("queued {run}"),
        format!("unit active run={run}"),
        format!("job {run} done active"),
        format!("unit failed run={run} result=exit-code main=3"),
    ];
    words.map(|words| format!("{second}000 {words}\n")).concat()
}

/// What is looked up says that nothing stands against it.
const WELL: &str = "4600001 nobody holds\n4600002 ourselves well\n";

#[test]
fn b16_a_service_that_nothing_cures_reboots_the_host_where_that_is_asked_for() {
    let script = ends(4_000) + WELL + "4600003 queued 77\n4600900 others shutdown\n4900000 sleep";
    check(
        |_| {},
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        0 µs a reboot of the host is due
        2000 µs reboot the host: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4840.5s web: held: Shutdown
    "#]],
    );
}

#[test]
fn b16_where_nothing_is_asked_the_time_in_quarantine_begins_anew_when_it_was_up() {
    let mut script = "0 unit active\n4000000 unit failed result=exit-code main=3\n".to_owned();
    script += &ends_again(4_000, 2);
    script += &ends_again(4_280, 3).replace("4280000 unit failed", "4900000 unit failed");
    script += "4900001 nobody holds\n5000000 sleep";
    check(
        |guard| guard.heartbeats.clear(),
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4000s web: Recovered after 0ns and 1 restarts
        4280s act web: Start { reset: false }
        4280s web: Recovered after 0ns and 1 restarts
        4900.001s act web: Start { reset: false }
    "#]],
    );
}

#[test]
fn b16_it_is_off_by_default() {
    let script = ends(4_000) + &ends_again(4_840, 5) + "10000000 sleep";
    check(
        |guard| guard.ladder.reboot = false,
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4840s act web: Start { reset: false }
        5120.5s act web: Start { reset: false }
    "#]],
    );
}

/// A unit that answers badly, and again after each restart.
fn hangs() -> String {
    let mut script = "0 unit active\n1 alive\n4000000 suspicion\n".to_owned();
    for (run, at) in [(2, 4_000_001), (3, 4_280_300), (4, 4_560_600)] {
        let words = [
            "fails".to_owned(),
            format!("queued {run}"),
            format!("unit active run={run}"),
            format!("job {run} done active"),
            "fails".to_owned(),
        ];
        let later = |words: &String| if words == "fails" { 0 } else { 250 };
        let [first, rest @ .., last] = &words;
        script += &format!("{at} {first}\n");
        rest.iter().for_each(|words| script += &format!("{} {words}\n", at + later(words)));
        script += &format!("{} {last}\n", at + 300);
    }
    script
}

#[test]
fn b16_a_living_service_is_asked_once_more_before_the_host_is_rebooted() {
    let dead = hangs() + "4601000 fails\n4601201 ourselves well\n4601202 sleep";
    check(
        |_| {},
        &dead,
        expect![[r#"
        4000.001s act web: Restart { reset: false }
        4280.3s act web: Restart { reset: false }
        4560.6s act web: Restart { reset: false }
        4601.201s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms); not again within 3600s of the boot
        4601.201s web: decided Reboot: 600s in quarantine, tried 2 times since: heartbeat failed 2 times in a row: 127.0.0.1:80: status 503 (phase: headers, after 1ms)
        4601.201s act web: Reboot
        4601.201s web: held: Shutdown
    "#]],
    );
    let alive = hangs() + "4601000 alive\n4700000 sleep";
    check(
        |_| {},
        &alive,
        expect![[r#"
        4000.001s act web: Restart { reset: false }
        4280.3s act web: Restart { reset: false }
        4560.6s act web: Restart { reset: false }
    "#]],
    );
}

#[test]
fn b16_a_service_that_is_well_again_reboots_nothing() {
    let before =
        ends(4_000) + "4599000 unit active run=5\n4599001 alive\n4700000 unit failed run=5\n4700000 sleep";
    check(
        |_| {},
        &before,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4700s web: ALERT the unit ended: result success (a clean end); restart.on = "on-failure" does not act on that, so it stays down
    "#]],
    );
    let meanwhile =
        ends(4_000) + "4600001 nobody holds\n4600002 unit active run=5\n4600003 alive\n4700000 sleep";
    check(
        |_| {},
        &meanwhile,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
    "#]],
    );
}

#[test]
fn b16_a_reboot_that_does_not_come_is_told_and_asked_for_again_after_the_same_time() {
    let refused = ends(4_000)
        + WELL
        + "4600003 refused org.freedesktop.systemd1.UnitMasked\n"
        + &ends_again(4_841, 5)
        + &ends_again(5_121, 6)
        + "5200004 nobody holds\n5200005 ourselves well\n5200006 sleep";
    check(
        |_| {},
        &refused,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        4600.003s web: ALERT the reboot that was asked for does not come: systemd refused: no (org.freedesktop.systemd1.UnitMasked); it is not asked for again within 600s
        0 µs a reboot of the host is due
        2000 µs reboot the host: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4840.5s act web: Start { reset: false }
        5121s act web: Start { reset: false }
        5200.005s web: ALERT the host is rebooted for web.service: 1200s in quarantine, tried 4 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        5200.005s web: decided Reboot: 1200s in quarantine, tried 4 times since: the unit ended: exit code 3 (an unclean exit code)
        5200.005s act web: Reboot
        5200.005s web: held: Shutdown
    "#]],
    );
    let cancelled = ends(4_000) + WELL + "4600003 queued 77\n4700000 sleep";
    check(
        |_| {},
        &cancelled,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        0 µs a reboot of the host is due
        2000 µs reboot the host: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4630.002s web: ALERT the reboot that was asked for does not come: systemd does not shut down; see `systemctl status reboot.target`; it is not asked for again within 600s
    "#]],
    );
}

#[test]
fn b16_nothing_else_is_begun_once_a_reboot_is_asked_for() {
    let script = ends(4_000).replace("1 alive", "1 alive\n1 app unit active\n1 app alive")
        + WELL
        + "4600003 queued 77\n4600004 app unit failed result=exit-code main=3\n4629000 sleep";
    check(
        |_| {},
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        4600.004s app: held: Shutdown
    "#]],
    );
}

#[test]
fn b16_a_pause_takes_back_a_reboot_that_waits_for_the_store() {
    let script = ends(4_000) + WELL + "4600003 pause 1000000\n4600003 nothing\n4700000 sleep";
    check(
        |_| {},
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        4600.003s web: ALERT the reboot that was asked for does not come: there was nothing to do any more; it is not asked for again within 600s
    "#]],
    );
}

#[test]
fn b16_a_watchdog_that_died_after_it_asked_looks_what_came_of_it() {
    let script = ends(4_000)
        + WELL
        + "4600004 dies\n4600004 back\n4600005 read failed run=4 result=exit-code main=3\n4640000 sleep";
    check(
        |_| {},
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600.002s web: ALERT the host is rebooted for web.service: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code); not again within 3600s of the boot
        4600.002s web: decided Reboot: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4600.002s act web: Reboot
        4600.002s web: held: Shutdown
        4600.005s web: held: Shutdown
        0 µs a reboot of the host is due
        2000 µs reboot the host: 600s in quarantine, tried 2 times since: the unit ended: exit code 3 (an unclean exit code)
        4630.002s web: ALERT the reboot that was asked for does not come: systemd does not shut down; see `systemctl status reboot.target`; it is not asked for again within 600s
    "#]],
    );
}

#[test]
fn b16_observe_tells_what_it_would_do() {
    let script = ends(4_000) + "4590000 observe\n4840500 sleep\n9000000 sleep";
    check(
        |_| {},
        &script,
        expect![[r#"
        4000s act web: Start { reset: false }
        4280s act web: Start { reset: false }
        4560s act web: Start { reset: false }
        4600s web: decided Reboot (observed only): the unit ended: exit code 3 (an unclean exit code)
        4600s web: held: Reboot { why: "mode = \"observe\": nothing is done" }
    "#]],
    );
}
