mod doctor;
mod drill;
mod fix;
mod lint;
mod replay;
mod status;
mod why;

use std::{collections::BTreeMap, time::Duration};

use expect_test::expect;

use super::{Given, Known, check};
use crate::{
    engine::Settings,
    heartbeat::{self, Body, Target, Tls},
    model::{
        ActiveState, Connect, Ends, FileState, LoadState, OnFailure, RestartOn, Service, Unit, UnitState,
    },
    policy::{self, Dependency, Gates, Guard, Host, Ladder, Pulse, StalePidFile},
    recorder,
    stream::{self, Sink},
    suspicion::{self, Watched},
    systemd::Traits,
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn asked(target: Target, connect: Connect) -> heartbeat::Settings {
    heartbeat::Settings {
        target,
        connect,
        status: vec![200..=499],
        body: None,
        timeout: seconds(3),
        method: "GET".into(),
        headers: Vec::new(),
        basic_auth: None,
        tls: Tls { verify: true, ca: None, expires_within: Duration::ZERO },
    }
}

fn pulse() -> Pulse {
    Pulse {
        timeout: seconds(3),
        failures: 2,
        retry_after: Duration::from_millis(200),
        every: seconds(60),
        every_in_use: seconds(5),
        on_failure: OnFailure::Restart,
    }
}

fn guard(unit: &str) -> Guard {
    Guard {
        unit: unit.parse().expect("a unit's name"),
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
        grace: seconds(10),
        burst: 3,
        within: seconds(300),
        backoff: seconds(1),
        backoff_max: seconds(300),
        stable: seconds(600),
        ladder: Ladder { reboot: false, reboot_after: seconds(1_800), reboot_every: seconds(21_600) },
    }
}

fn state(unit: &str) -> UnitState {
    UnitState {
        unit: unit.parse().expect("a unit's name"),
        load: LoadState::Loaded,
        file: FileState::Other,
        active: ActiveState::Active,
        sub: "running".into(),
        incarnation: None,
        main_pid: None,
        cgroup: None,
        cgroup_path: String::new(),
        job: None,
        main_ended: None,
        result: "success".into(),
        restart: RestartOn::No,
        restart_pause: Duration::from_millis(100),
        restarts: 0,
        stop_timeout: Some(seconds(90)),
        start_timeout: Some(seconds(90)),
        start_limit_burst: 5,
        start_limit_interval: seconds(10),
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

fn settings(services: Vec<(&str, Guard, Vec<heartbeat::Settings>)>) -> Settings {
    let gates = Gates { memory: None, io: None, cpu: None, disk_free: 0, hold_for: seconds(120) };
    let mut policy = policy::Settings {
        host: Host {
            observe: false,
            concurrent_restarts: 1,
            restarts: 20,
            within: seconds(600),
            gates,
            record: None,
        },
        services: BTreeMap::new(),
    };
    let mut heartbeats = BTreeMap::new();
    let mut watched = BTreeMap::new();
    for (name, guard, asked) in services {
        let (accept_after, answer_after) = (Duration::from_millis(250), seconds(1));
        let unit = guard.unit.clone();
        watched.insert(
            Service::new(name),
            Watched {
                unit,
                connects: Vec::new(),
                asked: !asked.is_empty(),
                accept_after,
                answer_after,
                status_5xx: true,
            },
        );
        policy.services.insert(Service::new(name), guard);
        heartbeats.insert(Service::new(name), asked);
    }
    Settings {
        policy,
        suspicion: suspicion::Settings { services: watched },
        heartbeats,
        recorder: recorder::Settings::default(),
        stream: stream::Settings { sinks: vec![Sink::Stdout, Sink::File("/var/log/watchdog.jsonl".into())] },
        notify: Default::default(),
        state_directory: "/var/lib/watchdog".into(),
        logs: BTreeMap::new(),
        control_socket: "/run/watchdog/control.sock".into(),
        discovered: false,
    }
}

fn known(state: UnitState) -> Known {
    Known { state, traits: Traits::default() }
}

static NO_NEEDS: BTreeMap<Unit, LoadState> = BTreeMap::new();

fn given<'a>(settings: &'a Settings, units: &'a BTreeMap<Service, Known>) -> Given<'a> {
    Given {
        settings,
        files: &[],
        ignored: &[],
        warnings: &[],
        checked_only: &[],
        units,
        needs: &NO_NEEDS,
        restarters: &[],
        chosen: &[],
    }
}

#[test]
fn a_configuration_is_explained_without_systemd() {
    let http =
        Target::Http { secure: false, host: "heartbeat.example.com".into(), port: 80, path: "/".into() };
    let connect = Connect::Address("127.0.0.1:80".parse().expect("an address"));
    let php = heartbeat::Settings { body: Some(Body::Literal("It works!".into())), ..asked(http, connect) };
    let guard = Guard {
        depends_on: vec![Dependency::Unit("mariadb.service".parse().expect("a unit's name"))],
        heartbeats: vec![pulse()],
        ..guard("php8.2-fpm.service")
    };
    let settings = settings(vec![("php", guard, vec![php])]);
    let units = BTreeMap::new();
    let given = Given {
        files: &["/etc/watchdog/watchdog.toml".into(), "/etc/watchdog/conf.d/php.toml".into()],
        ignored: &["/etc/watchdog/conf.d/README".into()],
        warnings: &["/etc/watchdog/watchdog.toml:3:1: something; do this".into()],
        checked_only: &["service.php.group: services of one group have nothing in common yet".into()],
        ..given(&settings, &units)
    };
    expect![[r#"
        read     /etc/watchdog/watchdog.toml
        read     /etc/watchdog/conf.d/php.toml
        ignored  /etc/watchdog/conf.d/README (does not end in .toml)
        host     mode enforce: what is decided is done
        host     at most 20 restarts in 10m for all services together; of living units at most 1 at a time (the start of a dead unit never waits for that)
        host     events go to standard output, /var/log/watchdog.jsonl
        host     nobody is told of anything ([watchdog.notify] says who is)
        warning  /etc/watchdog/watchdog.toml:3:1: something; do this
        not yet  service.php.group: services of one group have nothing in common yet

        php (php8.2-fpm.service)
          heartbeat    GET http://heartbeat.example.com/
                       connects  127.0.0.1:80
                       good      status 200-499, "It works!" in the body of a 2xx or 3xx, complete within 3s
                       asked     at once on a suspicion; else every 5s while clients are connecting, every 1m while not
                       dead      after 3s200ms of silence, after 200ms when it refuses or answers wrongly
          crash        started again at once after a fatal signal or an exit code that is not clean
          clean end    exit code 0 or a SIGTERM: left down and reported, with who sent the signal (restart.on = "always" would start it again)
          worker dies  asked at once; while it answers, nothing is done
          hang         asked when a connection waits 250ms for its accept, or 1s for an answer; restarted 3s200ms after the first ask that is not answered
          wrong answer restarted after 2 in a row; an answer such as 403, where `status` allows it, is an alert
          5xx answers  asked at once when an answer of 500 and above leaves it, or its front end, in plain HTTP/1; while it answers well, nothing is done
          slow stop    after three times the unit's TimeoutStopSec= (5m where that is infinity) what is left of the old processes is killed, and the start follows; other services are looked after meanwhile
          slow start   after the unit's TimeoutStartSec= (5m where that is infinity) an alert, and the next try after its pause
          restart      the first at once, a pause of 1s before the second, doubled up to 5m; done when it answers well; until it first does, at most 10s, failures do not count; healthy for 10m, pauses start afresh
          budget spent after 3 restarts in 5m: quarantine, with an alert; it is still watched and tried again, more and more seldom, and leaves by itself when it answers
          last resort  none: the host is never rebooted for it (restart.ladder.reboot)
          waits for    mariadb.service: while it fails, this one is not restarted
          left alone   after an operator's stop, until someone starts it; while another job is on the unit; during a pause; while the unit is disabled or masked; while dpkg or rpm is at work (10m at most) or the boot is not over (90s); while the unit is frozen or a debugger is attached, which wakes someone after 2m

        1 service, no error, 1 warning
    "#]].assert_eq(&check(&given).to_string());
}

#[test]
fn the_units_own_settings_are_told_and_what_they_do_with_it() {
    let exec =
        Target::Exec { argv: vec!["/usr/bin/mysqladmin".into(), "ping".into()], user: Some("mysql".into()) };
    let tcp = Target::Tcp { host: "a".into(), port: 25 };
    let https = Target::Http { secure: true, host: "::1".into(), port: 8443, path: "/x?y=z".into() };
    let once = Pulse { failures: 1, on_failure: OnFailure::Alert, ..pulse() };
    let off = Pulse { on_failure: OnFailure::Off, ..pulse() };
    let db = Guard {
        heartbeats: vec![pulse(), once, off],
        on: RestartOn::Always,
        stop_timeout: Some(seconds(600)),
        start_timeout: Some(seconds(120)),
        ..guard("mariadb.service")
    };
    let asked_db = vec![
        asked(exec, Connect::Own),
        asked(tcp, Connect::Unix("/run/a.sock".into())),
        asked(https, Connect::Own),
    ];
    let mut idle = Guard { on: RestartOn::OnAbort, ..guard("idle.service") };
    idle.ladder.reboot = true;
    let mut settings = settings(vec![
        ("db", db, asked_db),
        ("idle", idle, Vec::new()),
        ("gone", guard("gone.service"), Vec::new()),
        ("off", guard("off.service"), Vec::new()),
    ]);
    settings.policy.host.observe = true;
    let units = [
        ("db", UnitState { restart: RestartOn::OnFailure, ..state("mariadb.service") }),
        (
            "idle",
            UnitState {
                stop_timeout: None,
                start_timeout: None,
                socket_activated: true,
                ..state("idle.service")
            },
        ),
        ("gone", UnitState { load: LoadState::NotFound, ..state("gone.service") }),
        ("off", UnitState { file: FileState::Disabled, oneshot: true, ..state("off.service") }),
    ];
    let units = units.into_iter().map(|(name, state)| (Service::new(name), known(state))).collect();
    expect![[r#"
        host     mode observe: everything is decided and recorded, nothing is done
        host     at most 20 restarts in 10m for all services together; of living units at most 1 at a time (the start of a dead unit never waits for that)
        host     events go to standard output, /var/log/watchdog.jsonl
        host     nobody is told of anything ([watchdog.notify] says who is)
        warning  db: `stop_timeout` (10m) is never reached: after TimeoutStopSec= in each of its three phases (4m30s) systemd kills by itself
        warning  db: `start_timeout` (2m) is never reached: systemd gives the start up after TimeoutStartSec= (1m30s)
        warning  gone: systemd knows no unit gone.service: it is watched until it appears; see `systemctl list-unit-files`
        warning  off: off.service is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same
        warning  off: off.service is Type=oneshot: its end is its success, there is nothing to keep answering

        db (mariadb.service)
          heartbeat    the exit code of `/usr/bin/mysqladmin ping` as mysql
                       connects  nowhere: a program of this host is run
                       good      exit code 0 within 3s
                       asked     at once on a suspicion; else every 5s while clients are connecting, every 1m while not
                       dead      after 3s200ms of silence, after 200ms when it refuses or answers wrongly
          heartbeat    a connection to a, port 25
                       connects  unix:/run/a.sock
                       good      connected within 3s
                       asked     at once on a suspicion; else every 5s while clients are connecting, every 1m while not
                       dead      after 3s of silence, at once when it refuses or answers wrongly: an alert, no restart
          heartbeat    GET https://[::1]:8443/x?y=z
                       connects  where the unit itself listens on port 8443, else 127.0.0.1:8443
                       good      status 200-499, complete within 3s
                       asked     never: on_failure = "off"
          crash        started again at once after a fatal signal or an exit code that is not clean; systemd's own Restart= goes first, after 100ms, and watchdog asks whether it answers
          clean end    started again at once, unless an operator asked for the stop
          worker dies  asked at once; while it answers, nothing is done
          hang         asked when a connection waits 250ms for its accept, or 1s for an answer; restarted 3s200ms after the first ask that is not answered
          wrong answer restarted after 2 in a row; an answer such as 403, where `status` allows it, is an alert
          5xx answers  asked at once when an answer of 500 and above leaves it, or its front end, in plain HTTP/1; while it answers well, nothing is done
          slow stop    after 10m what is left of the old processes is killed, and the start follows; other services are looked after meanwhile
          slow start   after 2m an alert, and the next try after its pause
          restart      the first at once, a pause of 1s before the second, doubled up to 5m; done when it answers well; until it first does, at most 10s, failures do not count; healthy for 10m, pauses start afresh
          budget spent after 3 restarts in 5m: quarantine, with an alert; it is still watched and tried again, more and more seldom, and leaves by itself when it answers
          last resort  none: the host is never rebooted for it (restart.ladder.reboot)
          left alone   after an operator's stop, until someone starts it; while another job is on the unit; during a pause; while the unit is disabled or masked; while dpkg or rpm is at work (10m at most) or the boot is not over (90s); while the unit is frozen or a debugger is attached, which wakes someone after 2m
          observe      none of this is done, only recorded
          systemd      Restart=on-failure: systemd itself starts it again after a crash or a time-out, after 100ms; watchdog lets it, asks whether the service answers, and acts only where systemd does not
          systemd      StartLimit: systemd refuses more than 5 starts in 10s; before a start of watchdog's would reach that, it clears the count: its own budget (3 in 5m) is the one that holds
          systemd      TimeoutStopSec=1m30s: for each of ExecStop=, the signals, and ExecStopPost=
          systemd      TimeoutStartSec=1m30s

        gone (gone.service)
          crash        started again at once after a fatal signal or an exit code that is not clean
          clean end    exit code 0 or a SIGTERM: left down and reported, with who sent the signal (restart.on = "always" would start it again)
          worker dies  nothing is done while the main process lives
          hang         not noticed: it has no heartbeat
          wrong answer not noticed: it has no heartbeat
          5xx answers  not looked for: it has no heartbeat
          slow stop    after 4m30s (three times the unit's TimeoutStopSec=) what is left of the old processes is killed, and the start follows; other services are looked after meanwhile
          slow start   after 1m30s (the unit's TimeoutStartSec=) an alert, and the next try after its pause
          restart      the first at once, a pause of 1s before the second, doubled up to 5m; done when systemd says that it is active; healthy for 10m, pauses start afresh
          budget spent after 3 restarts in 5m: quarantine, with an alert; it is still watched and tried again, more and more seldom, and leaves by itself when it answers
          last resort  none: the host is never rebooted for it (restart.ladder.reboot)
          left alone   after an operator's stop, until someone starts it; while another job is on the unit; during a pause; while the unit is disabled or masked; while dpkg or rpm is at work (10m at most) or the boot is not over (90s); while the unit is frozen or a debugger is attached, which wakes someone after 2m
          observe      none of this is done, only recorded

        idle (idle.service)
          crash        started again at once after a fatal signal; an exit code, whatever it is, is only reported
          clean end    exit code 0 or a SIGTERM: left down and reported, with who sent the signal (restart.on = "always" would start it again)
          worker dies  nothing is done while the main process lives
          hang         not noticed: it has no heartbeat
          wrong answer not noticed: it has no heartbeat
          5xx answers  not looked for: it has no heartbeat
          slow stop    after 5m (the unit sets no TimeoutStopSec=) what is left of the old processes is killed, and the start follows; other services are looked after meanwhile
          slow start   after 5m (the unit sets no TimeoutStartSec=) an alert, and the next try after its pause
          restart      the first at once, a pause of 1s before the second, doubled up to 5m; done when systemd says that it is active; healthy for 10m, pauses start afresh
          budget spent after 3 restarts in 5m: quarantine, with an alert; it is still watched and tried again, more and more seldom, and leaves by itself when it answers
          last resort  after 30m in quarantine without a good answer, when a slow retry failed too and it fails still: an alert, and the host is rebooted, other services with it; never while the host has been up for less than 6h, in a pause of any service, while anybody else is at work, where the unit would not come up again, or where watchdog cannot ask itself
          left alone   after an operator's stop, until someone starts it; while another job is on the unit; during a pause; while the unit is disabled or masked; while dpkg or rpm is at work (10m at most) or the boot is not over (90s); while the unit is frozen or a debugger is attached, which wakes someone after 2m
          observe      none of this is done, only recorded
          systemd      Restart=no: systemd never starts it again by itself
          systemd      StartLimit: systemd refuses more than 5 starts in 10s; before a start of watchdog's would reach that, it clears the count: its own budget (3 in 5m) is the one that holds
          systemd      TimeoutStopSec=infinity: systemd itself would wait for ever
          systemd      TimeoutStartSec=infinity
          systemd      started by its socket: while it is inactive it is healthy, and no heartbeat wakes it

        off (off.service)
          left alone   in each failure class: off.service is disabled: it is left alone until `systemctl enable`; `only_if_enabled = false` guards it all the same
          systemd      Restart=no: systemd never starts it again by itself
          systemd      StartLimit: systemd refuses more than 5 starts in 10s; before a start of watchdog's would reach that, it clears the count: its own budget (3 in 5m) is the one that holds
          systemd      TimeoutStopSec=1m30s: for each of ExecStop=, the signals, and ExecStopPost=
          systemd      TimeoutStartSec=1m30s

        4 services, no error, 5 warnings
    "#]].assert_eq(&check(&given(&settings, &units)).to_string());
}

#[test]
fn json_has_the_same() {
    let http = Target::Http { secure: false, host: "a".into(), port: 80, path: "/".into() };
    let guard = Guard { heartbeats: vec![pulse()], ..guard("nginx.service") };
    let settings = settings(vec![("web", guard, vec![asked(http, Connect::Dns)])]);
    let units = BTreeMap::new();
    let json = serde_json::to_value(check(&given(&settings, &units))).expect("JSON");
    expect![[r#"
        [
          {
            "asks": "GET http://a/",
            "connects": "where DNS says; a name that is not resolved says nothing about the service",
            "good": "status 200-499, complete within 3s",
            "silent_dead_after_us": 3200000,
            "then": "restart",
            "when": "at once on a suspicion; else every 5s while clients are connecting, every 1m while not",
            "wrong_dead_after_us": 200000
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&json["services"][0]["heartbeats"]).expect("JSON"));
    assert_eq!(json["services"][0]["outlook"][0]["when"], "crash");
}
