//! What the probes cost where they work hardest: nginx under as many new connections as two clients can make.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use ::lab::Lab;
use anyhow::{Context, Result, ensure};
use aya::programs::loaded_programs;
use rustix::process::{Pid, getpid};

use super::{
    LIMIT, empty, end,
    table::{Table, median, sorted},
};

/// Each is named as in `watchdog-ebpf`, with the nanoseconds that a run may cost.
const PROGRAMS: [(&str, f64); 7] = [
    ("exit", 250.0),
    ("signal", 250.0),
    ("state", 250.0),
    ("seed", 250.0),
    ("oom", 250.0),
    ("command", 250.0),
    ("egress", 300.0),
];
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// How long each measurement of nginx's throughput takes.
const MEASURED: Duration = Duration::from_secs(2);
const CLIENTS: u8 = 2;
/// That begin and end one after the other, as in a script.
const PROCESSES: u32 = 3_000;
const URL: &str = "http://127.0.0.1/";
const NGINX: &str = "system.slice/nginx.service";

const CONFIGURATION: &str = r#"
[service.web]
unit = "nginx.service"
[service.web.heartbeat]
url = "http://127.0.0.1/"
"#;

pub(super) fn measure(lab: &Lab, table: &mut Table, pairs: usize) -> Result<()> {
    lab.nginx()?;
    lab.first_good(URL, LIMIT)?;
    programs(lab, table)?;
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        // by turns, so that what warms up or wears off does so for both
        let (mut with, mut without) = (0, 0);
        for guarded in [pair % 2 == 0, pair % 2 != 0] {
            if guarded {
                let watchdog = guard(lab)?;
                with = connections(lab, MEASURED)?;
                end(watchdog)?;
            } else {
                without = connections(lab, MEASURED)?;
            }
        }
        ratios.push(with as f64 / without as f64 * 100.0);
    }
    if let Some((low, high)) = interval(&ratios) {
        table.at_least(
            &format!("nginx: new connections with watchdog, in % ({low:.1} to {high:.1})"),
            median(&ratios),
            97.0,
        );
    }
    Ok(())
}

fn guard(lab: &Lab) -> Result<::lab::Watchdog> {
    let watchdog = lab.watchdog(CONFIGURATION)?;
    let good = |e: &::lab::Event| e.is("heartbeat", "web") && e.data("verdict") == "alive";
    watchdog.wait_for("a good heartbeat", LIMIT, good)?;
    Ok(watchdog)
}

/// Nanoseconds a run, and the share of nginx's time.
fn programs(lab: &Lab, table: &mut Table) -> Result<()> {
    let statistics = Statistics::on()?;
    let watchdog = guard(lab)?;
    let of = watchdog.host_pid()?;
    let (connected, made, used) = counted(lab, of)?;
    let ended = processes(lab, of)?;
    end(watchdog)?;
    let empty = empty::attach(&lab.cgroup(NGINX))?;
    let floor = (counted(lab, getpid())?.0, processes(lab, getpid())?);
    drop(empty);
    drop(statistics);
    let mut spent = Spent::default();
    let mut net = 0.0;
    for (name, promised) in PROGRAMS {
        let of = |all: &Runs, name: &str| all.get(name).copied().unwrap_or_default();
        let twin = |all: &Runs| empty::twin(name).map_or(Spent::default(), |twin| of(all, twin));
        let here = of(&connected, name);
        spent = spent.and(here);
        // an empty program of the same hook in the same traffic takes what is none of the probe's doing
        net += here.nanoseconds - here.runs as f64 * twin(&floor.0).mean().unwrap_or(0.0);
        let all = here.and(of(&ended, name));
        if let Some(mean) = all.mean() {
            let of_it = twin(&floor.0).and(twin(&floor.1)).mean();
            let of_it = of_it.map_or(String::new(), |mean| format!(", {mean:.0} if it were empty"));
            table.at_most(&format!("nanoseconds a run of {name} ({} runs{of_it})", all.runs), mean, promised);
        }
    }
    let states = connected.get("state").map_or(0.0, |state| state.runs as f64 / made as f64);
    table.row(
        &format!("probes with their statistics, in % of nginx's CPU time ({made} connections)"),
        &[spent.nanoseconds / used * 100.0],
        None,
    );
    // conservative: what the client's end of each connection takes is nothing that nginx's host has to bear
    let name = format!("probes alone, both ends of each connection ({states:.1} runs of state), in %");
    table.at_most(&name, net / used * 100.0, 2.0);
    Ok(())
}

