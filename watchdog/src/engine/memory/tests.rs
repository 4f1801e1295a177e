use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::Duration,
};

use super::{Memory, Recovered};
use crate::{
    clock,
    model::{
        Act, Action, ActiveState, Cause, CgroupId, Command, Ends, Exit, Fact, FileState, Incarnation,
        IncidentId, Known, LoadState, Look, Mono, Order, OrderId, Pause, Question, RestartOn, Service,
        Suspicion, UnitState, Wall, Why,
    },
    policy::{Gates, Guard, Host, Input, Ladder, Policy, Settings, StalePidFile},
    store,
};

fn settings(burst: u32) -> Settings {
    let second = Duration::from_secs(1);
    let gates = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for: second };
    let host = Host {
        observe: false,
        concurrent_restarts: 1,
        restarts: 20,
        within: second * 600,
        gates,
        record: None,
    };
    let web = Guard {
        unit: "web.service".parse().unwrap(),
        group: None,
        depends_on: Vec::new(),
        only_if_enabled: true,
        preflight: None,
        pid_file: None,
        stale_pid_file: StalePidFile::Keep,
        heartbeats: Vec::new(),
        on: RestartOn::OnFailure,
        stop_timeout: None,
        start_timeout: None,
        grace: second,
        burst,
        within: second * 300,
        backoff: second,
        backoff_max: second * 300,
        stable: second * 600,
        ladder: Ladder { reboot: false, reboot_after: second * 1_800, reboot_every: second * 21_600 },
    };
    Settings { host, services: BTreeMap::from([(web_service(), web)]) }
}

fn web_service() -> Service {
    Service::new("web")
}

fn unit(active: ActiveState) -> UnitState {
    UnitState {
        unit: "web.service".parse().unwrap(),
        load: LoadState::Loaded,
        file: FileState::Other,
        active,
        sub: String::new(),
        incarnation: Some(Incarnation([1; 16])),
        main_pid: Some(10),
        cgroup: Some(CgroupId(1)),
        cgroup_path: "/system.slice/web.service".into(),
        job: None,
        main_ended: None,
        result: if active == ActiveState::Failed { "signal" } else { "success" }.into(),
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
    }
}

/// A process that stores each input, as the engine does. What is looked up before a start is not known here.
fn run(recovered: Recovered, inputs: Vec<Input>) -> (Policy, Vec<Order>) {
    let Recovered { mut policy, mut memory, .. } = recovered;
    let (mut orders, mut waiting) = (Vec::new(), VecDeque::from(inputs));
    while let Some(input) = waiting.pop_front() {
        let now = clock::now();
        let mut ordered = policy.catch_up(now);
        memory.input(now, &input);
        ordered.extend(policy.step(now, input));
        for order in &ordered {
            if let Order::Look(Look { id, service, .. }) = order {
                let known = Known::Nothing { why: "nobody looks".into() };
                waiting.push_back(Input::Fact(Fact { order: *id, service: service.clone(), at: now, known }));
            }
        }
        orders.extend(ordered);
    }
    dies(memory);
    (policy, orders)
}

/// All that was handed over is stored, and nothing is tidied up.
fn dies(memory: Memory) {
    assert!(memory.store.expect("a store").close(Duration::from_secs(20)));
}

fn killed() -> Vec<Input> {
    let exit = Exit {
        cgroup: CgroupId(1),
        pid: 10,
        cause: Some(Cause::Signal { signal: 9, core: false }),
        comm: "web".into(),
        more: 0,
    };
    let why = Why::MainExit { exit, sent: None };
    vec![
        Input::Unit(Box::new(unit(ActiveState::Active))),
        Input::Suspicion(Suspicion { service: web_service(), at: clock::now(), why }),
        Input::Unit(Box::new(unit(ActiveState::Failed))),
    ]
}

fn read(folder: &Path, burst: u32) -> Recovered {
    Recovered::read(folder, &settings(burst), 7)
}

