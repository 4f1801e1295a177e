//! Which drop-ins `check --fix` would write.

use expect_test::{Expect, expect};

use super::{guard, known, seconds, state};
use crate::{
    explain::Known,
    explain::fix::{drop_in, for_ourselves, for_unit, is_ours},
    model::{RestartOn, Unit, UnitState},
    policy::Guard,
    systemd::Traits,
};

fn unit() -> Unit {
    "app.service".parse().expect("a unit's name")
}

fn check(guard: &Guard, known: &Known, before: Option<&str>, expect: Expect) {
    let drop_in = drop_in(&unit(), &for_unit(guard, known), before);
    expect.assert_eq(
        &drop_in.map_or_else(|| "nothing\n".into(), |it| format!("{}\n{}\n", it.text, it.why.join("\n"))),
    );
}

#[test]
fn d7_a_vendors_unit_without_restart_gets_a_drop_in_and_only_once() {
    let vendor = known(state("app.service"));
    check(
        &guard("app.service"),
        &vendor,
        None,
        expect![[r#"
        # Written by `watchdog check --fix`, which renews this file and no other.
        # To undo: rm /etc/systemd/system/app.service.d/50-watchdog.conf && systemctl daemon-reload

        [Service]
        Restart=on-failure

        Restart=on-failure: it has no Restart=: while watchdog itself is down, nobody would bring it back
    "#]],
    );
    let fixed = known(UnitState { restart: RestartOn::OnFailure, ..state("app.service") });
    check(
        &guard("app.service"),
        &fixed,
        Some("whatever it says"),
        expect![[r#"
        nothing
    "#]],
    );
}

#[test]
fn what_nothing_is_to_be_done_about_is_left_alone() {
    let app = || guard("app.service");
    let off = Guard { on: RestartOn::No, ..app() };
    check(
        &off,
        &known(state("app.service")),
        None,
        expect![[r#"
        nothing
    "#]],
    );
    check(
        &app(),
        &known(UnitState { oneshot: true, ..state("app.service") }),
        None,
        expect![[r#"
        nothing
    "#]],
    );
    let transient =
        Known { state: state("app.service"), traits: Traits { transient: true, ..Traits::default() } };
    check(
        &app(),
        &transient,
        None,
        expect![[r#"
        nothing
    "#]],
    );
}

#[test]
fn a_renewed_drop_in_keeps_what_the_old_one_said() {
    let before = "# Written …\n\n[Service]\nRestart=on-failure\n";
    let endless =
        UnitState { restart: RestartOn::OnFailure, restart_pause: seconds(5), ..state("app.service") };
    check(
        &guard("app.service"),
        &known(endless),
        Some(before),
        expect![[r#"
        # Written by `watchdog check --fix`, which renews this file and no other.
        # To undo: rm /etc/systemd/system/app.service.d/50-watchdog.conf && systemctl daemon-reload

        [Unit]
        StartLimitIntervalSec=50s

        [Service]
        Restart=on-failure

        StartLimitIntervalSec=50s: its start limit is never reached by its own restarts, 5s apart: systemd would never give up
    "#]],
    );
    let short = UnitState {
        restart: RestartOn::OnFailure,
        start_limit_burst: 2,
        start_limit_interval: seconds(3_600),
        ..state("app.service")
    };
    check(
        &guard("app.service"),
        &known(short),
        Some(before),
        expect![[r#"
        # Written by `watchdog check --fix`, which renews this file and no other.
        # To undo: rm /etc/systemd/system/app.service.d/50-watchdog.conf && systemctl daemon-reload

        [Unit]
        StartLimitBurst=3

        [Service]
        Restart=on-failure

        StartLimitBurst=3: its start limit of 2 is reached before watchdog's own budget
    "#]],
    );
}

#[test]
fn watchdogs_own_unit_gets_what_the_configuration_needs() {
    let needed = [(2, "CAP_DAC_READ_SEARCH", "the log /var/log/app/access.log is another user's".to_owned())];
    let written = ["/var/log/watchdog".into(), "/var/lib/watchdog".into()];
    let bare = known(state("watchdog.service"));
    let small = Known {
        state: UnitState {
            restart: RestartOn::Always,
            start_limit_interval: seconds(0),
            ..state("watchdog.service")
        },
        traits: Traits {
            capabilities: 1 << 5,
            protect_system: "strict".into(),
            oom_score_adjust: -900,
            keeps: 64,
            ..Traits::default()
        },
    };
    let say = |known: &Known| {
        let unit = "watchdog.service".parse().expect("a unit's name");
        drop_in(&unit, &for_ourselves(known, &needed, &written), None).map(|it| it.text).unwrap_or_default()
    };
    expect![[r#"
        # Written by `watchdog check --fix`, which renews this file and no other.
        # To undo: rm /etc/systemd/system/watchdog.service.d/50-watchdog.conf && systemctl daemon-reload

        [Unit]
        StartLimitIntervalSec=0

        [Service]
        Restart=always
        OOMScoreAdjust=-900
        FileDescriptorStoreMax=64
    "#]]
    .assert_eq(&say(&bare));
    expect![[r#"
        # Written by `watchdog check --fix`, which renews this file and no other.
        # To undo: rm /etc/systemd/system/watchdog.service.d/50-watchdog.conf && systemctl daemon-reload

        [Service]
        CapabilityBoundingSet=CAP_DAC_READ_SEARCH
        ReadWritePaths=-/var/log/watchdog
    "#]]
    .assert_eq(&say(&small));
}

#[test]
fn a_drop_in_is_known_again_by_any_name_of_the_program_and_its_way_back_is_one_for_a_shell() {
    let ours =
        "# Written by `service-watchdog check --fix`, which renews this file and no other.\n[Service]\n";
    assert!(is_ours(ours) && is_ours(&ours.replace("service-watchdog", "watchdog")));
    assert!(
        !is_ours("# Written by `hand`\n")
            && !is_ours("")
            && !is_ours("# Written by `puppet check --fix`, too")
    );
    let odd: Unit = r"odd\x2dname@a:b.service".parse().expect("a unit's name");
    let drop_in = drop_in(&odd, &for_unit(&guard("app.service"), &known(state("app.service"))), None);
    let text = drop_in.expect("a drop-in").text;
    assert!(
        text.contains(r"rm '/etc/systemd/system/odd\x2dname@a:b.service.d/50-watchdog.conf' && systemctl"),
        "{text}"
    );
}
