//! What becomes of one statement of a check that is a service, or part of one.

use super::{
    change::Change,
    convert::Frame,
    draft::{self, Section, seconds, text},
    heartbeat,
    model::{Action, Kind, Method, Rate, Rule, Says, Sign, Test},
    report::Fate,
    source::Said,
    unit,
};
use crate::config::{
    pulse,
    values::{self, YEAR},
};

/// Alerts of monit go to addresses of its own.
const WHO: &str = "who is told is said for the whole host, not for a service: `to` of [watchdog.notify.mail]";

pub(super) fn fate(frame: &mut Frame<'_>, said: &Said) -> Fate {
    match &said.says {
        Says::Check(_) => head(frame),
        Says::Start(method) => command(frame, method, Which::Start),
        Says::Stop(method) => command(frame, method, Which::Stop),
        Says::Restart(method) => command(frame, method, Which::Restart),
        Says::If(rule) => self::rule(frame, rule),
        Says::Group(group) => self::group(frame, group),
        Says::Depends(_) => Fate::to("depends_on"), // settled when every service is known
        Says::Every(_)
            if frame
                .block
                .rules()
                .any(|rule| matches!(rule.test, Test::Connection(_) | Test::Status { .. })) =>
        {
            Fate::to("every")
        }
        Says::Every(_) => Fate::needless("nothing of this check is asked in cycles"),
        Says::Schedule => Fate::lost("a service is watched at all hours: there is no calendar"),
        Says::Mode(mode) => match mode.as_str() {
            "active" => Fate::needless("this is how watchdog works"),
            "passive" => {
                frame.change(Change::Passive);
                Fate::to("on_failure, on")
            }
            _ => {
                frame.change(Change::Passive);
                Fate::to("on_failure, on").but("watching is not begun by hand: every service is watched")
            }
        },
        Says::OnReboot(_) => {
            Fate::needless("what starts at boot is systemd's affair: `systemctl enable`, `disable`")
        }
        Says::Alert | Says::NoAlert => Fate::lost(WHO),
        Says::Ignore => Fate::lost("lines of a log are not left out: write a `match` that does not fit them"),
        Says::Include(_) => Fate::lost("no file matches"), // its true fate is known since it was read
        Says::Set(_) | Says::Daemon { .. } => Fate::lost("this stands inside of a check"),
        Says::Unknown(why) => Fate::lost(*why),
    }
}

fn head(frame: &mut Frame<'_>) -> Fate {
    let to = Fate::to(format!("[service.{}]", super::write::key(&frame.draft.name)));
    match frame.check.kind {
        Kind::Process => {}
        Kind::File => {
            frame.change(Change::LogGone);
            return to;
        }
        Kind::Host | Kind::Program => return to,
        Kind::Filesystem | Kind::Directory | Kind::Fifo | Kind::Network | Kind::System => return to,
    }
    if frame.check.matching || frame.check.path.is_some() {
        frame.change(Change::Identity);
    }
    let pid_file = frame.check.path.as_ref().filter(|path| values::path(path).is_ok());
    if let Some(path) = pid_file {
        frame.draft.main.set("pid_file", text(path), frame.at);
    }
    // monit starts whatever is not there, unless a rule says otherwise
    let rule = frame.block.rules().find(|rule| rule.test == Test::Missing);
    let action = rule.map_or(Action::Restart, |rule| rule.action.clone());
    let starts = match &action {
        Action::Restart | Action::Start => frame.may_restart(&action),
        Action::Exec(command) => frame.is_own_restart(command) && frame.may_restart(&action),
        Action::Alert | Action::Stop | Action::Unmonitor | Action::Monitor | Action::Unknown => false,
    };
    frame.draft.restart.set("on", text(if starts { "always" } else { "no" }), frame.at);
    if starts {
        frame.change(Change::Ends);
    } else if !frame.block.has_start() {
        frame.change(Change::NoStart);
    }
    to
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Start,
    Stop,
    Restart,
}

