//! Workers that die one after the other under a living main process.

use expect_test::expect;

use super::check;

#[test]
fn f13_workers_that_die_of_faults_one_after_the_other_are_a_storm_whoever_asks_the_service() {
    check(
        "web web.service unasked",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 exit 7 101 signal 11
         1200 exit 7 102 signal 6
         1220 exit 7 103 signal 11
         1400 exit 7 104 signal 9
         1600 exit 7 105 signal 11
         1800 exit 7 106 signal 11
         2000 exit 7 107 signal 11
         9000 exit 7 108 signal 11
         10000 exit 7 109 signal 11
         11000 exit 7 110 signal 11
         12000 exit 7 111 signal 11
         61700 exit 7 112 signal 11
         61900 exit 7 113 signal 11
         62000 exit 7 114 signal 11
         62100 exit 7 115 signal 11
         62200 exit 7 116 signal 11",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 exit 7 101 signal 11
            > 1200 exit 7 102 signal 6
            > 1220 exit 7 103 signal 11
            > 1400 exit 7 104 signal 9
            > 1600 exit 7 105 signal 11
            > 1800 exit 7 106 signal 11
              1.8s web, since 1.8s: 5 deaths of processes within 800ms
            > 2000 exit 7 107 signal 11
            > 9000 exit 7 108 signal 11
            > 10000 exit 7 109 signal 11
            > 11000 exit 7 110 signal 11
            > 12000 exit 7 111 signal 11
            > 61700 exit 7 112 signal 11
            > 61900 exit 7 113 signal 11
            > 62000 exit 7 114 signal 11
            > 62100 exit 7 115 signal 11
            > 62200 exit 7 116 signal 11
              62.2s web, since 62.2s: 5 deaths of processes within 500ms
        "#]],
    );
}

#[test]
fn f13_ends_that_are_wanted_or_seldom_or_come_with_the_main_process_are_no_storm() {
    check(
        "web web.service unasked",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 exit 7 101 signal 15
         1200 exit 7 102 code 1
         1400 exit 7 103 code 0
         1599 sent 7 104 9 by 1
         1600 exit 7 104 signal 9
         1799 sent 7 105 9 by 1
         1800 exit 7 105 signal 9
         2000 exit 7 106 signal 11
         2200 exit 7 107 signal 11
         2400 exit 7 108 signal 11
         2600 exit 7 109 signal 11
         2800 exit 7 100 signal 11
         2900 exit 7 110 signal 11
         30000 exit 7 111 signal 11
         60000 exit 7 112 signal 11
         90000 exit 7 113 signal 11
         120000 exit 7 114 signal 11",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 exit 7 101 signal 15
            > 1200 exit 7 102 code 1
            > 1400 exit 7 103 code 0
            > 1599 sent 7 104 9 by 1
            > 1600 exit 7 104 signal 9
            > 1799 sent 7 105 9 by 1
            > 1800 exit 7 105 signal 9
            > 2000 exit 7 106 signal 11
            > 2200 exit 7 107 signal 11
            > 2400 exit 7 108 signal 11
            > 2600 exit 7 109 signal 11
            > 2800 exit 7 100 signal 11
              2.8s web, since 2.8s: main process 100 ended: Signal { signal: 11, core: false }
            > 2900 exit 7 110 signal 11
            > 30000 exit 7 111 signal 11
            > 60000 exit 7 112 signal 11
            > 90000 exit 7 113 signal 11
            > 120000 exit 7 114 signal 11
        "#]],
    );
}
