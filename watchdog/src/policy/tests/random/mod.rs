//! Any order of events against a small model of systemd: the rules hold after each step, the same events give the same orders,
//! and when the world comes to rest, every service is up or left alone for a reason.
//!
//! `PROPTEST_CASES` sets the number of runs; the default, 256, suits a few seconds.

mod again;
mod rest;
mod rules;
mod systemd;

use std::{fmt::Write as _, time::Duration};

use proptest::{collection::vec, prelude::*};

use self::{
    rules::Rules,
    systemd::{Hand, Request, Systemd},
};
use super::{super::Input, Policy, Settings, ms, settings};
use crate::model::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    Sleep(u64),
    MainEnds(usize, Cause),
    Progress(usize, bool),
    Hand(usize, Hand),
    Serve,
    Refuse,
    LoseReply,
    Sign,
    Result(usize),
    /// Everything that is on its way arrives.
    Settle,
    Answer(usize, Verdict),
    /// A failed round: every ask on its way is answered dead, and those that follow it.
    Fail(usize),
    /// The unit ends, and the policy hears all of it.
    Die(usize),
    /// The unit comes up, where it is on its way, and answers well.
    Heal(usize),
    Suspect(usize),
    InUse(usize),
    Pause(usize, u64),
    Resume(usize),
    Restart(usize),
    Reload(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let unit = || 0..2_usize;
    let cause = prop_oneof![
        3 => Just(Cause::Signal { signal: 9, core: false }),
        1 => Just(Cause::Code(0)),
        1 => Just(Cause::Code(1)),
    ];
    let verdict =
        prop_oneof![3 => Just(Verdict::Alive), 4 => Just(Verdict::Dead), 1 => Just(Verdict::Unknown)];
    let hand = prop_oneof![2 => Just(Hand::Stop), 2 => Just(Hand::Start), 1 => Just(Hand::Restart)];
    prop_oneof![
        6 => (0..400_u64).prop_map(Event::Sleep),
        3 => (400..20_000_u64).prop_map(Event::Sleep),
        1 => (20_000..700_000_u64).prop_map(Event::Sleep),
        5 => (unit(), cause).prop_map(|(unit, cause)| Event::MainEnds(unit, cause)),
        14 => (unit(), prop::bool::weighted(0.8)).prop_map(|(unit, well)| Event::Progress(unit, well)),
        3 => (unit(), hand).prop_map(|(unit, hand)| Event::Hand(unit, hand)),
        12 => Just(Event::Serve),
        1 => Just(Event::Refuse),
        1 => Just(Event::LoseReply),
        14 => Just(Event::Sign),
        12 => (0..4_usize).prop_map(Event::Result),
        8 => Just(Event::Settle),
        12 => (0..4_usize, verdict).prop_map(|(which, verdict)| Event::Answer(which, verdict)),
        6 => unit().prop_map(Event::Fail),
        6 => unit().prop_map(Event::Die),
        6 => unit().prop_map(Event::Heal),
        4 => unit().prop_map(Event::Suspect),
        2 => unit().prop_map(Event::InUse),
        1 => (unit(), 1_000..100_000_u64).prop_map(|(unit, ms)| Event::Pause(unit, ms)),
        1 => unit().prop_map(Event::Resume),
        2 => unit().prop_map(Event::Restart),
        1 => (0..4_u8).prop_map(Event::Reload),
    ]
}

fn restart() -> impl Strategy<Value = RestartOn> {
    prop_oneof![3 => Just(RestartOn::No), 1 => Just(RestartOn::OnFailure), 1 => Just(RestartOn::Always)]
}

struct World {
    policy: Policy,
    settings: Settings,
    systemd: Systemd,
    rules: Rules,
    asks: Vec<Ask>,
    now: Mono,
    log: String,
    told: Vec<(Mono, Input, Vec<Order>)>,
    /// A reply was lost: systemd may have done more than the policy can know.
    lost: bool,
}

/// What differs from run to run.
fn plan(kind: u8, host: u32) -> Settings {
    let mut settings = settings(true);
    settings.host.restarts = host;
    settings.host.record = (kind != 1).then_some(Duration::from_secs(2));
    let web = settings.services.get_mut(&Service::new("web")).unwrap();
    web.backoff_max = Duration::from_secs(30);
    web.ladder.reboot = kind != 0;
    web.ladder.reboot_after = Duration::from_secs(10);
    web.ladder.reboot_every = Duration::from_secs(100);
    match kind {
        0 => {}
        1 => web.heartbeats.clear(),
        2 => {
            let mut second = web.heartbeats[0].clone();
            second.on_failure = OnFailure::Alert;
            second.failures = 1;
            web.heartbeats.push(second);
        }
        _ => {
            web.heartbeats.push(web.heartbeats[0].clone());
            web.depends_on.push(super::super::Dependency::Service(Service::new("app")));
        }
    }
    settings
}

