use expect_test::expect;

use super::check;

#[test]
fn a_death_is_told_with_its_cause_at_once_and_never_by_half() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         part a.service pid=0 died=9 at=77
         change a.service failed/failed",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > part a.service pid=0 died=9 at=77
            > change a.service failed/failed
              a.service Failed/failed inc 1 cgroup 5 ended Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn a_read_is_answered_behind_every_sign_that_came_before_its_reply() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         read 7 a.service
         +3 a.service
         change a.service deactivating/stop job=3
         all a.service/7 inactive/dead inc=1 code=0 at=77
         job 3 stop",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > read 7 a.service
              ask a.service for 7
            > +3 a.service
              ask job 3
            > change a.service deactivating/stop job=3
            > all a.service/7 inactive/dead inc=1 code=0 at=77
            > job 3 stop
              job 3 a.service New(Some(Stop))
              a.service Deactivating/stop inc 1 pid 10 cgroup 5 job 3 Some(Stop)
              a.service Inactive/dead inc 1 ended Code(0)
              answer 7: a.service Inactive/dead inc 1 ended Code(0)
        "#]],
    );
}

#[test]
fn nobody_waits_long_for_the_kind_of_a_job() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         change a.service active/running job=3
         +3 a.service
         wait 1
         job 3 restart
         -3 a.service",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > change a.service active/running job=3
              ask job 3
            > +3 a.service
            > wait 1
              a.service Active/running inc 1 pid 10 cgroup 5 job 3 None
              job 3 a.service New(None)
            > job 3 restart
              a.service Active/running inc 1 pid 10 cgroup 5 job 3 Some(Restart)
            > -3 a.service
              job 3 a.service Removed { result: Done, active: Active }
              a.service Active/running inc 1 pid 10 cgroup 5
        "#]],
    );
}

#[test]
fn a_unit_that_systemd_restarts_is_never_told_as_failed() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5 restart=always
         part a.service pid=0 died=9 at=77
         change a.service failed/failed
         change a.service activating/auto-restart
         all a.service activating/auto-restart inc=1 died=9 at=77 restart=always",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5 restart=always
              a.service Active/running inc 1 pid 10 cgroup 5
            > part a.service pid=0 died=9 at=77
            > change a.service failed/failed
              ask a.service
            > change a.service activating/auto-restart
              a.service Activating/auto-restart inc 1 cgroup 5 ended Signal { signal: 9, core: false }
            > all a.service activating/auto-restart inc=1 died=9 at=77 restart=always
              a.service Activating/auto-restart inc 1 ended Signal { signal: 9, core: false }
        "#]],
    );
}

#[test]
fn a_unit_that_systemd_does_not_restart_is_told_as_failed_once_it_stays_so() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5 restart=on-abort
         part a.service pid=0 code=1 at=77
         change a.service failed/failed
         all a.service failed/failed inc=1 code=1 at=77 restart=on-abort",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5 restart=on-abort
              a.service Active/running inc 1 pid 10 cgroup 5
            > part a.service pid=0 code=1 at=77
            > change a.service failed/failed
              ask a.service
            > all a.service failed/failed inc=1 code=1 at=77 restart=on-abort
              a.service Failed/failed inc 1 ended Code(1)
        "#]],
    );
}

#[test]
fn a_stop_of_a_failed_unit_is_a_job_that_comes_and_goes() {
    check(
        "watch a.service
         all a.service failed/failed inc=1 died=9 at=77
         +3 a.service
         -3 a.service
         job 3 over",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service failed/failed inc=1 died=9 at=77
              a.service Failed/failed inc 1 ended Signal { signal: 9, core: false }
            > +3 a.service
              ask job 3
            > -3 a.service
            > job 3 over
              job 3 a.service New(None)
              job 3 a.service Removed { result: Done, active: Failed }
        "#]],
    );
}

#[test]
fn a_new_incarnation_is_read_in_full_and_has_no_end_of_the_old_one() {
    check(
        "watch a.service
         all a.service failed/failed inc=1 died=9 at=77
         change a.service failed/failed inc=2 job=3
         job 3 start
         change a.service activating/start
         all a.service activating/start inc=2 died=9 at=77 cgroup=6 job=3
         change a.service active/running pid=11
         -3 a.service",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service failed/failed inc=1 died=9 at=77
              a.service Failed/failed inc 1 ended Signal { signal: 9, core: false }
            > change a.service failed/failed inc=2 job=3
              ask job 3
            > job 3 start
            > change a.service activating/start
              ask a.service
              a.service Activating/start inc 2 job 3 Some(Start)
            > all a.service activating/start inc=2 died=9 at=77 cgroup=6 job=3
              a.service Activating/start inc 2 cgroup 6 job 3 Some(Start)
            > change a.service active/running pid=11
              a.service Active/running inc 2 pid 11 cgroup 6 job 3 Some(Start)
            > -3 a.service
              job 3 a.service Removed { result: Done, active: Active }
              a.service Active/running inc 2 pid 11 cgroup 6
        "#]],
    );
}

