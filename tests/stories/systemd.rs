//! watchdog's edges towards a real systemd: what they hear, in which order, over which way, and what their orders do.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use lab::Lab;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stage::play;

const PRIVATE: &str = "/run/systemd/private";
const LIMIT: Duration = Duration::from_secs(10);

/// A unit that starts and stops at once.
const QUICK: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n";
/// A unit that will not stop, neither its process nor what comes after it.
const STUBBORN: &str = "[Service]\nTimeoutStopSec=100\nExecStopPost=/bin/sleep 50\n\
    ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.2; done'\n";

#[test]
fn a_death_is_told_with_its_cause() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["nginx.service"])?;
        puppet.sign(|saw| saw["unit"]["active"] == "active")?;
        lab.kill_main(Signal::KILL, "nginx.service")?;
        puppet.sign(|saw| saw["unit"]["main_ended"] == json!({"signal": {"signal": 9, "core": false}}))?;
        puppet.sign(|saw| saw["unit"]["active"] == "failed" && saw["unit"]["job"].is_null()).map(drop)
    })
}

#[test]
fn an_operators_stop_is_heard_of_before_the_unit_is_read_as_down() -> Result<()> {
    play(|lab| {
        lab.unit("quick.service", QUICK)?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["quick.service"])?;
        assert_eq!(puppet.say("ask quick.service 200")?, json!({ "unheard": 0 }));
        Ok(())
    })
}

#[test]
fn an_operators_stop_wins_every_race_against_our_restart() -> Result<()> {
    play(|lab| {
        lab.unit("quick.service", QUICK)?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["quick.service"])?;
        assert_eq!(puppet.say("race quick.service 200")?, json!({ "up": 0 }));
        Ok(())
    })
}

#[test]
fn a_stop_of_a_failed_unit_is_heard_of() -> Result<()> {
    play(|lab| {
        lab.unit("quick.service", QUICK)?;
        lab.start("quick.service")?;
        lab.kill_main(Signal::KILL, "quick.service")?;
        lab.until_state("quick.service", "failed", LIMIT)?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["quick.service"])?;
        puppet.sign(|saw| saw["unit"]["active"] == "failed")?;
        lab.exec(&["systemctl", "stop", "quick.service"])?;
        puppet.sign(|saw| !saw["job"]["step"]["new"].is_null() || saw["job"]["step"].get("new").is_some())?;
        let removed = json!({ "removed": { "result": "done", "active": "failed" } });
        puppet.sign(|saw| saw["job"]["step"] == removed).map(drop)
    })
}

#[test]
fn a_unit_that_systemd_restarts_by_itself_is_never_told_as_failed() -> Result<()> {
    play(|lab| {
        lab.unit(
            "again.service",
            "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=100ms\n",
        )?;
        lab.start("again.service")?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["again.service"])?;
        let old = puppet.sign(|saw| saw["unit"]["active"] == "active")?["saw"]["unit"]["incarnation"].clone();
        lab.kill_main(Signal::KILL, "again.service")?;
        let waits = puppet.sign(|saw| saw["unit"]["sub"] == "auto-restart")?;
        ensure!(waits["saw"]["unit"]["main_ended"]["signal"]["signal"] == 9, "{waits}");
        puppet.sign(|saw| saw["unit"]["active"] == "active" && saw["unit"]["incarnation"] != old)?;
        let failed = puppet.heard.iter().find(|line| line["sign"]["saw"]["unit"]["active"] == "failed");
        ensure!(failed.is_none(), "{failed:?}");
        Ok(())
    })
}

#[test]
fn after_a_reexec_of_systemd_everything_is_told_again_by_either_way() -> Result<()> {
    play(|lab| {
        lab.unit("quick.service", QUICK)?;
        lab.start("quick.service")?;
        for (private, way) in [(PRIVATE, "private socket"), ("/nowhere", "bus")] {
            let mut puppet = Puppet::new(lab, private, &["quick.service"])?;
            puppet.sign(|saw| saw["working"] == json!({ "works": true, "why": way }))?;
            puppet.sign(|saw| saw["unit"]["active"] == "active")?;
            lab.exec(&["systemctl", "daemon-reexec"])?;
            puppet.sign(|saw| saw["loss"]["place"] == "reconnected to systemd")?;
            puppet.sign(|saw| saw["unit"]["active"] == "active")?;
            lab.exec(&["systemctl", "restart", "quick.service"])?;
            puppet.sign(|saw| saw["job"]["step"]["removed"]["result"] == "done")?;
            let state = puppet.say("read quick.service")?;
            ensure!(state["active"] == "active" && state["cgroup"].is_u64(), "{state}");
        }
        Ok(())
    })
}

#[test]
fn a_dead_bus_is_not_missed_on_the_private_socket_and_comes_back_where_it_is_the_way() -> Result<()> {
    play(|lab| {
        lab.unit("quick.service", QUICK)?;
        lab.start("quick.service")?;
        let mut puppets = [
            Puppet::new(lab, PRIVATE, &["quick.service"])?,
            Puppet::new(lab, "/nowhere", &["quick.service"])?,
        ];
        for puppet in &mut puppets {
            puppet.sign(|saw| saw["unit"]["active"] == "active")?;
        }
        lab.exec(&["systemctl", "stop", "dbus.socket", "dbus.service"])?;
        let [private, bus] = &mut puppets;
        bus.sign(|saw| saw["working"]["works"] == false)?;
        lab.kill_main(Signal::KILL, "quick.service")?;
        private.sign(|saw| saw["unit"]["active"] == "failed")?;
        lab.exec(&["systemctl", "start", "dbus.socket", "dbus.service"])?;
        bus.sign(|saw| saw["loss"]["place"] == "reconnected to systemd")?;
        bus.sign(|saw| saw["unit"]["active"] == "failed").map(drop)
    })
}

