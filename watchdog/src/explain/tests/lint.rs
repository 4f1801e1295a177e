//! What of a unit does not go with its policy.

use std::{collections::BTreeMap, time::Duration};

use expect_test::{Expect, expect};

use super::{given, guard, known, pulse, seconds, settings, state};
use crate::{
    explain::{Given, Known, check, lint, rival, unit},
    look::Restarter,
    model::{ActiveState, FileState, LoadState, OnFailure, RestartOn, Service, UnitState},
    policy::{Dependency, Guard, Host, Pulse, StalePidFile},
    systemd::Traits,
};

const NAME: &str = "app.service";

/// What is said of this pair of a policy and a unit.
fn warned(guard: &Guard, known: &Known, expect: Expect) {
    let warnings = lint::warnings(&Service::new("app"), guard, known);
    expect.assert_eq(&warnings.iter().map(|warning| format!("{warning}\n")).collect::<String>());
}

fn traits(change: impl FnOnce(&mut Traits)) -> Known {
    let mut known = known(state(NAME));
    change(&mut known.traits);
    known
}

fn unit(change: impl FnOnce(&mut UnitState)) -> Known {
    let mut known = known(state(NAME));
    change(&mut known.state);
    known
}

#[test]
fn c12_a_unit_with_systemds_defaults_goes_with_a_policy_of_ours() {
    warned(&guard(NAME), &known(state(NAME)), expect![""]);
    let own_restarts = unit(|unit| unit.restart = RestartOn::OnFailure);
    warned(&guard(NAME), &own_restarts, expect![""]);
}

