//! `watchdog discover`: a ready configuration for the units that listen, and a run without any that acts on nothing.

use anyhow::{Context, Result, ensure};
use lab::Backend;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    b13_check::check,
    stage::{SOON, Stage, is_alive, play},
};

fn discover(lab: &Stage, words: &[&str], code: i32) -> Result<String> {
    let output = lab.run(&[&[lab::PROGRAM, "discover"], words].concat())?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code), "{}, not {code}: {out}{err}", output.status);
    Ok(if out.is_empty() { err.into_owned() } else { out.into_owned() })
}

fn has(text: &str, lines: &[&str]) -> Result<()> {
    for line in lines {
        ensure!(text.contains(line), "no {line:?} in {text}");
    }
    Ok(())
}

#[test]
fn discover_writes_what_listens_and_what_it_answered_and_that_loads_as_it_stands() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        lab.victim("app", 7001, "")?;
        // takes connections, and closes them without a word
        lab.write("/etc/nginx/sites-enabled/mute", "server { listen 7002; return 444; }\n")?;
        lab.sh("systemctl reload nginx.service")?;
        lab.until(SOON, || {
            lab.sh("ss --no-header --listening --tcp --numeric sport = 7002 | grep -q 7002").map(drop)
        })?;
        let text = discover(lab, &[], 0)?;
        let php = fpm.trim_end_matches(".service");
        let found = [
            "[service.nginx]\nunit = \"nginx.service\"",
            "url = \"http://localhost/\" # 0.0.0.0:80 answered status 200 after ",
            "[[service.nginx.heartbeat]]\nurl = \"tcp://localhost:7002\" # 0.0.0.0:7002 took a connection (over HTTP: connection closed",
            "[service.app]\nunit = \"app.service\"",
            "url = \"http://localhost:7001/\"",
            &format!("unit = \"{fpm}\""),
            &format!("connect = \"unix:/run/php/{php}.sock\""),
            "# A page that comes from it, through nginx.service,",
            &format!("# depends_on = [\"{php}\"]"),
        ];
        has(&text, &found)?;
        ensure!(
            !lab.run(&["test", "-e", "/etc/watchdog/watchdog.toml"])?.status.success(),
            "it wrote unasked"
        );

        has(
            &discover(lab, &["--output", "/etc/watchdog/watchdog.toml"], 0)?,
            &["/etc/watchdog/watchdog.toml"],
        )?;
        has(&discover(lab, &["--output", "/etc/watchdog/watchdog.toml"], 73)?, &["is there already"])?;
        has(&check(lab, &[], 0)?, &["no error, no warning"])?;
        let _watchdog = lab.guard(&lab.read("/etc/watchdog/watchdog.toml")?, &["nginx", "app", php])?;
        Ok(())
    })
}

#[test]
fn discover_lets_what_is_bad_already_alone_and_says_what_it_leaves_out() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.sh("sed -i 's,location / {.*,location / { return 503; },' /etc/nginx/sites-enabled/lab; systemctl restart nginx")?;
        lab.until(SOON, || {
            let status = lab.get_within("http://127.0.0.1/", SOON)?.status;
            ensure!(status == 503, "{status}");
            Ok(())
        })?;
        // nobody's unit: started by hand
        lab.sh(
            "systemd-run --quiet --scope --unit=byhand sh -c '/usr/local/bin/victim 7009 >/dev/null 2>&1 &'",
        )?;
        lab.until_answers("http://127.0.0.1:7009/", SOON)?;
        let found: Value = serde_json::from_str(&discover(lab, &["--json"], 0)?).context("no JSON")?;
        let units = found["found"]["units"].as_array().context("no units")?;
        ensure!(units.len() == 1 && units[0]["doors"][0]["speaks"]["http"]["status"] == 503, "{found}");
        has(
            found["configuration"].as_str().unwrap_or_default(),
            &["on_failure = \"alert\" # it is bad already"],
        )?;
        let left = found["found"]["left_out"].to_string();
        has(&left, &["7009", "byhand.scope is no service"])
    })
}

#[test]
fn discover_says_so_where_nothing_listens() -> Result<()> {
    play(|lab| has(&discover(lab, &[], 1)?, &["no unit listens here"]))
}

#[test]
fn a_run_without_a_configuration_observes_what_listens_and_acts_on_nothing() -> Result<()> {
    play(|lab| {
        lab.victim("app", 7001, "")?;
        lab.nginx()?;
        let missing =
            lab.run(&["timeout", "10", lab::PROGRAM, "run", "--config", "/etc/watchdog/none.toml"])?;
        ensure!(missing.status.code() == Some(66), "{}", missing.status);

        let watchdog = lab.watchdog_with(&[])?;
        lab.keep(&watchdog);
        watchdog.wait_for("a good first answer of app", SOON, |event| is_alive(event, "app"))?;
        has(
            &watchdog.log(),
            &[
                "THERE IS NO CONFIGURATION in /etc/watchdog",
                "app.service",
                "nginx.service",
                "NOTHING IS RESTARTED",
            ],
        )?;
        let status = lab.sh(&format!("{} status || true", lab::PROGRAM))?;
        has(&status, &["there is no configuration", "app", "nginx"])?;

        lab.kill_main(Signal::KILL, "app.service")?;
        watchdog.wait_for("what would be done", SOON, |event| event.is("decision", "app"))?;
        lab.until_state("app.service", "failed", SOON)?;

        // what it found, written down, comes into force with a reload
        lab.start("app.service")?;
        lab.until_answers("http://127.0.0.1:7001/", SOON)?; // it listens
        lab.sh(&format!("{} discover --output /etc/watchdog/watchdog.toml", lab::PROGRAM))?;
        lab.write(
            "/etc/watchdog/conf.d/gates.toml",
            "[watchdog.gates]\nmemory = \"off\"\nio = \"off\"\ncpu = \"off\"\n",
        )?;
        watchdog.signal(Signal::HUP)?;
        lab.until(SOON, || {
            let status = lab.sh(&format!("{} status || true", lab::PROGRAM))?;
            ensure!(!status.contains("no configuration"), "{status}");
            Ok(())
        })?;
        let old = lab.main_pid("app.service")?;
        lab.kill_main(Signal::KILL, "app.service")?;
        lab.until_replaced("app.service", old, SOON)?;
        Ok(())
    })
}
