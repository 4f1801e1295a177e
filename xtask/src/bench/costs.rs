//! What the probes cost where they work hardest: nginx under as many new connections as two clients can make.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use ::lab::Lab;
use anyhow::{Context, Result, ensure};
use aya::programs::loaded_programs;

use super::{
    LIMIT, end,
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
    let before = (runs(), cpu(lab)?);
    let made = connections(lab, MEASURED * 5)?;
    let after = (runs(), cpu(lab)?);
    lab.sh(&format!("for i in $(seq {PROCESSES}); do /bin/true; done"))?;
    let ended = runs();
    end(watchdog)?;
    drop(statistics);
    let mut spent = 0.0;
    for (name, promised) in PROGRAMS {
        let figure = |at: &BTreeMap<String, (u64, f64)>| at.get(name).copied().unwrap_or_default();
        let (first, then, last) = (figure(&before.0), figure(&after.0), figure(&ended));
        spent += then.1 - first.1;
        if last.0 > first.0 {
            let mean = (last.1 - first.1) / (last.0 - first.0) as f64;
            let runs = last.0 - first.0;
            table.at_most(&format!("nanoseconds a run of {name} ({runs} runs)"), mean, promised);
        }
    }
    let share = spent / (after.1 - before.1) * 100.0;
    table.at_most(&format!("probes, in % of nginx's CPU time ({made} connections)"), share, 2.0);
    Ok(())
}

/// What ran how often, and for how many nanoseconds.
fn runs() -> BTreeMap<String, (u64, f64)> {
    let mut all = BTreeMap::new();
    for program in loaded_programs().filter_map(Result::ok) {
        let Some(name) = program.name_as_str() else { continue };
        // the last one loaded bears the name of ours: nobody else loads any meanwhile
        all.insert(name.to_owned(), (program.run_count(), program.run_time().as_nanos() as f64));
    }
    all
}

/// Nanoseconds that nginx has used.
fn cpu(lab: &Lab) -> Result<f64> {
    let path = lab.cgroup("system.slice/nginx.service").join("cpu.stat");
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