fn spent(policy: &Policy) -> usize {
    let state = serde_json::to_value(policy).unwrap();
    state["keepers"]["web"]["tries"]["spent"].as_array().unwrap().len()
}

#[test]
fn c13_what_was_decided_is_known_to_the_next_process_and_no_order_is_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let first = read(folder.path(), 3);
    assert_eq!(first.warnings, Vec::<String>::new());
    let (policy, orders) = run(first, killed());
    let acts = |orders: &[Order]| orders.iter().filter(|order| matches!(order, Order::Act(_))).count();
    assert_eq!((acts(&orders), spent(&policy)), (1, 1));
    let again = read(folder.path(), 3);
    assert_eq!(again.warnings, Vec::<String>::new());
    assert_eq!((acts(&again.orders), spent(&again.policy)), (0, 1));
    let reads = |order: &Order| matches!(order, Order::Look(look) if look.question == Question::Unit);
    assert!(
        again.orders.iter().any(reads),
        "the unit is read before anything is decided: {:?}",
        again.orders
    );
}

#[test]
fn c13_other_settings_are_in_force_over_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    run(read(folder.path(), 3), killed());
    let again = read(folder.path(), 5);
    assert_eq!((again.policy.settings(), spent(&again.policy)), (settings(5), 1));
}

#[test]
fn c13_a_state_that_makes_no_sense_or_is_of_another_time_is_set_aside() {
    let boot = super::boot().unwrap();
    let ahead = clock::now() + Duration::from_secs(3600);
    let later = serde_json::to_string(&Policy::new(ahead, settings(3), 1)).unwrap();
    for (state, input) in [("{}", "[]"), (later.as_str(), "\"wake\""), ("no JSON", "\"wake\"")] {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = store::open(folder.path(), &boot, "0").unwrap();
        store.state(&boot, state.into(), vec![]).unwrap();
        store.input(Mono(1_000), input.into()).unwrap();
        assert!(store.close(Duration::from_secs(20)));
        let fresh = read(folder.path(), 3);
        assert_eq!(fresh.warnings.len(), 1, "{:?}", fresh.warnings);
        assert!(fresh.warnings[0].contains("set aside"), "{:?}", fresh.warnings);
        dies(fresh.memory);
        assert_eq!(read(folder.path(), 3).warnings, Vec::<String>::new(), "once");
        let aside = std::fs::read_dir(folder.path()).unwrap();
        let aside = aside.filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().contains("aside"));
        assert!(aside.count() >= 1);
    }
}

#[test]
fn a18_a_pause_outlives_watchdog_and_the_boot_until_its_end_by_the_wall_clock() {
    let folder = tempfile::tempdir().unwrap();
    let until = clock::now() + Duration::from_secs(600);
    let pause = Pause { until, since: clock::wall(), by: "alice".into(), reason: "deploy".into() };
    let command = Command::Pause { service: web_service(), pause: pause.clone() };
    run(read(folder.path(), 3), vec![Input::Command(command)]);
    let of = |recovered: &Recovered| {
        serde_json::to_value(&recovered.policy).unwrap()["keepers"]["web"]["pause"].clone()
    };
    let again = read(folder.path(), 3);
    let kept: Pause = serde_json::from_value(of(&again)).unwrap();
    assert_eq!((&kept.by, &kept.reason, kept.since), (&pause.by, &pause.reason, pause.since));
    let apart = kept.until.since(until).max(until.since(kept.until));
    assert!(apart < Duration::from_secs(1), "{} instead of {until}", kept.until);
    dies(again.memory);

    // another boot: of the state nothing is left but the pause; one that is over is forgotten
    let (mut store, kept) = store::open(folder.path(), "another boot", "0").unwrap();
    store.state("another boot", "{}".into(), kept.pauses).unwrap();
    assert!(store.close(Duration::from_secs(20)));
    let rebooted = read(folder.path(), 3);
    assert_eq!(rebooted.warnings, Vec::<String>::new());
    assert_eq!(of(&rebooted)["by"], "alice");
    dies(rebooted.memory);
    let boot = super::boot().unwrap();
    let (mut store, kept) = store::open(folder.path(), &boot, "0").unwrap();
    let over = store::KeptPause { ends: Wall(clock::wall().0 - 1), ..kept.pauses[0].clone() };
    store.pause(over).unwrap();
    assert!(store.close(Duration::from_secs(20)));
    let over = read(folder.path(), 3);
    assert!(of(&over).is_null());
    dies(over.memory);
    let (_, kept) = store::open(folder.path(), &boot, "0").unwrap();
    assert_eq!(kept.pauses, vec![]);
}

