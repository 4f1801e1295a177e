//! Services are named by their names, units, groups and patterns, in every command.

use anyhow::{Result, ensure};
use lab::Event;

use crate::stage::{SOON, play, restarts, victim};

/// Three services, two of them in one group.
fn three() -> String {
    let group = |name: &str, port| victim(name, port).replacen('\n', "\ngroup = \"web\"\n", 1);
    group("front", 7001) + &group("back", 7002) + &victim("mail", 7003)
}

#[test]
fn a15_a_group_is_paused_and_resumed_in_one_call() -> Result<()> {
    play(|lab| {
        lab.victim("front", 7001, "")?;
        lab.victim("back", 7002, "")?;
        lab.victim("mail", 7003, "")?;
        let watchdog = lab.guard(&three(), &["front", "back", "mail"])?;

        let said = lab.sh("watchdog pause web --for 10m --reason 'an upgrade'")?;
        ensure!(said.contains("front") && said.contains("back") && !said.contains("mail"), "{said}");
        // what is paused stays down, what is not comes back
        lab.sh("systemctl kill --signal=KILL front.service back.service mail.service")?;
        watchdog.wait_for("the restart of what is not paused", SOON, |e| e.is("recovered", "mail"))?;
        for paused in ["front", "back"] {
            let waits =
                |e: &Event| e.is("decision", paused) && e.0.to_string().contains("\"hold\":\"pause\"");
            watchdog.wait_for("the hold", SOON, waits)?;
            ensure!(restarts(&watchdog, paused).is_empty(), "{paused} was restarted in its pause");
            ensure!(lab.property(&format!("{paused}.service"), "ActiveState")? == "failed");
        }
        let status = lab.sh("watchdog status web || test $? = 3")?;
        ensure!(status.matches("(an upgrade)").count() == 2 && !status.contains("\nmail "), "{status}");

        lab.sh("watchdog resume 'f*' back.service")?;
        for resumed in ["front", "back"] {
            watchdog.wait_for("the restart after the pause", SOON, |e| e.is("recovered", resumed))?;
        }
        Ok(())
    })
}

#[test]
fn a15_a_group_is_restarted_one_after_the_other_each_as_one_incident() -> Result<()> {
    play(|lab| {
        lab.victim("front", 7001, "")?;
        lab.victim("back", 7002, "")?;
        lab.victim("mail", 7003, "")?;
        let watchdog = lab.guard(&three(), &["front", "back", "mail"])?;
        let before = ["front", "back", "mail"].map(|name| lab.main_pid(&format!("{name}.service")));
        lab.sh("systemctl stop back.service")?;
        let said = lab.sh("watchdog restart web --reason 'new certificates'")?;
        ensure!(
            said.contains("front  restarted within") && said.contains("back   restarted within"),
            "{said}"
        );
        for (name, before) in ["front", "back", "mail"].into_iter().zip(before) {
            let (before, after) = (before?, lab.main_pid(&format!("{name}.service"))?);
            ensure!((before == after) == (name == "mail"), "{name} is {after}, and was {before}");
        }
        for (name, action) in [("front", "restart"), ("back", "start")] {
            let acts = watchdog.events().into_iter().filter(|e| e.is("action", name)).collect::<Vec<_>>();
            ensure!(acts.len() == 1 && !acts[0].data("action")[action].is_null(), "{acts:?}");
            let end = watchdog.wait_for("its end", SOON, |e| e.is("recovered", name))?;
            ensure!(end.0.to_string().contains("(new certificates)"), "{end:?}");
        }
        let spent = lab.sh("watchdog status --json web")?;
        ensure!(spent.contains("\"left\": 2"), "it is charged: {spent}");
        Ok(())
    })
}

#[test]
fn a15_c17_a_restart_says_what_came_of_it_and_one_that_would_not_help_is_refused_with_its_reason()
-> Result<()> {
    play(|lab| {
        lab.victim("front", 7001, "")?;
        let checked = victim("front", 7001).replacen('\n', "\npreflight = [\"/bin/false\"]\n", 1);
        let watchdog = lab.guard(&checked, &["front"])?;
        let before = lab.main_pid("front.service")?;
        let said = lab.sh("watchdog restart front || test $? = 75")?;
        ensure!(said.contains("NOT DONE: not restarted") && said.contains("its preflight"), "{said}");
        lab.sh("watchdog pause front --reason 'hands off'")?;
        let said = lab.sh("watchdog restart front || test $? = 75")?;
        ensure!(said.contains("NOT DONE") && said.contains("`watchdog resume front` first"), "{said}");
        ensure!(lab.main_pid("front.service")? == before, "it was restarted");
        ensure!(restarts(&watchdog, "front").is_empty(), "a restart was ordered");
        lab.sh("watchdog status front").map(drop)
    })
}

#[test]
fn a15_a_name_that_nothing_has_is_refused_with_those_that_are_near() -> Result<()> {
    play(|lab| {
        lab.victim("front", 7001, "")?;
        lab.victim("back", 7002, "")?;
        lab.victim("mail", 7003, "")?;
        let _watchdog = lab.guard(&three(), &["front", "back", "mail"])?;
        let said = lab.sh("watchdog pause fornt 2>&1 || test $? = 64")?;
        ensure!(said.contains("did you mean front"), "{said}");
        let said = lab.sh("watchdog status mali 2>&1 || test $? = 64")?;
        ensure!(said.contains("did you mean mail"), "{said}");
        let said = lab.sh("watchdog resume 'x*' 2>&1 || test $? = 64")?;
        ensure!(said.contains("there are back, front, mail"), "{said}");
        Ok(())
    })
}
