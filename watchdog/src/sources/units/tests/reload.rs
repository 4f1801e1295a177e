//! systemd reads its files again, and the unit ends before it has said what is new in them.

use expect_test::expect;

use super::check;

#[test]
fn a_unit_that_ends_before_its_new_settings_are_known_is_told_with_them() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5 success=4
         reloaded
         change a.service active/running pid=11
         part a.service pid=0 code=3 at=77
         change a.service deactivating/stop-post
         change a.service inactive/dead
         all a.service inactive/dead inc=1 code=3 at=77 success=3",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5 success=4
              a.service Active/running inc 1 pid 10 cgroup 5 success 4
            > reloaded
              ask a.service
            > change a.service active/running pid=11
              a.service Active/running inc 1 pid 11 cgroup 5 success 4
            > part a.service pid=0 code=3 at=77
            > change a.service deactivating/stop-post
            > change a.service inactive/dead
            > all a.service inactive/dead inc=1 code=3 at=77 success=3
              a.service Inactive/dead inc 1 ended Code(3) success 3
        "#]],
    );
}

#[test]
fn a_unit_that_ends_is_told_also_where_systemd_does_not_say_its_new_settings() {
    check(
        "watch a.service
         all a.service active/running inc=1 pid=10 cgroup=5
         reloaded
         part a.service pid=0 died=9 at=77
         change a.service failed/failed
         refused a.service",
        expect![[r#"
            > watch a.service
              ask a.service
            > all a.service active/running inc=1 pid=10 cgroup=5
              a.service Active/running inc 1 pid 10 cgroup 5
            > reloaded
              ask a.service
            > part a.service pid=0 died=9 at=77
            > change a.service failed/failed
            > refused a.service
              a.service Failed/failed inc 1 cgroup 5 ended Signal { signal: 9, core: false }
        "#]],
    );
}
