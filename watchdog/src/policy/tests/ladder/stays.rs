//! What stands against the last rung.

use expect_test::expect;

use super::{WELL, check_stays, ends, ends_again};
use crate::policy::{Dependency, Guard};

#[test]
fn b16_no_reboot_before_the_host_has_been_up_for_long_enough() {
    let script = ends(2_700)
        + &ends_again(3_540, 5)
        + "3599999 sleep\n3600001 nobody holds\n3600002 ourselves well\n3600003 sleep";
    check_stays(
        |_| {},
        &script,
        expect![[r#"
        3300s web: held: Reboot { why: "the host has been up for 3300s, and reboot_every is 3600s" }
        3600.002s web: decided Reboot: 900s in quarantine, tried 3 times since: the unit ended: exit code 3 (an unclean exit code)
        3600.002s act web: Reboot
    "#]],
    );
}

#[test]
fn b16_a_container_is_as_old_as_its_own_pid_1() {
    let script = "0 others began=3000\n".to_owned() + &ends(4_000) + WELL + "4610000 sleep";
    check_stays(
        |_| {},
        &script,
        expect![[r#"
        4600.002s web: held: Reboot { why: "the host has been up for 1600s, and reboot_every is 3600s" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_in_a_pause_of_any_service() {
    let own = ends(4_000) + "4590000 pause 100000\n4680000 sleep";
    check_stays(
        |_| {},
        &own,
        expect![[r#"
        4600s web: held: Reboot { why: "an operator's pause" }
    "#]],
    );
    let other = ends(4_000) + "4590000 app pause 100000\n4680000 sleep";
    check_stays(
        |_| {},
        &other,
        expect![[r#"
        4600s web: held: Reboot { why: "an operator has paused app" }
    "#]],
    );
    let meanwhile = ends(4_000) + "4600001 nobody holds\n4600002 app pause 100000\n4600003 ourselves well";
    check_stays(
        |_| {},
        &meanwhile,
        expect![[r#"
        4600.003s web: held: Reboot { why: "an operator has paused app" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_for_a_unit_that_would_not_come_up_again() {
    let script = ends(4_000).replace("main=3", "main=3 disabled") + "4610000 sleep";
    check_stays(
        |guard| guard.only_if_enabled = false,
        &script,
        expect![[r#"
        4600s web: held: Reboot { why: "the unit is disabled or masked, and would not come up again" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_after_an_operators_stop() {
    let script = ends(4_000) + "4590000 job 90 new\n4590001 job 90 done inactive\n9000000 sleep";
    check_stays(|_| {}, &script, expect![[""]]);
}

#[test]
fn b16_no_reboot_while_a_package_manager_is_at_work() {
    let script = ends(4_000) + "4599000 others apt\n" + WELL + "4610000 sleep";
    check_stays(
        |_| {},
        &script,
        expect![[r#"
        4600.002s web: held: Reboot { why: "a package manager is at work: process 7 (apt-get) holds /var/lib/dpkg/lock-frontend" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_during_boot_or_shutdown() {
    let boot = ends(4_000) + "4599000 others boot\n" + WELL + "4610000 sleep";
    check_stays(
        |_| {},
        &boot,
        expect![[r#"
        4600.002s web: held: Reboot { why: "jobs of the boot are still running" }
    "#]],
    );
    let shutdown = ends(4_000) + "4599000 others shutdown\n" + WELL + "4610000 sleep";
    check_stays(
        |_| {},
        &shutdown,
        expect![[r#"
        4600.002s web: held: Reboot { why: "the host shuts down" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_where_the_fault_may_be_our_own_or_is_not_known() {
    let own = ends(4_000) + "4600001 nobody holds\n4600002 ourselves late\n4610000 sleep";
    check_stays(
        |_| {},
        &own,
        expect![[r#"
        4600.002s web: held: Reboot { why: "watchdog cannot ask itself either: we were late ourselves by 700ms" }
    "#]],
    );
    check_stays(
        |_| {},
        &(ends(4_000) + "4610000 sleep"),
        expect![[r#"
        4602s web: held: Reboot { why: "not known in time: who holds its ports" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_for_a_broken_configuration() {
    let script = ends(4_000) + WELL + "4600003 preflight failed\n4610000 sleep";
    check_stays(
        |guard| guard.preflight = Some(vec!["/bin/true".into()]),
        &script,
        expect![[r#"
        4600.003s web: held: Reboot { why: "its preflight ended with code 1: [emerg] unknown directive" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_where_it_would_not_help() {
    let held = ends(4_000) + "4600001 held\n4600002 ourselves well\n4610000 sleep";
    check_stays(
        |_| {},
        &held,
        expect![[r#"
        4600.002s web: held: Reboot { why: "0.0.0.0:80 is held by process 99 (apache2) of apache2.service, outside the unit" }
    "#]],
    );
    let needs = |guard: &mut Guard| guard.depends_on = vec![Dependency::Unit("db.service".parse().unwrap())];
    let needed = ends(4_000) + "4599000 db unit failed result=exit-code\n4600100 sleep";
    check_stays(
        needs,
        &needed,
        expect![[r#"
        4600s web: held: Reboot { why: "it needs db.service, which is failing" }
    "#]],
    );
}

#[test]
fn b16_no_reboot_while_another_service_is_being_restarted() {
    let script = ends(4_000).replace("1 alive", "1 alive\n1 app unit active\n1 app alive")
        + "4599900 app unit failed result=exit-code main=3\n4599901 app nobody holds\n4600100 sleep";
    check_stays(
        |_| {},
        &script,
        expect![[r#"
        4600s web: held: Reboot { why: "another living unit is being restarted" }
    "#]],
    );
}
