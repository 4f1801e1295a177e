//! `watchdog import-monit`: a host that monit kept is kept by watchdog, by the same words.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use lab::{Backend, PROGRAM};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{SOON, Stage, not_restarted, play, recovered_once};

/// nginx and the backend behind it, as monit had them: the backend's programs name no unit.
const MONITRC: &str = "set daemon 30
include /etc/monit/conf.d/*

check process nginx with pidfile /run/nginx.pid
    group web
    start program = \"/etc/init.d/nginx start\"
    stop program = \"/etc/init.d/nginx stop\"
    if failed host localhost port 80 protocol http with timeout 5 seconds for 2 cycles then restart
    if 3 restarts within 3 cycles then unmonitor
";
const BACKEND: &str = "check process php with pidfile PIDFILE
    group web
    start program = \"/opt/php/control up\"
    stop program = \"/opt/php/control down\" with timeout 360 seconds
    if failed host localhost port 80 protocol http request \"/heartbeat.php\" content = \"It works!\" then restart
    depends on nginx
";

/// Runs it with these words; it must end with this code. Answers what it printed to each of its outputs.
fn import(lab: &Stage, words: &[&str], code: i32) -> Result<(String, String)> {
    let Output { status, stdout, stderr } = lab.run(&[&[PROGRAM, "import-monit"], words].concat())?;
    let (out, err) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
    ensure!(status.code() == Some(code), "{status}, not {code}: {out}{err}");
    Ok((out, err))
}

#[test]
fn h_what_monit_kept_is_imported_checked_and_kept() -> Result<()> {
    play(|lab| {
        let (none, said) = import(lab, &[], 66)?;
        ensure!(none.is_empty() && said.contains("/etc/monit/monitrc"), "{said}");

        let fpm = lab.nginx_with_php(Backend::Unix)?;
        lab.until_answers("http://127.0.0.1/heartbeat.php", SOON)?;
        let file = lab.sh("ls /run/php/*.pid")?;
        lab.write("/etc/monit/monitrc", MONITRC)?;
        lab.write("/etc/monit/conf.d/php", &BACKEND.replace("PIDFILE", file.trim()))?;

        let (toml, report) = import(lab, &[], 1)?;
        ensure!(toml.contains(&format!("unit = \"{fpm}\"")), "the PID file tells the unit: {toml}");
        ensure!(report.contains("/etc/monit/conf.d/php:3") && !report.contains("To fill in"), "{report}");
        let (json, _) = import(lab, &["--json", "/etc/monit/monitrc"], 1)?;
        let json: Value = serde_json::from_str(&json).context("no JSON")?;
        ensure!(
            json["toml"] == toml.as_str() && json["statements"].as_array().map(Vec::len) == Some(14),
            "{json}"
        );

        lab.configure(&toml)?;
        lab.exec(&[PROGRAM, "check"])?;
        let watchdog = lab.guard(&toml, &["nginx", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        lab.kill_main(Signal::KILL, "nginx.service")?;
        lab.until_replaced("nginx.service", web, SOON)?;
        recovered_once(&watchdog, "nginx", SOON)?;
        lab.until_answers("http://127.0.0.1/heartbeat.php", SOON)?;
        ensure!(lab.main_pid(&fpm)? == php, "the backend was restarted");
        not_restarted(&watchdog, "php")
    })
}

#[test]
fn h_a_unit_that_is_down_is_known_by_its_pid_file() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.sh("systemctl stop nginx.service; test ! -e /run/nginx.pid")?;
        lab.write(
            "/var/tmp/monitrc",
            "check process web with pidfile /var/run/nginx.pid\n start \"/opt/web up\"\n",
        )?;
        let (toml, _) = import(lab, &["/var/tmp/monitrc"], 1)?;
        ensure!(toml.contains("unit = \"nginx.service\""), "{toml}");
        lab.write(
            "/var/tmp/monitrc",
            "check process web with pidfile /run/other.pid\n start \"/opt/web up\"\n",
        )?;
        let (toml, report) = import(lab, &["/var/tmp/monitrc"], 1)?;
        ensure!(report.contains("To fill in:\n  [service.web] unit"), "{report}");
        lab.configure(&toml)?;
        let said = lab.exec(&[PROGRAM, "check"])?;
        ensure!(said.contains("todo-web.service"), "{said}");
        import(lab, &["/var/tmp/none"], 66).map(drop)
    })
}