#[test]
fn what_systemd_forgets_of_a_unit_that_it_unloads_is_kept() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         part a.service pid=0 code=0 at=77
         change a.service inactive/dead
         read 1 a.service
         all a.service/1 inactive/dead",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > part a.service pid=0 code=0 at=77
            > change a.service inactive/dead
              a.service Inactive/dead inc 1 cgroup 5 ended Code(0)
            > read 1 a.service
              ask a.service for 1
            > all a.service/1 inactive/dead
              a.service Inactive/dead inc 1 ended Code(0)
              answer 1: a.service Inactive/dead inc 1 ended Code(0)
        "#]],
    );
}

#[test]
fn a_unit_that_a_socket_starts_is_told_once_the_socket_is_known() {
    check(
        "watch a.service b.service
         all b.service active/running inc=2 pid=20 cgroup=8
         all a.service inactive/dead sockets=a.socket
         change b.service deactivating/stop
         all a.socket active/listening
         change a.socket failed/failed
         read 1 a.service
         all a.service/1 inactive/dead sockets=a.socket",
        expect![[r#"
            > watch a.service b.service
              ask a.service
              ask b.service
            > all b.service active/running inc=2 pid=20 cgroup=8
              b.service Active/running inc 2 pid 20 cgroup 8
            > all a.service inactive/dead sockets=a.socket
              ask a.socket
            > change b.service deactivating/stop
            > all a.socket active/listening
              a.service Inactive/dead socket
              b.service Deactivating/stop inc 2 pid 20 cgroup 8
            > change a.socket failed/failed
              a.service Inactive/dead
            > read 1 a.service
              ask a.service for 1
            > all a.service/1 inactive/dead sockets=a.socket
              answer 1: a.service Inactive/dead
        "#]],
    );
}

#[test]
fn a_socket_that_systemd_tells_nothing_of_holds_nothing_back() {
    check(
        "watch a.service
         all a.service inactive/dead sockets=a.socket
         refused a.socket",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service inactive/dead sockets=a.socket
              ask a.socket
            > refused a.socket
              a.service Inactive/dead
        "#]],
    );
}

#[test]
fn an_alias_hears_what_is_said_of_the_units_own_name() {
    check(
        "watch mysql.service
         all mysql.service active/running inc=1 pid=10 cgroup=5 id=mariadb.service
         +3 mariadb.service
         job 3 stop
         change mariadb.service deactivating/stop",
        expect![[r#"
            > watch mysql.service
              ask mysql.service
            > all mysql.service active/running inc=1 pid=10 cgroup=5 id=mariadb.service
              mysql.service Active/running inc 1 pid 10 cgroup 5
            > +3 mariadb.service
              ask job 3
            > job 3 stop
              job 3 mysql.service New(Some(Stop))
            > change mariadb.service deactivating/stop
              mysql.service Deactivating/stop inc 1 pid 10 cgroup 5
        "#]],
    );
}

#[test]
fn an_absent_unit_is_watched_until_it_appears() {
    check(
        "watch a.service
         all a.service inactive/dead load=not-found
         change a.service activating/start inc=1
         -3 a.service
         all a.service activating/start inc=1 cgroup=5",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service inactive/dead load=not-found
              a.service Inactive/dead NotFound
            > change a.service activating/start inc=1
              ask a.service
            > -3 a.service
              job 3 a.service Removed { result: Done, active: Activating }
            > all a.service activating/start inc=1 cgroup=5
              a.service Activating/start inc 1 cgroup 5
        "#]],
    );
}

#[test]
fn after_a_new_connection_everything_is_asked_and_told_again() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         change a.service deactivating/stop job=3
         disconnect
         connected
         all a.service inactive/dead inc=1 code=0 at=77",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > change a.service deactivating/stop job=3
              ask job 3
            > disconnect
              a.service Deactivating/stop inc 1 pid 10 cgroup 5 job 3 None
            > connected
              ask a.service
            > all a.service inactive/dead inc=1 code=0 at=77
              a.service Inactive/dead inc 1 ended Code(0)
        "#]],
    );
}

#[test]
fn a_change_of_the_set_tells_what_is_new_and_nothing_of_the_rest() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         watch a.service b.service
         all b.service active/running inc=2 pid=20 cgroup=8
         watch b.service
         change a.service deactivating/stop",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > watch a.service b.service
              ask b.service
            > all b.service active/running inc=2 pid=20 cgroup=8
              b.service Active/running inc 2 pid 20 cgroup 8
            > watch b.service
            > change a.service deactivating/stop
        "#]],
    );
}

#[test]
fn a_new_incarnation_is_looked_for_where_the_last_one_lived_before_systemd_is_asked() {
    check(
        "watch a.service
         connected
         all a.service active inc=1 pid=10 cgroup=5
         change a.service failed
         change a.service activating inc=2
         housed a.service /system.slice/a.service 6
         change a.service active pid=11",
        expect![[r#"
            > watch a.service
              ask a.service
            > connected
              ask a.service
            > all a.service active inc=1 pid=10 cgroup=5
              a.service Active/- inc 1 pid 10 cgroup 5
            > change a.service failed
              a.service Failed/- inc 1 pid 10 cgroup 5
            > change a.service activating inc=2
              look whether a.service lives at /5 in another cgroup than 5
              a.service Activating/- inc 2 pid 10
            > housed a.service /system.slice/a.service 6
              a.service Activating/- inc 2 pid 10 cgroup 6
            > change a.service active pid=11
              a.service Active/- inc 2 pid 11 cgroup 6
        "#]],
    );
}
