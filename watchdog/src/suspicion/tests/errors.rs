use expect_test::expect;

use super::check;

#[test]
fn f15_errors_on_a_port_are_of_its_unit_and_of_those_that_are_asked_there() {
    check(
        "web web.service own:80; php php.service 127.0.0.1:80; app app.service own:8000",
        "0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
         1 listeners 0.0.0.0:80@7 0.0.0.0:443@7
         10 errors 7 80 1
         20 errors 7 443 4
         30 errors 99 8000 1
         40 errors 99 22 1",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 8000 (250ms)], answers of /system.slice/web.service
            > 1 listeners 0.0.0.0:80@7 0.0.0.0:443@7
              watch cgroups [7:100], ports [80 (250ms) 443 (250ms) 8000 (250ms)], answers of /system.slice/web.service
              php is asked through [web]
            > 10 errors 7 80 1
              10ms php, since 10ms: 1 errors on 80
              10ms web, since 10ms: 1 errors on 80
            > 20 errors 7 443 4
              20ms web, since 20ms: 4 errors on 443
            > 30 errors 99 8000 1
              30ms app, since 30ms: 1 errors on 8000
            > 40 errors 99 22 1
        "#]],
    );
}

#[test]
fn f15_errors_that_are_answered_alive_go_quiet_and_only_the_first_is_kept() {
    check(
        "web web.service own:80",
        "0 only suspicions
         10 errors 7 80 1
         12 alive web
         1005 errors 7 80 900
         1009 errors 7 80 800
         1020 alive web
         9000 errors 7 80 5",
        expect![[r#"
            > 0 only suspicions
            > 10 errors 7 80 1
              10ms web, since 10ms: 1 errors on 80
            > 12 alive web
            > 1005 errors 7 80 900
            > 1009 errors 7 80 800
              1.012s web, since 1.005s: 900 errors on 80
            > 1020 alive web
            > 9000 errors 7 80 5
              9s web, since 9s: 5 errors on 80
        "#]],
    );
}

#[test]
fn f15_a_service_that_does_not_want_it_is_not_suspected_and_its_answers_are_read_for_those_behind_it() {
    check(
        "web web.service own:80 blind; php php.service 127.0.0.1:80; other other.service own:81 blind",
        "0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
         0 unit php.service run=1 cgroup=8 main=200 path=/system.slice/php.service
         0 unit other.service run=1 cgroup=9 main=300 path=/system.slice/other.service
         1 listeners 0.0.0.0:80@7 127.0.0.1:81@9
         10 errors 7 80 1
         20 settings web web.service own:80 blind",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms) 81 (250ms)]
            > 0 unit php.service run=1 cgroup=8 main=200 path=/system.slice/php.service
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (250ms) 81 (250ms)], answers of /system.slice/php.service
            > 0 unit other.service run=1 cgroup=9 main=300 path=/system.slice/other.service
              ask for the listeners
              watch cgroups [7:100 8:200 9:300], ports [80 (250ms) 81 (250ms)], answers of /system.slice/php.service
            > 1 listeners 0.0.0.0:80@7 127.0.0.1:81@9
              watch cgroups [7:100 8:200 9:300], ports [80 (250ms) 81 (250ms)], answers of /system.slice/php.service /system.slice/web.service
              php is asked through [web]
            > 10 errors 7 80 1
              10ms php, since 10ms: 1 errors on 80
            > 20 settings web web.service own:80 blind
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms)]
        "#]],
    );
}

#[test]
fn f15_a_unit_that_is_down_is_read_from_its_first_answer_on_when_it_comes_back() {
    check(
        "web web.service own:80; silent silent.service own:81 unasked",
        "0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
         0 unit silent.service run=1 cgroup=8 main=200 path=/system.slice/silent.service
         1000 unit web.service run=1 down
         2000 unit web.service run=2 cgroup=9 main=101 path=/system.slice/web.service
         3000 unit web.service run=3 cgroup=10 main=102 path=/web.slice/web.service",
        expect![[r#"
            > 0 unit web.service run=1 cgroup=7 main=100 path=/system.slice/web.service
              ask for the listeners
              watch cgroups [7:100], ports [80 (250ms)], answers of /system.slice/web.service
            > 0 unit silent.service run=1 cgroup=8 main=200 path=/system.slice/silent.service
              ask for the listeners
              watch cgroups [7:100 8:200], ports [80 (250ms)], answers of /system.slice/web.service
            > 1000 unit web.service run=1 down
            > 2000 unit web.service run=2 cgroup=9 main=101 path=/system.slice/web.service
              ask for the listeners
              watch cgroups [8:200 9:101], ports [80 (250ms)], answers of /system.slice/web.service
            > 3000 unit web.service run=3 cgroup=10 main=102 path=/web.slice/web.service
              ask for the listeners
              watch cgroups [8:200 10:102], ports [80 (250ms)], answers of /web.slice/web.service
        "#]],
    );
}
