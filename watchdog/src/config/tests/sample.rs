use std::time::Duration;

use crate::{
    config::{Loaded, SAMPLE, tests::load_all},
    heartbeat::{self, Body, Target},
    model::{Connect, OnFailure, RestartOn, Service, Unit},
    policy::{Dependency, Gates, Guard, Host, Ladder, Over, Pulse, Settings, StalePidFile, Threshold},
    sources::logs::{BadLine, Log},
    stream::Sink,
    suspicion::Watched,
};

fn loaded(text: &str) -> Loaded {
    let (_folder, loaded) = load_all(&[("watchdog.toml", text)]);
    loaded.unwrap_or_else(|faults| panic!("{faults}"))
}

fn unit(name: &str) -> Unit {
    name.parse().expect("a unit's name")
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_sample_loads_and_means_what_its_comments_say() {
    let loaded = loaded(SAMPLE);
    let php = Service::new("php");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let settings = loaded.settings;
    assert_eq!(settings.state_directory.to_str(), Some("/var/lib/watchdog"));
    assert_eq!(settings.control_socket.to_str(), Some("/run/watchdog/control.sock"));
    assert_eq!(settings.stream.sinks, [Sink::Stdout]);
    let over = |percent: u32| Some(Threshold { full: false, over: Over::Ten, limit: percent * 100 });
    let gates =
        Gates { memory: over(40), io: over(60), cpu: over(80), disk_free: 100, hold_for: seconds(120) };
    let host = Host {
        observe: false,
        concurrent_restarts: 1,
        restarts: 20,
        within: seconds(600),
        gates,
        record: Some(seconds(2)),
    };
    let guard = Guard {
        unit: unit("php8.2-fpm.service"),
        group: Some("web".into()),
        depends_on: vec![Dependency::Unit(unit("mariadb.service"))],
        only_if_enabled: true,
        preflight: Some(vec!["/usr/sbin/php-fpm8.2".into(), "-t".into()]),
        pid_file: None,
        stale_pid_file: StalePidFile::Keep,
        heartbeats: vec![Pulse {
            timeout: seconds(3),
            failures: 2,
            retry_after: Duration::from_millis(200),
            every: seconds(60),
            every_in_use: seconds(5),
            on_failure: OnFailure::Restart,
        }],
        on: RestartOn::OnFailure,
        stop_timeout: Some(seconds(90)),
        start_timeout: Some(seconds(90)),
        grace: seconds(10),
        burst: 3,
        within: seconds(300),
        backoff: seconds(1),
        backoff_max: seconds(300),
        stable: seconds(600),
        ladder: Ladder { reboot: false, reboot_after: seconds(1_800), reboot_every: seconds(21_600) },
    };
    assert_eq!(settings.policy, Settings { host, services: [(php.clone(), guard)].into() });
    let connect = Connect::Address("127.0.0.1:80".parse().expect("an address"));
    let watched = Watched {
        unit: unit("php8.2-fpm.service"),
        connects: vec![(connect.clone(), 80)],
        asked: true,
        accept_after: Duration::from_millis(250),
        answer_after: seconds(1),
        status_5xx: true,
    };
    assert_eq!(settings.suspicion.services, [(php.clone(), watched)].into());

    let [heartbeat] = settings.heartbeats[&php].as_slice() else { panic!("one heartbeat") };
    let host = "heartbeat.example.com".into();
    assert_eq!(heartbeat.target, Target::Http { secure: false, host, port: 80, path: "/".into() });
    assert_eq!(heartbeat.connect, connect);
    assert_eq!(heartbeat.status, [200..=499]);
    assert!(matches!(&heartbeat.body, Some(Body::Literal(text)) if text == "It works!"));
    assert_eq!(heartbeat.timeout, seconds(3));
    assert_eq!((heartbeat.method.as_str(), heartbeat.headers.len()), ("GET", 0));
    assert!(heartbeat.basic_auth.is_none() && heartbeat.tls.verify && heartbeat.tls.ca.is_none());

    let log = Log {
        path: "/var/log/nginx/access.log".into(),
        bad: BadLine::Status(500, 599),
        share: 0.5,
        minimum: 20,
        within: seconds(10),
        own: vec![heartbeat::Settings::AGENT.into()],
    };
    assert_eq!(settings.logs, [(php, vec![log])].into());
}

#[test]
fn unit_and_url_alone_are_the_sample_without_what_it_names() {
    let whole = loaded(SAMPLE);
    let least = loaded(
        r#"
        [service.php]
        unit = "php8.2-fpm.service"
        [service.php.heartbeat]
        url = "http://heartbeat.example.com/"
        "#,
    );
    let php = Service::new("php");
    assert_eq!(least.warnings, Vec::<String>::new());
    assert_eq!(least.checked_only, Vec::<String>::new());

    // What the sample's own text calls no default.
    let mut policy = whole.settings.policy;
    let guard = policy.services.get_mut(&php).expect("the service");
    (guard.group, guard.preflight) = (None, None);
    guard.depends_on = Vec::new();
    (guard.stop_timeout, guard.start_timeout) = (None, None);
    assert_eq!(least.settings.policy, policy);
    let mut suspicion = whole.settings.suspicion;
    suspicion.services.get_mut(&php).expect("the service").connects = vec![(Connect::Own, 80)];
    assert_eq!(least.settings.suspicion, suspicion);
    assert_eq!(least.settings.stream, whole.settings.stream);
    assert_eq!(least.settings.state_directory, whole.settings.state_directory);
    assert_eq!(least.settings.control_socket, whole.settings.control_socket);

    let (mut least, mut whole) = (least.settings.heartbeats, whole.settings.heartbeats);
    let (least, whole) =
        (least.remove(&php).expect("it")[0].clone(), whole.remove(&php).expect("it")[0].clone());
    assert_eq!((least.connect, least.body.is_none()), (Connect::Own, true));
    assert_eq!(
        (least.target, least.status, least.timeout, least.method, least.headers, least.tls),
        (whole.target, whole.status, whole.timeout, whole.method, whole.headers, whole.tls)
    );
}

#[test]
fn every_key_of_the_sample_is_acted_upon() {
    assert_eq!(loaded(SAMPLE).checked_only, Vec::<String>::new());
}
