//! Scripts of timed signs against expected findings. A script line is `TIME WORDS`; TIME is in milliseconds. Between two lines
//! the room is woken whenever it wants to be. A script begins with its services: `NAME UNIT CONNECT… [accept=MS] [unasked] [blind]`.

mod errors;
mod lately;
mod owners;
mod processes;
mod quiet;
mod storms;

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use expect_test::Expect;

use super::{Settings, Suspicions, Watched};
use crate::model::*;

/// Runs a script and compares what was found.
fn check(services: &str, script: &str, expect: Expect) {
    let mut world =
        World { room: Suspicions::new(settings(services)), now: Mono(0), log: String::new(), quiet: false };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (time, words) = line.split_once(' ').expect("TIME WORDS");
        world.sleep_until(ms(time.parse().expect("milliseconds")));
        let _ = writeln!(world.log, "> {line}");
        world.say(words);
    }
    expect.assert_eq(&world.log);
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

/// `web web.service own:80 127.0.0.1:81 unix:/run/x dns:443 accept=100`, parted by `;`.
fn settings(text: &str) -> Settings {
    let services = text.split(';').map(|service| {
        let mut words = service.split_whitespace();
        let name = Service::new(words.next().expect("a name"));
        let mut watched = Watched {
            unit: words.next().expect("a unit").parse().expect("a unit"),
            connects: vec![],
            asked: true,
            accept_after: Duration::from_millis(250),
            answer_after: Duration::from_secs(1),
            status_5xx: true,
        };
        for word in words {
            if let Some(ms) = word.strip_prefix("accept=") {
                watched.accept_after = Duration::from_millis(ms.parse().expect("milliseconds"));
            } else if word == "unasked" {
                watched.asked = false;
            } else if word == "blind" {
                watched.status_5xx = false;
            } else if let Some(port) = word.strip_prefix("own:") {
                watched.connects.push((Connect::Own, port.parse().expect("a port")));
            } else if let Some(port) = word.strip_prefix("dns:") {
                watched.connects.push((Connect::Dns, port.parse().expect("a port")));
            } else if let Some(path) = word.strip_prefix("unix:") {
                watched.connects.push((Connect::Unix(path.into()), 0));
            } else {
                let address: SocketAddr = word.parse().expect("an address");
                watched.connects.push((Connect::Address(address), address.port()));
            }
        }
        (name, watched)
    });
    Settings { services: services.collect() }
}

struct World {
    room: Suspicions,
    now: Mono,
    log: String,
    /// Only suspicions are told.
    quiet: bool,
}

impl World {
    fn sleep_until(&mut self, then: Mono) {
        assert!(then >= self.now, "a script goes forward");
        while let Some(at) = self.room.wake_at().filter(|at| *at <= then) {
            assert!(at >= self.now, "woken in the past");
            self.now = at;
            let found = self.room.wake(at);
            assert!(self.room.wake_at() != Some(at), "woken for nothing at {at}: {}", self.log);
            self.tell(found);
        }
        self.now = then;
    }

    fn say(&mut self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let found = match words.as_slice() {
            ["only", "suspicions"] => {
                self.quiet = true;
                vec![]
            }
            ["settings", rest @ ..] => self.room.replace(settings(&rest.join(" "))),
            [verdict @ ("alive" | "dead" | "unknown"), service, rest @ ..] => {
                let began = match rest {
                    [] => self.now,
                    ["began", at] => ms(at.parse().expect("milliseconds")),
                    other => panic!("what is {other:?}"),
                };
                let verdict = match *verdict {
                    "alive" => Verdict::Alive,
                    "dead" => Verdict::Dead,
                    _ => Verdict::Unknown,
                };
                self.room.answered(self.now, &Service::new(service), began, verdict);
                vec![]
            }
            ["inherit", unit, cgroup, main] => {
                let cgroup = CgroupId(cgroup.parse().expect("a cgroup"));
                let mut left = Watch::default();
                left.cgroups.insert(cgroup, vec![main.parse().expect("a PID")]);
                left.units.insert(cgroup, unit.parse().expect("a unit"));
                self.room.inherit(&left);
                vec![Finding::Watch(self.room.watch().clone())]
            }
            ["address", service, port] => {
                let port = port.parse().expect("a port");
                let address = self.room.own_address(&Service::new(service), port);
                let _ = writeln!(self.log, "  {address}");
                vec![]
            }
            ["places", service] => {
                for place in self.room.own_places(&Service::new(service)) {
                    let _ = writeln!(self.log, "  {}", text(&place));
                }
                vec![]
            }
            sign => {
                let sign = Sign { at: self.now, source: Source::Ebpf, saw: saw(sign) };
                self.room.step(self.now, &sign)
            }
        };
        self.tell(found);
    }

