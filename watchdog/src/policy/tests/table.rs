use expect_test::expect;

use super::check;

#[test]
fn d3_an_end_that_the_unit_prevents_from_a_restart_is_left_alone() {
    check(
        "0 unit active restart=on-failure prevent=78 force=78
         0 alive
         1000 exit code 78
         1001 unit failed restart=on-failure prevent=78 force=78 result=exit-code
         9000 sleep",
        expect![[r#"
            > 0 unit active restart=on-failure prevent=78 force=78
              0ns ask web
            > 0 alive
            > 1000 exit code 78
            > 1001 unit failed restart=on-failure prevent=78 force=78 result=exit-code
              1.001s web: ALERT the unit ended: exit code 78 (an unclean exit code); the unit's RestartPreventExitStatus= does not act on that, so it stays down
              1.001s web: left alone: the unit ended: exit code 78 (an unclean exit code); the unit's RestartPreventExitStatus=
              1.001s web: StoodDown after 1ms and 0 restarts
                  0 µs main process 10 (web) ended: exit code 78
                  1000 µs the unit ended: exit code 78 (an unclean exit code)
                  1000 µs left alone: the unit ended: exit code 78 (an unclean exit code); the unit's RestartPreventExitStatus=
            > 9000 sleep
        "#]],
    );
}

#[test]
fn d3_an_end_for_which_the_unit_forces_a_restart_is_acted_upon_whatever_restart_on_says() {
    check(
        "0 unit active force=0
         0 alive
         1000 exit code 0
         1001 unit inactive force=0
         1101 unit inactive force=0 result=start-limit-hit
         1101 nobody holds",
        expect![[r#"
            > 0 unit active force=0
              0ns ask web
            > 0 alive
            > 1000 exit code 0
            > 1001 unit inactive force=0
              1.025s look web: Unit
            > 1101 unit inactive force=0 result=start-limit-hit
              1.101s look web: Holders
            > 1101 nobody holds
              1.101s web: decided Start { reset: true }: the unit ended: exit code 0 (a clean end); the unit's RestartForceExitStatus= asks for a start
              1.101s act web: Start { reset: true }
        "#]],
    );
}