impl World {
    fn new(restarts: [RestartOn; 2], settings: Settings) -> World {
        let systemd = Systemd::new(restarts);
        let rules = Rules::new(systemd.units.iter().map(|unit| unit.name.clone()));
        let policy = Policy::new(Mono(0), settings.clone(), 7);
        let (asks, now, log, told) = (vec![], Mono(0), String::new(), vec![]);
        let mut world = World { policy, settings, systemd, rules, asks, now, log, told, lost: false };
        let fronts = [Service::new("web")].into();
        let known = Known::Fronts(fronts);
        world.put(Input::Fact(Fact { order: OrderId(0), service: Service::new("app"), at: Mono(0), known }));
        world
    }

    /// What is due comes before an input, as the engine has it.
    fn put(&mut self, input: Input) {
        if input != Input::Wake {
            self.sleep(0);
        }
        let _ = writeln!(self.log, "{} < {input:?}", self.now);
        self.rules.told(self.now, &input);
        let orders = self.policy.step(self.now, input.clone());
        self.told.push((self.now, input, orders.clone()));
        for order in &orders {
            let _ = writeln!(self.log, "{}   > {order:?}", self.now);
        }
        self.rules.ordered(self.now, &self.settings, &orders);
        for order in orders {
            match order {
                Order::Ask(ask) => self.asks.push(ask),
                Order::Act(act) => self.systemd.requests.push_back(Request::Act(act)),
                Order::Look(look) => self.systemd.requests.push_back(Request::Look(look)),
                Order::Tell(_) => {}
            }
        }
        if self.policy.wake_at().is_none_or(|at| at > self.now) {
            self.rules.settled(self.now, &self.policy);
        }
    }

