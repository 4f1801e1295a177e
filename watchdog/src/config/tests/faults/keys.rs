//! Keys and tables that are not known, or are none.

use expect_test::expect;

use super::{check, check_service};

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

            error: cannot use this value of `watchdog.notify.exec`
              --> watchdog.toml:11:9
               |
            11 | exec = ["/bin/mail"]
               |         ^^^^^^^^^^^ expected a table, found a text
               |
               = help: write [watchdog.notify.exec], or [[watchdog.notify.exec]] for each of several

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

            error: cannot use this value of `service.web.restart.ladder`
              --> watchdog.toml:29:10
               |
            29 | ladder = []
               |          ^^ expected a table, found a list
               |
               = help: write [service.web.restart.ladder] on a line of its own

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

#[test]
fn b16_a_ladder_of_other_rungs_is_no_ladder() {
    check_service(
        "[service.web.restart]\nladder = [\"restart\", \"reboot\"]\n",
        expect![[r#"
            error: cannot use this value of `service.web.restart.ladder`
             --> watchdog.toml:4:10
              |
            4 | ladder = ["restart", "reboot"]
              |          ^^^^^^^^^^^^^^^^^^^^^ expected a table, found a list
              |
              = help: write [service.web.restart.ladder] on a line of its own

            The configuration has a fault and is not used.
        "#]],
    );
    check_service(
        "[service.web.restart.ladder]\nreboot = \"yes\"\nreboot_after = \"10ms\"\nreboot_every = \"30m\"\nreboot_evry = \"6h\"\n",
        expect![[r#"
            error: cannot use this value of `service.web.restart.ladder.reboot`
             --> watchdog.toml:4:10
              |
            4 | reboot = "yes"
              |          ^^^^^ expected true or false, found a text
              |
              = help: without quotes

            error: cannot use this value of `service.web.restart.ladder.reboot_after`
             --> watchdog.toml:5:16
              |
            5 | reboot_after = "10ms"
              |                ^^^^^^ expected a duration from 1s to 8784h

            error: cannot use this value of `service.web.restart.ladder.reboot_every`
             --> watchdog.toml:6:16
              |
            6 | reboot_every = "30m"
              |                ^^^^^ expected a duration from 1h to 8784h

            error: unknown key `reboot_evry` in [service.web.restart.ladder]
             --> watchdog.toml:7:1
              |
            7 | reboot_evry = "6h"
              | ^^^^^^^^^^^ did you mean `reboot_every`?

            The configuration has 4 faults and is not used.
        "#]],
    );
}
