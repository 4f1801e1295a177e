//! Services that go, come, or change their name while something is on its way.

use super::{World, guard, ms, settings};
use crate::{
    model::Service,
    policy::{Input, Settings},
};

/// These services, each with this unit.
fn of(services: &[(&str, &str)]) -> Settings {
    let mut settings = settings(false);
    settings.services =
        services.iter().map(|(name, unit)| (Service::new(name), guard(&format!("{unit}.service")))).collect();
    settings
}

fn play(world: &mut World, script: &str) {
    for line in script.lines().map(str::trim) {
        let (time, words) = line.split_once(' ').expect("TIME WORDS");
        world.sleep_until(ms(time.parse().expect("milliseconds")));
        world.say(words);
    }
}

fn reload(world: &mut World, services: &[(&str, &str)]) {
    world.put(Input::Settings(Box::new(of(services))));
}

/// `web` failed, and its restart is ordered.
const RESTARTS: &str = "0 unit active
    0 alive
    1000 suspicion
    1001 dead
    1201 dead";

#[test]
fn a_service_under_another_name_keeps_its_job_its_deadline_and_its_budget() {
    for reply_first in [true, false] {
        let mut world = World::new(of(&[("web", "web")]));
        play(&mut world, RESTARTS);
        assert!(world.log.ends_with("act web: Restart { reset: false }\n"), "{}", world.log);
        if reply_first {
            world.say("queued 7");
        }
        reload(&mut world, &[("www", "web")]);
        if !reply_first {
            world.say("queued 7"); // under the name that it was ordered under
        }
        play(&mut world, "1300 unit deactivating\n6300 sleep");
        assert!(world.log.contains("6.201s act www: Kill"), "{}", world.log);
        play(&mut world, "6400 unit active run=2\n6400 job 7 done active");
        let keeper = &world.policy.keepers[&Service::new("www")];
        assert_eq!((keeper.stage(), world.policy.keepers.len()), ("proving", 1));
        let ask = world.asks.pop_back().expect("it is asked under its new name");
        assert_eq!(ask.service, Service::new("www"));
        world.asks = [ask].into();
        world.answer(&Service::new("www"), crate::model::Verdict::Alive);
        let log = &world.log;
        assert!(log.contains("Recovered after") && log.contains("and 1 restarts"), "{log}");
        assert!(log.contains("goes on as service www"), "{log}");
    }
}

#[test]
fn what_goes_while_it_is_being_restarted_wakes_someone() {
    let mut world = World::new(of(&[("web", "web")]));
    play(&mut world, RESTARTS);
    reload(&mut world, &[]);
    let told = "web: ALERT taken out of the configuration while a job of ours is on web.service";
    assert!(world.log.contains(told) && world.policy.keepers.is_empty(), "{}", world.log);
}

#[test]
fn two_that_come_for_one_that_goes_are_new_services() {
    let mut world = World::new(of(&[("web", "web")]));
    play(&mut world, RESTARTS);
    reload(&mut world, &[("s1", "web"), ("s2", "web")]);
    assert!(world.log.contains("ALERT taken out of the configuration"), "{}", world.log);
}

#[test]
fn a_request_of_a_service_that_left_is_waited_for_whatever_the_unit_is_called() {
    let mut world = World::new(of(&[("web", "web"), ("app", "app")]));
    play(
        &mut world,
        "0 app unit active\n0 app alive\n0 unit active\n0 alive\n1000 unit failed result=signal",
    );
    world.say("nobody holds");
    assert!(world.log.contains("act web: Start"), "{}", world.log);
    reload(&mut world, &[("app", "app")]);
    play(&mut world, "2000 app unit failed result=signal");
    assert!(world.log.contains("app: held: Request"), "{}", world.log);
    world.say("app read failed result=signal");
    world.say("app nobody holds");
    assert!(world.log.contains("act app: Start"), "{}", world.log);
}

#[test]
fn the_end_of_a_job_that_began_before_the_service_was_kept_is_no_stop() {
    let mut world = World::new(of(&[("app", "app")]));
    reload(&mut world, &[("app", "app"), ("web", "web")]);
    world.say("job 7 done inactive"); // the start of a oneshot, or a stop: what it left shows in the first state
    assert!(!world.log.contains("stopped on request"), "{}", world.log);
    world.say("unit inactive oneshot");
    assert_eq!(world.policy.stages()[&Service::new("web")], "down", "{}", world.log);
}

#[test]
fn of_names_of_one_unit_the_next_keeps_it_when_the_first_is_taken_out() {
    let mut world = World::new(of(&[("app", "app"), ("s1", "s1"), ("web", "web")]));
    let mut script = String::new();
    for name in ["app", "s1", "web"] {
        script += &format!("0 {name} unit active run=7\n0 {name} alive\n");
    }
    for name in ["app", "s1", "web"] {
        script += &format!("1000 {name} unit failed run=7 result=signal\n");
    }
    play(&mut world, script.trim());
    assert!(world.log.contains("s1: held: Twin { service: \"app\" }"), "{}", world.log);
    reload(&mut world, &[("s1", "s1"), ("web", "web")]);
    assert!(world.log.contains("look s1: Unit\n"), "{}", world.log);
    world.say("s1 nobody holds");
    play(&mut world, "31500 sleep\n61500 sleep");
    let log = &world.log;
    assert!(log.contains("act s1: Start") && !log.contains("act web"), "{log}");
    reload(&mut world, &[("web", "web")]);
    assert!(!world.log.contains("look web: Holders"), "the other's start may be on its way: {}", world.log);
    world.say("read failed run=7 result=signal");
    world.say("nobody holds");
    assert!(world.log.contains("act web: Start"), "{}", world.log);
}