    fn tell(&mut self, found: Vec<Finding>) {
        for finding in found {
            let told = match finding {
                Finding::Suspicion(suspicion) => {
                    let (now, at) = (Duration::from_nanos(self.now.0), Duration::from_nanos(suspicion.at.0));
                    format!("{now:?} {}, since {at:?}: {}", suspicion.service, why(&suspicion.why))
                }
                Finding::Watch(_) | Finding::AskListeners | Finding::Fronts { .. } if self.quiet => continue,
                Finding::Watch(watch) => watching(&watch),
                Finding::AskListeners => "ask for the listeners".to_owned(),
                Finding::Asked { service, job, by } => {
                    let by: Vec<String> = by.iter().map(|run| format!("{} {}", run.pid, run.comm)).collect();
                    format!("{service}: job {job} may be asked for by [{}]", by.join(", "))
                }
                Finding::Fronts { service, fronts } => {
                    let fronts: Vec<&str> = fronts.iter().map(Service::as_str).collect();
                    format!("{service} is asked through [{}]", fronts.join(" "))
                }
            };
            let _ = writeln!(self.log, "  {told}");
        }
    }
}

fn why(why: &Why) -> String {
    let ended = |exit: &Exit, sent: &Option<SignalSent>| {
        let sent = match sent {
            None => String::new(),
            Some(SignalSent { signal, sender: Sender::Kernel, .. }) => {
                format!(", signal {signal} sent by the kernel")
            }
            Some(SignalSent { signal, sender: Sender::OomKiller, .. }) => {
                format!(", signal {signal} for want of memory")
            }
            Some(SignalSent { signal, sender: Sender::Process { pid, .. }, .. }) => {
                format!(", signal {signal} sent by {pid}")
            }
        };
        let cause = exit.cause.map_or("not known how".to_owned(), |cause| format!("{cause:?}"));
        format!("process {} ended: {cause}{sent}", exit.pid)
    };
    match why {
        Why::MainExit { exit, sent } => format!("main {}", ended(exit, sent)),
        Why::WorkerExit { exit, sent } => ended(exit, sent),
        Why::WorkerStorm(storm) => format!("{} deaths of processes within {:?}", storm.deaths, storm.within),
        Why::AcceptStall(stall) => format!("accepts stall on {}", stall.port),
        Why::AnswerStall(stall) => format!("answers stall on {}", stall.port),
        Why::ListenerLost(port) => format!("nothing listens on {port}"),
        Why::UnixStall(stall) => format!("accepts stall on {}", stall.path.display()),
        Why::OomKill(killed) => format!("process {} is killed for want of memory", killed.pid),
        Why::Stopped(sent) => format!("process {} is stopped", sent.pid),
        Why::ServerErrors(errors) => format!("{} errors on {}", errors.errors, errors.port),
        Why::LogErrors(errors) => format!("{} errors in {}", errors.errors, errors.path.display()),
        Why::InUse => "in use".to_owned(),
        Why::Loss => "signs were lost".to_owned(),
    }
}

fn watching(watch: &Watch) -> String {
    let cgroup = |(cgroup, mains): (&CgroupId, &Vec<u32>)| {
        let mains: Vec<String> = mains.iter().map(u32::to_string).collect();
        if mains.is_empty() { cgroup.0.to_string() } else { format!("{}:{}", cgroup.0, mains.join(",")) }
    };
    let cgroups: Vec<String> = watch.cgroups.iter().map(cgroup).collect();
    let port = |(port, how): (&Port, &WatchedPort)| format!("{port} ({:?})", how.accept_after);
    let ports: Vec<String> = watch.ports.iter().map(port).collect();
    let answers: Vec<&str> = watch.answers.iter().map(String::as_str).collect();
    let answers =
        if answers.is_empty() { String::new() } else { format!(", answers of {}", answers.join(" ")) };
    let paths = watch.unix.iter().map(|(path, after)| format!(", {} ({after:?})", path.display()));
    let paths: String = paths.collect();
    format!("watch cgroups [{}], ports [{}]{paths}{answers}", cgroups.join(" "), ports.join(" "))
}

fn text(place: &Place) -> String {
    match place {
        Place::Tcp(address) => address.to_string(),
        Place::Unix(path) => path.display().to_string(),
    }
}

