//! Scripts of timed inputs against expected logs. A script line is `TIME WORDS`; TIME is in milliseconds. Between two lines the
//! policy is woken whenever it wants to be.

mod answers;
mod back;
mod budgets;
mod common;
mod crossing;
mod depends;
mod ends;
mod evidence;
mod found_down;
mod gates;
mod heartbeats;
mod holds;
mod intent;
mod jobs;
mod ladder;
mod loops;
mod missed;
mod needs;
mod operator;
mod pid_files;
mod preflight;
mod random;
mod reload;
mod reminders;
mod table;
mod unreaped;
mod waits;
mod words;

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use expect_test::Expect;

use self::words::{decision, others, pressure, state, unit};
use super::{Guard, Host, Input, Ladder, Policy, Pulse, Settings, StalePidFile, settings::Gates};
use crate::model::*;

/// Runs a script against a host with the services `web` (unit web.service) and, where the script names it, `app`.
fn check(script: &str, expect: Expect) {
    check_with(|_| {}, script, expect);
}

fn check_with(change: impl FnOnce(&mut Settings), script: &str, expect: Expect) {
    expect.assert_eq(&log_of(change, script));
}

fn log_of(change: impl FnOnce(&mut Settings), script: &str) -> String {
    let mut settings = settings(script.contains(" app "));
    change(&mut settings);
    let mut world = World::new(settings);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (time, words) = line.split_once(' ').expect("TIME WORDS");
        world.sleep_until(ms(time.parse().expect("milliseconds")));
        let _ = writeln!(world.log, "> {line}");
        world.say(words);
    }
    world.log
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn settings(two: bool) -> Settings {
    let gates = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for: Duration::from_secs(120) };
    let host = Host {
        observe: false,
        concurrent_restarts: 1,
        restarts: 20,
        within: Duration::from_secs(600),
        gates,
        record: None,
    };
    let mut services = std::collections::BTreeMap::from([(Service::new("web"), guard("web.service"))]);
    if two {
        services.insert(Service::new("app"), guard("app.service"));
    }
    Settings { host, services }
}

fn guard(unit: &str) -> Guard {
    Guard {
        unit: unit.parse().unwrap(),
        group: None,
        depends_on: vec![],
        only_if_enabled: true,
        preflight: None,
        pid_file: None,
        stale_pid_file: StalePidFile::Keep,
        heartbeats: vec![Pulse {
            timeout: Duration::from_secs(3),
            failures: 2,
            retry_after: Duration::from_millis(200),
            every: Duration::from_secs(3600),
            every_in_use: Duration::from_secs(5),
            on_failure: OnFailure::Restart,
        }],
        on: RestartOn::OnFailure,
        stop_timeout: Some(Duration::from_secs(5)),
        start_timeout: Some(Duration::from_secs(5)),
        grace: Duration::from_secs(10),
        burst: 3,
        within: Duration::from_secs(300),
        backoff: Duration::from_secs(1),
        backoff_max: Duration::from_secs(300),
        stable: Duration::from_secs(600),
        ladder: Ladder {
            reboot: false,
            reboot_after: Duration::from_secs(1800),
            reboot_every: Duration::from_secs(3600),
        },
    }
}

struct World {
    policy: Policy,
    now: Mono,
    asks: VecDeque<Ask>,
    acts: VecDeque<Act>,
    looks: VecDeque<Look>,
    /// Who else is at work: known at once, whenever it is asked.
    others: Others,
    log: String,
}

impl World {
    fn new(settings: Settings) -> World {
        World {
            policy: Policy::new(Mono(0), settings, 7),
            now: Mono(0),
            asks: VecDeque::new(),
            acts: VecDeque::new(),
            looks: VecDeque::new(),
            others: others(&[]),
            log: String::new(),
        }
    }

    fn sleep_until(&mut self, then: Mono) {
        assert!(then >= self.now, "a script goes forward");
        while let Some(at) = self.policy.wake_at().filter(|at| *at <= then) {
            assert!(at >= self.now || self.now == Mono(0), "woken in the past: {at} at {}", self.now);
            self.now = self.now.max(at);
            self.put(Input::Wake);
            assert!(self.policy.wake_at() != Some(at), "woken for nothing at {at}: {}", self.log);
        }
        self.now = then;
    }

