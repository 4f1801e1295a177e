//! Starts that fail for a PID file.

use expect_test::{Expect, expect};

use super::log_of;
use crate::{
    model::{Lodger, PidFile, PidStamp, Service},
    policy::{Settings, StalePidFile},
};

/// What a look at the PID file found: `free`, or a living `stranger`, `earlier` (not proved to be one), or `instance`;
/// `twin`: the PID is free and an instance lives elsewhere; `more`: free, and the file holds more than a PID.
pub(super) fn file(words: &[&str]) -> PidFile {
    let lodger = |comm: &str, alike, later| Lodger {
        pid: 812,
        comm: comm.into(),
        program: Some(format!("/usr/bin/{comm}").into()),
        unit: "session-3.scope".into(),
        own: false,
        alike,
        later,
    };
    let (holder, instance) = match words {
        ["free" | "more"] => (None, None),
        ["stranger"] => (Some(lodger("sleep", false, true)), None),
        ["earlier"] => (Some(lodger("sleep", false, false)), None),
        ["instance"] => (Some(lodger("web", true, false)), None),
        ["twin"] => (None, Some(Lodger { pid: 900, ..lodger("web", true, false) })),
        other => panic!("not a PID file: {other:?}"),
    };
    let stamp = PidStamp { pid: 812, device: 1, inode: 2 };
    PidFile { path: "/run/web.pid".into(), stamp, plain: words != ["more"], holder, instance }
}

/// What comes after a kill and a start that failed, when the next one may come.
fn check(remove: bool, then: &str, expect: Expect) {
    let log = log(remove, &format!("{FAILED_START}\n{then}"));
    let (_, after) = log.split_once("held: Backoff\n").expect("a pause");
    expect.assert_eq(after);
}

fn log(remove: bool, script: &str) -> String {
    let change = |settings: &mut Settings| {
        let web = settings.services.get_mut(&Service::new("web")).unwrap();
        web.stale_pid_file = if remove { StalePidFile::Remove } else { StalePidFile::Keep };
        web.heartbeats.clear();
    };
    log_of(change, script)
}

const FAILED_START: &str = "0 unit active pid_file
     1000 unit failed result=signal pid_file
     1000 nobody holds
     1001 queued 1
     1002 unit activating run=2 pid_file
     1003 unit failed run=2 result=exit-code never_up pid_file
     1003 job 1 failed failed";

#[test]
fn e6_a_stale_pid_file_is_removed_on_request_before_one_more_start() {
    check(
        true,
        "2000 nobody holds
         2000 pid_file stranger
         2001 queued 2
         2002 unit active run=3 pid_file
         2002 job 2 done active",
        expect![[r#"
              1.955804s look web: Holders
              1.955804s look web: PidFile
            > 2000 nobody holds
            > 2000 pid_file stranger
              2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
              2s web: decided StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }: the unit ended: result signal (an unclean exit code); its start failed
              2s act web: StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }
            > 2001 queued 2
            > 2002 unit active run=3 pid_file
            > 2002 job 2 done active
              2.002s web: Recovered after 1.002s and 2 restarts
                  0 µs the unit ended: result signal (an unclean exit code)
                  0 µs start: the unit ended: result signal (an unclean exit code)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  3000 µs job failed after 3ms, the unit is failed
                  3000 µs held: the pause before the next restart
                  1000000 µs after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
                  1000000 µs remove the stale PID file and start: the unit ended: result signal (an unclean exit code); its start failed
                  1001000 µs requested
                  1001000 µs systemd queued job 2
                  1002000 µs job done after 2ms, the unit is active
                  1002000 µs recovered: the unit is active (it has no heartbeat)
        "#]],
    );
}

