//! The flight recorder: what shows of a sick service is kept before it is gone, and holds up nothing beyond its bound.

use anyhow::{Context, Result, ensure};
use lab::{Event, Stream};
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, Stage, is_restart, play, recovered, recovered_once, victim};

const UNIT: &str = "victim.service";
const EVIDENCE: &str = "/var/lib/watchdog/evidence";

fn is_recorded(event: &Event, service: &str, moment: &str) -> bool {
    event.is("fact", service) && event.data("known")["recorded"]["moment"] == moment
}

/// The file that this record names.
fn file(lab: &Stage, recorded: &Event) -> Result<(String, String)> {
    let path = recorded.data("known")["recorded"]["path"].as_str().context("no path")?;
    Ok((path.to_owned(), lab.read(path)?))
}

/// Has every thread that answers wait for a file that another service has locked.
fn waits_for_a_lock(lab: &Stage, port: u16) -> Result<()> {
    lab.get(&format!("http://127.0.0.1:{port}/mode/lock")).map(drop)
}

#[test]
fn f9_what_a_service_hung_at_is_kept_before_it_is_restarted() -> Result<()> {
    play(|lab| {
        lab.write("/var/log/victim.log", "it begins\ncannot get hold of the word\n")?;
        lab.victim("victim", 7000, "")?;
        lab.hold_word()?;
        let log = "[service.victim.log]\npath = \"/var/log/victim.log\"\nmatch = \"panic\"\n";
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK + log), &["victim"])?;
        let old = lab.main_pid(UNIT)?;
        waits_for_a_lock(lab, 7000)?;
        lab.until_replaced(UNIT, old, SOON)?;
        let told = recovered_once(&watchdog, "victim", SOON)?;

        let recorded = watchdog.wait_for("the evidence", SOON, |e| is_recorded(e, "victim", "restart"))?;
        let restart = watchdog.wait_for("the restart", SOON, |e| is_restart(e, "victim"))?;
        ensure!(recorded.mono_us() <= restart.mono_us(), "recorded after the restart");
        let known = &recorded.data("known")["recorded"];
        ensure!(known["incident"] == *told.data("incident"), "of another incident: {}", recorded.0);
        ensure!(known["missing"].is_null(), "not whole: {}", recorded.0);
        let (path, _) = file(lab, &recorded)?;
        ensure!(
            told.0.to_string().contains(&format!("evidence kept in {path}")),
            "not in the story: {}",
            told.0
        );

        // journal and logs are added after the answer
        let journal = format!("== the journal of {UNIT}");
        lab.until(SOON, || {
            let (_, text) = file(lab, &recorded)?;
            ensure!(
                text.contains(&journal) && text.contains("cannot get hold of the word"),
                "not whole:\n{text}"
            );
            Ok(())
        })?;
        let (_, text) = file(lab, &recorded)?;
        let holder = lab.main_pid("word.service")?;
        let waits = text.lines().find(|line| line.contains("in flock(") && line.contains("/run/word"));
        let waits = waits.with_context(|| format!("no thread waits for the lock in:\n{text}"))?;
        ensure!(waits.contains(", waits in ") && waits.contains(") S") | waits.contains(") D"), "{waits}");
        let holds = format!("process {holder} (flock) holds: FLOCK");
        for expected in [
            holds.as_str(),
            &format!("main process {old}, Active (running)"),
            "LISTEN 127.0.0.1:7000, ",
            "CLOSE_WAIT 127.0.0.1:7000",
            "/run/word\n",
            "cgroup.events: populated 1",
            "/proc/pressure/cpu: some avg10=",
            "command /usr/local/bin/victim 7000",
            "/system.slice/victim.service",
        ] {
            ensure!(text.contains(expected), "no {expected:?} in:\n{text}");
        }
        ensure!(!text.contains("PATH="), "an environment is in:\n{text}");
        let mode = lab.sh(&format!("stat --format='%a %U' {path} {EVIDENCE}"))?;
        ensure!(mode == "600 root\n700 root\n", "it is not root's alone: {mode}");
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}

#[test]
fn f9_after_a_death_what_is_left_is_kept() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid(UNIT)?;
        lab.kill_all(Signal::KILL, UNIT)?;
        lab.until_replaced(UNIT, old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let recorded = watchdog.wait_for("the evidence", SOON, |e| is_recorded(e, "victim", "death"))?;
        lab.until(SOON, || {
            let (_, text) = file(lab, &recorded)?;
            let killed = text.contains("code=killed, status=9/KILL");
            ensure!(killed && text.contains("no process of it is left"), "not whole:\n{text}");
            Ok(())
        })
    })
}

