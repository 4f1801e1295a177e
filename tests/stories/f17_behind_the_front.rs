//! A hang behind the front end: seen by the kernel on the front end's port, and only the backend is restarted.

use std::time::Duration;

use anyhow::Result;
use lab::Backend;
use rustix::process::Signal;

use crate::stage::{SELDOM, SOON, not_restarted, play, recovered_once};

#[test]
fn f17_a_stopped_php_fpm_behind_nginx_is_restarted_by_the_kernels_word_and_nginx_is_not() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        let page = "http://127.0.0.1/heartbeat.php";
        lab.until_answers(page, SOON)?;
        let configuration = format!(
            "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://127.0.0.1/\"
{SELDOM}[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"http://heartbeat.example.com/heartbeat.php\"
connect = \"127.0.0.1:80\"
body = \"It works!\"
timeout = \"3s\"
{SELDOM}"
        );
        let watchdog = lab.guard(&configuration, &["web", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        let traffic = lab.traffic(page, 20, Duration::from_secs(10))?;
        traffic.wait_for_good(lab::mono_us() + 1_000_000, SOON)?;
        lab.kill_all(Signal::STOP, &fpm)?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        traffic.wait_for_good(lab::mono_us(), SOON)?;
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}
