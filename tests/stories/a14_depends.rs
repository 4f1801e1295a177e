//! A service that fails because another one fails is left alone; the other one is restarted, and then it is asked again.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::stage::{
    QUICK, SOON, Stage, is_dead, not_restarted, play, recovered, recovered_once, restarts, victim,
};

/// nginx in front of `db`, and its page is what that answers.
fn stand(lab: &Stage, more: &str) -> Result<String> {
    lab.victim("db", 7001, more)?;
    lab.write(
        "/etc/nginx/conf.d/db.conf",
        "server { listen 8000; location / { proxy_pass http://127.0.0.1:7001; } }\n",
    )?;
    lab.nginx()?;
    lab.exec(&["systemctl", "restart", "nginx.service"])?;
    lab.until_answers("http://127.0.0.1:8000/", SOON)?;
    let web = format!(
        "[service.web]
unit = \"nginx.service\"
depends_on = [\"db\"]
[service.web.heartbeat]
url = \"http://127.0.0.1:8000/\"
timeout = \"1s\"
{QUICK}"
    );
    Ok(victim("db", 7001) + "timeout = \"1s\"\n" + &web)
}

#[test]
fn a14_f12_while_what_it_needs_is_dead_a_service_is_held_and_then_asked_again() -> Result<()> {
    play(|lab| {
        // it does not come back before its dependant has failed
        let configuration = stand(lab, "ExecStartPre=/usr/bin/flock /run/word true")?;
        lab.hold_word()?;
        let watchdog = lab.guard(&configuration, &["db", "web"])?;
        let (web, db) = (lab.main_pid("nginx.service")?, lab.main_pid("db.service")?);
        lab.kill_main(Signal::KILL, "db.service")?;
        watchdog.wait_for("a hold for the dependency", SOON, |event| {
            event.is("decision", "web") && event.data("decision")["hold"]["hold"]["dependency"]["on"] == "db"
        })?;
        lab.exec(&["systemctl", "stop", "word.service"])?;
        lab.until_replaced("db.service", db, SOON)?;
        let first = recovered_once(&watchdog, "db", SOON)?.mono_us();
        let then = recovered(&watchdog, "web", 1, SOON)?.mono_us();
        ensure!(first <= then, "web recovered before what it needs");
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn g4_what_is_silent_because_its_dependency_hangs_is_not_restarted_for_it() -> Result<()> {
    play(|lab| {
        let configuration = stand(lab, "")?;
        let watchdog = lab.guard(&configuration, &["db", "web"])?;
        let (web, db) = (lab.main_pid("nginx.service")?, lab.main_pid("db.service")?);
        lab.kill_all(Signal::STOP, "db.service")?;
        watchdog.wait_for("a bad answer of web", SOON, |event| is_dead(event, "web"))?;
        lab.until_replaced("db.service", db, SOON)?;
        recovered(&watchdog, "db", 1, SOON)?;
        lab.until_answers("http://127.0.0.1:8000/", SOON)?;
        ensure!(restarts(&watchdog, "db").len() == 1, "more than one restart of db");
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}
