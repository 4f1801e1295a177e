//! What is wrong with a file as a whole.

use expect_test::expect;

use super::check;

#[test]
fn every_fault_of_every_file_is_told_at_once() {
    let files = [
        ("watchdog.toml", "[watchdog]\nmode = \"watch\"\n[watchdog.budget]\nwithin = \"10 bananas\"\n"),
        (
            "conf.d/10-web.toml",
            "[service.web]\nunit = \"nginx\"\n[service.web.heartbeat]\nurl = 80\ntimeout = 3\n",
        ),
        ("conf.d/20-db.toml", "[service.db\nunit = \"mariadb.service\"\n"),
        ("conf.d/30-php.toml", "[service.php]\ndepends_on = [\"db\"]\n"),
    ];
    check(
        &files,
        expect![[r#"
            error: cannot use this value of `watchdog.mode`
             --> watchdog.toml:2:8
              |
            2 | mode = "watch"
              |        ^^^^^^^ expected "enforce" or "observe"

            error: cannot use this value of `watchdog.budget.within`
             --> watchdog.toml:4:10
              |
            4 | within = "10 bananas"
              |          ^^^^^^^^^^^^ expected a duration such as "250ms", "3s", "10m" or "1h30m"

            error: cannot use this value of `service.web.unit`
             --> conf.d/10-web.toml:2:8
              |
            2 | unit = "nginx"
              |        ^^^^^^^ expected the name of a service unit, such as "nginx.service"
              |
              = help: write "nginx.service"

            error: cannot use this value of `service.web.heartbeat.url`
             --> conf.d/10-web.toml:4:7
              |
            4 | url = 80
              |       ^^ expected a URL such as "http://www.example.com/", "https://…" or "tcp://host:port", found a number
              |
              = help: begin with http://, https:// or tcp://

            error: cannot use this value of `service.web.heartbeat.timeout`
             --> conf.d/10-web.toml:5:11
              |
            5 | timeout = 3
              |           ^ expected a duration in quotes, found a number
              |
              = help: a number needs a unit: "3s" for seconds, "3ms" for milliseconds

            error: cannot read this as TOML
             --> conf.d/20-db.toml:1:12
              |
            1 | [service.db
              |            ^ unclosed table, expected `]`
              |
              = help: texts stand in quotes, and a table's name in brackets; other faults of this file show when this one is mended

            error: [service.php] has no `unit`
             --> conf.d/30-php.toml:1:10
              |
            1 | [service.php]
              |          ^^^ in this table
              |
              = help: such as unit = "nginx.service": what is restarted

            The configuration has 7 faults and is not used.
        "#]],
    );
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_line() {
    check(
        &[("watchdog.toml", "[service.web]\nunit = nginx.service\nunit = \"a\nburst = 08\n")],
        expect![[r#"
            error: cannot read this as TOML
             --> watchdog.toml:2:8
              |
            2 | unit = nginx.service
              |        ^^^^^^^^^^^^^ invalid float, expected `nan`
              |
              = help: texts stand in quotes, and a table's name in brackets; other faults of this file show when this one is mended

            error: cannot read this as TOML
             --> watchdog.toml:3:1
              |
            3 | unit = "a
              | ^^^^ duplicate key
              |
              = help: say it once; several heartbeats are [[service.NAME.heartbeat]]

            error: cannot read this as TOML
             --> watchdog.toml:3:10
              |
            3 | unit = "a
              |          ^ invalid basic string, expected `"`
              |
              = help: texts stand in quotes, and a table's name in brackets; other faults of this file show when this one is mended

            error: cannot read this as TOML
             --> watchdog.toml:4:9
              |
            4 | burst = 08
              |         ^ unexpected leading zero, expected nothing
              |
              = help: texts stand in quotes, and a table's name in brackets; other faults of this file show when this one is mended

            The configuration has 4 faults and is not used.
        "#]],
    );
    check(
        &[("watchdog.toml", "[service.web]\nunit = \"a.service\"\nunit = \"b.service\"\n")],
        expect![[r#"
            error: cannot read this as TOML
             --> watchdog.toml:3:1
              |
            3 | unit = "b.service"
              | ^^^^ duplicate key
              |
              = help: say it once; several heartbeats are [[service.NAME.heartbeat]]

            The configuration has a fault and is not used.
        "#]],
    );
}

#[test]
fn a_configuration_without_a_service_is_a_fault() {
    check(
        &[("watchdog.toml", "")],
        expect![[r#"
            error: there is no [service.NAME] in watchdog.toml
             |
             = help: a service is two lines: [service.web] and unit = "nginx.service"

            The configuration has a fault and is not used.
        "#]],
    );
    check(
        &[("watchdog.toml", "# later\n"), ("conf.d/a.toml", "[service]\n")],
        expect![[r#"
            error: there is no [service.NAME] in watchdog.toml and conf.d/a.toml
             |
             = help: a service is two lines: [service.web] and unit = "nginx.service"

            The configuration has a fault and is not used.
        "#]],
    );
}
