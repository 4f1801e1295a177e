//! Single statements, and what becomes of them.

use expect_test::{Expect, expect};

use super::{import, script};
use crate::config::import::{Answers, Question, convert, questions, unit};

/// The unit that a command speaks of.
fn names(command: &str, unit: Option<&str>) {
    assert_eq!(unit::of(command).map(|does| does.unit).as_deref(), unit, "{command}");
}

/// The TOML of an nginx with these lines below it, from its unit on and without comments.
fn becomes(lines: &str, expected: &Expect) {
    let whole = format!(
        "set daemon 30\ncheck process web pidfile /run/nginx.pid\nstart \"service nginx start\"\nstop \"service nginx stop\"\n{lines}"
    );
    let toml = import(&whole).toml;
    let lines = toml.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let lines: Vec<_> =
        lines.skip(3).map(|line| line.split(" #").next().unwrap_or_default().trim_end()).collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
}

/// The heartbeat alone, without comments.
fn beat(rule: &str) -> String {
    let toml = import(&format!("check process web\nstart \"service nginx start\"\n{rule}")).toml;
    let beat = toml.lines().skip_while(|line| *line != "[service.web.heartbeat]");
    beat.take_while(|line| !line.is_empty()).map(|line| line.split(" #").next().unwrap_or_default()).collect()
}

#[test]
fn commands_name_their_unit() {
    names("/etc/init.d/apache2 start", Some("apache2.service"));
    names("/etc/rc.d/init.d/httpd restart", Some("httpd.service"));
    names("service nginx start", Some("nginx.service"));
    names("/usr/sbin/service nginx stop", Some("nginx.service"));
    names("/usr/bin/systemctl --no-block start php8.2-fpm.service", Some("php8.2-fpm.service"));
    names("systemctl restart shop@1", Some("shop@1.service"));
    names("/usr/sbin/invoke-rc.d ssh restart", Some("ssh.service"));
    names("/usr/bin/sudo -n /bin/systemctl start app", Some("app.service"));
    names("/bin/bash -c 'systemctl reset-failed app; exec systemctl start app'", Some("app.service"));
    names("/sbin/start app", Some("app.service"));
    names("/sbin/initctl start app", Some("app.service"));
}

#[test]
fn scripts_sockets_and_several_units_name_none() {
    names("/opt/app/start", None);
    names("systemctl start app.socket", None);
    names("systemctl start a b", None);
    names("/bin/sh -c 'systemctl start a && systemctl start b'", None);
    names("/etc/init.d/watchdog start", None);
    names("systemctl daemon-reload", None);
    names("", None);
    names("sh -c", None);
    names("/etc/init.d/ start", None);
}

#[test]
fn old_forms_and_new_ones_mean_the_same() {
    for form in [
        "if failed host localhost port 80 protocol http with timeout 3 seconds for 2 cycles then restart",
        "IF FAILED HOST LOCALHOST PORT 80 PROTO HTTP TIMEOUT 3 SECONDS FOR 2 CYCLE THEN RESTART",
        "if failed port 80 protocol http and timeout 3 s within 2 cycles then restart",
        "if failed port=80 type tcp protocol='http' using timeout 3 sec with 2 cycles then restart",
    ] {
        assert_eq!(beat(form), beat("if failed port 80 protocol http timeout 3s for 2 cycles then restart"));
    }
}