#[test]
fn a_restart_whose_stop_is_killed_phase_by_phase_goes_on_to_its_start() -> Result<()> {
    play(|lab| {
        lab.unit("stubborn.service", STUBBORN)?;
        lab.start("stubborn.service")?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["stubborn.service"])?;
        let old = puppet.say("learn stubborn.service")?["incarnation"].clone();
        let queued = puppet.say("restart stubborn.service")?;
        let job = queued["queued"]["job"].as_u64().with_context(|| queued.to_string())?;
        for phase in ["stop-sigterm", "stop-post"] {
            puppet.sign(|saw| saw["unit"]["sub"] == phase)?;
            assert_eq!(puppet.say("kill stubborn.service")?, "done", "{phase}");
        }
        puppet.sign(|saw| saw["job"]["id"] == job && saw["job"]["step"]["removed"]["result"] == "done")?;
        // Of the old incarnation nothing is left to kill, and the new one is another's business.
        assert_eq!(puppet.say("kill stubborn.service")?, "nothing");
        let new = puppet.say("read stubborn.service")?;
        ensure!(new["active"] == "active" && new["incarnation"] != old, "{new}");
        assert_eq!(puppet.say(&format!("cancel stubborn.service {job}"))?, "nothing");
        Ok(())
    })
}

#[test]
fn programs_run_as_units_of_their_own_and_leave_nothing() -> Result<()> {
    play(|lab| {
        let mut puppet = Puppet::new(lab, PRIVATE, &[])?;
        assert_eq!(puppet.say("run 5000 /bin/true")?, json!({ "code": 0 }));
        assert_eq!(puppet.say("run 5000 /bin/grep -q $HOME /proc/self/cmdline")?, json!({ "code": 0 }));
        assert_eq!(puppet.say("run 5000 /bin/false")?, json!({ "code": 1 }));
        assert_eq!(puppet.say("run 300 /bin/sleep 100")?, "late");
        let missing = puppet.say("run 5000 /bin/nothing")?;
        ensure!(missing.as_str().is_some_and(|why| why.starts_with("cannot run /bin/nothing")), "{missing}");
        lab.until(LIMIT, || {
            let left = lab.exec(&["systemctl", "list-units", "--all", "--no-legend", "watchdog-exec*"])?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })
    })
}

#[test]
fn who_holds_the_port_of_a_dead_unit_is_found() -> Result<()> {
    play(|lab| {
        lab.service("other.service", "/usr/local/bin/victim 80", "")?;
        lab.until_answers("http://127.0.0.1/", LIMIT)?;
        let mut puppet = Puppet::new(lab, PRIVATE, &["nginx.service"])?;
        let holders = puppet.say("holders nginx.service 80")?;
        let [holder] = holders.as_array().context("a list")?.as_slice() else { bail!("{holders}") };
        assert_eq!(holder["unit"], "other.service");
        assert_eq!(holder["comm"], "victim");
        assert_eq!(holder["pid"], lab.main_pid("other.service")?);
        assert_eq!(puppet.say("holders other.service 80")?, json!([]));
        assert_eq!(puppet.say("holders nginx.service 81")?, json!([]));
        Ok(())
    })
}

/// watchdog's edges in a lab, and what they say.
struct Puppet {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    /// Everything so far, for the day when something does not come.
    heard: Vec<Value>,
    /// Signs before this one have been waited for.
    seen: usize,
}

impl Puppet {
    fn new(lab: &Lab, private: &str, units: &[&str]) -> Result<Puppet> {
        let mut command = lab.command("/usr/local/bin/systemd-puppet");
        command.arg(private).args(units).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot run the puppet")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (say, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _nobody_listens_any_more = say.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Ok(Puppet { child, input, lines, heard: Vec::new(), seen: 0 })
    }

    /// Waits for the next sign that is wanted; those before it are passed over.
    fn sign(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + LIMIT;
        loop {
            while let Some(line) = self.heard.get(self.seen) {
                self.seen += 1;
                if wanted(&line["sign"]["saw"]) {
                    return Ok(line["sign"].clone());
                }
            }
            self.hear(deadline)?;
        }
    }

    /// Gives it a line; answers what it says to that.
    fn say(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}").context("cannot speak to the puppet")?;
        let deadline = Instant::now() + 6 * LIMIT;
        loop {
            let heard = self.hear(deadline)?;
            if let Some(said) = heard.get("said") {
                ensure!(said.get("error").is_none(), "{line}: {said}");
                return Ok(said.clone());
            }
        }
    }

    fn hear(&mut self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = self.lines.recv_timeout(left) else {
            let all: Vec<String> = self.heard.iter().map(Value::to_string).collect();
            bail!("it did not come; what came:\n{}", all.join("\n"));
        };
        self.heard.push(line.clone());
        Ok(line)
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nobody_can_be_told = self.child.wait();
    }
}