#[test]
fn f9_what_hangs_in_a_stop_is_kept_before_it_is_killed() -> Result<()> {
    play(|lab| {
        let command = r#"/bin/sh -c 'trap "" TERM; exec /usr/local/bin/victim 7000'"#;
        lab.service(UNIT, command, "TimeoutStopSec=infinity")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let more = format!("{QUICK}[service.victim.restart]\nstop_timeout = \"3s\"\n");
        let watchdog = lab.guard(&(victim("victim", 7000) + &more), &["victim"])?;
        let old = lab.main_pid(UNIT)?;
        lab.get("http://127.0.0.1:7000/mode/500")?;
        lab.until_replaced(UNIT, old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let recorded = watchdog.wait_for("the evidence", SOON, |e| is_recorded(e, "victim", "kill"))?;
        let (path, text) = file(lab, &recorded)?;
        ensure!(path.ends_with("-kill.txt"), "{path}");
        ensure!(text.contains(&format!("main process {old}, Deactivating (stop-sigterm)")), "{text}");
        ensure!(text.contains(&format!("threads of process {old}")), "{text}");
        Ok(())
    })
}

#[test]
fn f9_a_recorder_that_hangs_holds_up_no_restart_beyond_its_bound_and_goes_on_later() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        lab.victim("other", 7001, "")?;
        lab.sh(&format!("install --directory --mode=700 /var/lib/watchdog {EVIDENCE}"))?;
        let stuck =
            "[Service]\nType=exec\nExecStart=/usr/local/bin/stuck-folder /var/lib/watchdog/evidence\n";
        lab.unit("stuck.service", stuck)?;
        lab.sh("systemctl start stuck.service; until journalctl -u stuck.service -o cat | grep -qx stuck; do sleep 0.05; done")?;
        let both = victim("victim", 7000) + QUICK + &victim("other", 7001) + QUICK;
        let watchdog = lab.guard(&both, &["victim", "other"])?;

        // its file is never opened: the restart does not wait for that beyond the bound
        hurt_and_restarted(lab, &watchdog, "victim", 7000, 1)?;
        let why = watchdog
            .wait_for("the missing evidence", SOON, |e| is_missing(e, "victim", "cannot record in time"))?;
        let decided = watchdog.wait_for("the last failed answer", SOON, |e| {
            e.is("heartbeat", "victim") && e.data("verdict") == "dead"
        })?;
        ensure!(why.mono_us() > decided.mono_us(), "{}", why.0);

        // and nobody waits behind it
        hurt_and_restarted(lab, &watchdog, "other", 7001, 1)?;
        watchdog.wait_for("the word that it hangs", SOON, |e| {
            is_missing(e, "other", "an earlier recording hangs")
        })?;
        ensure!(watchdog.count(|e| is_recorded(e, "other", "restart")) == 0, "recorded by whom?");

        // until it goes on
        lab.sh("systemctl stop stuck.service")?;
        lab.until(SOON, || {
            let names = lab.sh(&format!("ls {EVIDENCE}"))?;
            ensure!(names.contains("-victim-"), "it is still stuck: {names:?}");
            Ok(())
        })?;
        hurt_and_restarted(lab, &watchdog, "other", 7001, 2)?;
        watchdog.wait_for("its evidence", SOON, |e| is_recorded(e, "other", "restart")).map(drop)
    })
}

fn is_missing(event: &Event, service: &str, why: &str) -> bool {
    let told = event.data("known")["nothing"]["why"].as_str();
    event.is("fact", service) && told.is_some_and(|told| told.contains(why))
}

/// It answers wrongly, and has recovered by a restart, for the `time`th time.
fn hurt_and_restarted(lab: &Stage, watchdog: &Stream, service: &str, port: u16, time: usize) -> Result<()> {
    let unit = format!("{service}.service");
    let old = lab.main_pid(&unit)?;
    lab.get(&format!("http://127.0.0.1:{port}/mode/wrong"))?;
    lab.until_replaced(&unit, old, SOON)?;
    recovered(watchdog, service, time, SOON).map(drop)
}

#[test]
fn f9_evidence_is_bounded_in_size_and_number_and_a_pipe_for_a_log_is_not_waited_for() -> Result<()> {
    play(|lab| {
        lab.sh("mkfifo /var/log/victim.log")?;
        lab.victim("victim", 7000, "")?;
        let bounds = "[watchdog.recorder]\nsize = \"16KiB\"\nfiles = 2\n";
        let log = "[service.victim.log]\npath = \"/var/log/victim.log\"\nmatch = \"panic\"\n";
        let backoff = "[service.victim.restart]\nbackoff = \"100ms\"\n";
        let configuration = format!("{bounds}{}{QUICK}{log}{backoff}", victim("victim", 7000));
        let watchdog = lab.guard(&configuration, &["victim"])?;
        for time in 1..=3 {
            hurt_and_restarted(lab, &watchdog, "victim", 7000, time)?;
        }
        let names: Vec<String> = watchdog
            .events()
            .iter()
            .filter(|event| is_recorded(event, "victim", "restart"))
            .filter_map(|event| event.data("known")["recorded"]["path"].as_str().map(str::to_owned))
            .collect();
        ensure!(names.len() == 3, "{names:?}");
        lab.until(SOON, || {
            let kept = lab.sh(&format!("ls {EVIDENCE}/*"))?;
            let kept: Vec<&str> = kept.lines().collect();
            ensure!(kept == [names[1].as_str(), names[2].as_str()], "kept {kept:?} of {names:?}");
            Ok(())
        })?;
        let (_, text) = file(
            lab,
            &watchdog
                .wait_for("the last", SOON, |e| e.data("known")["recorded"]["path"] == names[2].as_str())?,
        )?;
        ensure!(text.len() <= 16 << 10, "{} bytes", text.len());
        ensure!(text.contains("== the end of /var/log/victim.log\nnot shown: it is no file"), "{text}");
        Ok(())
    })
}
