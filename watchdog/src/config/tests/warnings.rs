use expect_test::{Expect, expect};

use super::{load_all, without};

/// What is said of this file, which has no fault.
fn check(text: &str, expect: Expect) {
    let (folder, loaded) = load_all(&[("watchdog.toml", text)]);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    expect.assert_eq(&without(folder.path(), &loaded.warnings.join("\n")));
}

#[test]
fn what_is_probably_not_meant_so_is_told() {
    check(
        r#"
[watchdog]
events = []
[service.alone]
unit = "alone.service"
[service.idle]
unit = "idle.service"
group = "alone"
restart.on = "no"
[service.web]
unit = "nginx.service"
[[service.web.heartbeat]]
url = "http://a/"
timeout = "1s"
retry_after = "1s"
every = "4s"
method = "POST"
status = ["200-503"]
[[service.web.heartbeat]]
url = "http://a/"
headers = { Host = "b" }
[service.web.restart]
stable = "1m"
"#,
        expect![[r#"
            watchdog.toml:3:10: events are written nowhere; "stdout" is the default
            watchdog.toml:4:10: [service.alone] has no heartbeat: only the end of its unit leads to action, a hang is not noticed; add [service.NAME.heartbeat] with a url
            watchdog.toml:6:10: [service.idle] has no heartbeat: only the end of its unit leads to action, a hang is not noticed; add [service.NAME.heartbeat] with a url
            watchdog.toml:8:9: `alone` is the name of a group and of a service: commands mean the service; give one of them another name
            watchdog.toml:9:14: without a heartbeat, and with `on = "no"`, nothing is ever done for this service; add a heartbeat, or let an end be acted upon
            watchdog.toml:12:15: `every_in_use` is longer than `every`: a service in use would be asked less often than an idle one; make it the shorter of the two
            watchdog.toml:15:15: `retry_after` (1s) is not shorter than `timeout` (1s): the next ask begins when the one before is over; a shorter one finds a silent service sooner
            watchdog.toml:17:10: POST is asked again and again, also of a service that just failed; make sure that it changes nothing
            watchdog.toml:18:11: from 500 on a status is no answer, whatever "200-503" says; where a 5xx is an answer, name it by itself: "500-599"
            watchdog.toml:23:10: `stable` is shorter than `within`: counters start afresh before `burst` can be reached; make `stable` the longer of the two
        "#]],
    );
}

#[test]
fn a_service_with_several_sites_is_one_service_without_a_warning() {
    let (_folder, loaded) = load_all(&[(
        "watchdog.toml",
        r#"
[service.web]
unit = "nginx.service"
[[service.web.heartbeat]]
url = "https://a/"
[service.web.heartbeat.tls]
verify = false
[[service.web.heartbeat]]
url = "tcp://b:25"
on_failure = "alert"
[[service.web.heartbeat]]
exec = ["/usr/bin/mysqladmin", "ping"]
user = "mysql"
"#,
    )]);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let web = &crate::model::Service::new("web");
    assert_eq!(loaded.settings.heartbeats[web].len(), 3);
    assert_eq!(loaded.settings.policy.services[web].heartbeats.len(), 3);
    assert_eq!(loaded.settings.suspicion.services[web].connects.len(), 2); // a program listens nowhere
}

#[test]
fn b3_passive_checks_without_a_heartbeat_are_told_with_their_places() {
    check(
        r#"
[service.web]
unit = "nginx.service"
[service.web.log]
path = "/var/log/nginx/access.log"
status = "5xx"
[service.php]
unit = "php8.2-fpm.service"
stall.accept_after = "1s"
[service.php.heartbeat]
url = "http://www.example.com/"
on_failure = "off"
"#,
        expect![[r#"
            watchdog.toml:2:10: [service.web] has no heartbeat: only the end of its unit leads to action, a hang is not noticed; add [service.NAME.heartbeat] with a url
            watchdog.toml:4:14: nothing comes of `log` of [service.web]: its unit is never asked; it only raises a suspicion, which a heartbeat answers: add [service.web.heartbeat] with a url
            watchdog.toml:9:1: nothing comes of `stall` of [service.php]: its unit is never asked: `on_failure = "off"`; it only raises a suspicion, which a heartbeat answers: add [service.php.heartbeat] with a url
        "#]],
    );
}
