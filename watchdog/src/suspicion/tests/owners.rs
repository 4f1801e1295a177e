use expect_test::expect;

use super::check;

#[test]
fn a_port_leads_to_the_unit_that_owns_it_and_to_those_that_are_asked_through_it() {
    check(
        "web web.service own:80; php php.service 127.0.0.1:80 accept=100; db db.service unix:/run/db.sock",
        "0 unit web.service run=1 cgroup=7 main=100
         0 unit php.service run=1 cgroup=8 main=200
         1 listeners 0.0.0.0:80@7 0.0.0.0:443@7 /run/db.sock@9
         2 accept 80
         3 accept 443
         4 accept 22
         5 down 80 1
         6 down 80 0
         7 up 80",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (100ms)], /run/db.sock (250ms)
            > 0 unit php.service run=1 cgroup=8 main=200
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (100ms)], /run/db.sock (250ms)
            > 1 listeners 0.0.0.0:80@7 0.0.0.0:443@7 /run/db.sock@9
              watch cgroups [7:100 8:200], ports [80 (100ms) 443 (250ms)], /run/db.sock (250ms)
              php is asked through [web]
            > 2 accept 80
              2ms php, since 2ms: accepts stall on 80
              2ms web, since 2ms: accepts stall on 80
            > 3 accept 443
              3ms web, since 3ms: accepts stall on 443
            > 4 accept 22
            > 5 down 80 1
              ask for the listeners
            > 6 down 80 0
              6ms php, since 6ms: nothing listens on 80
              6ms web, since 6ms: nothing listens on 80
              ask for the listeners
            > 7 up 80
              ask for the listeners
        "#]],
    );
}

#[test]
fn a_front_end_that_is_down_stays_in_front_until_another_one_listens() {
    check(
        "web web.service own:80; alt alt.service own:81; php php.service 127.0.0.1:80",
        "0 unit web.service run=1 cgroup=7 main=100
         0 unit alt.service run=1 cgroup=9 main=300
         1 listeners 0.0.0.0:80@7
         1000 unit web.service run=1 cgroup=7 down
         1001 listeners
         1002 unit web.service run=2 cgroup=10 main=101
         1003 listeners 0.0.0.0:80@10
         2000 listeners 0.0.0.0:80@9",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 81 (250ms)]
            > 0 unit alt.service run=1 cgroup=9 main=300
              ask for the listeners
              watch cgroups [7:100 9:300], ports [80 (250ms) 81 (250ms)]
            > 1 listeners 0.0.0.0:80@7
              php is asked through [web]
            > 1000 unit web.service run=1 cgroup=7 down
            > 1001 listeners
            > 1002 unit web.service run=2 cgroup=10 main=101
              ask for the listeners
              watch cgroups [9:300 10:101], ports [80 (250ms) 81 (250ms)]
            > 1003 listeners 0.0.0.0:80@10
            > 2000 listeners 0.0.0.0:80@9
              php is asked through [alt]
              web is asked through [alt]
        "#]],
    );
}

#[test]
fn the_listener_of_just_this_address_is_in_front_and_not_the_one_of_all() {
    check(
        "web web.service own:80; varnish varnish.service own:81; php php.service 127.0.0.1:80",
        "0 unit web.service run=1 cgroup=7 main=100
         0 unit varnish.service run=1 cgroup=8 main=200
         1 listeners 0.0.0.0:80@7 127.0.0.1:80@8
         2 listeners [::]:80@7
         3 listeners 10.0.0.1:80@7",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 81 (250ms)]
            > 0 unit varnish.service run=1 cgroup=8 main=200
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (250ms) 81 (250ms)]
            > 1 listeners 0.0.0.0:80@7 127.0.0.1:80@8
              php is asked through [varnish]
              web is asked through [varnish]
            > 2 listeners [::]:80@7
              php is asked through [web]
              web is asked through []
            > 3 listeners 10.0.0.1:80@7
              php is asked through [varnish]
        "#]],
    );
}

