//! What an attacker finds of the packaged daemon: one Unix socket, few capabilities, and a closed room around it.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::{
    dist_packages::{Packed, UNIT, install_with},
    stage::{QUICK, SOON, Stage, WEB, play_on, victim},
};

/// `systemd-analyze security` times ten.
const MOST_EXPOSED: &str = "--threshold=20";
const SOCKET: &str = "/run/watchdog/control.sock";
const BROKEN: &str = "/etc/nginx/conf.d/broken.conf";

/// A field of its `/proc/PID/status`.
fn status_of(lab: &Stage, field: &str) -> Result<String> {
    let status = lab.read(&format!("/proc/{}/status", lab.main_pid(UNIT)?))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.context("no such field")?.trim().to_owned())
}

fn until_logged(lab: &Stage, words: &str) -> Result<()> {
    lab.until(SOON, || {
        let log = lab.exec(&["journalctl", "--unit", UNIT, "--output=cat"])?;
        ensure!(log.contains(words), "it did not say {words:?}:\n{log}");
        Ok(())
    })
}

/// The events are in the journal, for people to read.
fn configuration(services: &str) -> String {
    format!("[watchdog]\nevents = [\"journald\"]\n{services}")
}

#[test]
fn g15_the_packaged_daemon_listens_on_its_socket_alone_and_may_what_it_must() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.victim("victim", 7000, "")?;
        install_with(lab, &configuration(&victim("victim", 7000)))?;
        until_logged(lab, "victim: alive")?;

        // CAP_PERFMON (38), CAP_BPF (39), CAP_IPC_LOCK (14), and nothing in reserve
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status_of(lab, set)?, format!("{:016x}", 1_u64 << 38 | 1 << 39 | 1 << 14), "{set}");
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(status_of(lab, set)?, "0000000000000000", "{set}");
        }
        assert_eq!((status_of(lab, "NoNewPrivs")?, status_of(lab, "Seccomp")?), ("1".into(), "2".into()));
        let score = lab.exec(&["systemd-analyze", "security", "--no-pager", MOST_EXPOSED, UNIT])?;
        eprintln!("{}", score.lines().last().unwrap_or_default());

        let own = format!("pid={},", lab.main_pid(UNIT)?);
        let listens =
            lab.exec(&["ss", "--no-header", "--listening", "--processes", "--tcp", "--udp", "--unix"])?;
        let its: Vec<&str> = listens.lines().filter(|line| line.contains(&own)).collect();
        ensure!(its.len() == 1 && its[0].contains(SOCKET), "{its:?}");
        assert_eq!(lab.exec(&["stat", "-c", "%a %U %G", SOCKET])?.trim(), "660 root watchdog");

        // who is in the group may look, nobody else may
        let ask = |who: &[&str]| -> Result<String> {
            let curl = [
                "curl",
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--unix-socket",
                SOCKET,
                "http://watchdog/v1/status",
            ];
            let output = lab.run(&[&["setpriv", "--reuid=65534", "--regid=65534"], who, &curl].concat())?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(ask(&["--groups=watchdog"])?, "200");
        assert_eq!(ask(&["--clear-groups"])?, "000");
        Ok(())
    })
}

#[test]
fn g15_in_its_closed_room_it_ends_a_deaf_daemon_and_checks_a_configuration_before_a_restart() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.nginx()?;
        let deaf = "/bin/sh -c 'trap \"\" TERM; /usr/local/bin/victim 7000 & while :; do wait; done'";
        lab.service("victim.service", deaf, "TimeoutStopSec=infinity\nSendSIGKILL=no\n")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let web = WEB.replacen("\n", "\npreflight = [\"/usr/sbin/nginx\", \"-t\"]\n", 1) + QUICK;
        let stops = "[service.victim.restart]\nstop_timeout = \"1s\"\n";
        install_with(lab, &configuration(&format!("{web}{}{QUICK}{stops}", victim("victim", 7000))))?;
        until_logged(lab, "web: alive")?;
        until_logged(lab, "victim: alive")?;

        let old = lab.main_pid("victim.service")?;
        lab.kill_all(Signal::STOP, "victim.service")?;
        lab.until_replaced("victim.service", old, SOON)?;

        let sick = lab.main_pid("nginx.service")?;
        lab.sh(
            "sed -i 's,location / {,location = / { return 500; } location / {,' /etc/nginx/sites-enabled/lab",
        )?;
        lab.sh("systemctl reload nginx")?;
        lab.write(BROKEN, "no_such_directive on;\n")?;
        until_logged(lab, "its configuration is invalid")?;
        assert_eq!(lab.main_pid("nginx.service")?, sick);
        Ok(())
    })
}

#[test]
fn g15_what_needs_more_is_told_and_works_with_the_drop_in_of_the_package() -> Result<()> {
    play_on(&Packed::new()?.plan, |lab| {
        lab.nginx()?;
        let log = "[service.web.log]\npath = \"/var/log/nginx/access.log\"\nstatus = \"5xx\"\n";
        install_with(lab, &configuration(&format!("{WEB}{log}")))?;
        until_logged(lab, "CAP_NET_ADMIN may be missing")?;
        until_logged(lab, "give its unit the capability CAP_DAC_READ_SEARCH")?;

        lab.sh(&format!(
            "install -D -m 644 /usr/share/doc/service-watchdog/examples/capabilities.conf /etc/systemd/system/{UNIT}.d/capabilities.conf"
        ))?;
        lab.sh("systemctl daemon-reload; journalctl --rotate -q; journalctl --vacuum-time=1us -q")?;
        lab.exec(&["systemctl", "restart", UNIT])?;
        until_logged(lab, "server_errors by cgroup_skb")?;
        lab.sh("sed -i 's,location / {,location = /bad { return 500; } location / {,' /etc/nginx/sites-enabled/lab; systemctl reload nginx")?;
        lab.until(SOON, || {
            lab.sh("curl -s -o /dev/null http://127.0.0.1/bad")?;
            let log = lab.exec(&["journalctl", "--unit", UNIT, "--output=cat"])?;
            ensure!(log.contains("answers with errors"), "{log}");
            Ok(())
        })?;
        let log = lab.exec(&["journalctl", "--unit", UNIT, "--output=cat"])?;
        ensure!(!log.contains("may be missing") && !log.contains("CAP_DAC_READ_SEARCH"), "{log}");
        Ok(())
    })
}