fn saw(words: &[&str]) -> Saw {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let port = |text: &str| Port(text.parse().expect("a port"));
    let stall = |text: &str| Stall { port: port(text), age: Duration::from_millis(250), waiting: 1 };
    match words {
        ["unit", name, rest @ ..] => Saw::Unit(Box::new(unit(name, rest))),
        ["exit", cgroup, pid, how, what] => {
            let what = u8::try_from(number(what)).expect("a byte");
            let cause = match *how {
                "code" => Cause::Code(what),
                "signal" => Cause::Signal { signal: what, core: false },
                other => panic!("cause {other}"),
            };
            let pid = u32::try_from(number(pid)).expect("a PID");
            Saw::Exit(Exit {
                cgroup: CgroupId(number(cgroup)),
                pid,
                cause: Some(cause),
                comm: "web".into(),
                more: 0,
            })
        }
        ["sent", cgroup, pid, signal, "by", sender] => Saw::SignalSent(SignalSent {
            cgroup: CgroupId(number(cgroup)),
            pid: u32::try_from(number(pid)).expect("a PID"),
            signal: u8::try_from(number(signal)).expect("a signal"),
            sender: match *sender {
                "kernel" => Sender::Kernel,
                pid => Sender::Process {
                    pid: u32::try_from(number(pid)).expect("a PID"),
                    uid: 0,
                    comm: "kill".into(),
                    cgroup: CgroupId(99),
                    unit: String::new(),
                },
            },
            more: 0,
        }),
        ["ran", pid, comm] => Saw::CommandRun(CommandRun {
            pid: u32::try_from(number(pid)).expect("a PID"),
            comm: (*comm).into(),
            uid: 0,
            cgroup: CgroupId(99),
            unit: String::new(),
        }),
        ["job", id, unit, kind] => {
            let step = match *kind {
                "stop" => JobStep::New(Some(JobKind::Stop)),
                "restart" => JobStep::New(Some(JobKind::Restart)),
                "start" => JobStep::New(Some(JobKind::Start)),
                "over" => JobStep::Removed { result: JobResult::Done, active: ActiveState::Inactive },
                other => panic!("job {other}"),
            };
            let id = u32::try_from(number(id)).expect("a job");
            Saw::Job(Job { unit: unit.parse().expect("a unit"), id, step })
        }
        ["oom", cgroup, pid] => Saw::OomKill(OomKill {
            cgroup: CgroupId(number(cgroup)),
            pid: u32::try_from(number(pid)).expect("a PID"),
            comm: "web".into(),
        }),
        ["listeners", rest @ ..] => Saw::Listeners(rest.iter().map(|text| listener(text)).collect()),
        ["up", at] => Saw::ListenerUp(port(at)),
        ["down", at, left] => Saw::ListenerDown { port: port(at), left: left.parse().expect("a number") },
        ["accept", at] => Saw::AcceptStall(stall(at)),
        ["queue", path] => {
            Saw::UnixStall(UnixStall { path: path.into(), age: Duration::from_millis(250), waiting: 1 })
        }
        ["answer", at] => Saw::AnswerStall(stall(at)),
        ["over", at] => Saw::StallOver(port(at)),
        ["errors", cgroup, at, errors] => Saw::ServerErrors(ServerErrors {
            cgroup: CgroupId(number(cgroup)),
            port: port(at),
            status: 502,
            errors: errors.parse().expect("a number"),
        }),
        ["in_use", at] => Saw::InUse(port(at)),
        ["log", service, errors, lines] => Saw::LogErrors(LogErrors {
            service: Service::new(service),
            path: "/var/log/access.log".into(),
            errors: errors.parse().expect("a number"),
            lines: lines.parse().expect("a number"),
        }),
        ["loss"] => Saw::Loss(Loss { lost: 1, place: "ring buffer".into() }),
        ["works"] => Saw::Working { works: true, why: String::new() },
        other => panic!("not a word of the script: {other:?}"),
    }
}

/// `0.0.0.0:80@7`: an address or a path, and the cgroup that listens there.
fn listener(text: &str) -> Listener {
    let (place, cgroup) = text.split_once('@').expect("PLACE@CGROUP");
    let place = match place.parse() {
        Ok(address) => Place::Tcp(address),
        Err(_) => Place::Unix(place.into()),
    };
    Listener { place, cgroup: Some(CgroupId(cgroup.parse().expect("a cgroup"))), queue: 0, limit: 128 }
}

/// `run=N`, `cgroup=N`, `path=PATH`, `main=PID`, `down`.
fn unit(name: &str, words: &[&str]) -> UnitState {
    let mut unit = UnitState {
        unit: name.parse().expect("a unit"),
        load: LoadState::Loaded,
        file: FileState::Other,
        active: ActiveState::Active,
        sub: String::new(),
        incarnation: None,
        main_pid: None,
        cgroup: None,
        cgroup_path: String::new(),
        job: None,
        main_ended: None,
        result: "success".into(),
        restart: RestartOn::No,
        restart_pause: Duration::ZERO,
        restarts: 0,
        stop_timeout: None,
        start_timeout: None,
        start_limit_burst: 0,
        start_limit_interval: Duration::ZERO,
        socket_activated: false,
        oneshot: false,
        success: Ends::default(),
        prevent: Ends::default(),
        force: Ends::default(),
        pid_file: None,
        program: None,
        came_up: true,
        stopped_first: false,
    };
    for word in words {
        match word.split_once('=') {
            Some(("run", run)) => unit.incarnation = Some(Incarnation([run.parse().expect("a run"); 16])),
            Some(("cgroup", cgroup)) => unit.cgroup = Some(CgroupId(cgroup.parse().expect("a cgroup"))),
            Some(("main", pid)) => unit.main_pid = Some(pid.parse().expect("a PID")),
            Some(("path", path)) => unit.cgroup_path = path.into(),
            None if *word == "down" => unit.active = ActiveState::Failed,
            _ => panic!("word {word}"),
        }
    }
    unit
}
