//! The lab itself: it is a host like any other, and leaves nothing behind.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{Backend, Lab, WORKS};
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{KEEPER, SOON, plan, play};

#[test]
fn a_lab_boots_a_systemd_that_runs_well() -> Result<()> {
    play(|lab| {
        assert_eq!(lab.exec(&["systemctl", "is-system-running"])?.trim(), "running");
        assert_eq!(lab.exec(&["cat", "/proc/1/comm"])?.trim(), "systemd");
        assert_eq!(lab.exec(&["hostname"])?.trim(), "lab");
        lab.sh("test -d /sys/kernel/tracing/events && mountpoint -q /sys/fs/bpf && test -r /sys/kernel/btf/vmlinux")?;
        lab.sh(
            "! touch /proc/sys/kernel/printk_ratelimit_new 2>/dev/null; ! echo 1 > /proc/sys/vm/drop_caches",
        )
        .map(drop)
    })
}

#[test]
fn nginx_answers_from_within_and_from_the_test() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        assert_eq!(lab.exec(&["curl", "-s", "http://127.0.0.1/"])?.trim(), WORKS);
        let reply = lab.get("http://127.0.0.1/")?;
        assert_eq!((reply.status, reply.body.trim()), (200, WORKS));
        Ok(())
    })
}

#[test]
fn php_answers_behind_nginx_by_either_socket() -> Result<()> {
    play(|lab| {
        for backend in [Backend::Unix, Backend::Tcp] {
            let fpm = lab.nginx_with_php(backend)?;
            lab.exec(&["systemctl", "restart", &fpm, "nginx.service"])?;
            let reply = lab.get("http://127.0.0.1/heartbeat.php")?;
            assert_eq!((reply.status, reply.body.trim()), (200, WORKS), "{backend:?}");
        }
        Ok(())
    })
}

#[test]
fn php_answers_behind_apache_by_either_socket() -> Result<()> {
    play(|lab| {
        for backend in [Backend::Unix, Backend::Tcp] {
            let fpm = lab.apache_with_php(backend, 8080)?;
            lab.exec(&["systemctl", "restart", &fpm, "apache2.service"])?;
            let reply = lab.get("http://127.0.0.1:8080/heartbeat.php")?;
            assert_eq!((reply.status, reply.body.trim()), (200, WORKS), "{backend:?}");
        }
        Ok(())
    })
}

#[test]
fn a_unit_can_be_hurt_and_shows_it() -> Result<()> {
    play(|lab| {
        lab.service("victim.service", "/usr/local/bin/victim 7000", "")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        lab.get("http://127.0.0.1:7000/mode/503")?;
        assert_eq!(lab.get("http://127.0.0.1:7000/")?.status, 503);
        lab.get("http://127.0.0.1:7000/mode/silent")?;
        lab.get_within("http://127.0.0.1:7000/", Duration::from_millis(300)).expect_err("it is silent");
        let old = lab.main_pid("victim.service")?;
        lab.kill_main(Signal::KILL, "victim.service")?;
        lab.until_state("victim.service", "failed", SOON)?;
        lab.start("victim.service")?;
        let new = lab.until_replaced("victim.service", old, SOON)?;
        ensure!(new != old, "a new process");
        lab.until_answers("http://127.0.0.1:7000/", SOON)
    })
}

#[test]
fn traffic_keeps_its_rate_and_tells_when_a_server_stops_answering() -> Result<()> {
    play(|lab| {
        lab.service("victim.service", "/usr/local/bin/victim 7000", "")?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let began = lab::mono_us();
        let traffic = lab.traffic("http://127.0.0.1:7000/", 20, Duration::from_millis(500))?;
        traffic.wait_for_good(began + 900_000, SOON)?;
        let sent: Vec<u64> = traffic.requests().iter().map(|request| request.sent).collect();
        // never before its time; what a busy machine delays is made up for
        let due = sent.iter().max().map_or(0, |last| 1 + (last - began) / 50_000) as usize;
        ensure!((due / 2..=due).contains(&sent.len()), "{} requests where {due} were due", sent.len());
        let hurt = lab::mono_us();
        lab.get("http://127.0.0.1:7000/mode/silent")?;
        lab.until(Duration::from_secs(5), || {
            let bad = traffic.requests().into_iter().filter(|r| r.sent > hurt && !r.good()).count();
            ensure!(bad > 2, "{bad} requests were not answered");
            Ok(())
        })?;
        traffic.stop().map(drop)
    })
}

