//! The control socket: who may read, who may write, and what hostile requests come to.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Event;

use crate::stage::{SOON, Stage, is_alive, play, victim};

const CURL: &str = "curl -sS --max-time 20 --unix-socket /run/watchdog/control.sock";
const NOBODY: &str = "setpriv --reuid=nobody --regid=nogroup --clear-groups";
const MEMBER: &str = "setpriv --reuid=nobody --regid=nogroup --groups=watchdog";

/// The HTTP status of this request.
fn code(lab: &Stage, who: &str, request: &str) -> Result<String> {
    let line = format!("{who} {CURL} -o /dev/null -w '%{{http_code}}' {request} || true");
    Ok(lab.sh(&line)?.trim().to_owned())
}

fn asked(event: &Event, what: &str) -> bool {
    event.kind() == "command" && event.data("request")["asked"].as_str().is_some_and(|it| it.contains(what))
}

#[test]
fn g15_nobody_else_reads_members_read_and_only_root_writes_and_all_writes_are_on_record() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        lab.sh("groupadd --system watchdog")?;
        let watchdog = lab.guard(&victim("web", 7001), &["web"])?;
        let pause = "--json '{\"services\": [\"web\"]}' http://watchdog/v1/pause";
        let reload = "-X POST http://watchdog/v1/reload";
        let read = "http://watchdog/v1/status";

        ensure!(lab.sh("stat -c '%a %U %G' /run/watchdog/control.sock")?.trim() == "660 root watchdog");
        ensure!(code(lab, NOBODY, read)? == "000", "the file lets others in");
        ensure!(code(lab, MEMBER, read)? == "200");
        ensure!(code(lab, MEMBER, pause)? == "403");
        // the file lets everybody in; the kernel knows who they are
        lab.sh("chmod 666 /run/watchdog/control.sock")?;
        for request in [read, "http://watchdog/metrics", pause, reload] {
            ensure!(code(lab, NOBODY, request)? == "403", "{request}");
        }
        ensure!(code(lab, "", pause)? == "200");
        ensure!(code(lab, "", "http://watchdog/v1/pause")? == "405");
        ensure!(code(lab, "", "http://watchdog/v2/status")? == "404");

        let refused = watchdog
            .wait_for("the refusal", SOON, |e| asked(e, "/v1/pause") && e.data("request")["done"] == false)?;
        let by = &refused.data("request")["by"];
        ensure!(by["uid"] == 65_534 && by["comm"] == "curl" && by["name"] == "nobody", "{by}");
        let done = watchdog
            .wait_for("the pause", SOON, |e| asked(e, "/v1/pause") && e.data("request")["done"] == true)?;
        let request = done.data("request");
        ensure!(request["by"]["uid"] == 0 && request["by"]["pid"].as_u64() > Some(1), "{request}");
        ensure!(
            request["answer"].as_str().is_some_and(|it| it.starts_with("web: paused for 1h")),
            "{request}"
        );
        let said = lab.run(&[
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--groups=watchdog",
            lab::PROGRAM,
            "resume",
            "web",
        ])?;
        ensure!(said.status.code() == Some(77), "{said:?}");
        Ok(())
    })
}

#[test]
fn g15_huge_slow_and_many_requests_keep_nobody_from_root_nor_from_their_services() -> Result<()> {
    play(|lab| {
        lab.victim("web", 7001, "")?;
        lab.sh("groupadd --system watchdog")?;
        let watchdog = lab.guard(&victim("web", 7001), &["web"])?;
        lab.sh("head -c 1000000 /dev/zero | tr '\\0' x > /run/huge")?;
        ensure!(code(lab, "", "--data-binary @/run/huge http://watchdog/v1/pause")? == "413");
        lab.sh("{ echo -n 'X: '; head -c 20000 /run/huge; } > /run/header")?;
        ensure!(code(lab, "", "-H @/run/header http://watchdog/v1/status")? != "200");
        ensure!(code(lab, "", "--data-binary '{\"services\": [1e999]}' http://watchdog/v1/pause")? == "400");

        // forty members who say nothing, and come again as often as they are cut off
        lab.write(
            "/run/flood.pl",
            "use IO::Socket::UNIX; while (1) {
             my @all = map { IO::Socket::UNIX->new('/run/watchdog/control.sock') } 1..40;
             select undef, undef, undef, 1 }",
        )?;
        let flood =
            "[Service]\nUser=nobody\nSupplementaryGroups=watchdog\nExecStart=/usr/bin/perl /run/flood.pl\n";
        lab.unit("flood.service", flood)?;
        lab.sh("systemctl start flood.service")?;
        lab.until(SOON, || {
            ensure!(code(lab, MEMBER, "http://watchdog/v1/status")? == "503", "there is room yet");
            Ok(())
        })?;
        for _ in 0..20 {
            ensure!(code(lab, "", "http://watchdog/v1/status")? == "200", "root is kept out");
        }
        let old = lab.main_pid("web.service")?;
        lab.sh("systemctl kill --signal=KILL web.service")?;
        lab.until_replaced("web.service", old, SOON)?;
        watchdog.wait_for("its recovery", SOON, |e| e.is("recovered", "web"))?;

        lab.sh("systemctl stop flood.service")?;
        lab.until(Duration::from_secs(60), || {
            ensure!(code(lab, MEMBER, "http://watchdog/v1/status")? == "200", "nobody reads any more");
            Ok(())
        })?;
        ensure!(watchdog.count(|e| is_alive(e, "web")) > 0);
        Ok(())
    })
}