    fn put(&mut self, input: Input) {
        let mut answered = Vec::new();
        for order in self.policy.step(self.now, input) {
            let at = Duration::from_nanos(self.now.0);
            let told = match order {
                Order::Ask(ask) => {
                    let told = format!("ask {}", ask.service);
                    self.asks.push_back(ask);
                    told
                }
                Order::Act(act) => {
                    let told = format!("act {}: {:?}", act.service, act.action);
                    self.acts.push_back(act);
                    told
                }
                Order::Look(Look { id: order, service, question: Question::Others, .. }) => {
                    let (at, known) = (self.now, Known::Others(Box::new(self.others.clone())));
                    answered.push(Fact { order, service, at, known });
                    continue;
                }
                Order::Look(look) => {
                    let told = format!("look {}: {:?}", look.service, look.question);
                    self.looks.push_back(look);
                    told
                }
                Order::Tell(tell) => format!("{}: {}", tell.service, decision(&tell.decision)),
            };
            let _ = writeln!(self.log, "  {at:?} {told}");
        }
        answered.into_iter().for_each(|fact| self.put(Input::Fact(fact)));
    }

    fn say(&mut self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let (service, words) = match words.as_slice() {
            ["app", rest @ ..] => ("app", rest),
            [other @ ("web" | "db" | "s1" | "s2" | "s3" | "s4"), rest @ ..] => (*other, rest),
            rest => ("web", rest),
        };
        let name = Service::new(service);
        match words {
            ["unit", active, rest @ ..] => self.put(Input::Unit(Box::new(unit(service, active, rest)))),
            ["exit", "code", code] => self.exit(name, Cause::Code(code.parse().unwrap())),
            ["exit", "signal", signal] => {
                self.exit(name, Cause::Signal { signal: signal.parse().unwrap(), core: false });
            }
            ["suspicion"] => {
                let stall = Stall { port: Port(80), age: Duration::from_millis(250), waiting: 1 };
                let at = self.now;
                self.put(Input::Suspicion(Suspicion { service: name, at, why: Why::AcceptStall(stall) }));
            }
            ["listener_lost"] => {
                let (at, why) = (self.now, Why::ListenerLost(Port(80)));
                self.put(Input::Suspicion(Suspicion { service: name, at, why }));
            }
            ["worker", "signal", signal] => {
                let cause = Cause::Signal { signal: signal.parse().unwrap(), core: false };
                let exit =
                    Exit { cgroup: CgroupId(1), pid: 11, cause: Some(cause), comm: "web".into(), more: 0 };
                let why = Why::WorkerExit { exit, sent: None };
                let at = self.now;
                self.put(Input::Suspicion(Suspicion { service: name, at, why }));
            }
            ["storm"] => {
                let cause = Some(Cause::Signal { signal: 11, core: true });
                let last = Exit { cgroup: CgroupId(1), pid: 11, cause, comm: "web".into(), more: 0 };
                let why = Why::WorkerStorm(Storm { deaths: 5, within: Duration::from_secs(2), last });
                self.put(Input::Suspicion(Suspicion { service: name, at: self.now, why }));
            }
            ["gap"] => self.put(Input::Gap),
            ["in_use"] => {
                let at = self.now;
                self.put(Input::Suspicion(Suspicion { service: name, at, why: Why::InUse }));
            }
            ["alive"] => self.answer(&name, Verdict::Alive),
            ["dead"] => self.answer(&name, Verdict::Dead),
            ["fails"] => {
                for pause in [200, 0] {
                    let open = self.asks.iter().filter(|ask| ask.service == name).count();
                    (0..open).for_each(|_| self.answer(&name, Verdict::Dead));
                    self.sleep_until(self.now + Duration::from_millis(pause));
                }
            }
            ["unknown"] => self.answer(&name, Verdict::Unknown),
            ["queued", job] => self.reply(&name, Result::Queued { job: job.parse().unwrap() }),
            ["refused", error] => {
                self.reply(&name, Result::Refused { error: (*error).to_owned(), text: "no".to_owned() });
            }
            ["no_reply"] => self.reply(&name, Result::NoReply { text: "gone".to_owned() }),
            ["job", id, "new"] => self.job(service, id, JobStep::New(None)),
            ["job", id, "new", "start"] => self.job(service, id, JobStep::New(Some(JobKind::Start))),
            ["job", id, result, active] => {
                let result = match *result {
                    "done" => JobResult::Done,
                    "failed" => JobResult::Failed,
                    "canceled" => JobResult::Canceled,
                    "dependency" => JobResult::Dependency,
                    other => panic!("result {other}"),
                };
                self.job(service, id, JobStep::Removed { result, active: state(active) });
            }
            ["nobody", "holds"] => self.fact(&name, Known::Holders(vec![])),
            ["others", words @ ..] => self.others = others(words),
            ["nothing"] => self.reply(&name, Result::Nothing),
            ["pressed", figures @ ..] => self.fact(&name, Known::Pressure(Box::new(pressure(figures)))),
            ["ourselves", "well"] => self.fact(&name, Known::Ourselves { fault: None }),
            ["ourselves", "late"] => {
                let fault = Some("we were late ourselves by 700ms".into());
                self.fact(&name, Known::Ourselves { fault });
            }
            ["preflight", "passed"] => self.fact(&name, Known::Preflight(Preflight::Passed)),
            ["preflight", "late"] => {
                let why = "it did not end within 10s".into();
                self.fact(&name, Known::Preflight(Preflight::NotRun { why }));
            }
            ["preflight", "failed"] => {
                let output = vec!["[emerg] unknown directive".into()];
                let failed = Preflight::Failed { how: "ended with code 1".into(), output };
                self.fact(&name, Known::Preflight(failed));
            }
            ["held"] => self.fact(
                &name,
                Known::Holders(vec![Holder {
                    place: "0.0.0.0:80".into(),
                    pid: 99,
                    comm: "apache2".into(),
                    cgroup: Some(CgroupId(5)),
                    unit: "apache2.service".into(),
                }]),
            ),
            ["recorded"] => self.recorded(&name),
            ["unreaped"] => self.fact(&name, Known::MainProcess { unreaped: true }),
            ["no", "zombie"] => self.fact(&name, Known::MainProcess { unreaped: false }),
            ["asked", job, by @ ..] => {
                let by = by.iter().map(|name| CommandRun {
                    pid: 812,
                    comm: (*name).into(),
                    uid: 1000,
                    cgroup: CgroupId(9),
                    unit: "session-3.scope".into(),
                });
                let known = Known::Asked { job: job.parse().unwrap(), by: by.collect() };
                self.put(Input::Fact(Fact { order: OrderId(0), service: name, at: self.now, known }));
            }
            ["last", words @ ..] => self.fact(&name, Known::LastWords(vec![words.join(" ")])),
            ["pid_file", "none"] => self.fact(&name, Known::PidFile(None)),
            ["pid_file", words @ ..] => {
                self.fact(&name, Known::PidFile(Some(Box::new(pid_files::file(words)))));
            }
            ["read", active, rest @ ..] => {
                let state = unit(service, active, rest);
                self.fact(&name, Known::Unit(Box::new(state)));
            }
            ["behind", front] => {
                let fronts = [Service::new(front)].into();
                let (at, known) = (self.now, Known::Fronts(fronts));
                self.put(Input::Fact(Fact { order: OrderId(0), service: name, at, known }));
            }
            ["dies"] => {
                let state = serde_json::to_string(&self.policy).unwrap();
                self.policy = serde_json::from_str(&state).unwrap();
                (self.asks, self.acts, self.looks) = Default::default();
            }
            ["unconfigured"] => {
                let mut settings = self.policy.settings();
                settings.services.remove(&name);
                self.put(Input::Settings(Box::new(settings)));
            }
            ["configured"] => {
                let mut settings = self.policy.settings();
                settings.services.insert(name, guard(&format!("{service}.service")));
                self.put(Input::Settings(Box::new(settings)));
            }
            ["observe"] => {
                let mut settings = self.policy.settings();
                settings.host.observe = true;
                self.put(Input::Settings(Box::new(settings)));
            }
            ["back"] => self.put(Input::Back { seed: 8 }),
            ["pause", ms] => {
                let until = self.now + Duration::from_millis(ms.parse().unwrap());
                let pause = Pause { until, since: Wall(0), by: "root".into(), reason: "deploy".into() };
                self.put(Input::Command(Command::Pause { service: name, pause }));
            }
            ["restart"] => {
                if let Err(why) = self.policy.may_restart(self.now, &name) {
                    let _ = writeln!(self.log, "  refused: {why}");
                    return;
                }
                let (by, reason) = ("root".to_owned(), "deploy".to_owned());
                self.put(Input::Command(Command::Restart { service: name, by, reason }));
            }
            ["resume"] => self.put(Input::Command(Command::Resume { service: name })),
            ["sleep"] => {}
            ["sleep", ms] => self.sleep_until(self.now + Duration::from_millis(ms.parse().unwrap())),
            other => panic!("not a word of the script: {other:?}"),
        }
    }
}
