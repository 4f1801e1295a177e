//! What `discover` writes loads, and says what was answered.

use std::{path::Path, time::Duration};

use expect_test::expect;

use crate::{
    config::{
        discover::{Behind, Door, Findings, LeftOut, Listening, Speech, written},
        of_text,
    },
    model::{Connect, OnFailure, Service},
};

fn unit(name: &str) -> Listening {
    Listening {
        unit: name.parse().expect("a unit's name"),
        disabled: false,
        doors: Vec::new(),
        behind: Vec::new(),
    }
}

fn door(at: &str, speaks: Speech, said: &str) -> Door {
    let took = Duration::from_micros(1_234);
    Door { at: at.parse().expect("an address"), speaks, said: said.into(), took, named: false }
}

fn http(status: u16) -> Speech {
    Speech::Http { secure: false, status }
}

fn web() -> Findings {
    let nginx = Listening {
        doors: vec![
            door("0.0.0.0:80", http(200), "answered status 200"),
            door("[::]:443", Speech::Http { secure: true, status: 301 }, "answered status 301"),
        ],
        ..unit("nginx.service")
    };
    let php = Listening {
        behind: vec![Behind {
            at: "/run/php/php8.2-fpm.sock".into(),
            said: "took a connection".into(),
            connects: true,
            shut: true,
        }],
        ..unit("php8.2-fpm.service")
    };
    let app = Listening {
        disabled: true,
        doors: vec![door("127.0.0.1:3000", http(503), "answered status 503")],
        ..unit("app@1.service")
    };
    let other = Listening {
        doors: vec![door("10.0.0.7:3000", http(404), "answered status 404")],
        ..unit("app:1.service")
    };
    let ssh = Listening {
        doors: vec![
            Door { named: true, ..door("0.0.0.0:22", Speech::Tcp, "took a connection") },
            door("0.0.0.0:23", Speech::Nothing, "connection refused"),
        ],
        ..unit("ssh.service")
    };
    let left_out = vec![LeftOut {
        what: "port 53 of systemd-resolved.service".into(),
        why: "a part of systemd\nitself".into(),
    }];
    Findings { units: vec![app, other, nginx, php, ssh], left_out }
}

#[test]
fn what_was_found_is_written_with_what_was_answered() {
    expect![[r##"
        # Written by `watchdog discover`: the units that listen on this host, and what each answered when it was asked.
        # Take out what is not to be restarted. Then: `watchdog check`, and `watchdog run --observe`, which acts on nothing.

        [service.app-1]
        unit = "app@1.service"
        # it is not enabled, and is left alone until it is: only_if_enabled = false guards it all the same

        [service.app-1.heartbeat]
        url = "http://localhost:3000/" # 127.0.0.1:3000 answered status 503 after 1ms
        on_failure = "alert" # it is bad already: take this line out when it answers well

        [service.app-1-2]
        unit = "app:1.service"

        [service.app-1-2.heartbeat]
        url = "http://localhost:3000/" # 10.0.0.7:3000 answered status 404 after 1ms
        # this counts as alive, and is told: a page that it has is a better heartbeat

        [service.nginx]
        unit = "nginx.service"
        # depends_on = ["php8.2-fpm"] # where its pages come from there: while that fails, this is not restarted

        [[service.nginx.heartbeat]]
        url = "http://localhost/" # 0.0.0.0:80 answered status 200 after 1ms
        # body = "…" # a text that this page has shows that it is the right one

        [[service.nginx.heartbeat]]
        url = "https://localhost/" # [::]:443 answered status 301 after 1ms
        # body = "…" # a text that this page has shows that it is the right one
        tls.verify = false # "localhost" is not the name in its certificate: give url its name, and take this out

        [service."php8.2-fpm"]
        unit = "php8.2-fpm.service"

        [service."php8.2-fpm".heartbeat]
        url = "tcp://localhost:1" # unix:/run/php/php8.2-fpm.sock took a connection; the port means nothing there
        connect = "unix:/run/php/php8.2-fpm.sock"
        # it is another user's: watchdog's unit may connect to it with CAP_DAC_OVERRIDE, which `watchdog check --fix` grants
        # A page that comes from it, through nginx.service, says more than that it takes connections:
        # url = "http://localhost/heartbeat.php"
        # connect = "127.0.0.1:80"
        # body = "It works!"

        [service.ssh]
        unit = "ssh.service"
        # 0.0.0.0:23 is not asked: connection refused

        [service.ssh.heartbeat]
        url = "tcp://localhost:22" # 0.0.0.0:22 took a connection after 1ms
        connect = "0.0.0.0:22"

        # Left out:
        # port 53 of systemd-resolved.service: a part of systemd itself
    "##]].assert_eq(&written(&web()));
}

#[test]
fn what_is_written_loads_without_a_fault_and_restarts_nothing_that_was_bad_already() {
    let loaded =
        of_text(Path::new("found.toml"), written(&web())).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let services = &loaded.settings.policy.services;
    assert_eq!(
        services.keys().map(Service::as_str).collect::<Vec<_>>(),
        ["app-1", "app-1-2", "nginx", "php8.2-fpm", "ssh"]
    );
    assert_eq!(services[&Service::new("app-1")].heartbeats[0].on_failure, OnFailure::Alert);
    assert_eq!(services[&Service::new("app-1-2")].heartbeats[0].on_failure, OnFailure::Restart);
    let nginx = &loaded.settings.heartbeats[&Service::new("nginx")];
    assert_eq!(nginx.iter().map(|asked| asked.tls.verify).collect::<Vec<_>>(), [true, false]);
    let php = &loaded.settings.heartbeats[&Service::new("php8.2-fpm")];
    assert_eq!(php[0].connect, Connect::Unix("/run/php/php8.2-fpm.sock".into()));
}

#[test]
fn whatever_a_unit_is_called_and_a_server_says_the_result_loads() {
    let long = format!("{}.service", "x".repeat(240));
    let strange = [
        "a\\x2db.service",
        "-.service",
        ".service",
        "--.service",
        long.as_str(),
        "a.b.service",
        "a-b.service",
        "a:b.service",
    ];
    let units =
        strange.iter().filter(|name| name.parse::<crate::model::Unit>().is_ok()).map(|name| Listening {
            doors: vec![door(
                "[fe80::1%3]:80",
                http(200),
                "\"]\n[watchdog]\nmode = \"observe\"\u{7f}\u{2028}",
            )],
            ..unit(name)
        });
    let findings = Findings { units: units.collect(), left_out: Vec::new() };
    let loaded =
        of_text(Path::new("found.toml"), written(&findings)).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.settings.policy.services.len(), findings.units.len());
    assert!(!loaded.settings.policy.host.observe);
}
