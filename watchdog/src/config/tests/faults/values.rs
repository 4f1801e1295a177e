//! What one table says, and does not go together.

use expect_test::expect;

use super::{check_heartbeat, check_service};

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
            error: every user of this host can read the secret in the header Authorization
             --> watchdog.toml:5:29
              |
            5 | headers = { Authorization = ****************, X = 1 }
              |                             ^^^^^^^^^^^^^^^^ a secret, in a file that is not
              |
              = help: `chmod go-rwx` this file; or, for a password, see `basic_auth_file`

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

            The configuration has 3 faults and is not used.
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
