//! What the words of a script mean, and how a decision is told in its log.

use std::{fmt::Write as _, time::Duration};

use crate::model::*;

pub(super) fn state(word: &str) -> ActiveState {
    match word {
        "active" => ActiveState::Active,
        "reloading" => ActiveState::Reloading,
        "inactive" => ActiveState::Inactive,
        "failed" => ActiveState::Failed,
        "activating" => ActiveState::Activating,
        "deactivating" => ActiveState::Deactivating,
        other => panic!("state {other}"),
    }
}

/// `run=N` is the incarnation; `result=…`, `restart=…`, `sub=…`, `job=…`, `absent`, `disabled`.
pub(super) fn unit(service: &str, active: &str, rest: &[&str]) -> UnitState {
    let mut unit = UnitState {
        unit: format!("{service}.service").parse().unwrap(),
        load: LoadState::Loaded,
        file: FileState::Other,
        active: state(active),
        sub: String::new(),
        incarnation: Some(Incarnation([if service == "web" { 1 } else { service.as_bytes()[0] }; 16])),
        main_pid: Some(10),
        cgroup: Some(CgroupId(1)),
        cgroup_path: format!("/system.slice/{service}.service"),
        job: None,
        main_ended: None,
        result: "success".into(),
        restart: RestartOn::No,
        restart_pause: Duration::from_millis(100),
        restarts: 0,
        stop_timeout: Some(Duration::from_secs(90)),
        start_timeout: Some(Duration::from_secs(90)),
        start_limit_burst: 5,
        start_limit_interval: Duration::from_secs(10),
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
    for word in rest {
        match word.split_once('=') {
            Some(("run", run)) => unit.incarnation = Some(Incarnation([run.parse().unwrap(); 16])),
            Some(("result", result)) => unit.result = result.into(),
            Some(("sub", sub)) => unit.sub = sub.into(),
            Some(("restarts", n)) => unit.restarts = n.parse().unwrap(),
            Some(("job", id)) => unit.job = Some(PendingJob { id: id.parse().unwrap(), kind: None }),
            Some(("restart", "on-failure")) => unit.restart = RestartOn::OnFailure,
            Some(("prevent", code)) => unit.prevent.codes.push(code.parse().unwrap()),
            Some(("force", code)) => unit.force.codes.push(code.parse().unwrap()),
            Some(("main", code)) => unit.main_ended = Some(Cause::Code(code.parse().unwrap())),
            None if *word == "absent" => unit.load = LoadState::NotFound,
            None if *word == "masked" => unit.load = LoadState::Masked,
            None if *word == "disabled" => unit.file = FileState::Disabled,
            None if *word == "no_main" => unit.main_pid = None,
            None if *word == "pid_file" => unit.pid_file = Some("/run/web.pid".into()),
            None if *word == "never_up" => unit.came_up = false,
            None if *word == "stopped_first" => unit.stopped_first = true,
            None if *word == "oneshot" => unit.oneshot = true,
            None if *word == "socket" => unit.socket_activated = true,
            _ => panic!("word {word}"),
        }
    }
    unit
}

pub(super) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Act { action, rule, observed_only } => {
            let only = if *observed_only { " (observed only)" } else { "" };
            format!("decided {action:?}{only}: {rule}")
        }
        Decision::Hold { hold, .. } => format!("held: {hold:?}"),
        Decision::LeaveAlone { why, .. } => format!("left alone: {why}"),
        Decision::Alert { what } => format!("ALERT {what}"),
        Decision::End(story) => {
            let mut told = format!("{:?} after {:?} and {} restarts", story.end, story.took, story.restarts);
            for step in &story.steps {
                let _ = write!(told, "\n      {} µs {}", step.after_us, step.what);
            }
            told
        }
    }
}

/// Who else is at work: `apt`, `gdb`, `frozen`, `boot`, `shutdown`, or nobody; PID 1 began with the kernel, or at `began=SECONDS`.
pub(super) fn others(words: &[&str]) -> Others {
    let mut others = Others { began: Some(Mono(0)), ..Others::default() };
    for word in words {
        if let Some(("began", seconds)) = word.split_once('=') {
            others.began = Some(Mono(0) + Duration::from_secs(seconds.parse().unwrap()));
            continue;
        }
        match *word {
            "apt" => others.package = Some("process 7 (apt-get) holds /var/lib/dpkg/lock-frontend".into()),
            "gdb" => others.tracer = Some("process 8 (gdb) traces process 10 (web)".into()),
            "frozen" => others.frozen = true,
            "boot" => others.system = SystemState::Booting,
            "shutdown" => others.system = SystemState::Stopping,
            _ => panic!("word {word}"),
        }
    }
    others
}

/// `memory=61/12` is avg10 and the unit's own share in percent, as `cpu=…`; `disk=…` what is free.
pub(super) fn pressure(figures: &[&str]) -> Pressure {
    let percent = |text: &str| text.parse::<u32>().unwrap() * 100;
    let mut pressure =
        Pressure { memory: Some(Pressed::default()), io: Some(Pressed::default()), ..Pressure::default() };
    for figure in figures {
        let (of, figure) = figure.split_once('=').unwrap();
        let pressed = || {
            let (avg10, own) = figure.split_once('/').unwrap();
            let some = Averages { avg10: percent(avg10), avg60: 0, avg300: 0 };
            Some(Pressed { some, full: Averages::default(), now: None, own: Some(percent(own)) })
        };
        match of {
            "memory" => pressure.memory = pressed(),
            "cpu" => pressure.cpu = pressed(),
            "disk" => {
                let disk = Disk { place: "/var".into(), blocks: percent(figure), inodes: None };
                pressure.disks.push(disk);
            }
            _ => panic!("figure {of}"),
        }
    }
    pressure
}
