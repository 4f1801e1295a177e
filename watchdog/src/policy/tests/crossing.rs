//! An operator's stop that meets a request of ours: every place that the reply can take among systemd's signals.

use super::{World, settings};
use crate::model::Service;

/// The signals in their order, with the reply `queued JOB` put at each place in turn; then the rest. The unit must stay stopped.
fn check(begin: &[&str], signals: &[&str], reply: &str, taken_back: bool) {
    for place in 0..=signals.len() {
        let mut world = World::new(settings(false));
        begin.iter().for_each(|words| world.say(words));
        assert_eq!(world.acts.len(), 1, "{}", world.log);
        for (at, signal) in signals.iter().enumerate() {
            if at == place {
                world.say(reply);
            }
            world.say(signal);
        }
        if place == signals.len() {
            world.say(reply);
        }
        let undone = world.log.matches("act web: Undo").count();
        assert_eq!(undone, usize::from(taken_back), "the reply at place {place}:\n{}", world.log);
        if taken_back {
            for words in ["job 9 new", "queued 9", "unit deactivating run=2 job=9", "unit inactive run=2"] {
                world.say(words);
            }
            world.say("job 9 done inactive");
        }
        let ran = signals.iter().any(|signal| signal.contains("run=2"));
        while !world.looks.is_empty() {
            world.say(if ran { "read inactive run=2" } else { "read inactive" });
        }
        world.sleep_until(super::ms(600_000));
        let stages = world.policy.stages();
        assert!(stages.values().all(|stage| *stage == "stopped"), "{stages:?}, {place}:\n{}", world.log);
        assert!(world.acts.is_empty(), "the reply at place {place}:\n{}", world.log);
    }
}

const DEAD: [&str; 5] =
    ["unit active", "alive", "exit signal 9", "unit failed result=signal", "nobody holds"];

#[test]
fn a_stop_before_our_start_takes_it_back_wherever_the_reply_comes() {
    check(
        &DEAD,
        &[
            "job 5 new",
            "job 5 done failed",
            "job 6 new",
            "unit activating run=2 job=6",
            "unit active run=2 job=6",
            "job 6 done active",
        ],
        "queued 6",
        true,
    );
}

#[test]
fn a_stop_after_our_start_ends_it_wherever_the_reply_comes() {
    check(
        &DEAD,
        &[
            "job 6 new",
            "unit activating run=2 job=6",
            "job 6 canceled activating",
            "job 7 new",
            "unit deactivating run=2 job=7",
            "unit inactive run=2",
            "job 7 done inactive",
        ],
        "queued 6",
        false,
    );
}

#[test]
fn a_stop_before_our_restart_leaves_it_with_nothing_to_do_wherever_the_reply_comes() {
    check(
        &["unit active", "alive", "suspicion", "dead", "sleep 200", "dead"],
        &[
            "job 5 new",
            "unit deactivating job=5",
            "unit failed result=exit-code",
            "job 5 done failed",
            "job 6 new",
            "job 6 done failed",
        ],
        "queued 6",
        false,
    );
}

#[test]
fn a_stop_that_refuses_our_start_stands_wherever_the_reply_comes() {
    check(
        &DEAD,
        &["job 5 new", "job 5 done failed"],
        "refused org.freedesktop.systemd1.TransactionIsDestructive",
        false,
    );
}

#[test]
fn a_start_by_the_operator_after_the_stop_is_the_last_word_though_it_failed() {
    let mut world = World::new(settings(false));
    DEAD.iter().for_each(|words| world.say(words));
    for words in ["job 5 new", "job 5 done failed", "job 6 new start", "job 6 failed failed", "job 7 new"] {
        world.say(words);
    }
    world.say("queued 7");
    assert!(!world.log.contains("act web: Undo"), "{}", world.log);
    assert_eq!(world.policy.stages()[&Service::new("web")], "restarting", "{}", world.log);
}

#[test]
fn a_late_reply_after_a_stop_takes_our_start_back_unless_the_operator_started_it_since() {
    for since in [&[][..], &["job 6 new start", "job 6 failed failed"]] {
        let mut world = World::new(settings(false));
        DEAD.iter().for_each(|words| world.say(words));
        world.sleep_until(super::ms(40_000)); // the reply is waited for no longer
        world.say("job 5 new");
        world.say("job 5 done failed");
        since.iter().for_each(|words| world.say(words));
        world.say("job 7 new start");
        world.say("unit activating run=2 job=7");
        world.say("queued 7");
        let undone = world.log.contains("act web: Undo");
        assert_eq!(undone, since.is_empty(), "{}", world.log);
    }
}

#[test]
fn no_request_follows_one_that_systemd_may_still_come_to() {
    let mut world = World::new(settings(false));
    DEAD.iter().for_each(|words| world.say(words));
    world.say("no_reply");
    for words in [
        "job 5 new",
        "job 5 done failed", // an operator says: leave it down
        "job 6 new start",   // and wants it up again
        "unit activating run=2 job=6 never_up",
        "unit failed run=2 result=exit-code never_up",
        "job 6 failed failed",
        "unit failed run=2 result=exit-code never_up",
    ] {
        world.say(words);
    }
    assert!(world.acts.is_empty(), "{}", world.log);
    assert!(world.log.contains("held: Request"), "{}", world.log);
    world.say("read failed run=2 result=exit-code never_up");
    world.say("sleep 5000"); // the pause between two starts
    world.say("nobody holds");
    assert_eq!(world.acts.len(), 1, "{}", world.log);
}

#[test]
fn a_read_that_never_comes_is_asked_for_again_before_anything_is_requested() {
    let mut world = World::new(settings(false));
    DEAD.iter().for_each(|words| world.say(words));
    world.say("no_reply");
    world.looks.clear();
    world.sleep_until(super::ms(60_000));
    assert!(world.acts.is_empty(), "{}", world.log);
    world.say("read failed result=signal");
    world.say("nobody holds");
    assert_eq!(world.acts.len(), 1, "{}", world.log);
}