#[test]
fn a10_the_time_out_of_a_stop_is_no_give_up() {
    becomes(
        "stop program = \"service nginx stop\" with timeout 360 seconds",
        &expect![[r#"
            [service.web.restart]
            on = "always"
            stop_timeout = "6m"
        "#]],
    );
}

#[test]
fn a13_limits_in_cycles_become_seconds() {
    becomes(
        "if 3 restarts within 3 cycles then unmonitor",
        &expect![[r#"
        [service.web.restart]
        on = "always"
        burst = 3
        within = "1m30s"
    "#]],
    );
    becomes(
        "every 4 cycles\nif 5 restarts within 20 cycles then timeout",
        &expect![[r#"
        [service.web.restart]
        on = "always"
        burst = 5
        within = "40m"
        stable = "40m"
    "#]],
    );
}

#[test]
fn b7_of_two_limits_the_one_that_unmonitors_is_the_budget() {
    becomes(
        "if 2 restarts within 9 cycles then alert\nif 5 restarts within 5 cycles then unmonitor",
        &expect![[r#"
            [service.web.restart]
            on = "always"
            burst = 5
            within = "2m30s"
        "#]],
    );
}

#[test]
fn a5_a_pattern_stays_a_pattern_and_a_plain_text_is_literal() {
    becomes(
        "if failed port 80 protocol http content = \"It works!\" then restart",
        &expect![[r#"
        [service.web.heartbeat]
        url = "http://localhost/"
        status = ["200-399"]
        body = "It works!"
        timeout = "5s"
        failures = 2
        every = "30s"
        [service.web.restart]
        on = "always"
    "#]],
    );
    becomes(
        "if failed port 80 protocol http content = \"It works.\" then restart",
        &expect![[r#"
        [service.web.heartbeat]
        url = "http://localhost/"
        status = ["200-399"]
        body_regex = "(?s)It works."
        timeout = "5s"
        failures = 2
        every = "30s"
        [service.web.restart]
        on = "always"
    "#]],
    );
}

#[test]
fn an_existence_that_is_only_told_is_not_acted_upon() {
    becomes(
        "if does not exist then alert",
        &expect![[r#"
        [service.web.restart]
        on = "no"
    "#]],
    );
    becomes(
        "mode passive\nif failed port 80 then restart",
        &expect![[r#"
        [service.web.heartbeat]
        url = "tcp://localhost:80"
        timeout = "5s"
        failures = 2
        every = "30s"
        on_failure = "alert"
        [service.web.restart]
        on = "no"
    "#]],
    );
}

#[test]
fn a_unit_that_only_the_host_knows_is_asked_for_and_told() {
    let script = script(b"check process app with pidfile /run/app.pid\n start \"/opt/app/start\"\n");
    assert_eq!(questions(&script), [Question { check: "app".into(), pid_file: Some("/run/app.pid".into()) }]);
    let answers = Answers::from([("app".to_owned(), "app@main.service".to_owned())]);
    let report = convert(&script, &answers, None);
    assert!(report.toml.contains("unit = \"app@main.service\""), "{}", report.toml);
    assert!(report.services[0].fill_in.is_empty());
    assert!(report.changes.iter().any(|changed| changed.what.contains("found by the PID file")));
}

#[test]
fn a_report_as_json_has_the_configuration_and_every_statement() {
    let json = serde_json::to_value(import(
        "set daemon 30\nset init\ncheck process a\n start \"service a start\"\n",
    ))
    .expect("a report");
    let fates: Vec<_> = json["statements"].as_array().into_iter().flatten().map(|it| &it["fate"]).collect();
    assert_eq!(fates, ["converted", "needless", "converted", "converted"]);
    assert_eq!(
        (&json["statements"][1]["file"], &json["statements"][1]["line"]),
        (&"monitrc".into(), &2.into())
    );
    assert_eq!(json["services"][0]["unit"], "a.service");
    assert!(json["toml"].as_str().is_some_and(|toml| toml.contains("[service.a]")));
}

#[test]
fn services_that_depend_on_each_other_are_no_ring() {
    let text = "check process a\n start \"service a start\"\n depends on b\ncheck process b\n start \"service b start\"\n \
                depends on c\ncheck process c\n start \"service c start\"\n depends on a\n";
    let report = import(text);
    assert_eq!(crate::config::import::faults(&report.toml), None);
    let last = report.statements.last().expect("a statement");
    assert!(last.fate.is_less(), "{last:?}");
}
