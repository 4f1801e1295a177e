//! Answers of 500 and above to clients: seen by the kernel as they leave the unit, asked about at once, and acted upon only
//! where the heartbeat is bad too.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Backend, Event, Stream};

use crate::stage::{SELDOM, SOON, Stage, WEB, is_alive, is_dead, not_restarted, play, recovered_once};

/// Errors are told at most once in this time.
const WINDOW: Duration = Duration::from_millis(1_100);
const API: &str = "http://127.0.0.1/api";

/// nginx that fails on one page always, and on all of them while a file is there, which a start removes.
fn nginx(lab: &Stage) -> Result<()> {
    lab.nginx()?;
    let site = "server { listen 80 default_server; root /var/www/html; server_name _;
        if (-f /run/broken) { return 500; }
        location = /api { return 500; }
        location / { try_files $uri $uri/ =404; } }\n";
    lab.write("/etc/nginx/sites-enabled/lab", site)?;
    lab.drop_in("nginx.service", "[Service]\nExecStartPre=/bin/rm -f /run/broken\n")?;
    lab.exec(&["systemctl", "restart", "nginx.service"])?;
    lab.until_answers("http://127.0.0.1/", SOON)
}

fn is_errors(event: &Event) -> bool {
    event.kind() == "sign.server_errors"
}

/// How many errors were told so far.
fn told(watchdog: &Stream) -> Result<u64> {
    let errors = watchdog.events().into_iter().filter(is_errors);
    let counts = errors.map(|event| {
        let count = event.data("saw")["server_errors"]["errors"].as_u64();
        count.with_context(|| format!("no count: {}", event.0))
    });
    counts.sum()
}

/// A client is answered 500 from now on until the kernel's word of it has come; it is the first thing that happens.
fn fails(lab: &Stage, watchdog: &Stream, url: &str, service: &str) -> Result<Event> {
    let before = lab::mono_us();
    let reply = lab.get(url)?;
    let answered = lab::mono_us();
    ensure!(reply.status >= 500, "{url} answers {}", reply.status);
    let sign = watchdog.wait_for("the kernel's word", SOON, is_errors)?;
    ensure!(sign.mono_us() >= before && sign.mono_us() <= answered, "it is not of this answer: {}", sign.0);
    let suspicion = watchdog
        .wait_for("the suspicion", SOON, |e| e.is("suspicion", service) && e.mono_us() == sign.mono_us())?;
    let asked = watchdog
        .wait_for("a heartbeat", SOON, |e| e.is("heartbeat", service) && e.mono_us() > sign.mono_us())?;
    eprintln!(
        "{service}: the heartbeat said {} {} us after the error left",
        asked.data("verdict"),
        asked.mono_us() - sign.mono_us()
    );
    Ok(suspicion)
}

#[test]
fn f15_errors_to_clients_and_to_the_heartbeat_end_in_a_restart_long_before_the_backstop() -> Result<()> {
    play(|lab| {
        nginx(lab)?;
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}"), &["web"])?;
        let old = lab.main_pid("nginx.service")?;
        lab.sh("touch /run/broken")?;
        fails(lab, &watchdog, "http://127.0.0.1/", "web")?;
        watchdog.wait_for("a bad answer", SOON, |e| is_dead(e, "web"))?;
        lab.until_replaced("nginx.service", old, SOON)?;
        lab.until_answers("http://127.0.0.1/", SOON)?;
        let recovered = recovered_once(&watchdog, "web", SOON)?;
        ensure!(recovered.0.to_string().contains("500 and above"), "it does not say why: {}", recovered.0);
        // what watchdog was answered itself is no client's
        ensure!(told(&watchdog)? == 1, "{} errors are told", told(&watchdog)?);
        Ok(())
    })
}

