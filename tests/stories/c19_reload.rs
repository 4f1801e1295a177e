//! SIGHUP: a faulty file keeps the old configuration in force and says so; budgets live on. It kills nothing, whenever it comes.

use anyhow::{Result, ensure};
use lab::Event;
use rustix::process::Signal;

use crate::stage::{SOON, is_alive, play, recovered, restarts, victim};

#[test]
fn c19_a_faulty_reload_keeps_the_old_configuration_and_the_budget() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let good = victim("victim", 7000) + "[service.victim.restart]\nburst = 1\n";
        let watchdog = lab.guard(&good, &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered(&watchdog, "victim", 1, SOON)?;

        lab.configure("[service.victim]\nunit = \"victim.service\"\nunti = 3\n")?;
        watchdog.signal(Signal::HUP)?;
        lab.until(SOON, || {
            ensure!(watchdog.stream().log().contains("unti"), "it did not say what is wrong");
            Ok(())
        })?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        watchdog
            .wait_for("quarantine: the budget of one is spent", SOON, |e| e.is("quarantined", "victim"))?;
        assert_eq!(restarts(&watchdog, "victim").len(), 1);
        Ok(())
    })
}

#[test]
fn c19_a_good_reload_watches_what_is_new_and_keeps_the_budget() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        let one = victim("one", 7001) + "[service.one.restart]\nburst = 1\n";
        let watchdog = lab.guard(&one, &["one"])?;
        let old = lab.main_pid("one.service")?;
        lab.kill_main(Signal::KILL, "one.service")?;
        lab.until_replaced("one.service", old, SOON)?;
        recovered(&watchdog, "one", 1, SOON)?;

        lab.configure(&(one + &victim("two", 7002)))?;
        watchdog.signal(Signal::HUP)?;
        watchdog.wait_for("the new service", SOON, |e| is_alive(e, "two"))?;
        let old = lab.main_pid("two.service")?;
        lab.kill_main(Signal::KILL, "two.service")?;
        lab.until_replaced("two.service", old, SOON)?;
        recovered(&watchdog, "two", 1, SOON)?;
        lab.kill_main(Signal::KILL, "one.service")?;
        watchdog.wait_for("quarantine: the budget of one is spent", SOON, |e| e.is("quarantined", "one"))?;
        Ok(())
    })
}

#[test]
fn c19_the_command_says_whether_the_new_configuration_is_in_force_and_keeps_pauses() -> Result<()> {
    play(|lab| {
        lab.victim("one", 7001, "")?;
        lab.victim("two", 7002, "")?;
        let watchdog = lab.guard(&victim("one", 7001), &["one"])?;
        lab.sh("watchdog pause one --reason 'an upgrade'")?;

        lab.configure(&(victim("one", 7001) + "unti = 3\n"))?;
        let said = lab.sh("watchdog reload 2>&1 || test $? = 78")?;
        ensure!(said.contains("the old one stays in force") && said.contains("watchdog.toml:6"), "{said}");
        let refused = |e: &Event| e.kind() == "command" && e.data("request")["done"] == false;
        watchdog.wait_for("the refusal, on record", SOON, refused)?;

        lab.configure(&(victim("one", 7001) + &victim("two", 7002)))?;
        let said = lab.sh("watchdog reload --json")?;
        ensure!(said.contains("is in force"), "{said}");
        watchdog.wait_for("the new service", SOON, |e| is_alive(e, "two"))?;
        let status = lab.sh("watchdog status || test $? -le 4")?;
        ensure!(status.contains("(an upgrade)"), "{status}");
        Ok(())
    })
}

#[test]
fn c19_a_reload_that_is_asked_for_during_the_start_comes_after_it() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.watchdog(&victim("victim", 7000))?;
        lab.keep(&watchdog);
        lab.until(SOON, || {
            // it is taken before the probes are loaded, which takes long
            lab.sh("test -s /run/watchdog/lock").map(drop)
        })?;
        watchdog.signal(Signal::HUP)?;
        watchdog.wait_for("the reload", SOON, is_reload)?;
        watchdog.wait_for("a good answer", SOON, |e| is_alive(e, "victim"))?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered(&watchdog, "victim", 1, SOON).map(drop)
    })
}

#[test]
fn c19_a_reload_moves_the_events_and_says_what_needs_a_restart() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&victim("victim", 7000), &["victim"])?;
        let log = |words: &str| {
            lab.until(SOON, || {
                ensure!(watchdog.stream().log().contains(words), "it did not say {words:?}");
                Ok(())
            })
        };

        let nowhere = "[watchdog]\nevents = [\"stdout\", \"/nowhere/events.jsonl\"]\n".to_owned();
        lab.configure(&(nowhere + &victim("victim", 7000)))?;
        watchdog.signal(Signal::HUP)?;
        log("cannot open the event file /nowhere/events.jsonl")?;
        let kept = |event: &Event| event.0.to_string().contains("\"reload\":{\"faults\":\"cannot open");
        watchdog.wait_for("the old configuration to be kept", SOON, kept)?;

        let moved = "[watchdog]\nevents = [\"/run/events.jsonl\"]\nstate_directory = \"/var/lib/other\"\n";
        lab.configure(&(moved.to_owned() + &victim("victim", 7000)))?;
        watchdog.signal(Signal::HUP)?;
        log("state_directory stays /var/lib/watchdog until watchdog is restarted")?;
        lab.until(SOON, || {
            lab.sh("grep -q '\"reload\":{\"faults\":null}' /run/events.jsonl && grep -q watchdog.state /run/events.jsonl")
        })?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;
        lab.until(SOON, || lab.sh("grep -q watchdog.recovered /run/events.jsonl"))?;
        ensure!(!watchdog.events().iter().any(is_reload), "standard output is no sink any more");
        Ok(())
    })
}

/// The configuration was read again, and is in force.
fn is_reload(event: &Event) -> bool {
    event.0.to_string().contains("\"reload\":{\"faults\":null}")
}