#[test]
fn a18_a_pause_goes_with_its_service_to_another_name_and_over_the_boot() {
    let folder = tempfile::tempdir().unwrap();
    let Recovered { mut policy, mut memory, .. } = read(folder.path(), 3);
    let now = clock::now();
    let until = now + Duration::from_secs(600);
    let pause = Pause { until, since: clock::wall(), by: "alice".into(), reason: "deploy".into() };
    let mut renamed = settings(3);
    let web = renamed.services.remove(&web_service()).unwrap();
    renamed.services.insert(Service::new("www"), web);
    let command = Command::Pause { service: web_service(), pause };
    for input in [Input::Command(command), Input::Settings(Box::new(renamed))] {
        memory.input(now, &input);
        policy.step(now, input);
    }
    memory.state(now, &policy);
    dies(memory);
    let (_, kept) = store::open(folder.path(), "another boot", "0").unwrap();
    assert_eq!(kept.pauses.iter().map(|pause| pause.service.as_str()).collect::<Vec<_>>(), ["www"]);
}

#[test]
fn c15_without_a_store_nothing_waits_and_it_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no folder");
    std::fs::write(&file, "").unwrap();
    let mut recovered = read(&file, 3);
    assert_eq!(recovered.warnings.len(), 1, "{:?}", recovered.warnings);
    let act = act();
    assert_eq!(recovered.memory.before(clock::now(), act.clone()), Some(act));
    assert_eq!(recovered.memory.wake_at(), None);
}

#[test]
fn c15_an_action_waits_for_the_store_and_for_a_stuck_one_no_longer_than_its_patience() {
    let folder = tempfile::tempdir().unwrap();
    let mut memory = read(folder.path(), 3).memory;
    let now = clock::now();
    memory.last += 1_000; // as if so much were on its way to a disk that does not answer
    assert_eq!(memory.before(now, act()), None);
    assert!(memory.news(now).acts.is_empty());
    assert_eq!(memory.wake_at(), Some(now + super::PATIENCE));
    let late = memory.news(now + super::PATIENCE);
    assert_eq!(late.acts, vec![act()]);
    assert!(late.works.expect("it is told").is_err());
    assert_eq!(memory.before(now + super::PATIENCE, act()), Some(act()), "nothing waits for it any more");
    assert!(memory.news(now + super::PATIENCE).works.is_none(), "it is told once");
    assert!(memory.wants_state(now + super::PATIENCE + super::AGAIN), "it is tried again");
    dies(memory);
}

#[test]
fn a18_a_wall_clock_that_goes_back_makes_no_pause_longer() {
    let minute = 60_000_000;
    let kept = |service| {
        let (by, reason) = ("alice".into(), "deploy".into());
        store::KeptPause { service, since: Wall(100 * minute), ends: Wall(110 * minute), by, reason }
    };
    let left = |wall: i64| match super::command(Mono(0), Wall(wall * minute), kept(web_service())) {
        Command::Pause { pause, .. } => Some(pause.until.since(Mono(0)).as_secs() / 60),
        Command::Resume { .. } | Command::Restart { .. } | Command::Reload { .. } => None,
    };
    let lefts = [100, 104, 110, 120, 40, 0, -100].map(left);
    assert_eq!(lefts, [Some(10), Some(6), None, None, Some(10), Some(10), Some(10)]);
}