#[test]
fn f15_errors_of_one_page_beside_a_good_heartbeat_are_asked_about_less_and_less_and_nothing_is_restarted()
-> Result<()> {
    play(|lab| {
        nginx(lab)?;
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}"), &["web"])?;
        let (old, before) = (lab.main_pid("nginx.service")?, watchdog.count(|e| is_alive(e, "web")));
        fails(lab, &watchdog, API, "web")?;
        let began = lab::mono_us();
        let traffic = lab.traffic(API, 20, SOON)?;
        // after 1, 2 and 4 s of quiet
        watchdog.wait_for("the question after the longest of three quiet times", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > began + 6_500_000
        })?;
        let requests = traffic.stop()?;
        let asked = watchdog.count(|e| is_alive(e, "web")) - before;
        eprintln!("{} errors, {asked} heartbeats", requests.len());
        ensure!(requests.len() > 100 && requests.iter().all(|r| r.status == Ok(500)), "{requests:?}");
        ensure!(asked <= 5, "{asked} heartbeats for suspicions that were answered alive");
        assert_eq!(lab.main_pid("nginx.service")?, old);
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn f15_a_restarted_unit_is_read_from_its_first_answer_on() -> Result<()> {
    play(|lab| {
        nginx(lab)?;
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}"), &["web"])?;
        fails(lab, &watchdog, API, "web")?;
        let traffic = lab.traffic(API, 50, SOON)?;
        for _ in 0..3 {
            let since = lab::mono_us();
            let old = lab.main_pid("nginx.service")?;
            lab.exec(&["systemctl", "restart", "nginx.service"])?;
            lab.until_replaced("nginx.service", old, SOON)?;
            lab.until(SOON, || {
                let again =
                    traffic.requests().iter().filter(|r| r.sent > since && r.status == Ok(500)).count();
                ensure!(again >= 20, "only {again} answers since the restart");
                Ok(())
            })?;
        }
        let answered = traffic.stop()?.iter().filter(|request| request.status == Ok(500)).count() as u64;
        // the last ones are told with the next
        std::thread::sleep(WINDOW);
        lab.get(API)?;
        lab.until(SOON, || {
            let told = told(&watchdog)?;
            ensure!(told == answered + 2, "{told} errors are told of {}", answered + 2);
            Ok(())
        })?;
        eprintln!("{} errors over three restarts, all told", answered + 2);
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn f15_errors_of_a_backend_leave_by_the_front_end_and_only_the_backend_is_restarted() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Unix)?;
        let page = "http://127.0.0.1/heartbeat.php";
        let broken = "/var/www/html/broken";
        lab.write(
            "/var/www/html/heartbeat.php",
            &format!("<?php if (file_exists('{broken}')) http_response_code(500); else echo 'It works!';\n"),
        )?;
        lab.drop_in(&fpm, &format!("[Service]\nExecStartPre=/bin/rm -f {broken}\n"))?;
        lab.until_answers(page, SOON)?;
        let configuration = format!(
            "{WEB}{SELDOM}[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"{page}\"
body = \"It works!\"
{SELDOM}"
        );
        let watchdog = lab.guard(&configuration, &["web", "php"])?;
        let (web, php) = (lab.main_pid("nginx.service")?, lab.main_pid(&fpm)?);
        lab.sh(&format!("touch {broken}"))?;
        let suspected = fails(lab, &watchdog, page, "php")?;
        watchdog.wait_for("the front end to be asked too", SOON, |e| {
            is_alive(e, "web") && e.mono_us() > suspected.mono_us()
        })?;
        lab.until_replaced(&fpm, php, SOON)?;
        recovered_once(&watchdog, "php", SOON)?;
        assert_eq!(lab.main_pid("nginx.service")?, web);
        not_restarted(&watchdog, "web")
    })
}

#[test]
fn f15_where_it_is_off_nobody_looks() -> Result<()> {
    play(|lab| {
        nginx(lab)?;
        let off = format!("{WEB}{SELDOM}[service.web.stall]\nstatus_5xx = false\n");
        let watchdog = lab.guard(&off, &["web"])?;
        for _ in 0..20 {
            ensure!(lab.get(API)?.status == 500, "it answers well");
        }
        // what is told later is told after what was seen before
        lab.exec(&["systemctl", "kill", "--signal=TERM", "nginx.service"])?;
        watchdog.wait_for("the end of nginx", SOON, |e| e.is("sign.exit", "web"))?;
        ensure!(told(&watchdog)? == 0, "errors are told");
        Ok(())
    })
}