#[test]
fn a9_a_stop_deadline_below_the_units_own_is_warned_of() {
    let guard = Guard { stop_timeout: Some(seconds(180)), ..guard(NAME) };
    let unit = unit(|unit| unit.stop_timeout = Some(seconds(360)));
    warned(
        &guard,
        &unit,
        expect![[r#"
        app: `stop_timeout` (3m) is shorter than the unit's TimeoutStopSec= (6m): a stop that the unit allows is cut short by a kill
    "#]],
    );
}

#[test]
fn c12_a_pid_file_that_is_to_be_removed_must_be_named() {
    let guard = Guard { stale_pid_file: StalePidFile::Remove, ..guard(NAME) };
    warned(
        &guard,
        &known(state(NAME)),
        expect![[r#"
        app: stale_pid_file = "remove" has no file to go by: app.service has no PIDFile=, name it with `pid_file`
    "#]],
    );
    let named = unit(|unit| unit.pid_file = Some("/run/app.pid".into()));
    warned(&guard, &named, expect![""]);
    let told = unit::own(&guard, &named).join("\n");
    let wanted =
        "PID file /run/app.pid: looked at after a start that failed; a stale one is removed, with proof";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn c12_a_pid_file_of_another_name_or_one_that_outlives_a_reboot_is_warned_of() {
    let other = Guard { pid_file: Some("/run/app/main.pid".into()), ..guard(NAME) };
    warned(
        &other,
        &unit(|unit| unit.pid_file = Some("/var/run/app.pid".into())),
        expect![[r#"
        app: `pid_file` is /run/app/main.pid, the unit's PIDFile= is /var/run/app.pid: only the first is looked at
    "#]],
    );
    let same = Guard { pid_file: Some("/run/app.pid".into()), ..guard(NAME) };
    warned(&same, &unit(|unit| unit.pid_file = Some("/var/run/app.pid".into())), expect![""]);
    warned(
        &guard(NAME),
        &unit(|unit| unit.pid_file = Some("/var/lib/app/pid".into())),
        expect![[r#"
        app: the PID file /var/lib/app/pid outlives a reboot, and its number is somebody else's then: a daemon may refuse to start for it; `stale_pid_file = "remove"` removes it, with proof
    "#]],
    );
}

#[test]
fn c15_a_start_limit_that_is_never_reached_is_told() {
    let apart = |pause: u64| {
        unit(|unit| {
            unit.restart = RestartOn::Always;
            unit.restart_pause = seconds(pause);
        })
    };
    warned(&guard(NAME), &apart(1), expect![""]);
    // five of them take longer than the interval of 10 s
    warned(
        &guard(NAME),
        &apart(5),
        expect![[r#"
        app: systemd's start limit (5 starts in 10s) is never reached by its own restarts, 5s apart: it never gives up; watchdog counts them, and tells of a crash loop by the third run that ends within 10s
    "#]],
    );
}

#[test]
fn c12_a_start_limit_that_is_reached_before_the_own_budget_is_warned_of() {
    let limit = |burst, interval| {
        unit(|unit| {
            unit.start_limit_burst = burst;
            unit.start_limit_interval = seconds(interval);
        })
    };
    let eager = Guard { burst: 5, ..guard(NAME) };
    warned(
        &eager,
        &limit(3, 600),
        expect![[r#"
        app: systemd's start limit (3 starts in 10m) is reached before the own budget is spent (5 in 5m): watchdog clears its count each time, so that it never holds; raise StartLimitBurst=, or lower `burst`
    "#]],
    );
    // restarts at 0, 0.5, 1.5, 3.5 and 7.5 s at the soonest: three of them within 3 s
    warned(&eager, &limit(3, 3), expect![""]);
    warned(&eager, &limit(0, 600), expect![""]);
}

#[test]
fn c12_two_hands_on_one_unit_are_told_apart() {
    let always = unit(|unit| {
        unit.restart = RestartOn::Always;
        unit.restart_pause = seconds(90);
        unit.start_limit_interval = seconds(3_600);
    });
    let off = Guard { on: RestartOn::No, heartbeats: vec![pulse()], ..guard(NAME) };
    warned(
        &off,
        &always,
        expect![[r#"
        app: `restart.on = "no"` keeps only watchdog's hands off: systemd itself starts app.service again (Restart=)
        app: systemd's own restart waits for RestartSec= (1m30s), and watchdog waits for systemd: app.service is down for so long after each death
    "#]],
    );
}

#[test]
fn c12_settings_under_which_an_end_is_no_end_are_warned_of() {
    let remains = traits(|traits| traits.remains = true);
    warned(
        &guard(NAME),
        &remains,
        expect![[r#"
        app: app.service has RemainAfterExit=yes: it stays active when its processes have ended cleanly, only a heartbeat finds that
    "#]],
    );
    let forking = traits(|traits| traits.kind = "forking".into());
    warned(
        &guard(NAME),
        &forking,
        expect![[r#"
        app: app.service is Type=forking without PIDFile=: systemd guesses which process is the main one, and may take the death of another for its end
    "#]],
    );
    let timed = traits(|traits| traits.triggered_by = vec!["app.timer".into()]);
    warned(
        &Guard { on: RestartOn::Always, ..guard(NAME) },
        &timed,
        expect![[r#"
        app: app.timer starts app.service at its time: with `restart.on` as it is, watchdog starts it again after every end
    "#]],
    );
    let left = traits(|traits| traits.kill_mode = "process".into());
    warned(
        &guard(NAME),
        &left,
        expect![[r#"
        app: app.service has KillMode=process: a stop leaves processes of the old run behind, and the new one starts beside them
    "#]],
    );
    let host = traits(|traits| {
        traits.sends_sigkill = false;
        traits.failure_action = "reboot-force".into();
        traits.outdated = true;
        traits.refuses_stop = true;
    });
    warned(
        &guard(NAME),
        &host,
        expect![[r#"
        app: the files of app.service have changed and systemd has not read them: what is said here is of the old ones; `systemctl daemon-reload`
        app: app.service has RefuseManualStop=yes: systemd refuses to restart it while it lives; only its death leads to a start
        app: app.service has SendSIGKILL=no: what ignores SIGTERM is left to the kill of watchdog's own `stop_timeout`
        app: app.service has FailureAction=reboot-force: systemd does that to the whole host, before watchdog is asked
    "#]],
    );
}

#[test]
fn b13_a_unit_that_nobody_may_start_is_an_error() {
    let refused = traits(|traits| traits.refuses_start = true);
    let settings = settings(vec![("app", guard(NAME), Vec::new())]);
    let units = BTreeMap::from([(Service::new("app"), refused)]);
    let check = check(&given(&settings, &units));
    expect![[r#"
        [
            "app: nothing could ever be done: systemd refuses every start of app.service that is not a dependency's (RefuseManualStart=yes); watch another unit, or take that setting back in a drop-in (`systemctl edit app.service`)",
        ]
    "#]]
    .assert_debug_eq(&check.errors);
    assert!(check.to_string().ends_with("1 service, 1 error, no warning\n"), "{check}");
}

#[test]
fn b13_a_service_that_nothing_is_asked_of_and_no_end_of_which_counts_is_an_error() {
    let idle = Guard { on: RestartOn::No, ..guard(NAME) };
    let off = Pulse { on_failure: OnFailure::Off, ..pulse() };
    let error = "app: nothing would ever be done: nothing is asked, and `restart.on = \"no\"` acts on no end; add a heartbeat, or let an end be acted upon";
    let faults = |guard: &Guard| lint::faults(&Service::new("app"), guard, false, None);
    assert_eq!(faults(&idle), [error]);
    assert_eq!(faults(&Guard { heartbeats: vec![off], ..idle.clone() }), [error]);
    assert_eq!(faults(&Guard { heartbeats: vec![pulse()], ..idle }), Vec::<String>::new());
    assert_eq!(faults(&guard(NAME)), Vec::<String>::new());
}

#[test]
fn b3_a_service_with_a_log_alone_is_an_error() {
    let faults = |guard: &Guard| lint::faults(&Service::new("app"), guard, true, None);
    let error = "app: its log is its only check, and a log can raise a suspicion, never a restart: add [service.app.heartbeat] with a url";
    assert_eq!(faults(&guard(NAME)), [error]);
    assert_eq!(faults(&Guard { heartbeats: vec![pulse()], ..guard(NAME) }), Vec::<String>::new());
}

#[test]
fn f14_limits_that_are_never_reached_are_found_without_systemd() {
    let slow = Guard { burst: 5, within: seconds(60), backoff: seconds(40), ..guard(NAME) };
    let big = Guard {
        burst: 30,
        within: seconds(60),
        backoff: Duration::from_millis(10),
        backoff_max: seconds(1),
        ..guard("b.service")
    };
    let settings = settings(vec![("app", slow, Vec::new()), ("b", big, Vec::new())]);
    let units = BTreeMap::new();
    expect![[r#"
        [
            "app: the budget (5 restarts in 1m) is never spent: the pauses between restarts (`backoff`, doubled up to 5m) are too long for it, so that there is never a quarantine",
            "b: the budget of the host (20 restarts in 10m) is spent before that of the service (30 in 1m)",
        ]
    "#]]
    .assert_debug_eq(&check(&given(&settings, &units)).warnings);
    let host = Host { restarts: 100, ..settings.policy.host };
    let guard = &settings.policy.services[&Service::new("b")];
    assert_eq!(lint::budgets(&Service::new("b"), guard, &host), Vec::<String>::new());
}

#[test]
fn f14_others_who_have_a_hand_in_it_are_named() {
    let needy = Guard {
        depends_on: vec![Dependency::Unit("mariadb.service".parse().expect("a unit's name"))],
        ..guard(NAME)
    };
    let settings = settings(vec![("app", needy, Vec::new())]);
    let units = BTreeMap::new();
    let needs = BTreeMap::from([("mariadb.service".parse().expect("a unit's name"), LoadState::NotFound)]);
    let line = |unit: &str| Restarter {
        path: "/etc/cron.d/keep".into(),
        line: 3,
        command: format!("systemctl restart {unit}"),
        units: vec![unit.into()],
    };
    let restarters = [line(NAME), line("other.service")];
    let given = Given { needs: &needs, restarters: &restarters, ..given(&settings, &units) };
    expect![[r#"
        [
            "app: `depends_on` names mariadb.service, which systemd does not know: nobody is waited for; see `systemctl list-unit-files`",
            "app: /etc/cron.d/keep:3 also starts or stops it, by the clock (`systemctl restart app.service`): it acts in the middle of what watchdog does; take the line out",
        ]
    "#]]
    .assert_debug_eq(&check(&given).warnings);
}

#[test]
fn g10_another_manager_is_named_where_it_runs() {
    let rivals = |name: &str, program: &str, active| {
        rival(&UnitState { program: Some(program.into()), active, ..state(name) })
    };
    let monit = rivals("monit.service", "/usr/bin/monit", ActiveState::Active).expect("a warning");
    assert!(monit.contains("two that restart the same service fight"), "{monit}");
    assert_eq!(rivals("monit.service", "/usr/bin/monit", ActiveState::Inactive), None);
    let debians = rivals("watchdog.service", "/usr/sbin/watchdog", ActiveState::Active).expect("a warning");
    assert!(debians.contains("reboots the host"), "{debians}");
    assert_eq!(rivals("watchdog.service", "/usr/local/bin/watchdog", ActiveState::Active), None);
}

#[test]
fn only_the_services_that_are_asked_for_are_told_of() {
    let settings =
        settings(vec![("a", guard("a.service"), Vec::new()), ("b", guard("b.service"), Vec::new())]);
    let units = BTreeMap::new();
    let chosen = [Service::new("b")];
    let check = check(&Given { chosen: &chosen, ..given(&settings, &units) });
    assert_eq!(check.services.iter().map(|it| it.service.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// What is wrong with it, and what is said to happen.
fn looked_through(guard: Guard, known: Known) -> String {
    let settings = settings(vec![("app", guard, Vec::new())]);
    let units = BTreeMap::from([(Service::new("app"), known)]);
    let check = check(&given(&settings, &units));
    let outlook = check.services.iter().flat_map(|it| &it.outlook);
    let outlook = outlook.map(|it| format!("{}: {}", it.when, it.then)).take(1);
    let errors = check.errors.into_iter().map(|it| format!("error {it}"));
    errors
        .chain(check.warnings.into_iter().map(|it| format!("warning {it}")))
        .chain(outlook)
        .map(|it| it + "\n")
        .collect()
}

#[test]
fn a_unit_that_is_masked_or_disabled_on_purpose_is_no_fault_and_nothing_else_is_promised_for_it() {
    let enabled_only = || Guard { only_if_enabled: true, ..guard(NAME) };
    let masked = || unit(|unit| (unit.load, unit.file) = (LoadState::Masked, FileState::Masked));
    let disabled = || unit(|unit| unit.file = FileState::Disabled);
    expect![[r#"
        warning app: app.service is masked: it is left alone until `systemctl unmask`
        left alone: in each failure class: app.service is masked: it is left alone until `systemctl unmask`
    "#]]
    .assert_eq(&looked_through(enabled_only(), masked()));
    expect![[r#"
        warning app: app.service is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same
        left alone: in each failure class: app.service is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same
    "#]].assert_eq(&looked_through(enabled_only(), disabled()));
    let all_the_same = || Guard { only_if_enabled: false, ..guard(NAME) };
    expect![[r#"
        error app: nothing could ever be done: app.service is masked, so that systemd refuses every start of it; `systemctl unmask app.service`, or `only_if_enabled = true`, which leaves it alone until then
        left alone: in each failure class: app.service is masked: it is left alone until `systemctl unmask`
    "#]].assert_eq(&looked_through(all_the_same(), masked()));
    expect![[r#"
        crash: started again at once after a fatal signal or an exit code that is not clean
    "#]]
    .assert_eq(&looked_through(all_the_same(), disabled()));
}
