//! What lives is not stopped for what could not be started.

use super::{World, log_of, ms, settings};
use crate::{
    model::Service,
    policy::{Input, Settings},
};

fn with_preflight(settings: &mut Settings) {
    let guard = settings.services.get_mut(&Service::new("web")).unwrap();
    (guard.preflight, guard.only_if_enabled) = (Some(vec!["/usr/sbin/nginx".into(), "-t".into()]), false);
}

const SICK: &str = "0 unit active
    0 alive
    1000 suspicion
    1001 dead
    1201 dead";

#[test]
fn f11_an_invalid_configuration_keeps_the_sick_instance_and_someone_hears_why_once() {
    let mut script = SICK.to_owned() + "\n1300 preflight failed";
    let mut dead = |from: u64| {
        for at in (from..from + 24_900).step_by(5_100) {
            script += &format!("\n{at} dead");
        }
        let again = from + 25_000;
        script += &format!("\n{} dead\n{} dead\n{} preflight failed", again + 300, again + 500, again + 600);
    };
    dead(6_400);
    let log = log_of(with_preflight, &script);
    assert!(!log.contains("act web"), "{log}");
    let alert = "ALERT not restarted, for its configuration is invalid: its preflight ended with code 1: [emerg] unknown directive";
    assert_eq!((log.matches(alert).count(), log.matches("held: Preflight").count()), (1, 1), "{log}");
    assert_eq!(log.matches("look web: Preflight").count(), 2, "{log}");
}

#[test]
fn f11_a_valid_configuration_lets_the_restart_go_on_at_once() {
    let log = log_of(with_preflight, &(SICK.to_owned() + "\n1300 preflight passed"));
    assert!(log.ends_with("1.3s act web: Restart { reset: false }\n"), "{log}");
}

#[test]
fn f11_a_preflight_that_says_nothing_counts_as_passed_and_is_told() {
    let log = log_of(with_preflight, &(SICK.to_owned() + "\n11300 preflight late"));
    assert!(log.contains("counts as passed: it did not end within 10s"), "{log}");
    assert!(log.ends_with("11.3s act web: Restart { reset: false }\n"), "{log}");
    let silent = log_of(with_preflight, &(SICK.to_owned() + "\n17000 sleep"));
    assert!(silent.contains("16.201s act web: Restart { reset: false }\n"), "{silent}");
}

#[test]
fn f11_the_start_of_a_dead_unit_asks_for_no_preflight() {
    let script = "0 unit active
        0 alive
        1000 exit signal 9
        1001 unit failed result=signal
        1002 nobody holds";
    let log = log_of(with_preflight, script);
    assert!(!log.contains("Preflight") && log.contains("act web: Start"), "{log}");
}

#[test]
fn g11_a_unit_that_systemd_would_not_start_again_is_not_stopped_until_it_would() {
    for load in ["masked", "absent"] {
        let script = format!(
            "0 unit active
             0 alive
             500 unit active {load}
             1000 suspicion
             1001 dead
             1201 dead
             2000 unit active
             2001 preflight passed"
        );
        let log = log_of(with_preflight, &script);
        assert_eq!(log.matches("held: Unstartable").count(), 1, "{log}");
        assert!(log.ends_with("2.001s act web: Restart { reset: false }\n"), "{log}");
    }
}

#[test]
fn g11_a_unit_that_lost_its_port_to_another_program_is_not_stopped() {
    let script = "0 unit active
        0 alive
        1000 listener_lost
        1001 dead
        1201 dead
        1202 preflight passed
        1203 held";
    let log = log_of(with_preflight, script);
    assert!(log.contains("held: PortHeld") && !log.contains("act web"), "{log}");
}

/// While its looks were on their way watchdog itself stood still.
#[test]
fn g2_a_verdict_from_before_watchdog_was_held_up_is_asked_for_again() {
    let mut settings = settings(false);
    with_preflight(&mut settings);
    let mut world = World::new(settings);
    for words in ["unit active", "alive", "suspicion", "dead", "sleep 200", "dead"] {
        world.say(words);
    }
    world.now = ms(60_000);
    world.put(Input::HeldUp);
    world.put(Input::Wake);
    assert!(!world.log.contains("act web") && world.log.ends_with("60s ask web\n"), "{}", world.log);
}