#[test]
fn e1_a_stale_pid_file_is_told_and_kept_by_default() {
    check(
        false,
        "2000 nobody holds\n2000 pid_file stranger",
        expect![[r#"
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 nobody holds
        > 2000 pid_file stranger
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale; remove /run/web.pid, or let watchdog do it: stale_pid_file = "remove"
          2s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
          2s act web: Start { reset: false }
    "#]],
    );
}

#[test]
fn e7_an_instance_outside_the_unit_is_named_its_file_kept_and_nothing_started() {
    check(
        true,
        "2000 nobody holds
         2000 pid_file instance
         32000 nobody holds
         32000 pid_file instance
         62000 nobody holds
         62000 pid_file none",
        expect![[r#"
              1.955804s look web: Holders
              1.955804s look web: PidFile
            > 2000 nobody holds
            > 2000 pid_file instance
              2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (web) of session-3.scope, which may be an instance of the service outside the unit: the file is kept and no second one is started; stop that process, or give it to the unit
              2s web: held: Instance { by: "process 812 (web) of session-3.scope, which /run/web.pid names, may be an instance outside the unit" }
              32s look web: Holders
              32s look web: PidFile
            > 32000 nobody holds
            > 32000 pid_file instance
              32s web: held: Instance { by: "process 812 (web) of session-3.scope, which /run/web.pid names, may be an instance outside the unit" }
              62s look web: Holders
              62s look web: PidFile
            > 62000 nobody holds
            > 62000 pid_file none
              62s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
              62s act web: Start { reset: false }
        "#]],
    );
}

#[test]
fn e7_without_proof_the_file_is_kept() {
    check(
        true,
        "2000 nobody holds\n2000 pid_file earlier",
        expect![[r#"
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 nobody holds
        > 2000 pid_file earlier
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, which is no process of the unit, but it was there before the file was written: the file is kept; remove it if it is stale
          2s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
          2s act web: Start { reset: false }
    "#]],
    );
    check(
        true,
        "2000 nobody holds\n2000 pid_file twin",
        expect![[r#"
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 nobody holds
        > 2000 pid_file twin
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812, which does not live: the file is kept all the same, for process 900 (web) of session-3.scope may be of the service
          2s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
          2s act web: Start { reset: false }
    "#]],
    );
    check(
        true,
        "2000 nobody holds\n2000 pid_file more",
        expect![[r#"
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 nobody holds
        > 2000 pid_file more
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812, which does not live: the file is kept, for it holds more than a PID; remove /run/web.pid if the daemon refuses to start for it
          2s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
          2s act web: Start { reset: false }
    "#]],
    );
}

#[test]
fn e7_while_the_port_is_held_or_nobody_can_tell_the_file_is_kept() {
    check(
        true,
        "2000 held\n2000 pid_file stranger",
        expect![[r#"
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 held
          2s web: ALERT not started: 0.0.0.0:80 is held by process 99 (apache2) of apache2.service, outside the unit; stop that program, or give it to the unit
        > 2000 pid_file stranger
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
          2s web: held: PortHeld { by: "0.0.0.0:80 is held by process 99 (apache2) of apache2.service, outside the unit" }
    "#]],
    );
    check(
        true,
        "2000 pid_file stranger\n4000 sleep",
        expect![[r#"
              1.955804s look web: Holders
              1.955804s look web: PidFile
            > 2000 pid_file stranger
              2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
              2.455804s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
              2.455804s act web: Start { reset: false }
            > 4000 sleep
        "#]],
    );
}

#[test]
fn e4_a_unit_that_was_found_failed_has_its_pid_file_looked_at() {
    let script = "0 unit failed run=2 main=1 result=exit-code pid_file
         0 nobody holds
         0 pid_file free";
    expect![[r#"
        > 0 unit failed run=2 main=1 result=exit-code pid_file
          0ns look web: Holders
          0ns look web: PidFile
        > 0 nobody holds
        > 0 pid_file free
          0ns web: ALERT after a start that failed, the PID file /run/web.pid names process 812, which does not live: it is stale, and removed before the next start
          0ns web: decided StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }: the unit ended: exit code 1 (an unclean exit code)
          0ns act web: StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }
    "#]].assert_eq(&log(true, script));
}

#[test]
fn e6_a_file_that_has_changed_since_is_not_removed_and_nothing_is_counted() {
    check(
        true,
        "2000 nobody holds
         2000 pid_file stranger
         2001 refused watchdog.PidFileKept
         33000 nobody holds
         33000 pid_file none
         33001 queued 2
         33002 unit active run=3 pid_file
         33002 job 2 done active",
        expect![[r#"
              1.955804s look web: Holders
              1.955804s look web: PidFile
            > 2000 nobody holds
            > 2000 pid_file stranger
              2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
              2s web: decided StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }: the unit ended: result signal (an unclean exit code); its start failed
              2s act web: StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }
            > 2001 refused watchdog.PidFileKept
              2.001s look web: Unit
              2.001s web: ALERT not done: no
              2.001s web: held: Backoff
              32.001s look web: Holders
              32.001s look web: PidFile
            > 33000 nobody holds
            > 33000 pid_file none
              33s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code); its start failed
              33s act web: Start { reset: false }
            > 33001 queued 2
            > 33002 unit active run=3 pid_file
            > 33002 job 2 done active
              33.002s web: Recovered after 32.002s and 2 restarts
                  0 µs the unit ended: result signal (an unclean exit code)
                  0 µs start: the unit ended: result signal (an unclean exit code)
                  1000 µs requested
                  1000 µs systemd queued job 1
                  3000 µs job failed after 3ms, the unit is failed
                  3000 µs held: the pause before the next restart
                  1000000 µs after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
                  1000000 µs remove the stale PID file and start: the unit ended: result signal (an unclean exit code); its start failed
                  1001000 µs not done: no
                  1001000 µs held: the pause before the next restart
                  31501000 µs not known in time: who holds its ports
                  32000000 µs start: the unit ended: result signal (an unclean exit code); its start failed
                  32001000 µs requested
                  32001000 µs systemd queued job 2
                  32002000 µs job done after 2ms, the unit is active
                  32002000 µs recovered: the unit is active (it has no heartbeat)
        "#]],
    );
}

#[test]
fn e6_a_start_that_says_it_is_done_and_left_the_unit_down_has_failed() {
    let script = "0 unit active pid_file
         1000 unit failed result=signal pid_file
         1000 nobody holds
         1001 queued 1
         1002 unit activating run=2 pid_file
         1003 unit inactive run=2 never_up pid_file
         1003 job 1 done inactive
         1004 read inactive run=2 never_up pid_file
         2000 nobody holds
         2000 pid_file stranger";
    expect![[r#"
        > 0 unit active pid_file
        > 1000 unit failed result=signal pid_file
          1s look web: Holders
        > 1000 nobody holds
          1s web: decided Start { reset: false }: the unit ended: result signal (an unclean exit code)
          1s act web: Start { reset: false }
        > 1001 queued 1
        > 1002 unit activating run=2 pid_file
        > 1003 unit inactive run=2 never_up pid_file
        > 1003 job 1 done inactive
          1.003s look web: Unit
        > 1004 read inactive run=2 never_up pid_file
          1.004s web: held: Backoff
          1.955804s look web: Holders
          1.955804s look web: PidFile
        > 2000 nobody holds
        > 2000 pid_file stranger
          2s web: ALERT after a start that failed, the PID file /run/web.pid names process 812 (sleep) of session-3.scope, another program, started after the file was written: it is stale, and removed before the next start
          2s web: decided StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }: the unit did not come up: result success (a clean end); its start is owed
          2s act web: StartAfresh { reset: false, stale: PidStamp { pid: 812, device: 1, inode: 2 } }
    "#]].assert_eq(&log(true, script));
}
