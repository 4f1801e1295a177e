//! Errors in a server's log: a reason to ask, and never one to restart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use lab::{Event, Stream};

use crate::stage::{SELDOM, SOON, Stage, WEB, is_alive, is_dead, not_restarted, play, recovered_once};

const UNIT: &str = "nginx.service";
const HTTP: &str = "/var/log/nginx/access.log";
const HTTPS: &str = "/var/log/nginx/other.log";

/// `/shop` is broken for good; every page is from `touch /run/broken` on until the next start. Port 81 has a log of its own.
const SITES: &str = "server {
    listen 80 default_server;
    root /var/www/html;
    if (-f /run/broken) { return 503; }
    location /shop { return 500; }
}
server {
    listen 81 default_server;
    access_log /var/log/nginx/other.log;
    return 502;
}
";

/// What the kernel sees of 5xx is another story.
const BLIND: &str = "[service.web.stall]\nstatus_5xx = false\n";

/// nginx, and watchdog with these logs, which asks nothing unless something happens.
fn guarded(
    lab: &Stage,
    logs: &[&str],
    within: &str,
    story: impl FnOnce(&Stream) -> Result<()>,
) -> Result<()> {
    lab.sh("echo 'It works!' > /var/www/html/index.html; rm -f /etc/nginx/sites-enabled/*")?;
    lab.write("/etc/nginx/sites-enabled/lab", SITES)?;
    lab.drop_in(UNIT, "[Service]\nExecStartPre=/bin/rm -f /run/broken\n")?;
    lab.start(UNIT)?;
    let table =
        |path| format!("[[service.web.log]]\npath = \"{path}\"\nstatus = \"5xx\"\nwithin = \"{within}\"\n");
    let tables: String = logs.iter().map(table).collect();
    let watchdog = lab.guard(&format!("{WEB}{SELDOM}{BLIND}{tables}"), &["web"])?;
    let open = format!("/proc/{}/fd", watchdog.host_pid()?.as_raw_nonzero());
    lab.until(SOON, || {
        let links: Vec<PathBuf> =
            fs::read_dir(&open)?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
        let all = logs.iter().all(|path| links.iter().any(|link| link == Path::new(path)));
        ensure!(all, "{logs:?} are not read");
        Ok(())
    })?;
    story(&watchdog)
}

/// So many requests one after the other, by curl with these options.
fn ask(lab: &Stage, options: &str, url: &str, count: u32) -> Result<()> {
    lab.sh(&format!("curl --silent --output /dev/null {options} 'http://127.0.0.1{url}?[1-{count}]'"))
        .map(drop)
}

fn is_suspicion(event: &Event, since: u64) -> bool {
    event.is("suspicion", "web") && event.mono_us() > since && event.data("why")["log_errors"].is_object()
}

/// Waits for errors in this log that were told after `since`, and for the suspicion that they are.
fn suspected(watchdog: &Stream, path: &str, since: u64) -> Result<()> {
    watchdog.wait_for(&format!("errors in {path}"), SOON, |e| {
        e.is("sign.log_errors", "web") && e.mono_us() > since && e.data("log.file.path") == path
    })?;
    watchdog.wait_for("the suspicion", SOON, |e| is_suspicion(e, since)).map(drop)
}

fn after(moment: u64, lab: &Stage) -> Result<()> {
    lab.until(SOON, || {
        ensure!(lab::mono_us() > moment, "it is too early");
        Ok(())
    })
}

#[test]
fn b4_a_5xx_rate_in_the_log_raises_a_suspicion_and_only_the_heartbeat_restarts() -> Result<()> {
    play(|lab| {
        guarded(lab, &[HTTP], "2s", |watchdog| {
            let (main, began) = (lab.main_pid(UNIT)?, lab::mono_us());
            ask(lab, "", "/shop", 30)?;
            suspected(watchdog, HTTP, began)?;
            watchdog.wait_for("a good answer", SOON, |e| is_alive(e, "web") && e.mono_us() > began)?;
            not_restarted(watchdog, "web")?;
            assert_eq!(lab.main_pid(UNIT)?, main, "the heartbeat is answered");

            let last = watchdog.wait_for("the errors", SOON, |e| e.is("sign.log_errors", "web"))?;
            after(last.mono_us() + 2_000_000, lab)?;
            lab.sh("touch /run/broken")?;
            ask(lab, "", "/shop", 30)?;
            lab.until_replaced(UNIT, main, SOON)?;
            recovered_once(watchdog, "web", SOON)?;
            lab.until_answers("http://127.0.0.1/", SOON)
        })
    })
}

