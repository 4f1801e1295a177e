//! 500 and above is a failure, 4xx is alive with an alert, and a front end's error is its backend's fault.

use anyhow::Result;
use lab::Backend;
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, is_alert, is_alive, is_dead, not_restarted, play, recovered_once, victim};

#[test]
fn a7_a_500_leads_to_a_restart() -> Result<()> {
    answers_status("500")
}

#[test]
fn a7_a_503_leads_to_a_restart() -> Result<()> {
    answers_status("503")
}

fn answers_status(status: &str) -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get(&format!("http://127.0.0.1:7000/mode/{status}"))?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let dead = watchdog.wait_for("the verdict", SOON, |e| is_dead(e, "victim"))?;
        assert_eq!(dead.data("http.response.status_code").to_string(), status);
        Ok(())
    })
}

#[test]
fn a7_a_404_is_alive_and_an_alert() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        lab.get("http://127.0.0.1:7000/mode/404")?;
        watchdog.wait_for("a heartbeat with 404", SOON, |e| {
            is_alive(e, "victim") && e.data("http.response.status_code") == 404
        })?;
        watchdog.wait_for("an alert", SOON, |e| is_alert(e, "victim", "404"))?;
        not_restarted(&watchdog, "victim")
    })
}

#[test]
fn a7_an_error_of_the_front_end_with_its_backend_dead_is_the_backends() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        lab.until_answers("http://127.0.0.1/heartbeat.php", SOON)?;
        let configuration = format!(
            "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://127.0.0.1/\"
[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"http://127.0.0.1/heartbeat.php\"
connect = \"127.0.0.1:80\"
body = \"It works!\"
"
        );
        let watchdog = lab.guard(&configuration, &["web", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        lab.kill_all(Signal::KILL, &fpm)?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}
