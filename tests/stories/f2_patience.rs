//! Clients that take their time, and servers that are well: nothing is restarted, no heartbeat says dead, and suspicions that
//! are answered alive grow quiet.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{Backend, Lab, Stream};
use rustix::process::Signal;

use crate::stage::{SELDOM, SOON, Stage, WEB, is_dead, not_restarted, play, victim};

/// How long each story's clients go on in CI; `WATCHDOG_PATIENCE` asks for more seconds (600 at night).
const SECONDS: u64 = 20;

/// Reloads in CI; 50 are asked for, and at night there are as many as there is time for.
const RELOADS: usize = 50;

const SITE: &str = "server {
    listen 80 default_server;
    root /var/www/html;
    location /upload { client_max_body_size 0; proxy_pass http://127.0.0.1:7001/; }
}
";

fn seconds() -> Result<Duration> {
    let asked = std::env::var("WATCHDOG_PATIENCE").ok().map(|n| n.parse()).transpose();
    Ok(Duration::from_secs(asked.context("cannot read WATCHDOG_PATIENCE: give seconds")?.unwrap_or(SECONDS)))
}

#[test]
#[expect(clippy::print_stdout, reason = "the test prints what it measured")]
fn d10_reloads_under_load_are_no_failures() -> Result<()> {
    play(|lab| {
        let fpm = lab.apache_with_php(Backend::Unix, 8080)?;
        lab.nginx()?;
        let units = ["nginx.service", "apache2.service", &fpm];
        let more = |name: &str, unit: &str, url: &str| {
            format!(
                "[service.{name}]\nunit = \"{unit}\"\n[service.{name}.heartbeat]\nurl = \"{url}\"\n{SELDOM}"
            )
        };
        let configuration = more("web", units[0], "http://127.0.0.1/")
            + &more("apache", units[1], "http://127.0.0.1:8080/plain.html")
            + &more("php", units[2], "http://127.0.0.1:8080/heartbeat.php");
        let services = ["web", "apache", "php"];
        let watchdog = lab.guard(&configuration, &services)?;
        let mains = units.map(|unit| lab.main_pid(unit).ok());
        let load = [
            lab.traffic("http://127.0.0.1/", 50, SOON)?,
            lab.traffic("http://127.0.0.1:8080/heartbeat.php", 20, SOON)?,
        ];
        let (until, mut reloads) = (Instant::now() + seconds()?, 0);
        while reloads < RELOADS || Instant::now() < until {
            lab.exec(&["systemctl", "reload", units[0], units[1]])?;
            // php-fpm drops requests at each reload: one after the other would be a failure indeed
            if reloads % 10 == 5 {
                lab.exec(&["systemctl", "reload", units[2]])?;
            }
            reloads += 1;
        }
        for traffic in load {
            traffic.wait_for_good(lab::mono_us(), SOON)?;
            let requests = traffic.stop()?;
            let good = requests.iter().filter(|request| request.good()).count();
            println!("{reloads} reloads: {good} of {} requests were answered well", requests.len());
            ensure!(good * 10 >= requests.len() * 9, "the load was not served");
        }
        assert_eq!(units.map(|unit| lab.main_pid(unit).ok()), mains, "no main process is another");
        for service in services {
            left_alone(&watchdog, service)?;
        }
        // workers that leave end well, and are not worth a question
        let left = watchdog.events().into_iter().find(|e| e.data("why")["worker_exit"].is_object());
        ensure!(
            left.is_none(),
            "a worker that left was a suspicion: {}",
            left.map_or_else(String::new, |e| e.0.to_string())
        );
        Ok(())
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "the test prints what it measured")]
fn f2_slow_clients_and_bursts_restart_nothing_and_their_suspicions_grow_quiet() -> Result<()> {
    play(|lab| {
        for (name, port) in [("polls", 7001), ("burst", 7002), ("idle", 7003)] {
            lab.victim(name, port, "")?;
        }
        lab.sh("echo 'It works!' > /var/www/html/index.html; rm -f /etc/nginx/sites-enabled/*")?;
        lab.write("/etc/nginx/sites-enabled/lab", SITE)?;
        lab.start("nginx.service")?;
        let victims = [("polls", 7001), ("burst", 7002), ("idle", 7003)]
            .map(|(name, port)| victim(name, port) + SELDOM)
            .concat();
        let services = ["web", "polls", "burst", "idle"];
        let watchdog = lab.guard(&format!("{WEB}{SELDOM}{victims}"), &services)?;
        let unit = |service: &str| {
            if service == "web" { "nginx.service".into() } else { format!("{service}.service") }
        };
        let mains: Vec<u32> =
            services.iter().map(|service| lab.main_pid(&unit(service))).collect::<Result<_>>()?;
        let (began, time) = (lab::mono_us(), seconds()?);

        let until = Instant::now() + time;
        let clients: [fn(Instant) -> Result<()>; 6] = [loris, upload, polls, sockets, short, short];
        let network: &Lab = lab;
        thread::scope(|scope| {
            let clients = clients.map(|client| scope.spawn(move || network.in_network(|| client(until))?));
            let bursts = bursts(lab, until);
            for client in clients {
                client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            bursts
        })?;

        for (service, main) in services.iter().zip(mains) {
            left_alone(&watchdog, service)?;
            assert_eq!(lab.main_pid(&unit(service))?, main, "{service} has another main process");
            let asked = asked(&watchdog, service, began);
            println!("{service}: asked at {asked:?} s");
            grow_quiet(&watchdog, service, asked.len(), time)?;
        }
        ensure!(asked(&watchdog, "idle", began).is_empty(), "an idle service is asked");
        let polled = asked(&watchdog, "polls", began).len();
        ensure!(polled >= 3, "{polled} suspicions of long polls show nothing of their quiet");
        Ok(())
    })
}

/// No restart and no dead verdict.
fn left_alone(watchdog: &Stream, service: &str) -> Result<()> {
    not_restarted(watchdog, service)?;
    match watchdog.events().iter().find(|e| is_dead(e, service)) {
        None => Ok(()),
        Some(dead) => Err(anyhow::anyhow!("a heartbeat of {service} says dead: {}", dead.0)),
    }
}

/// When a service was asked, in seconds after `began`, once for each incident.
fn asked(watchdog: &Stream, service: &str, began: u64) -> Vec<f64> {
    let mut seen = BTreeSet::new();
    let events = watchdog.events();
    let heartbeats = events.iter().filter(|e| e.is("heartbeat", service));
    let times = heartbeats.filter(|e| seen.insert(e.data("incident").to_string()));
    let times = times.filter_map(|e| e.data("began_us").as_u64()?.checked_sub(began));
    times.map(|us| us as f64 / 1e6).collect()
}

/// As often as pauses of 1, 2, 4 … 60 s allow, and once more for each other kind of suspicion.
fn grow_quiet(watchdog: &Stream, service: &str, asked: usize, time: Duration) -> Result<()> {
    let (mut allowed, mut pause, mut left) = (1, 1, time.as_secs() + 1);
    while left >= pause {
        (allowed, left, pause) = (allowed + 1, left - pause, 60.min(pause * 2));
    }
    let events = watchdog.events();
    let suspicions = events.iter().filter(|e| e.is("suspicion", service));
    let kinds: BTreeSet<String> =
        suspicions.filter_map(|e| Some(e.data("why").as_object()?.keys().next()?.clone())).collect();
    let allowed = allowed + kinds.len().saturating_sub(1);
    ensure!(asked <= allowed, "{service} was asked {asked} times for {kinds:?}, not {allowed} at most");
    Ok(())
}

/// Headers that come byte by byte and never end.
fn loris(until: Instant) -> Result<()> {
    crawl(80, 30, b"GET / HTTP/1.1\r\nHost: lab\r\nX: ", until)
}

/// Bodies that come byte by byte.
fn upload(until: Instant) -> Result<()> {
    crawl(80, 10, b"POST /upload HTTP/1.1\r\nHost: lab\r\nContent-Length: 1000000\r\n\r\n", until)
}

/// Websockets on which clients alone speak.
fn sockets(until: Instant) -> Result<()> {
    crawl(7001, 10, b"GET /socket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", until)
}

fn crawl(port: u16, count: usize, begin: &[u8], until: Instant) -> Result<()> {
    let open = || -> Result<TcpStream> {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        client.write_all(begin)?;
        Ok(client)
    };
    let mut clients = (0..count).map(|_| open()).collect::<Result<Vec<_>>>()?;
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(500));
        for client in &mut clients {
            // a server may have had enough of one
            if client.write_all(b"x").is_err() {
                *client = open()?;
            }
        }
    }
    Ok(())
}

