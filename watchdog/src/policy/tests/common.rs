//! Many services fail at once: watchdog asks itself, and restarts one at a time.

use super::{World, guard, log_of, ms, settings};
use crate::{
    model::Service,
    policy::{Dependency, Settings},
};

const ALL: [&str; 5] = ["web", "s1", "s2", "s3", "s4"];

fn five(settings: &mut Settings) {
    for name in &ALL[1..] {
        let mut guard = guard(&format!("{name}.service"));
        guard.heartbeats[0].failures = 1;
        settings.services.insert(Service::new(name), guard);
    }
    settings.services.get_mut(&Service::new("web")).unwrap().heartbeats[0].failures = 1;
}

/// Each with a run of its own: two names of one run are one unit.
fn up() -> String {
    let up = |(run, name): (usize, &&str)| format!("0 {name} unit active run={}\n0 {name} alive\n", run + 10);
    ALL.iter().enumerate().map(up).collect()
}

/// These fail, a millisecond apart, from second 1 on.
fn fail(names: &[&str]) -> String {
    let failed = |(at, name): (usize, &&str)| {
        let at = 1_000 + at;
        format!("{at} {name} suspicion\n{at} {name} dead\n")
    };
    names.iter().enumerate().map(failed).collect()
}

#[test]
fn g9_services_that_fail_together_are_restarted_one_at_a_time_each_verified_before_the_next() {
    let script = up()
        + &fail(&["s1", "s2", "s3"])
        + "1010 s1 queued 1
           1011 s1 unit active run=31
           1011 s1 job 1 done active
           1100 sleep
           1101 s1 alive
           1102 s2 ourselves well
           1103 s3 ourselves well
           1104 s2 queued 2
           1105 s2 unit active run=32
           1105 s2 job 2 done active
           1200 s2 alive
           1201 s3 ourselves well";
    let log = log_of(five, &script);
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text}: {log}"));
    assert!(at("act s1: Restart") < at("s3: held: Together { on: \"s1\" }"), "{log}");
    assert!(at("> 1101 s1 alive") < at("look s2: Ourselves"), "{log}");
    assert!(at("ALERT s1, s2, s3 fail together, and watchdog is well") < at("act s2: Restart"), "{log}");
    assert!(at("s3: held: Together { on: \"s2\" }") < at("> 1200 s2 alive"), "{log}");
    assert!(log.ends_with("act s3: Restart { reset: false }\n"), "{log}");
}

#[test]
fn g9_a_watchdog_that_cannot_ask_itself_does_nothing_and_says_so() {
    for ourselves in ["1010 s3 ourselves late", "4000 sleep"] {
        let mut script = up();
        // nobody is being restarted: another hand has a job on the first two
        script += "500 s1 job 90 new\n500 s2 job 91 new\n";
        script += &fail(&["s1", "s2", "s3"]);
        script += ourselves;
        let log = log_of(five, &script);
        assert!(
            log.contains("ALERT s1, s2, s3 fail together, and watchdog cannot ask itself either"),
            "{log}"
        );
        assert!(log.contains("s3: held: Ourselves") && !log.contains("act "), "{log}");
    }
}

#[test]
fn g9_deaths_are_acted_upon_whatever_else_fails() {
    let script = up()
        + &fail(&["s1", "s2", "s3"])
        + "1010 web exit signal 9
           1011 web unit failed result=signal run=10
           1012 web nobody holds";
    assert!(log_of(five, &script).contains("act web: Start"));
}

#[test]
fn g9_what_a_dead_dependency_explains_is_no_common_cause() {
    let needs = |settings: &mut Settings| {
        five(settings);
        for name in ["s1", "s2"] {
            let guard = settings.services.get_mut(&Service::new(name)).unwrap();
            guard.depends_on = vec![Dependency::Unit("db.service".parse().unwrap())];
        }
    };
    let script = up() + "500 db unit failed\n" + &fail(&["s1", "s2", "s3"]);
    let log = log_of(needs, &script);
    assert!(!log.contains("Ourselves") && log.contains("act s3: Restart"), "{log}");
    assert_eq!(log.matches("held: Dependency").count(), 2, "{log}");
}

#[test]
fn g9_one_that_cannot_be_told_to_be_well_is_not_waited_for_for_ever() {
    let mut settings = settings(false);
    five(&mut settings);
    let mut world = World::new(settings);
    let script = up()
        + &fail(&["s1", "s2", "s3"])
        + "1010 s1 queued 1\n1011 s1 unit active run=31\n1011 s1 job 1 done active";
    for line in script.lines() {
        let (time, words) = line.split_once(' ').unwrap();
        world.sleep_until(ms(time.parse().unwrap()));
        world.say(words);
    }
    let mut waited = 0;
    while !world.log.contains("act s2: Restart") && waited < 200 {
        waited += 1;
        world.say("sleep 1000");
        for name in ["s1", "s2", "s3"] {
            let of = |service: &Service| service.as_str() == name;
            if world.looks.iter().any(|look| of(&look.service)) {
                world.say(&format!("{name} ourselves well"));
            }
            if world.asks.iter().any(|ask| of(&ask.service)) {
                world.say(&format!("{name} {}", if name == "s1" { "unknown" } else { "dead" }));
            }
        }
    }
    // ten seconds of grace, and two minutes
    assert!((130..140).contains(&waited), "{waited} s: {}", world.log);
    assert!(!world.log.contains("act s3"), "{}", world.log);
}
