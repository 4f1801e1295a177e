//! What is asked (a front end) and what is restarted (the backend's unit) are separate: Apache is not restarted for php-fpm.

use std::time::Duration;

use anyhow::Result;
use lab::Backend;
use rustix::process::Signal;

use crate::stage::{QUICK, SOON, not_restarted, play, recovered, recovered_once};

#[test]
fn a3_a_hanging_backend_is_restarted_and_apache_is_not() -> Result<()> {
    play(|lab| {
        let fpm = lab.apache_with_php(Backend::Tcp, 8080)?;
        let page = "http://127.0.0.1:8080/heartbeat.php";
        lab.until_answers(page, SOON)?;
        let configuration = format!(
            "[service.apache]
unit = \"apache2.service\"
[service.apache.heartbeat]
url = \"http://127.0.0.1:8080/plain.html\"
[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"http://heartbeat.example.com/heartbeat.php\"
connect = \"127.0.0.1:8080\"
body = \"It works!\"
"
        );
        let watchdog = lab.guard(&configuration, &["apache", "php"])?;
        let (apache, php) = (lab.main_pid("apache2.service")?, lab.main_pid(&fpm)?);
        let traffic = lab.traffic(page, 20, Duration::from_secs(2))?;
        lab.kill_all(Signal::STOP, &fpm)?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        traffic.wait_for_good(lab::mono_us(), SOON)?;
        assert_eq!(lab.main_pid("apache2.service")?, apache, "Apache's main process is the same");
        not_restarted(&watchdog, "apache")
    })
}

#[test]
fn a3_a_front_whose_own_page_needs_the_backend_shields_it_no_longer_than_one_restart() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        let page = "http://127.0.0.1/heartbeat.php";
        lab.until_answers(page, SOON)?;
        let configuration = format!(
            "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"{page}\"
timeout = \"1s\"
{QUICK}
[service.web.restart]
grace = \"1s\"
[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"{page}\"
connect = \"127.0.0.1:80\"
timeout = \"1s\"
{QUICK}"
        );
        let watchdog = lab.guard(&configuration, &["web", "php"])?;
        let php = lab.main_pid(&fpm)?;
        lab.kill_all(Signal::STOP, &fpm)?;
        lab.until_replaced(&fpm, php, 2 * SOON)?;
        recovered(&watchdog, "php", 1, SOON)?;
        recovered(&watchdog, "web", 1, SOON).map(drop)
    })
}