    fn sleep(&mut self, pause: u64) {
        let until = self.now + Duration::from_millis(pause);
        let mut woken = 0;
        while let Some(at) = self.policy.wake_at().filter(|at| *at <= until) {
            assert!(at >= self.policy.last(), "woken in the past");
            self.now = self.now.max(at);
            self.put(Input::Wake);
            assert!(
                self.policy.wake_at() > Some(self.now) || self.policy.wake_at().is_none(),
                "woken for nothing"
            );
            woken += 1;
            assert!(woken <= 100 + pause / 50, "{woken} wakes in {pause} ms");
        }
        self.now = until;
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Sleep(pause) => self.sleep(pause),
            Event::MainEnds(at, cause) => self.systemd.main_ends(self.now, at, cause),
            Event::Progress(at, well) => self.systemd.progress(at, well),
            Event::Hand(at, hand) => self.systemd.hand(at, hand),
            Event::Serve => self.systemd.serve(self.now, false, false),
            Event::Refuse => self.systemd.serve(self.now, true, false),
            Event::LoseReply => {
                self.lost |= matches!(self.systemd.requests.front(), Some(Request::Act(_)));
                self.systemd.serve(self.now, false, true);
            }
            Event::Sign => self.deliver_sign(),
            Event::Result(which) => {
                if let Some(result) = self.systemd.next_result(which) {
                    self.put(result);
                }
            }
            Event::Settle => self.settle(),
            Event::Answer(which, verdict) => self.answer(which, verdict),
            Event::Fail(at) => {
                let service = self.systemd.units[at].service.clone();
                for _ in 0..4 {
                    while let Some(which) = self.asks.iter().position(|ask| ask.service == service) {
                        self.answer(which, Verdict::Dead);
                    }
                    self.sleep(200);
                }
            }
            Event::Die(at) => {
                self.systemd.main_ends(self.now, at, Cause::Signal { signal: 9, core: false });
                self.systemd.progress(at, true);
                self.systemd.progress(at, true);
                while !self.systemd.signs.is_empty() {
                    self.deliver_sign();
                }
            }
            Event::Heal(at) => {
                let service = self.systemd.units[at].service.clone();
                for _ in 0..3 {
                    self.settle();
                    self.systemd.progress(at, true);
                }
                self.settle();
                while let Some(which) = self.asks.iter().position(|ask| ask.service == service) {
                    self.answer(which, Verdict::Alive);
                }
            }
            Event::Suspect(at) => self.suspect(at, Why::Loss),
            Event::InUse(at) => self.suspect(at, Why::InUse),
            Event::Pause(at, pause) => {
                let service = self.systemd.units[at].service.clone();
                let until = self.now + Duration::from_millis(pause);
                let pause = Pause { until, since: Wall(0), by: "root".into(), reason: String::new() };
                self.put(Input::Command(Command::Pause { service, pause }));
            }
            Event::Resume(at) => {
                let service = self.systemd.units[at].service.clone();
                self.put(Input::Command(Command::Resume { service }));
            }
            Event::Restart(at) => {
                let service = self.systemd.units[at].service.clone();
                self.sleep(0);
                if self.policy.may_restart(self.now, &service).is_ok() {
                    self.systemd.units[at].stopped = false; // this is the operator's last word
                    let (by, reason) = ("root".into(), String::new());
                    self.put(Input::Command(Command::Restart { service, by, reason }));
                }
            }
            Event::Reload(kind) => {
                let mut settings = plan(kind, self.settings.host.restarts);
                settings.host.observe = kind == 1 && !self.settings.host.observe;
                self.reload(settings);
            }
        }
    }

    fn reload(&mut self, settings: Settings) {
        self.settings = settings.clone();
        self.put(Input::Settings(Box::new(settings)));
    }

    fn deliver_sign(&mut self) {
        if let Some(sign) = self.systemd.next_sign() {
            self.put(sign);
        }
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            while !self.systemd.requests.is_empty() {
                self.systemd.serve(self.now, false, false);
            }
            while !self.systemd.signs.is_empty() {
                self.deliver_sign();
            }
            while let Some(result) = self.systemd.next_result(0) {
                self.put(result);
            }
            let rest = self.systemd.requests.is_empty()
                && self.systemd.signs.is_empty()
                && self.systemd.results.is_empty();
            if rest {
                return;
            }
        }
        panic!("policy and systemd keep each other busy");
    }

    fn suspect(&mut self, at: usize, why: Why) {
        let service = self.systemd.units[at].service.clone();
        self.put(Input::Suspicion(Suspicion { service, at: self.now, why }));
    }

    fn answer(&mut self, which: usize, verdict: Verdict) {
        if self.asks.is_empty() {
            return;
        }
        let ask = self.asks.remove(which % self.asks.len());
        let end = match verdict {
            Verdict::Alive => End::Good { status: Some(200) },
            Verdict::Dead => End::Status(503),
            Verdict::Unknown => End::Own(OwnFault::Resources("EMFILE".into())),
        };
        self.put(Input::Answer(Box::new(Answer {
            order: ask.id,
            service: ask.service,
            heartbeat: ask.heartbeat,
            incident: ask.incident,
            verdict,
            end,
            phase: Phase::Headers,
            asked: "127.0.0.1:80".into(),
            began: self.now,
            took: Duration::from_millis(1),
            body_bytes: 0,
            warnings: vec![],
            evidence: None,
            ailments: None,
        })));
    }
}

/// Runs the events and returns the whole log. A broken rule shows the log up to it.
fn run(restarts: [RestartOn; 2], kind: u8, host: u32, events: &[Event]) -> String {
    let mut world = World::new(restarts, plan(kind, host));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for event in events {
            let _ = writeln!(world.log, "# {event:?}");
            world.event(*event);
        }
        world.log.push_str("# rest\n");
        world.rest();
        world.rested();
    }));
    if let Err(broken) = outcome {
        let lines: Vec<&str> = world.log.lines().collect();
        let last = &lines[lines.len().saturating_sub(400)..];
        eprintln!("{}", last.join("\n"));
        std::panic::resume_unwind(broken);
    }
    world.log
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_whatever_order_no_rule_is_broken_and_every_incident_ends(
        restarts in [restart(), restart()],
        kind in 0..4_u8,
        host in prop_oneof![Just(20_u32), Just(3_u32)],
        events in vec(event(), 1..300),
    ) {
        let log = run(restarts, kind, host, &events);
        prop_assert!(run(restarts, kind, host, &events) == log, "the same events gave other orders");
    }
}

#[test]
fn a_host_at_rest_stays_at_rest() {
    let log = run([RestartOn::No, RestartOn::No], 0, 20, &[Event::Settle, Event::Sleep(10_000)]);
    assert!(!log.contains("> Act("), "{log}");
    assert!(log.contains(&format!("{}", ms(0))));
}