fn command(frame: &mut Frame<'_>, method: &Method, which: Which) -> Fate {
    let own = unit::of(&method.command).is_some_and(|does| does.unit == frame.draft.unit);
    let mut fate = Fate::to("unit");
    if own {
        frame.change(Change::Programs);
    } else {
        let unit = &frame.draft.unit;
        fate = fate.but(match frame.draft.fill_in.is_empty() {
            true => format!("this program is not run: systemd starts and stops {unit} as the unit says"),
            false => "this program is not run: systemd starts and stops units, and it names none".to_owned(),
        });
    }
    if method.as_other {
        fate = fate.but("as whom it runs is said by `User=` and `Group=` of the unit");
    }
    let (key, change) = match which {
        Which::Start => ("start_timeout", Change::StartTimeout),
        Which::Stop => ("stop_timeout", Change::StopTimeout),
        Which::Restart if method.timeout.is_some() => {
            return fate.but("its time-out is not copied: a restart has `stop_timeout` and `start_timeout`");
        }
        Which::Restart => return fate,
    };
    let Some(timeout) = method.timeout else {
        if which == Which::Stop {
            frame.change(Change::Stop);
        }
        return fate;
    };
    frame.change(change);
    match frame.draft.restart.set(key, seconds(timeout.max(1)), frame.at) {
        true => fate,
        false => fate.but(format!("another check of this unit has set `{key}`")),
    }
}

fn group(frame: &mut Frame<'_>, group: &str) -> Fate {
    let name = draft::name(group);
    if name != *group {
        frame.change(Change::Renamed);
    }
    match frame.draft.main.set("group", text(&name), frame.at) {
        true => Fate::to("group"),
        false => Fate::lost("a service has one group"),
    }
}

fn rule(frame: &mut Frame<'_>, rule: &Rule) -> Fate {
    let fate = match &rule.test {
        Test::Connection(asked) => heartbeat::connection(frame, rule, asked).unwrap_or_else(Fate::lost),
        Test::Missing => missing(frame, rule),
        Test::Restarts(limit) => self::limit(frame, rule, *limit),
        Test::Content { negated, pattern } => log(frame, rule, *negated, pattern),
        Test::Status { sign: Sign::NotEqual, code: 0 } if frame.check.kind == Kind::Program => {
            heartbeat::program(frame, rule).unwrap_or_else(Fate::lost)
        }
        Test::Status { .. } => Fate::lost("a program answers well by exit code 0 alone: write one that does"),
        Test::Exists => Fate::lost("that something is there is no failure"),
        Test::Ping => Fate::lost("watchdog does not ping"),
        Test::Usage(what) => Fate::lost(usage(what)),
        Test::Attribute(_) => {
            Fate::lost("watchdog does not look after files: debsums, rpm -V or auditd tell of changes")
        }
        Test::Changed(what) if ["pid", "ppid"].contains(&what.to_ascii_lowercase().as_str()) => {
            Fate::needless("every end and every start of a unit is in the event stream")
        }
        Test::Changed(_) => {
            Fate::lost("watchdog looks whether services answer, not whether something changed")
        }
        Test::Unknown => Fate::lost("this is no test of monit that the importer knows"),
    };
    if rule.otherwise {
        return fate.but("there is no `else`: a recovery is told, and nothing else is done");
    }
    fate
}

fn usage(what: &str) -> &'static str {
    match what {
        "mem" | "memory" | "totalmem" | "totalmemory" | "swap" => {
            "no restart by usage, only where the service fails: `MemoryMax=` in the unit ends what grows, and watchdog starts it again"
        }
        "uptime" => "watchdog does not act by age",
        "filedescriptors" | "children" | "threads" => {
            "no restart by usage, only where the service fails: `LimitNOFILE=` and `TasksMax=` of the unit are limits"
        }
        _ => {
            "no restart and no alarm by usage, only where the service fails: `CPUQuota=` of the unit is a limit"
        }
    }
}

/// `if does not exist …`; what it does is decided with the check itself.
fn missing(frame: &mut Frame<'_>, rule: &Rule) -> Fate {
    if frame.check.kind != Kind::Process {
        return Fate::lost("watchdog does not look after files");
    }
    let fate = Fate::to("restart.on");
    match &rule.action {
        Action::Restart | Action::Start | Action::Alert => fate,
        Action::Exec(command) if frame.is_own_restart(command) => fate,
        Action::Exec(_) => fate.but("the program is not run"),
        Action::Stop | Action::Unmonitor | Action::Monitor | Action::Unknown => {
            fate.but("watchdog never stops watching: an end is told, and nothing is started")
        }
    }
}