#[test]
fn a_unix_socket_leads_to_its_front() {
    check(
        "app app.service unix:/run/gate.sock; gate gate.service unix:/run/gate.sock",
        "0 unit gate.service run=1 cgroup=7 main=100
         1 listeners /run/gate.sock@7",
        expect![[r#"
            > 0 unit gate.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [], /run/gate.sock (250ms)
            > 1 listeners /run/gate.sock@7
              app is asked through [gate]
        "#]],
    );
}

#[test]
fn f2_a_queue_of_a_unix_socket_leads_to_its_owner_and_to_those_that_are_asked_through_it() {
    check(
        "php php.service 127.0.0.1:80; app app.service unix:/run/php.sock accept=100; db db.service own:5432",
        "0 unit php.service run=1 cgroup=7 main=100
         0 unit db.service run=1 cgroup=8 main=200
         1 listeners 0.0.0.0:5432@8 /run/php.sock@7
         2 queue /run/php.sock
         3 queue /run/other.sock",
        expect![[r#"
            > 0 unit php.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 5432 (250ms)], /run/php.sock (100ms)
            > 0 unit db.service run=1 cgroup=8 main=200
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (250ms) 5432 (250ms)], /run/php.sock (100ms)
            > 1 listeners 0.0.0.0:5432@8 /run/php.sock@7
              app is asked through [php]
            > 2 queue /run/php.sock
              2ms app, since 2ms: accepts stall on /run/php.sock
              2ms php, since 2ms: accepts stall on /run/php.sock
            > 3 queue /run/other.sock
        "#]],
    );
}

#[test]
fn an_own_heartbeat_goes_to_the_units_own_listener_else_to_loopback() {
    check(
        "a a.service own:80; b b.service own:80; c c.service own:80; d d.service own:80; e e.service own:80",
        "0 unit a.service run=1 cgroup=1 main=1
         0 unit b.service run=1 cgroup=2 main=2
         0 unit c.service run=1 cgroup=3 main=3
         0 unit d.service run=1 cgroup=4 main=4
         1 listeners 0.0.0.0:80@1 [::]:80@2 10.0.0.1:80@3 10.0.0.2:80@4 127.0.0.1:80@4
         2 address a 80
         2 address b 80
         2 address c 80
         2 address d 80
         2 address e 80
         2 address a 443",
        expect![[r#"
            > 0 unit a.service run=1 cgroup=1 main=1
              ask for the listeners
              watch cgroups [1:1], ports [80 (250ms)]
            > 0 unit b.service run=1 cgroup=2 main=2
              ask for the listeners
              watch cgroups [1:1 2:2], ports [80 (250ms)]
            > 0 unit c.service run=1 cgroup=3 main=3
              ask for the listeners
              watch cgroups [1:1 2:2 3:3], ports [80 (250ms)]
            > 0 unit d.service run=1 cgroup=4 main=4
              ask for the listeners
              watch cgroups [1:1 2:2 3:3 4:4], ports [80 (250ms)]
            > 1 listeners 0.0.0.0:80@1 [::]:80@2 10.0.0.1:80@3 10.0.0.2:80@4 127.0.0.1:80@4
              a is asked through [d]
              e is asked through [d]
            > 2 address a 80
              127.0.0.1:80
            > 2 address b 80
              [::1]:80
            > 2 address c 80
              10.0.0.1:80
            > 2 address d 80
              127.0.0.1:80
            > 2 address e 80
              127.0.0.1:80
            > 2 address a 443
              127.0.0.1:443
        "#]],
    );
}

#[test]
fn where_a_unit_listened_is_known_after_it_went_down() {
    check(
        "web web.service own:80; new new.service own:8080 127.0.0.1:9",
        "0 unit web.service run=1 cgroup=7 main=100
         1 listeners 0.0.0.0:80@7 /run/web.sock@7
         2 unit web.service run=1 cgroup=7 down
         3 listeners
         4 places web
         4 places new",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [9 (250ms) 80 (250ms) 8080 (250ms)]
            > 1 listeners 0.0.0.0:80@7 /run/web.sock@7
              watch cgroups [7:100], ports [9 (250ms) 80 (250ms) 8080 (250ms)], /run/web.sock (250ms)
            > 2 unit web.service run=1 cgroup=7 down
            > 3 listeners
            > 4 places web
              0.0.0.0:80
              /run/web.sock
            > 4 places new
              0.0.0.0:8080
        "#]],
    );
}

#[test]
fn the_kernel_watches_present_cgroups_and_each_port_with_the_shortest_wait() {
    check(
        "web web.service own:80 accept=300; php php.service 127.0.0.1:80 accept=100",
        "0 unit web.service run=1 cgroup=7 main=100
         1 unit web.service run=1 cgroup=7 main=100
         2 unit web.service run=1 cgroup=7 main=101
         3 listeners 0.0.0.0:80@7 0.0.0.0:443@7
         4 unit web.service run=1 down
         5 unit web.service run=2 cgroup=8 main=102
         6 unit other.service run=1 cgroup=9 main=103",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (100ms)]
            > 1 unit web.service run=1 cgroup=7 main=100
            > 2 unit web.service run=1 cgroup=7 main=101
              ask for the listeners
              watch cgroups [7:100,101], ports [80 (100ms)]
            > 3 listeners 0.0.0.0:80@7 0.0.0.0:443@7
              watch cgroups [7:100,101], ports [80 (100ms) 443 (300ms)]
              php is asked through [web]
            > 4 unit web.service run=1 down
            > 5 unit web.service run=2 cgroup=8 main=102
              ask for the listeners
              watch cgroups [8:102], ports [80 (100ms) 443 (300ms)]
            > 6 unit other.service run=1 cgroup=9 main=103
        "#]],
    );
}

#[test]
fn a_reload_keeps_what_is_known_of_services_that_keep_their_unit() {
    check(
        "web web.service own:80; app app.service own:8080",
        "0 unit web.service run=1 cgroup=7 main=100
         0 unit app.service run=1 cgroup=8 main=200
         1 settings web web.service own:80 accept=50; app other.service own:8080
         2 exit 7 100 signal 9
         3 exit 8 200 signal 9
         4 settings app other.service own:8080
         5 exit 7 101 signal 9",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 8080 (250ms)]
            > 0 unit app.service run=1 cgroup=8 main=200
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (250ms) 8080 (250ms)]
            > 1 settings web web.service own:80 accept=50; app other.service own:8080
              ask for the listeners
              watch cgroups [7:100], ports [80 (50ms) 8080 (250ms)]
            > 2 exit 7 100 signal 9
              2ms web, since 2ms: main process 100 ended: Signal { signal: 9, core: false }
            > 3 exit 8 200 signal 9
            > 4 settings app other.service own:8080
              ask for the listeners
              watch cgroups [], ports [8080 (250ms)]
            > 5 exit 7 101 signal 9
        "#]],
    );
}
