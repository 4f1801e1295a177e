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
