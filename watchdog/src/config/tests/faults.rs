use expect_test::{Expect, expect};

use super::{load_all, without};

const SERVICE: &str = "[service.web]\nunit = \"nginx.service\"\n";

/// What is said of these files, which are faulty.
fn check(files: &[(&str, &str)], expect: Expect) {
    let (folder, loaded) = load_all(files);
    let faults = loaded.expect_err("a fault");
    assert_eq!(faults.exit_code(), 78);
    expect.assert_eq(&without(folder.path(), &faults.to_string()));
}

/// What is said of one file with these lines after a service's own.
fn check_service(lines: &str, expect: Expect) {
    check(&[("watchdog.toml", &format!("{SERVICE}{lines}"))], expect);
}

/// What is said of one file with these lines after a heartbeat's URL.
fn check_heartbeat(lines: &str, expect: Expect) {
    check_service(&format!("[service.web.heartbeat]\nurl = \"http://www.example.com/\"\n{lines}"), expect);
}

#[test]
fn an_unknown_key_is_told_in_every_table() {
    let text = r#"
servise = 1
[watchdog]
mod = "observe"
unit = "nginx.service"
[watchdog.budget]
restart = 3
[watchdog.gates]
swap = "50%"
[watchdog.notify]
exec = ["/bin/mail"]
[service.web]
unit = "nginx.service"
timeout = "3s"
depend_on = ["db"]
[service.web.heartbeat]
url = "http://a/"
timout = "3s"
[service.web.heartbeat.tls]
verfy = false
[service.web.stall]
accept_afer = "1s"
[service.web.log]
path = "/var/log/x"
status = "5xx"
color = "red"
[service.web.restart]
stop_timout = "3s"
ladder = []
[service.php.fpm]
unit = "php8.2-fpm.service"
"#;
    check(
        &[("watchdog.toml", text)],
        expect![[r#"
            error: unknown key `servise` in a configuration
             --> watchdog.toml:2:1
              |
            2 | servise = 1
              | ^^^^^^^ did you mean `service`?

            error: unknown key `mod` in [watchdog]
             --> watchdog.toml:4:1
              |
            4 | mod = "observe"
              | ^^^ did you mean `mode`?

            error: unknown key `unit` in [watchdog]
             --> watchdog.toml:5:1
              |
            5 | unit = "nginx.service"
              | ^^^^ this key belongs into [service.NAME]

            error: unknown key `restart` in [watchdog.budget]
             --> watchdog.toml:7:1
              |
            7 | restart = 3
              | ^^^^^^^ did you mean `restarts`?

            error: unknown key `swap` in [watchdog.gates]
             --> watchdog.toml:9:1
              |
            9 | swap = "50%"
              | ^^^^ no such key
              |
              = help: [watchdog.gates] takes memory, io, cpu, disk_free, hold_for

            error: unknown key `notify` in [watchdog]
              --> watchdog.toml:10:11
               |
            10 | [watchdog.notify]
               |           ^^^^^^ not in this version yet
               |
               = help: take it out: nothing would come of it

            error: unknown key `timeout` in [service.web]
              --> watchdog.toml:14:1
               |
            14 | timeout = "3s"
               | ^^^^^^^ this key belongs into [service.web.heartbeat]

            error: unknown key `depend_on` in [service.web]
              --> watchdog.toml:15:1
               |
            15 | depend_on = ["db"]
               | ^^^^^^^^^ did you mean `depends_on`?

            error: unknown key `timout` in [service.web.heartbeat]
              --> watchdog.toml:18:1
               |
            18 | timout = "3s"
               | ^^^^^^ did you mean `timeout`?

            error: `tls` means nothing to an http:// heartbeat, only to https://
              --> watchdog.toml:19:24
               |
            19 | [service.web.heartbeat.tls]
               |                        ^^^ take it out

            error: unknown key `verfy` in [service.web.heartbeat.tls]
              --> watchdog.toml:20:1
               |
            20 | verfy = false
               | ^^^^^ did you mean `verify`?

            error: unknown key `accept_afer` in [service.web.stall]
              --> watchdog.toml:22:1
               |
            22 | accept_afer = "1s"
               | ^^^^^^^^^^^ did you mean `accept_after`?

            error: unknown key `color` in [service.web.log]
              --> watchdog.toml:26:1
               |
            26 | color = "red"
               | ^^^^^ no such key
               |
               = help: [service.web.log] takes path, status, match, share, minimum, within

            error: unknown key `stop_timout` in [service.web.restart]
              --> watchdog.toml:28:1
               |
            28 | stop_timout = "3s"
               | ^^^^^^^^^^^ did you mean `stop_timeout`?

            error: unknown key `ladder` in [service.web.restart]
              --> watchdog.toml:29:1
               |
            29 | ladder = []
               | ^^^^^^ not in this version yet
               |
               = help: take it out: nothing would come of it

            error: [service.php] has no `unit`
              --> watchdog.toml:30:10
               |
            30 | [service.php.fpm]
               |          ^^^ in this table
               |
               = help: such as unit = "nginx.service": what is restarted

            error: unknown key `fpm` in [service.php]
              --> watchdog.toml:30:14
               |
            30 | [service.php.fpm]
               |              ^^^ a name with a dot stands in quotes: [service."php.fpm"]

            The configuration has 17 faults and is not used.
        "#]],
    );
}

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

#[test]
fn what_is_no_table_is_told() {
    check(
        &[("watchdog.toml", "watchdog = 1\nservice = \"nginx\"\n")],
        expect![[r#"
            error: cannot use this value of `watchdog`
             --> watchdog.toml:1:12
              |
            1 | watchdog = 1
              |            ^ expected a table, found a number
              |
              = help: write [watchdog] on a line of its own

            error: cannot use this value of `service`
             --> watchdog.toml:2:11
              |
            2 | service = "nginx"
              |           ^^^^^^^ expected a table, found a text
              |
              = help: write [service] on a line of its own

            The configuration has 2 faults and is not used.
        "#]],
    );
    check(
        &[("watchdog.toml", "[service]\nweb = \"nginx.service\"\n")],
        expect![[r#"
            error: `service.web` is no service
             --> watchdog.toml:2:7
              |
            2 | web = "nginx.service"
              |       ^^^^^^^^^^^^^^^ expected a table, found a text
              |
              = help: write [service.web] on a line of its own, and unit = "….service" below it

            The configuration has a fault and is not used.
        "#]],
    );
    check_service(
        "heartbeat = \"http://a/\"\nrestart = 3\n",
        expect![[r#"
            error: cannot use this value of `service.web.heartbeat`
             --> watchdog.toml:3:13
              |
            3 | heartbeat = "http://a/"
              |             ^^^^^^^^^^^ expected a table, found a text
              |
              = help: write [service.web.heartbeat], or [[service.web.heartbeat]] for each of several

            error: cannot use this value of `service.web.restart`
             --> watchdog.toml:4:11
              |
            4 | restart = 3
              |           ^ expected a table, found a number
              |
              = help: write [service.web.restart] on a line of its own

            The configuration has 2 faults and is not used.
        "#]],
    );
}

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

#[test]
fn keys_that_exclude_each_other_are_told() {
    check_heartbeat(
        "body = \"a\"\nbody_regex = \"b(\"\nexec = [\"/bin/true\"]\nuser = \"www\"\ntls = {}\n",
        expect![[r#"
            error: `body_regex` and `body` do not go together
             --> watchdog.toml:6:1
              |
            5 | body = "a"
              | ---- and this one
            6 | body_regex = "b("
              | ^^^^^^^^^^ this one
              |
              = help: `body` is taken literally, `body_regex` as a pattern: keep one

            error: cannot use this value of `service.web.heartbeat.body_regex`
             --> watchdog.toml:6:14
              |
            6 | body_regex = "b("
              |              ^^^^ expected a regular expression
              |
              = help: unclosed group

            error: `exec` and `url` do not go together
             --> watchdog.toml:7:1
              |
            4 | url = "http://www.example.com/"
              | --- and this one
            ...
            7 | exec = ["/bin/true"]
              | ^^^^ this one
              |
              = help: two heartbeats are two [[…heartbeat]] tables

            error: `user` and `url` do not go together
             --> watchdog.toml:8:1
              |
            4 | url = "http://www.example.com/"
              | --- and this one
            ...
            8 | user = "www"
              | ^^^^ this one
              |
              = help: `user` is whom an `exec` runs as

            error: `tls` means nothing to an http:// heartbeat, only to https://
             --> watchdog.toml:9:1
              |
            9 | tls = {}
              | ^^^ take it out

            The configuration has 5 faults and is not used.
        "#]],
    );
    check_service(
        "[service.web.heartbeat]\nexec = [\"true\"]\nstatus = [\"200\"]\nconnect = \"127.0.0.1:80\"\n[service.web.log]\nstatus = \"5xx\"\nmatch = \"x\"\n",
        expect![[r#"
            error: cannot use this value of `service.web.heartbeat.exec`
             --> watchdog.toml:4:8
              |
            4 | exec = ["true"]
              |        ^^^^^^^^ expected the full path of a program, then its arguments
              |
              = help: such as ["/usr/sbin/nginx", "-t"]; there is no shell and no PATH here

            error: [service.web.log] has no `path`
             --> watchdog.toml:7:14
              |
            7 | [service.web.log]
              |              ^^^ in this table
              |
              = help: the full path of the log

            error: `match` and `status` do not go together
             --> watchdog.toml:9:1
              |
            8 | status = "5xx"
              | ------ and this one
            9 | match = "x"
              | ^^^^^ this one
              |
              = help: `status` reads the common or combined format, `match` any other: keep one

            The configuration has 3 faults and is not used.
        "#]],
    );
    check_service(
        "[[service.web.heartbeat]]\nurl = \"tcp://a:5\"\nbody = \"x\"\n[[service.web.heartbeat]]\n",
        expect![[r#"
            error: [service.web.heartbeat] has no `url`
             --> watchdog.toml:3:15
              |
            3 | [[service.web.heartbeat]]
              |               ^^^^^^^^^ in this table
              |
              = help: such as url = "http://127.0.0.1/", or exec = ["/full/path"]

            error: `body` means nothing to a tcp:// heartbeat, which only connects
             --> watchdog.toml:5:1
              |
            5 | body = "x"
              | ^^^^ take it out

            The configuration has 2 faults and is not used.
        "#]],
    );
    check_heartbeat(
        "method = \"HEAD\"\nbody = \"x\"\n",
        expect![[r#"
            error: cannot use this value of `service.web.heartbeat.body`
             --> watchdog.toml:6:8
              |
            6 | body = "x"
              |        ^^^ the answer to HEAD has no body
              |
              = help: use GET, or take this out

            The configuration has a fault and is not used.
        "#]],
    );
    check_service(
        "[service.web.restart]\nbackoff = \"10m\"\n",
        expect![[r#"
            error: the first pause is longer than the longest
             --> watchdog.toml:4:11
              |
            3 | [service.web.restart]
              |              ------- `backoff_max` is 5m
            4 | backoff = "10m"
              |           ^^^^^ `backoff` is 10m
              |
              = help: `backoff` grows up to `backoff_max`

            The configuration has a fault and is not used.
        "#]],
    );
}

#[test]
fn a_secret_is_never_shown() {
    check_heartbeat(
        "headers = { Authorization = \"Basic c2VjcmV0\", X = 1 }\nbasic_auth_file = \"/nowhere\"\n",
        expect![[r#"
            error: cannot use this value of `service.web.heartbeat.headers.X`
             --> watchdog.toml:5:51
              |
            5 | headers = { Authorization = ****************, X = 1 }
              |                                                   ^ expected a text of visible ASCII characters on one line, found a number

            error: cannot use this value of `service.web.heartbeat.basic_auth_file`
             --> watchdog.toml:6:19
              |
            6 | basic_auth_file = "/nowhere"
              |                   ^^^^^^^^^^ cannot read /nowhere: No such file or directory (os error 2)
              |
              = help: write user:password on one line of this file, for root alone: mode 0600

            The configuration has 2 faults and is not used.
        "#]],
    );
    check_service(
        "[service.web.heartbeat]\nurl = \"http://user:secret@a/\"\n",
        expect![[r#"
            error: cannot use this value of `service.web.heartbeat.url`
             --> watchdog.toml:4:7
              |
            4 | url = ***********************
              |       ^^^^^^^^^^^^^^^^^^^^^^^ expected a URL without user and password
              |
              = help: put user:password on one line of a file of mode 0600, and name that file in `basic_auth_file`

            The configuration has a fault and is not used.
        "#]],
    );
}

#[test]
fn the_host_table_is_checked_too() {
    let text = r#"
[watchdog]
state_directory = "var"
control_socket = "/a/path/that/is/longer/than/what/the/kernel/takes/for/a/socket/which/is/little/more/than/one/hundred/bytes/of/them"
events = ["stdout", "syslog", "stdout", 3]
[watchdog.gates]
memory = "avg10 > 40"
io = "some avg10 > 400"
cpu = 80
disk_free = "1"
hold_for = "0s"
[watchdog.budget]
concurrent_restarts = 0
"#;
    check(
        &[("watchdog.toml", text)],
        expect![[r#"
            error: cannot use this value of `watchdog.state_directory`
             --> watchdog.toml:3:19
              |
            3 | state_directory = "var"
              |                   ^^^^^ expected a full path, from the first slash

            error: cannot use this value of `watchdog.control_socket`
             --> watchdog.toml:4:18
              |
            4 | control_socket = "/a/path/that/is/longer/than/what/the/kernel/takes/for/a/socket/which/is/little/more/than/one/hundred/bytes/of/them"
              |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a path of at most 107 bytes: the kernel takes no longer one for a socket

            error: cannot use this value of `watchdog.events`
             --> watchdog.toml:5:21
              |
            5 | events = ["stdout", "syslog", "stdout", 3]
              |                     ^^^^^^^^ expected "stdout", "journald" or a full path
              |
              = help: such as "/var/log/watchdog.jsonl"

            error: cannot use this value of `watchdog.events`
             --> watchdog.toml:5:41
              |
            5 | events = ["stdout", "syslog", "stdout", 3]
              |                                         ^ expected "stdout", "journald" or a full path
              |
              = help: such as "/var/log/watchdog.jsonl"

            error: cannot use this value of `watchdog.gates.memory`
             --> watchdog.toml:7:10
              |
            7 | memory = "avg10 > 40"
              |          ^^^^^^^^^^^^ expected a gate such as "some avg10 > 40", or "off"
              |
              = help: some or full, then avg10, avg60 or avg300 of /proc/pressure, then > and a percentage without its sign

            error: cannot use this value of `watchdog.gates.io`
             --> watchdog.toml:8:6
              |
            8 | io = "some avg10 > 400"
              |      ^^^^^^^^^^^^^^^^^^ expected a gate such as "some avg10 > 40", or "off"
              |
              = help: some or full, then avg10, avg60 or avg300 of /proc/pressure, then > and a percentage without its sign

            error: cannot use this value of `watchdog.gates.cpu`
             --> watchdog.toml:9:7
              |
            9 | cpu = 80
              |       ^^ expected a gate such as "some avg10 > 40", or "off", found a number
              |
              = help: some or full, then avg10, avg60 or avg300 of /proc/pressure, then > and a percentage without its sign

            error: cannot use this value of `watchdog.gates.disk_free`
              --> watchdog.toml:10:13
               |
            10 | disk_free = "1"
               |             ^^^ expected a percentage such as "1%", from 0% to 100%
               |
               = help: write "1%"

            error: cannot use this value of `watchdog.gates.hold_for`
              --> watchdog.toml:11:12
               |
            11 | hold_for = "0s"
               |            ^^^^ expected a duration from 1s to 8784h

            error: cannot use this value of `watchdog.budget.concurrent_restarts`
              --> watchdog.toml:13:23
               |
            13 | concurrent_restarts = 0
               |                       ^ expected a whole number from 1 to 1000

            error: there is no [service.NAME] in watchdog.toml
             |
             = help: a service is two lines: [service.web] and unit = "nginx.service"

            The configuration has 11 faults and is not used.
        "#]],
    );
}