/// Ten that wait two seconds for each answer.
fn polls(until: Instant) -> Result<()> {
    thread::scope(|scope| {
        let poll = || -> Result<()> {
            while Instant::now() < until {
                ask(7001, "/wait/2000")?;
            }
            Ok(())
        };
        let polls: [_; 10] = std::array::from_fn(|_| scope.spawn(poll));
        polls
            .into_iter()
            .try_for_each(|poll| poll.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// 250 connections a second, each for one request.
fn short(until: Instant) -> Result<()> {
    let mut next = Instant::now();
    while Instant::now() < until {
        ask(80, "/")?;
        next += Duration::from_millis(4);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn ask(port: u16, path: &str) -> Result<()> {
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.set_read_timeout(Some(SOON))?;
    client.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{path} was not answered");
    Ok(())
}

/// Every three seconds the server stands still for long enough to be suspect, while clients come; then it drains them.
fn bursts(lab: &Stage, until: Instant) -> Result<()> {
    while Instant::now() < until {
        lab.kill_all(Signal::STOP, "burst.service")?;
        let clients = lab.in_network(|| {
            let clients = (0..60).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, 7002)));
            let clients: Vec<_> = clients.collect::<Result<_, _>>()?;
            thread::sleep(Duration::from_millis(400));
            anyhow::Ok(clients)
        })?;
        lab.kill_all(Signal::CONT, "burst.service")?;
        drop(clients?);
        thread::sleep(Duration::from_secs(3));
    }
    Ok(())
}
