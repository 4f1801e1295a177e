//! A host that is short of something holds what would not help.

use std::time::Duration;

use expect_test::expect;

use super::{World, check_with, log_of, settings};
use crate::{
    model::Question,
    policy::{Over, Settings, Threshold},
};

fn gates(settings: &mut Settings) {
    let threshold = |percent: u32| Some(Threshold { full: false, over: Over::Ten, limit: percent * 100 });
    let gates = &mut settings.host.gates;
    (gates.memory, gates.cpu, gates.disk_free) = (threshold(40), threshold(80), 100);
}

#[test]
fn b14_pressure_holds_a_restart_and_what_is_well_again_by_then_is_left_alone() {
    check_with(
        gates,
        "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1201 dead
         1202 pressed memory=61/12 cpu=5/0 disk=9
         8000 alive",
        expect![[r#"
            > 0 unit active
              0ns ask web
            > 0 alive
            > 1000 suspicion
              1s ask web
            > 1001 dead
              1.2s ask web
            > 1201 dead
              1.201s look web: Pressure
            > 1202 pressed memory=61/12 cpu=5/0 disk=9
              1.202s web: held: Gate { gate: Memory, why: "memory pressure: some avg10 is 61 %, above 40 %; the unit has 12 % of what is used" }
              6.201s ask web
            > 8000 alive
              8s web: Recovered after 7s and 0 restarts
                  0 µs port 80: the oldest of 1 waiting connections has not been accepted for 250ms
                  1000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  201000 µs 127.0.0.1:80: status 503 (phase: headers, after 1ms)
                  202000 µs held: a restart would not help: memory pressure: some avg10 is 61 %, above 40 %; the unit has 12 % of what is used
                  7000000 µs recovered: 127.0.0.1:80: status 200 (phase: headers, after 1ms): well again without our help
        "#]],
    );
}

#[test]
fn b14_a_restart_that_pressure_holds_comes_when_it_is_over_and_still_needed() {
    let script = "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1201 dead
         1202 pressed memory=10/12 cpu=91/12 disk=9
         6300 dead
         11400 dead
         16500 dead
         21600 dead
         26700 dead
         31300 dead
         31500 dead
         31600 pressed memory=55/12 cpu=12/0 disk=9
         36700 dead
         41800 dead
         46900 dead
         52000 dead
         57100 dead
         61700 dead
         61900 dead
         62000 pressed memory=12/12 cpu=5/0 disk=9";
    let log = log_of(gates, script);
    assert_eq!(log.matches("held: Gate").count(), 2, "{log}");
    assert!(log.ends_with("act web: Restart { reset: false }\n"), "{log}");
}

/// Every look finds this, every heartbeat fails, and so does every start.
fn lasts(world: &mut World, seconds: u64, pressed: &str) {
    let end = world.now + Duration::from_secs(seconds);
    while world.now < end {
        world.say("sleep 100");
        for (question, answer) in [(Question::Holders, "nobody holds"), (Question::Pressure, pressed)] {
            if world.looks.iter().any(|look| look.question == question) {
                world.say(answer);
            }
        }
        if !world.asks.is_empty() {
            world.say("dead");
        }
        if !world.acts.is_empty() {
            world.say("queued 7");
            world.say("job 7 failed failed");
        }
    }
}

fn world() -> World {
    let mut settings = settings(false);
    gates(&mut settings);
    let mut world = World::new(settings);
    ["unit active", "alive", "sleep 1000"].into_iter().for_each(|words| world.say(words));
    world
}

#[test]
fn f6_a_full_disk_holds_a_start_and_then_it_is_tried_once_and_more_and_more_seldom() {
    let mut world = world();
    world.say("exit signal 9");
    world.say("unit failed result=signal");
    lasts(&mut world, 119, "pressed cpu=1/0 disk=0");
    assert!(!world.log.contains("act ") && world.log.contains("held: Gate { gate: Disk"), "{}", world.log);
    for (seconds, times) in [(4, 1), (230, 1), (20, 2), (450, 2), (40, 3)] {
        lasts(&mut world, seconds, "pressed cpu=1/0 disk=0");
        let log = &world.log;
        assert_eq!(log.matches("act web: Start").count(), times, "{log}");
        assert_eq!(log.matches("ALERT nothing has been done for").count(), times, "{log}");
        assert!(log.contains("it is tried once in spite of that"), "{log}");
    }
    lasts(&mut world, 40, "pressed cpu=1/0 disk=9");
    assert!(world.log.matches("act web: Start").count() > 3, "{}", world.log);
}

#[test]
fn f6_what_lives_is_never_stopped_for_a_full_disk_and_someone_is_reminded() {
    let mut world = world();
    world.say("suspicion");
    for (seconds, alarms) in [(110, 0), (50, 1), (200, 1), (60, 2), (580, 3)] {
        lasts(&mut world, seconds, "pressed cpu=1/0 disk=0");
        let log = &world.log;
        assert_eq!(log.matches("it waits until there is room").count(), alarms, "{log}");
        assert!(!log.contains("act "), "{log}");
    }
    lasts(&mut world, 40, "pressed cpu=1/0 disk=9");
    assert!(world.log.contains("act web: Restart"), "{}", world.log);
}

#[test]
fn pressure_that_lasts_ends_in_an_alarm_and_one_try() {
    let mut script = "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal"
        .to_owned();
    for at in [1_002, 31_100, 61_200, 91_300, 121_050] {
        script += &format!("\n{at} nobody holds\n{at} pressed memory=70/0 cpu=1/0 disk=9");
    }
    let log = log_of(gates, &script);
    assert_eq!(log.matches("held: Gate").count(), 1, "{log}");
    let alarm = "ALERT nothing has been done for 120";
    assert!(log.contains(alarm) && log.ends_with("act web: Start { reset: false }\n"), "{log}");
}

#[test]
fn f6_a_unit_that_is_the_pressure_itself_is_restarted() {
    let script = "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1201 dead
         1202 pressed memory=90/80 cpu=95/60 disk=9";
    let log = log_of(gates, script);
    assert!(log.ends_with("act web: Restart { reset: false }\n"), "{log}");
}

#[test]
fn a_gate_without_a_figure_is_open_and_that_is_told_once() {
    let script = "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1002 nobody holds
         1002 pressed disk=9
         1003 queued 7
         1004 unit active run=2
         1004 job 7 done active
         1005 alive
         9000 exit signal 9
         9001 unit failed result=signal run=2
         9002 nobody holds
         9002 pressed disk=9";
    let log = log_of(gates, script);
    assert_eq!(log.matches("no figure for the CPU gate").count(), 1, "{log}");
    assert_eq!(log.matches("act web: Start").count(), 2, "{log}");
}

#[test]
fn a_look_at_a_stuck_disk_holds_a_first_start_for_half_a_second_and_all_else_for_five() {
    let living = "0 unit active
         0 alive
         1000 suspicion
         1001 dead
         1201 dead
         7000 sleep";
    let log = log_of(gates, living);
    assert!(log.contains("6.201s act web: Restart { reset: false }"), "{log}");
    let dead = "0 unit active
         0 alive
         1000 exit signal 9
         1001 unit failed result=signal
         1002 nobody holds
         2000 sleep";
    let log = log_of(gates, dead);
    assert!(log.contains("1.501s act web: Start { reset: false }"), "{log}");

    // what was started in vain has time until its host is known to be well
    let again = format!(
        "{dead}
         2001 queued 7
         2002 unit active run=2
         2003 job 7 done active
         2004 exit signal 9
         2005 unit failed run=2 result=signal
         3500 nobody holds
         9000 sleep"
    );
    let log = log_of(gates, &again);
    assert!(log.contains("2.473203s look web: Pressure"), "{log}");
    assert!(log.contains("7.473203s act web: Start { reset: false }"), "{log}");
}