#[test]
fn b4_a_few_errors_among_many_answers_do_nothing_and_b5_any_method_counts() -> Result<()> {
    play(|lab| {
        guarded(lab, &[HTTP], "1s", |watchdog| {
            // more than the minimum, and less than the share, however slow it is
            lab.sh("for i in $(seq 40); do printf 'url=http://127.0.0.1/%s\\n' a b c shop; done \\
                | curl --silent --config - >/dev/null")?;
            after(lab::mono_us() + 1_500_000, lab)?;
            let told = watchdog.count(|e| e.is("sign.log_errors", "web") || is_suspicion(e, 0));
            ensure!(told == 0, "{told} signs and suspicions of a few errors");

            for method in ["PROPFIND", "BREW", "DELETE"] {
                let began = lab::mono_us();
                ask(lab, &format!("--request {method}"), "/shop", 30)?;
                suspected(watchdog, HTTP, began).with_context(|| format!("{method} does not count"))?;
                after(lab::mono_us() + 1_100_000, lab)?;
            }
            let dead = watchdog.count(|e| is_dead(e, "web"));
            ensure!(dead == 0, "{dead} heartbeats were not answered");
            not_restarted(watchdog, "web")
        })
    })
}

#[test]
fn b8_two_logs_that_burst_make_one_restart() -> Result<()> {
    play(|lab| {
        guarded(lab, &[HTTP, HTTPS], "2s", |watchdog| {
            let (main, began) = (lab.main_pid(UNIT)?, lab::mono_us());
            lab.sh("touch /run/broken
                curl --silent --output /dev/null 'http://127.0.0.1/?[1-60]' &
                curl --silent --output /dev/null 'http://127.0.0.1:81/?[1-60]' & wait")?;
            for path in [HTTP, HTTPS] {
                suspected(watchdog, path, began)?;
            }
            lab.until_replaced(UNIT, main, SOON)?;
            recovered_once(watchdog, "web", SOON)?;
            let new = lab.main_pid(UNIT)?;
            // both have had the time to be told again, had they a mind to
            after(lab::mono_us() + 3_000_000, lab)?;
            recovered_once(watchdog, "web", SOON)?;
            assert_eq!(lab.main_pid(UNIT)?, new, "it was restarted once more");
            Ok(())
        })
    })
}

#[test]
fn b4_the_log_is_followed_over_logrotates_moves() -> Result<()> {
    play(|lab| {
        guarded(lab, &[HTTP], "1s", |watchdog| {
            let burst = |what: &str| -> Result<()> {
                let began = lab::mono_us();
                ask(lab, "", "/shop", 30)?;
                suspected(watchdog, HTTP, began).context(what.to_owned())?;
                after(lab::mono_us() + 1_100_000, lab)
            };
            burst("before all")?;
            let moved = format!("mv {HTTP} {HTTP}.1; install -m 0640 -o www-data -g adm /dev/null {HTTP}");
            lab.sh(&moved)?;
            burst("nginx writes to the old file still")?;
            let main = lab.main_pid(UNIT)?;
            lab.sh(&format!("kill -USR1 {main}; gzip {HTTP}.1"))?;
            burst("after `create`")?;
            lab.sh(&format!("cp {HTTP} {HTTP}.1; truncate --size 0 {HTTP}"))?;
            burst("after `copytruncate`")?;
            lab.sh(&format!("rm {HTTP}; kill -USR1 {main}"))?;
            burst("after its removal")?;
            not_restarted(watchdog, "web")
        })
    })
}