#[test]
fn a18_a_pause_or_its_end_that_was_lost_with_its_batch_is_stored_with_the_next_state() {
    let folder = tempfile::tempdir().unwrap();
    let Recovered { mut policy, mut memory, .. } = read(folder.path(), 3);
    let now = clock::now();
    let until = now + Duration::from_secs(600);
    let pause = Pause { until, since: clock::wall(), by: "alice".into(), reason: "deploy".into() };
    let begin = Input::Command(Command::Pause { service: web_service(), pause });
    memory.input(now, &begin);
    policy.step(now, begin);
    // the file as it is without it
    memory.store.as_mut().expect("a store").resume(web_service()).unwrap();
    memory.state(now, &policy);
    dies(memory);
    let boot = super::boot().unwrap();
    let (store, kept) = store::open(folder.path(), &boot, "0").unwrap();
    let pauses = kept.pauses;
    assert_eq!(pauses.iter().map(|pause| pause.by.as_str()).collect::<Vec<_>>(), ["alice"]);
    assert!(store.close(Duration::from_secs(20)));

    let Recovered { mut policy, mut memory, .. } = read(folder.path(), 3);
    let now = clock::now();
    let end = Input::Command(Command::Resume { service: web_service() });
    memory.input(now, &end);
    policy.step(now, end);
    memory.store.as_mut().expect("a store").pause(pauses[0].clone()).unwrap();
    memory.state(now, &policy);
    dies(memory);
    let (_, kept) = store::open(folder.path(), &boot, "0").unwrap();
    assert_eq!(kept.pauses, vec![]);
}

#[test]
fn a18_an_action_that_waits_for_the_store_is_not_done_in_a_pause_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut policy, orders) = run(read(folder.path(), 3), killed());
    let acts = orders.into_iter().filter_map(|order| match order {
        Order::Act(act) => Some(act),
        Order::Ask(_) | Order::Look(_) | Order::Tell(_) => None,
    });
    let start = acts.last().expect("a start");
    let undo = Act { id: OrderId(98), action: Action::Undo, ..start.clone() };
    let other = Act { id: OrderId(99), service: Service::new("db"), ..start.clone() };
    let reboot = Act { id: OrderId(97), action: Action::Reboot, ..other.clone() };
    let mut memory = read(folder.path(), 3).memory;
    let now = clock::now();
    memory.last += 1_000; // a disk that does not answer
    for act in [&start, &undo, &other, &reboot] {
        assert_eq!(memory.before(now, act.clone()), None);
    }
    let until = now + Duration::from_secs(600);
    let pause = Pause { until, since: clock::wall(), by: "alice".into(), reason: "deploy".into() };
    let pause = Command::Pause { service: web_service(), pause };
    assert_eq!(memory.withdraw(now, |_| false), vec![]);
    let withdrawn = memory.withdraw(now, |act| act.service == web_service() || act.action == Action::Reboot);
    assert_eq!(withdrawn.iter().map(|outcome| outcome.order).collect::<Vec<_>>(), [start.id, reboot.id]);
    assert_eq!(memory.news(now + super::PATIENCE).acts, vec![undo, other]);
    dies(memory);

    assert_eq!(spent(&policy), 1);
    policy.step(now, Input::Command(pause));
    let mut orders = Vec::new();
    for outcome in withdrawn {
        orders.extend(policy.step(now, Input::Outcome(outcome)));
    }
    assert_eq!(spent(&policy), 0);
    let reads = |order: &Order| matches!(order, Order::Look(look) if look.question == Question::Unit);
    assert!(orders.iter().any(reads), "{orders:?}");
    assert!(!orders.iter().any(|order| matches!(order, Order::Act(_))), "{orders:?}");
}

fn act() -> Act {
    Act {
        id: OrderId(1),
        service: web_service(),
        unit: "web.service".parse().unwrap(),
        incarnation: None,
        incident: IncidentId { run: 1, number: 1 },
        action: Action::Start { reset: false },
    }
}
