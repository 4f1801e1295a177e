//! What is said in two places, and does not go together.

use expect_test::expect;

use super::check;

#[test]
fn what_is_said_twice_is_told_with_both_places() {
    let files = [
        (
            "watchdog.toml",
            "[watchdog]\nmode = \"observe\"\n[watchdog.gates]\nio = \"off\"\n[service.web]\nunit = \"nginx.service\"\n",
        ),
        ("conf.d/a.toml", "[watchdog]\nmode = \"enforce\"\n[watchdog.gates]\nio = \"off\"\ncpu = \"off\"\n"),
        ("conf.d/b.toml", "[service.web.heartbeat]\nurl = \"http://a/\"\n"),
    ];
    check(
        &files,
        expect![[r#"
            error: `watchdog.mode` is set twice
             --> conf.d/a.toml:2:1
              |
            2 | mode = "enforce"
              | ^^^^ here again
              |
             ::: watchdog.toml:2:1
              |
            2 | mode = "observe"
              | ---- first here
              |
              = help: keep one of them

            error: `watchdog.gates.io` is set twice
             --> conf.d/a.toml:4:1
              |
            4 | io = "off"
              | ^^ here again
              |
             ::: watchdog.toml:4:1
              |
            4 | io = "off"
              | -- first here
              |
              = help: keep one of them

            error: [service.web] has no `unit`
             --> conf.d/b.toml:1:10
              |
            1 | [service.web.heartbeat]
              |          ^^^ in this table
              |
              = help: such as unit = "nginx.service": what is restarted

            error: [service.web] stands in two places
             --> conf.d/b.toml:1:10
              |
            1 | [service.web.heartbeat]
              |          ^^^ here again
              |
             ::: watchdog.toml:5:10
              |
            5 | [service.web]
              |          --- first here
              |
              = help: a service is whole in one file: bring it together

            The configuration has 4 faults and is not used.
        "#]],
    );
}

#[test]
fn a_unit_that_two_services_claim_is_told_with_both_places() {
    let files = [
        ("watchdog.toml", "[service.one]\nunit = \"nginx.service\"\n"),
        ("conf.d/a.toml", "[service.two]\nunit = \"nginx.service\"\n"),
    ];
    check(
        &files,
        expect![[r#"
            error: nginx.service is claimed by two services
             --> conf.d/a.toml:2:8
              |
            2 | unit = "nginx.service"
              |        ^^^^^^^^^^^^^^^ by `two`
              |
             ::: watchdog.toml:2:8
              |
            2 | unit = "nginx.service"
              |        --------------- by `one`
              |
              = help: make them one service; several sites of one server are several [[service.NAME.heartbeat]]

            The configuration has a fault and is not used.
        "#]],
    );
}

#[test]
fn dependencies_lead_somewhere_and_never_in_a_ring() {
    let text = r#"
[service.web]
unit = "nginx.service"
depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
[service.php]
unit = "php8.2-fpm.service"
depends_on = ["db"]
[service.db]
unit = "mariadb.service"
depends_on = ["nginx.service", "redis.service", "phb"]
"#;
    check(
        &[("watchdog.toml", text)],
        expect![[r#"
            error: `web` depends on itself
             --> watchdog.toml:4:22
              |
            4 | depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
              |                      ^^^^^ this is its own name or unit
              |
              = help: take it out

            error: `web` depends on itself
             --> watchdog.toml:4:29
              |
            4 | depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
              |                             ^^^^^^^^^^^^^^^ this is its own name or unit
              |
              = help: take it out

            error: `web` cannot depend on "mariadb"
             --> watchdog.toml:4:46
              |
            4 | depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
              |                                              ^^^^^^^^^ neither a service of this configuration nor a unit
              |
              = help: a unit has its whole name: "mariadb.service"

            error: `web` depends twice on "php8.2-fpm.service"
             --> watchdog.toml:4:57
              |
            4 | depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
              |                                                         ^^^^^^^^^^^^^^^^^^^^ named before
              |
              = help: take it out

            error: services depend on each other in a ring: db → web → php → db
              --> watchdog.toml:10:15
               |
             4 | depends_on = ["php", "web", "nginx.service", "mariadb", "php8.2-fpm.service"]
               |               ----- `web` waits
            ...
             7 | depends_on = ["db"]
               |               ---- `php` waits
            ...
            10 | depends_on = ["nginx.service", "redis.service", "phb"]
               |               ^^^^^^^^^^^^^^^ `db` waits
               |
               = help: take one of these dependencies out: none of them could ever be restarted

            error: `db` cannot depend on "phb"
              --> watchdog.toml:10:49
               |
            10 | depends_on = ["nginx.service", "redis.service", "phb"]
               |                                                 ^^^^^ did you mean `php`?
               |
               = help: a unit has its whole name: "phb.service"

            The configuration has 6 faults and is not used.
        "#]],
    );
}

#[test]
fn a_name_has_letters_digits_and_little_else() {
    check(
        &[("watchdog.toml", "[service.\"my web\"]\nunit = \"nginx.service\"\n")],
        expect![[r#"
            error: no service can be called "my web"
             --> watchdog.toml:1:10
              |
            1 | [service."my web"]
              |          ^^^^^^^^ expected a name of 1 to 64 letters, digits, dots, underscores and hyphens

            The configuration has a fault and is not used.
        "#]],
    );
}
