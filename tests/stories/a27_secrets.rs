//! A configuration may hold passwords: others must not read them, and nothing that watchdog says or keeps shows them.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{SOON, is_alive, is_dead, play, recovered, victim};

const IN_A_HEADER: &str = "Bearer 7h3-t0k3n";
const IN_A_FILE: &str = "ann:5w0rdf15h";
/// What goes over the network of the second.
const AS_SENT: &str = "YW5uOjV3MHJkZjE1aA";

fn configuration() -> String {
    let header = format!("headers = {{ X-Api-Token = \"{IN_A_HEADER}\" }}\n");
    victim("web", 7001) + &header + "basic_auth_file = \"/etc/watchdog/password\"\n"
}

#[test]
fn a27_secrets_that_others_can_read_are_refused() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        lab.configure(&configuration())?;
        lab.sh(&format!("umask 077; echo '{IN_A_FILE}' > /etc/watchdog/password"))?;
        lab.sh("watchdog check >/dev/null")?;
        for (file, word) in [("password", "it holds a password"), ("watchdog.toml", "X-Api-Token")] {
            lab.sh(&format!("chmod 644 /etc/watchdog/{file}"))?;
            for command in ["check", "check --json", "run"] {
                let said = lab.sh(&format!("watchdog {command} 2>&1 || test $? = 78"))?;
                ensure!(said.contains(word) && said.contains("chmod go-rwx"), "{command}: {said}");
                shows_nothing(&said)?;
            }
            lab.sh(&format!("chmod 600 /etc/watchdog/{file}"))?;
        }
        Ok(())
    })
}

#[test]
fn a27_no_stream_status_metric_log_or_store_shows_a_secret() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        lab.configure(&configuration())?;
        lab.sh(&format!("umask 077; echo '{IN_A_FILE}' > /etc/watchdog/password"))?;
        let watchdog = lab.guard(&configuration(), &["web"])?;
        let old = lab.main_pid("web.service")?;
        lab.kill_main(Signal::KILL, "web.service")?;
        lab.until_replaced("web.service", old, SOON)?;
        recovered(&watchdog, "web", 1, SOON)?;
        lab.sh("curl -sf http://127.0.0.1:7001/mode/503; curl -s http://127.0.0.1:7001/")?;
        watchdog.wait_for("a bad answer", SOON, |e| is_dead(e, "web"))?;
        // a reload that is refused shows the lines with the faults, and these are one
        lab.configure(&(configuration() + "body_regex = \"x\"\n"))?;
        let reload = lab.sh("watchdog reload 2>&1 || test $? = 78")?;
        ensure!(reload.contains("stays in force"), "{reload}");

        let curl = "curl -sf --unix-socket /run/watchdog/control.sock http://watchdog";
        let read = [
            "watchdog status --json || test $? -le 4".to_owned(),
            "watchdog status || test $? -le 4".to_owned(),
            format!("{curl}/v1/status; {curl}/metrics"),
            "find /var/lib/watchdog -type f -exec cat {} +".to_owned(),
            "tr '\\0' '\\n' < /proc/$(pgrep -x watchdog | head -n 1)/cmdline".to_owned(),
        ];
        for line in read {
            let said = lab.run(&["sh", "-ec", &line])?;
            ensure!(said.status.success() && !said.stdout.is_empty(), "{line}: {said:?}");
            shows_nothing(&String::from_utf8_lossy(&said.stdout))?;
        }
        shows_nothing(&reload)?;
        shows_nothing(&watchdog.log())?;
        ensure!(watchdog.count(|e| is_alive(e, "web")) > 0 && watchdog.count(|e| e.kind() == "state") > 0);
        watchdog.events().iter().try_for_each(|event| shows_nothing(&event.0.to_string()))
    })
}

fn shows_nothing(text: &str) -> Result<()> {
    let shown = ["7h3-t0k3n", "5w0rdf15h", AS_SENT].into_iter().find(|secret| text.contains(secret));
    ensure!(shown.is_none(), "{shown:?} is shown: {text}");
    Ok(())
}