/// `if N restarts within M cycles …`: of several limits, the one that ends in `unmonitor` is the budget.
fn limit(frame: &mut Frame<'_>, rule: &Rule, limit: Rate) -> Fate {
    let limits = || {
        frame.block.rules().filter_map(|rule| {
            if let Test::Restarts(limit) = &rule.test { Some((*limit, &rule.action)) } else { None }
        })
    };
    let ends = |action: &Action| matches!(action, Action::Unmonitor | Action::Stop);
    let chosen = limits().find(|(_, action)| ends(action)).or_else(|| limits().next());
    let Some((chosen, _)) = chosen.filter(|(chosen, _)| *chosen == limit) else {
        return Fate::lost("a service has one limit of restarts, and this check has another that counts");
    };
    let burst = chosen.count.clamp(1, 1_000);
    let within = chosen.cycles.saturating_mul(frame.cycle).clamp(1, YEAR.as_secs());
    let both = frame.draft.restart.set("burst", burst.to_string(), frame.at)
        && frame.draft.restart.set("within", seconds(within), frame.at);
    if !both {
        return Fate::lost("another check of this unit has set the limit of restarts");
    }
    if within > 600 {
        frame.draft.restart.set("stable", seconds(within), frame.at);
    }
    let fate = Fate::to(frame.table("restart"));
    match &rule.action {
        Action::Unmonitor => {
            frame.change(Change::Unmonitor);
            fate
        }
        Action::Alert => {
            frame.change(Change::LimitAlert);
            fate
        }
        Action::Exec(_) => fate.but("the program is not run"),
        Action::Stop | Action::Restart | Action::Start | Action::Monitor | Action::Unknown => {
            frame.change(Change::Unmonitor);
            fate.but("a service is never stopped: after this limit comes quarantine")
        }
    }
}

/// `if content = …` of a file: a log that raises suspicions.
fn log(frame: &mut Frame<'_>, rule: &Rule, negated: bool, pattern: &str) -> Fate {
    let path = frame.check.path.clone().unwrap_or_default();
    let restarts = match &rule.action {
        Action::Restart | Action::Start => true,
        Action::Exec(command) => frame.is_own_restart(command),
        Action::Alert | Action::Stop | Action::Unmonitor | Action::Monitor | Action::Unknown => false,
    };
    if negated {
        return Fate::lost("a line that is missing is no sign");
    }
    if frame.check.kind != Kind::File || values::path(&path).is_err() {
        return Fate::lost("the log has no full path");
    }
    if !restarts || !frame.may_restart(&rule.action) {
        return Fate::lost("a log raises suspicions for a heartbeat, and tells nothing by itself");
    }
    let mut log = Section::default();
    log.set("path", text(&path), frame.at);
    if is_5xx(pattern) {
        log.set("status", text("5xx"), frame.at);
        frame.change(Change::LogShare);
    } else if pulse::pattern(pattern).is_ok() {
        log.set("match", text(pattern), frame.at);
        log.set("share", "0.000001", frame.at); // however many other lines there are
        log.set("minimum", rule.rate.count.clamp(1, 1_000_000).to_string(), frame.at);
        let within = rule.rate.cycles.saturating_mul(frame.cycle).clamp(1, 86_400);
        log.set("within", seconds(within), frame.at);
    } else {
        return Fate::lost(
            "this pattern is none of Rust's regex: write it anew as the `match` of a [service.NAME.log]",
        );
    }
    if rule.action == Action::Start {
        frame.change(Change::StartIsRestart);
    }
    frame.change(Change::Log);
    if frame.draft.logs.iter().all(|other| !other.says_the_same(&log)) {
        frame.draft.logs.push(log);
    }
    Fate::to(frame.table("log"))
}

/// A pattern for server errors in an access log.
fn is_5xx(pattern: &str) -> bool {
    let fives = ["5[0-9][0-9]", "5[0-9]{2}", r"5\d\d", r"5\d{2}", "50[0-9]", "5[0-9]+", "5.."];
    let request = ["HTTP", "GET", "POST", "\""];
    fives.iter().any(|five| pattern.contains(five)) && request.iter().any(|word| pattern.contains(word))
}