#[test]
fn an_orphan_of_a_parent_that_never_reaps_becomes_a_zombie_that_systemd_does_not_see() -> Result<()> {
    play(|lab| {
        let more = "Type=forking\nPIDFile=/run/victim.pid";
        lab.service("victim.service", "/usr/local/bin/victim orphan 7000 /run/victim.pid", more)?;
        lab.until_answers("http://127.0.0.1:7000/", SOON)?;
        let main = lab.main_pid("victim.service")?;
        lab.kill("KILL", main)?;
        lab.until(Duration::from_secs(5), || {
            let stat = lab.read(&format!("/proc/{main}/stat"))?;
            ensure!(stat.contains(") Z "), "{stat}");
            Ok(())
        })?;
        assert_eq!(lab.property("victim.service", "ActiveState")?, "active");
        Ok(())
    })
}

#[test]
fn two_labs_live_side_by_side() -> Result<()> {
    play(|one| {
        play(|other| {
            one.nginx()?;
            other.nginx()?;
            ensure!(one.name() != other.name(), "two names");
            one.exec(&["systemctl", "stop", "nginx.service"])?;
            assert_eq!(other.get("http://127.0.0.1/")?.status, 200);
            one.get("http://127.0.0.1/").expect_err("it was stopped");
            Ok(())
        })
    })
}

#[test]
fn a_lab_that_ends_leaves_nothing() -> Result<()> {
    let lab = plan().boot()?;
    lab.nginx()?;
    let traces = Traces::of(&lab);
    ensure!(!traces.left().is_empty(), "a living lab leaves traces");
    lab.down()?;
    assert_eq!(traces.left(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_whose_creator_is_killed_leaves_nothing() -> Result<()> {
    let (mut creator, lab) = held()?;
    lab.nginx()?;
    let mut busy = lab.command("sleep").arg("1000").spawn().context("cannot run a command in the lab")?;
    let traces = Traces::of(&lab);
    ensure!(!traces.left().is_empty(), "a living lab leaves traces");
    creator.kill().context("cannot kill the creator")?;
    creator.wait().context("cannot wait for the creator")?;
    busy.wait().context("cannot wait for the command in the lab")?;
    traces.until_gone();
    assert_eq!(traces.left(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_whose_keeper_is_killed_is_cleared_away_by_the_next() -> Result<()> {
    let (mut creator, lab) = held()?;
    let traces = Traces::of(&lab);
    let keeper = lab.name().strip_prefix("lab-").and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    kill_process(keeper.context("the name holds no PID")?, Signal::KILL).context("cannot kill the keeper")?;
    let next = plan().boot()?;
    traces.until_gone();
    assert_eq!(traces.left(), Vec::<String>::new());
    creator.kill().context("cannot kill the creator")?;
    creator.wait().context("cannot wait for the creator")?;
    next.down()
}

/// A lab that another process has booted.
fn held() -> Result<(Child, Lab)> {
    let creator = Command::new(KEEPER).arg("hold").stdout(Stdio::piped()).spawn();
    let mut creator = creator.context("cannot start a creator")?;
    let mut name = String::new();
    let out = creator.stdout.take().context("the creator has no output")?;
    BufReader::new(out).read_line(&mut name).context("cannot hear the creator")?;
    let lab = Lab::attach(name.trim())?;
    Ok((creator, lab))
}

/// What a lab could leave behind.
struct Traces {
    name: String,
    cgroup: std::path::PathBuf,
    init: u32,
}

impl Traces {
    fn of(lab: &Lab) -> Traces {
        Traces { name: lab.name().into(), cgroup: lab.cgroup(""), init: lab.init() }
    }

    fn until_gone(&self) {
        let began = Instant::now();
        while !self.left().is_empty() && began.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }

    fn left(&self) -> Vec<String> {
        let state = format!("/run/watchdog-lab/{}", self.name);
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut left: Vec<String> =
            mounts.lines().filter(|m| m.contains(&state)).map(str::to_owned).collect();
        let init = format!("/proc/{}", self.init);
        let paths = [Path::new(&state), &self.cgroup, Path::new(&init)];
        left.extend(paths.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
        left
    }
}
