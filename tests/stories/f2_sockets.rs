//! Stalls that no probe shows by itself: behind a Unix socket, over TLS, and where the kernel takes no probes.

use std::time::Duration;

use anyhow::Result;
use lab::{Backend, Event};
use rustix::process::Signal;

use crate::stage::{DAEMON, SELDOM, SOON, Stage, not_restarted, play, recovered_once, victim};

/// nginx at its own page, and php-fpm at its own through nginx; only an event leads to a heartbeat in time.
fn web_and_php(fpm: &str) -> String {
    format!(
        "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://127.0.0.1/\"
{SELDOM}[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"http://127.0.0.1/heartbeat.php\"
body = \"It works!\"
timeout = \"3s\"
{SELDOM}"
    )
}

fn stalls_by_path(event: &Event) -> bool {
    event.is("suspicion", "php") && event.data("why")["unix_stall"].is_object()
}

#[test]
fn a2_an_exhausted_pool_of_php_workers_is_found_by_the_queue_of_its_socket() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        lab.until_answers("http://127.0.0.1/heartbeat.php", SOON)?;
        lab.write("/var/www/html/sleep.php", "<?php sleep(100000);\n")?;
        let watchdog = lab.guard(&web_and_php(&fpm), &["web", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        // more than its children, who all sleep from then on
        lab.sh("for n in $(seq 20); do curl -s -m 60 http://127.0.0.1/sleep.php >/dev/null 2>&1 & done")?;
        watchdog.wait_for("the stall of the queue", SOON, stalls_by_path)?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn a2_a_second_request_over_tls_that_is_not_answered_is_found() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        let made = rcgen::generate_simple_self_signed(["lab".to_owned()])?;
        lab.write("/etc/nginx/lab.crt", &made.cert.pem())?;
        lab.write("/etc/nginx/lab.key", &made.signing_key.serialize_pem())?;
        lab.sh(
            "sed -i 's,listen 80 default_server;,& listen 443 ssl; ssl_certificate lab.crt; ssl_certificate_key lab.key;,' \
             /etc/nginx/sites-enabled/lab; systemctl restart nginx.service",
        )?;
        lab.until_answers("http://127.0.0.1/heartbeat.php", SOON)?;
        let watchdog = lab.guard(&web_and_php(&fpm), &["web", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        let stopped = lab.kill_all(Signal::STOP, &fpm)?;
        // nginx answers the first request by itself; the second, on the same connection, waits for php-fpm. It comes later than
        // the first answer: within the same jiffy of the kernel's clock the two could not be told apart.
        lab.sh("curl -sk -m 60 --rate 120/m https://127.0.0.1/ https://127.0.0.1/heartbeat.php >/dev/null 2>&1 &")?;
        watchdog.wait_for("the stall", SOON, |e| {
            e.kind() == "sign.answer_stall" && e.mono_us() > stopped && e.0.to_string().contains("443")
        })?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}

/// Plays in a lab whose watchdog may load no probe, until the table of sockets is looked at.
fn without_probes(
    configuration: &str,
    service: &str,
    story: impl FnOnce(&Stage, &lab::Stream) -> Result<()>,
) -> Result<()> {
    play(|lab| {
        lab.victim(service, 7000, "")?;
        let refused = "[Service]\nSystemCallFilter=\nSystemCallFilter=~bpf:EPERM\n";
        let watchdog = lab.watchdog_unit(configuration, refused, &[service])?;
        watchdog.wait_for("the second rung", SOON, |e| {
            e.kind() == "sign.serving"
                && e.0.to_string().contains(r#""class":"accept_stall","rung":"sock_diag""#)
        })?;
        story(lab, &watchdog)
    })
}

#[test]
fn a2_without_probes_a_stopped_process_under_traffic_is_found_by_looks() -> Result<()> {
    without_probes(&(victim("victim", 7000) + SELDOM), "victim", |lab, watchdog| {
        let page = "http://127.0.0.1:7000/";
        let traffic = lab.traffic(page, 20, Duration::from_secs(2))?;
        traffic.wait_for_good(lab::mono_us() + 1_000_000, SOON)?;
        let old = lab.main_pid("victim.service")?;
        lab.kill_all(Signal::STOP, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(watchdog, "victim", SOON)?;
        watchdog.wait_for("the stall", SOON, |e| {
            e.is("suspicion", "victim") && e.data("why")["accept_stall"].is_object()
        })?;
        traffic.wait_for_good(lab::mono_us(), SOON).map(drop)
    })
}

#[test]
fn c3_without_probes_a_lost_listener_is_found_by_looks() -> Result<()> {
    without_probes(&format!("{DAEMON}{SELDOM}"), "daemon", |lab, watchdog| {
        let old = lab.main_pid("daemon.service")?;
        lab.get("http://127.0.0.1:7000/close")?;
        watchdog.wait_for("the suspicion", SOON, |e| {
            e.is("suspicion", "daemon") && e.data("why")["listener_lost"] == 7000
        })?;
        lab.until_replaced("daemon.service", old, SOON)?;
        recovered_once(watchdog, "daemon", SOON)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}
