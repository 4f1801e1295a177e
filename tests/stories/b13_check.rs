//! `watchdog check`: what will happen in each failure class, what does not go together, and where nothing would ever happen.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::stage::{Stage, WEB, play, victim};

/// Runs it; it must end with this code. Answers what it said on both channels.
pub(crate) fn check(lab: &Stage, words: &[&str], code: i32) -> Result<String> {
    let output = lab.run(&[&[lab::PROGRAM, "check"], words].concat())?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(output.status.code() == Some(code), "{}, not {code}: {said}", output.status);
    Ok(said)
}

fn json(lab: &Stage, code: i32) -> Result<Value> {
    serde_json::from_str(&check(lab, &["--json"], code)?).context("no JSON")
}

fn says(said: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(said.contains(word), "it does not say {word:?}: {said}");
    }
    Ok(())
}

#[test]
fn b13_check_says_for_each_failure_class_what_will_happen() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        lab.configure(WEB)?;
        let now = json(lab, 0)?;
        let service = &now["services"][0];
        ensure!(service["unit"] == "nginx.service", "{now}");
        for class in ["crash", "clean end", "hang", "wrong answer", "slow stop", "budget spent"] {
            let outlook = service["outlook"].as_array().context("no outlook")?;
            let then = outlook.iter().find(|it| it["when"] == class).context(class)?["then"].as_str();
            ensure!(then.is_some_and(|then| then.len() > 20), "{class}: {then:?}");
        }
        let said = check(lab, &[], 0)?;
        says(
            &said,
            &[
                "Restart=no: systemd never starts it again by itself",
                "StartLimit: ",
                "TimeoutStopSec=",
                "1 service, no error, no warning",
            ],
        )?;
        ensure!(!said.contains('\x1b'), "colours without a terminal: {said}");
        says(&check(lab, &["other"], 64)?, &["there is no service \"other\": there are web"])?;
        Ok(())
    })
}

#[test]
fn b13_a_service_for_which_nothing_would_ever_happen_is_an_error() -> Result<()> {
    play(|lab| {
        lab.configure("[service.idle]\nunit = \"idle.service\"\nrestart.on = \"no\"\n")?;
        says(&check(lab, &[], 78)?, &["idle: nothing would ever be done", "watchdog.toml:3", "1 error"])?;
        // what only the unit says
        lab.unit(
            "idle.service",
            "[Unit]\nRefuseManualStart=yes\n[Service]\nExecStart=/bin/sleep infinity\n",
        )?;
        lab.configure("[service.idle]\nunit = \"idle.service\"\n")?;
        says(&check(lab, &[], 78)?, &["nothing could ever be done", "RefuseManualStart=yes", "1 error"])
    })
}

#[test]
fn b3_a_service_with_passive_checks_alone_is_refused() -> Result<()> {
    play(|lab| {
        let log = "[service.web]\nunit = \"nginx.service\"\n[service.web.log]\npath = \"/var/log/nginx/access.log\"\nstatus = \"5xx\"\n";
        lab.configure(log)?;
        says(&check(lab, &[], 78)?, &["web: its log is its only check", "watchdog.toml:3", "1 error"])?;
        lab.configure(&(log.to_owned() + "[service.web.heartbeat]\nurl = \"http://127.0.0.1/\"\n"))?;
        check(lab, &[], 0).map(drop)
    })
}

#[test]
fn c6_only_files_that_end_in_toml_are_read_and_the_others_are_listed() -> Result<()> {
    play(|lab| {
        lab.configure(WEB)?;
        lab.write("/etc/watchdog/conf.d/logging", "this is no configuration")?;
        lab.write("/etc/watchdog/conf.d/old.toml.disabled", "nor is this")?;
        lab.write("/etc/watchdog/conf.d/app.toml", &victim("app", 7001))?;
        let now = json(lab, 0)?;
        ensure!(now["services"].as_array().is_some_and(|all| all.len() == 2), "{now}");
        let ignored = now["ignored"].as_array().context("no list")?;
        ensure!(
            *ignored == ["/etc/watchdog/conf.d/logging", "/etc/watchdog/conf.d/old.toml.disabled"],
            "{now}"
        );
        says(&check(lab, &[], 0)?, &["ignored  /etc/watchdog/conf.d/logging (does not end in .toml)"])
    })
}

#[test]
fn c12_f14_the_faults_that_were_planted_are_found() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let planted = "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n[Service]\nTimeoutStopSec=6min\nPIDFile=/var/lib/app/pid\nKillMode=process\n";
        lab.victim("app", 7001, "")?;
        lab.drop_in("app.service", planted)?;
        lab.victim("loop", 7002, "Restart=always\nRestartSec=15s")?;
        lab.unit("monit.service", "[Service]\nExecStart=/bin/sleep infinity\n")?;
        lab.sh("systemctl start monit.service")?;
        lab.write(
            "/etc/cron.d/keep-alive",
            "* * * * * root curl -fs localhost || systemctl restart nginx\n",
        )?;
        let app = victim("app", 7001) + "[service.app.restart]\nstop_timeout = \"3m\"\n";
        let web = WEB.replace("unit =", "depends_on = [\"nobody.service\"]\nunit =");
        lab.configure(&(web + &app + &victim("loop", 7002)))?;
        let said = check(lab, &[], 0)?;
        let found = [
            "app: `stop_timeout` (3m) is shorter than the unit's TimeoutStopSec= (6m)",
            "app: app.service has KillMode=process",
            "app: the PID file /var/lib/app/pid outlives a reboot",
            "app: systemd's start limit (2 starts in 1h) is reached before the own budget is spent (3 in 5m)",
            "loop: systemd's start limit (5 starts in 10s) is never reached by its own restarts, 15s apart",
            "loop: systemd's own restart waits for RestartSec= (15s)",
            "monit.service runs",
            "web: /etc/cron.d/keep-alive:1 also starts or stops it",
            "web: `depends_on` names nobody.service, which systemd does not know",
        ];
        says(&said, &found)?;
        says(&said, &["3 services, no error, 9 warnings"])
    })
}