/// What ran while nginx was asked, how many connections that were, and the nanoseconds that nginx took.
fn counted(lab: &Lab, of: Pid) -> Result<(Runs, u64, f64)> {
    let before = (runs(of)?, cpu(lab)?);
    let made = connections(lab, MEASURED * 5)?;
    Ok((since(&before.0, of)?, made, cpu(lab)? - before.1))
}

/// What ran while processes began and ended, one after the other.
fn processes(lab: &Lab, of: Pid) -> Result<Runs> {
    let before = runs(of)?;
    lab.sh(&format!("for i in $(seq {PROCESSES}); do /bin/true; done"))?;
    since(&before, of)
}

/// By the names of programs.
type Runs = BTreeMap<String, Spent>;

#[derive(Clone, Copy, Default)]
struct Spent {
    runs: u64,
    nanoseconds: f64,
}

impl Spent {
    fn and(self, other: Spent) -> Spent {
        Spent { runs: self.runs + other.runs, nanoseconds: self.nanoseconds + other.nanoseconds }
    }

    fn mean(self) -> Option<f64> {
        (self.runs > 0).then(|| self.nanoseconds / self.runs as f64)
    }
}

/// What ran since then.
fn since(before: &Runs, of: Pid) -> Result<Runs> {
    let less = |name: &String, now: Spent| {
        let then = before.get(name).copied().unwrap_or_default();
        let runs = now.runs.saturating_sub(then.runs);
        Spent { runs, nanoseconds: now.nanoseconds - then.nanoseconds }
    };
    Ok(runs(of)?.into_iter().map(|(name, now)| (name.clone(), less(&name, now))).collect())
}

/// What ran of a process's programs how often, and for how many nanoseconds: others may have loaded some of the same names.
fn runs(of: Pid) -> Result<Runs> {
    let ours = program_ids(of)?;
    let all = loaded_programs().filter_map(Result::ok).filter(|program| ours.contains(&program.id()));
    let named = all.filter_map(|program| {
        let nanoseconds = program.run_time().as_nanos() as f64;
        let spent = Spent { runs: program.run_count(), nanoseconds };
        Some((program.name_as_str()?.to_owned(), spent))
    });
    Ok(named.collect())
}

/// The programs in the kernel that a process holds descriptors of.
fn program_ids(of: Pid) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{}/fdinfo", of.as_raw_nonzero());
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        // the one by which this folder is listed may be gone
        let Ok(text) = fs::read_to_string(entry.context("cannot list descriptors")?.path()) else { continue };
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

/// Nanoseconds that nginx has used.
fn cpu(lab: &Lab) -> Result<f64> {
    let path = lab.cgroup(NGINX).join("cpu.stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    let used: u64 = used.context("no usage_usec")?.trim().parse().context("no number")?;
    Ok(used as f64 * 1000.0)
}

/// How many connections two clients get answered, each a new one.
fn connections(lab: &Lab, time: Duration) -> Result<u64> {
    lab.in_network(|| {
        let until = Instant::now() + time;
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|client| scope.spawn(move || client_of(client, until))).collect();
            let mut all = 0;
            for client in clients {
                all += client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            ensure!(all > 0, "nginx answers nobody");
            Ok(all)
        })
    })?
}

/// To many addresses, for each has its own ports.
fn client_of(number: u8, until: Instant) -> Result<u64> {
    let mut made = 0_u64;
    let mut answer = Vec::new();
    while Instant::now() < until {
        let last = (made % 200) as u8 + 1;
        let mut server =
            TcpStream::connect(SocketAddr::from(([127, 0, number, last], 80))).context("cannot connect")?;
        server.write_all(b"GET / HTTP/1.0\r\n\r\n").context("cannot send")?;
        answer.clear();
        server.read_to_end(&mut answer).context("cannot read")?;
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "no good answer");
        made += 1;
    }
    Ok(made)
}

/// Of the median, with 95 % confidence: by the binomial distribution, whatever that of the values is.
fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    let n = sorted.len() as f64;
    let rank = ((n - 1.96 * n.sqrt()) / 2.0).floor().max(0.0) as usize;
    Some((*sorted.get(rank)?, *sorted.get(sorted.len().checked_sub(rank + 1)?)?))
}

/// The kernel's own measurement of all programs, as long as this lives.
struct Statistics {
    before: String,
}

impl Statistics {
    fn on() -> Result<Statistics> {
        let before = fs::read_to_string(STATISTICS).with_context(|| format!("cannot read {STATISTICS}"))?;
        fs::write(STATISTICS, "1").with_context(|| format!("cannot write {STATISTICS}"))?;
        Ok(Statistics { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(fault) = fs::write(STATISTICS, self.before.trim()) {
            eprintln!("cannot write {STATISTICS}: {fault}");
        }
    }
}
