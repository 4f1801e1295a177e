//! What was done to processes just before explains their ends, and who may have asked for a job.

use expect_test::expect;

use super::check;

#[test]
fn who_sent_the_signal_is_told_with_the_end() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 sent 7 100 15 by 41
         1001 sent 7 100 9 by 42
         1002 sent 7 101 9 by 43
         1003 exit 7 100 signal 9
         1004 exit 7 101 signal 9
         1005 exit 7 102 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 sent 7 100 15 by 41
            > 1001 sent 7 100 9 by 42
            > 1002 sent 7 101 9 by 43
            > 1003 exit 7 100 signal 9
              1.003s web, since 1.003s: main process 100 ended: Signal { signal: 9, core: false }, signal 9 sent by 42
            > 1004 exit 7 101 signal 9
              1.004s web, since 1.004s: process 101 ended: Signal { signal: 9, core: false }, signal 9 sent by 43
            > 1005 exit 7 102 signal 9
              1.005s web, since 1.005s: process 102 ended: Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn a_handler_that_exits_is_told_with_its_signal() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 sent 7 100 15 by 41
         3000 exit 7 100 code 0",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 sent 7 100 15 by 41
            > 3000 exit 7 100 code 0
              3s web, since 3s: main process 100 ended: Code(0), signal 15 sent by 41
        "#]],
    );
}

#[test]
fn a_signal_of_long_ago_or_of_another_number_is_not_what_ended_it() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 sent 7 100 15 by 41
         11000 exit 7 100 code 0
         12000 sent 7 100 15 by 41
         12001 exit 7 100 signal 9",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 sent 7 100 15 by 41
            > 11000 exit 7 100 code 0
              11s web, since 11s: main process 100 ended: Code(0)
            > 12000 sent 7 100 15 by 41
            > 12001 exit 7 100 signal 9
        "#]],
    );
}

#[test]
fn a_fault_that_the_kernel_signals_names_the_kernel() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 sent 7 101 11 by kernel
         1000 exit 7 101 signal 11",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 sent 7 101 11 by kernel
            > 1000 exit 7 101 signal 11
              1s web, since 1s: process 101 ended: Signal { signal: 11, core: false }, signal 11 sent by the kernel
        "#]],
    );
}

#[test]
fn g14_who_ends_soon_after_the_kernel_chose_it_was_killed_for_want_of_memory() {
    check(
        "web web.service own:80",
        "0 only suspicions
         0 unit web.service run=1 cgroup=7 main=100
         1000 sent 7 100 9 by kernel
         1000 oom 7 100
         1003 exit 7 100 signal 9
         2000 oom 7 101
         2001 exit 7 102 signal 9
         2002 exit 8 101 signal 9
         2003 exit 7 101 code 1
         2004 exit 7 101 signal 9
         3000 oom 7 103
         8000 exit 7 103 signal 9
         8001 oom 9 100",
        expect![[r#"
            > 0 only suspicions
            > 0 unit web.service run=1 cgroup=7 main=100
            > 1000 sent 7 100 9 by kernel
            > 1000 oom 7 100
              1s web, since 1s: process 100 is killed for want of memory
            > 1003 exit 7 100 signal 9
              1.003s web, since 1.003s: main process 100 ended: Signal { signal: 9, core: false }, signal 9 for want of memory
            > 2000 oom 7 101
              2s web, since 2s: process 101 is killed for want of memory
            > 2001 exit 7 102 signal 9
              2.001s web, since 2.001s: process 102 ended: Signal { signal: 9, core: false }
            > 2002 exit 8 101 signal 9
            > 2003 exit 7 101 code 1
              2.003s web, since 2.003s: process 101 ended: Code(1)
            > 2004 exit 7 101 signal 9
              2.004s web, since 2.004s: process 101 ended: Signal { signal: 9, core: false }, signal 9 for want of memory
            > 3000 oom 7 103
              3s web, since 3s: process 103 is killed for want of memory
            > 8000 exit 7 103 signal 9
              8s web, since 8s: process 103 ended: Signal { signal: 9, core: false }
            > 8001 oom 9 100
        "#]],
    );
}

#[test]
fn f3_who_was_run_just_before_a_job_may_have_asked_for_it() {
    check(
        "web web.service own:80",
        "0 only suspicions
         1000 ran 811 systemctl
         1999 job 5 web.service stop
         2000 job 6 web.service stop
         2001 job 6 web.service over
         3000 ran 811 invoke-rc.d
         3001 ran 811 systemctl
         3002 ran 812 dpkg
         3003 job 7 web.service restart
         3004 job 8 web.service start
         3005 job 9 other.service stop
         3006 ran 813 apt
         3007 ran 814 apt
         3008 job 10 web.service stop",
        expect![[r#"
            > 0 only suspicions
            > 1000 ran 811 systemctl
            > 1999 job 5 web.service stop
              web: job 5 may be asked for by [811 systemctl]
            > 2000 job 6 web.service stop
            > 2001 job 6 web.service over
            > 3000 ran 811 invoke-rc.d
            > 3001 ran 811 systemctl
            > 3002 ran 812 dpkg
            > 3003 job 7 web.service restart
              web: job 7 may be asked for by [811 systemctl, 812 dpkg]
            > 3004 job 8 web.service start
            > 3005 job 9 other.service stop
            > 3006 ran 813 apt
            > 3007 ran 814 apt
            > 3008 job 10 web.service stop
              web: job 10 may be asked for by [812 dpkg, 813 apt, 814 apt]
        "#]],
    );
}
