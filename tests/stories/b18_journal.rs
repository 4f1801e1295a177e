//! Whoever looks where they always look finds watchdog: in the journal of the unit, in the catalogue, and in a terminal that follows.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, Stage, WEB, play, recovered_once};

const CATALOGUE: &str = include_str!("../../contrib/watchdog.catalog");
const EVENTS: &str = "[watchdog]\nevents = [\"stdout\", \"journald\"]\n";

/// Follows the events in a unit of that name: lines go to `/run/NAME.out`, complaints to `/run/NAME.err`.
fn follow(lab: &Stage, name: &str) -> Result<()> {
    lab.sh(&format!(
        "systemd-run --quiet --unit={name} --remain-after-exit --property=StandardOutput=file:/run/{name}.out \
         --property=StandardError=file:/run/{name}.err {} events --follow",
        lab::PROGRAM
    ))?;
    // what was before it is told once it looks on
    lab.until(SOON, || {
        ensure!(lab.read(&format!("/run/{name}.out"))?.contains("web: "), "{name} tells nothing");
        Ok(())
    })
}

/// How the one who followed ended: exited or killed, with which code or signal.
fn ended(lab: &Stage, name: &str) -> Result<(String, String)> {
    let unit = format!("{name}.service");
    lab.until(SOON, || {
        let sub = lab.property(&unit, "SubState")?;
        ensure!(sub != "running", "it follows yet");
        Ok(())
    })?;
    Ok((lab.property(&unit, "ExecMainCode")?, lab.property(&unit, "ExecMainStatus")?))
}

#[test]
fn b18_the_units_own_journal_tells_what_watchdog_did_and_followers_hear_it_at_once() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.write("/usr/lib/systemd/catalog/watchdog.catalog", CATALOGUE)?;
        lab.exec(&["journalctl", "--update-catalog"])?;
        let watchdog = lab.guard(&(EVENTS.to_owned() + WEB), &["web"])?;
        lab.sh("watchdog pause web --reason 'something to tell'; watchdog resume web")?;
        follow(lab, "asked")?;
        follow(lab, "left")?;
        lab.kill_main(Signal::KILL, "nginx.service")?;
        let story = recovered_once(&watchdog, "web", SOON)?;
        let incident = story.data("incident").as_str().unwrap_or_default().to_owned();

        // the line's writer has a thread of its own
        let told = ["web: decided: start nginx.service", "web: start nginx.service", "web: RECOVERED in "];
        let all = |text: &str| told.iter().all(|words| text.contains(words));
        lab.until(SOON, || {
            let text = lab.exec(&["journalctl", "--no-pager", "--unit=nginx.service"])?;
            ensure!(all(&text), "not in the journal of the unit: {text}");
            ensure!(text.contains("systemd[1]: Start"), "the unit's own lines are gone: {text}");
            for name in ["asked", "left"] {
                let followed = lab.read(&format!("/run/{name}.out"))?;
                ensure!(all(&followed), "{name} did not hear it: {followed}");
            }
            Ok(())
        })?;
        let other = lab.exec(&["journalctl", "--no-pager", "--unit=dbus.service"])?;
        ensure!(!other.contains("RECOVERED"), "another unit tells it: {other}");
        let by_field = format!("WATCHDOG_INCIDENT={incident}");
        ensure!(all(&lab.exec(&["journalctl", "--no-pager", &by_field])?), "{by_field} finds nothing");

        let explained = lab.exec(&["journalctl", "--no-pager", "--catalog", "--unit=nginx.service"])?;
        let words = ["Subject: Watchdog has decided to act on nginx.service", "Subject: web has recovered"];
        for words in words.into_iter().map(str::to_owned).chain([format!("watchdog why web {incident}")]) {
            ensure!(explained.contains(&words), "no {words:?} in {explained}");
        }
        ensure!(!explained.contains('@'), "a field that the message has not: {explained}");

        lab.exec(&["systemctl", "kill", "--signal=INT", "asked.service"])?;
        assert_eq!(ended(lab, "asked")?, ("1".into(), "0".into()), "exited, and well");
        assert_eq!(lab.read("/run/asked.err")?, "", "it complains of what was asked for");
        watchdog.signal(Signal::TERM)?;
        watchdog.wait()?;
        assert_eq!(ended(lab, "left")?, ("1".into(), "69".into()), "nobody runs any more");
        let said = lab.read("/run/left.err")?;
        ensure!(said.contains("the stream has ended: watchdog was stopped"), "{said}");
        let followed = lab.read("/run/left.out")?;
        ensure!(followed.ends_with('\n'), "a line is torn: {followed}");
        Ok(())
    })
}
