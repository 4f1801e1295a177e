//! What a record says, as one line for a tired reader.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::{
    Line, Record, Said, found,
    words::{alike, job_kind, records, signal, source, span, verb, word},
};
use crate::model::{
    Act, Answer, Audit, Cause, Command, Decision, Exit, Fate, Hold, IncidentEnd, JobStep, Listener,
    LogErrors, Mono, Notified, OomKill, Outcome, Place, Result, Saw, Sender, ServerErrors, Serving, Sign,
    SignalSent, Stall, Story, Tell, UnitState, UnixStall, Verdict, Why,
};

/// One sentence, without the time: `nginx: main process 812 (nginx) ended by SIGKILL`. It holds no control characters, though
/// what it tells of may.
pub fn sentence(record: &Record) -> String {
    let said = match &record.said {
        Said::Sign(sign) => sign_said(sign),
        Said::Fact(fact) => found::fact(fact),
        Said::Command(command) => command_said(record.at, command),
        Said::Audit(audit) => asked(audit),
        Said::Suspicion(suspicion) => why(&suspicion.why),
        Said::Heartbeat(answer) => heartbeat(answer),
        Said::Decision(tell) => decision(tell),
        Said::Action(act) => action(act),
        Said::Outcome(outcome) => result(outcome),
        Said::Notified(notified) => told(notified),
        Said::Loss(loss) => format!("{} missing here ({})", records(loss.lost), loss.place),
        Said::State(_) => "the policy's whole state, for replay".into(),
    };
    let subject = record.subject.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
    (subject + &said).chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// The same with its time: `2026-11-02 03:04:05.123 nginx: main process 812 (nginx) ended by SIGKILL`, and the end of the line.
pub fn timed(line: &Line, zone: &TimeZone) -> String {
    let time = line.time.to_zoned(zone.clone());
    format!("{} {}\n", time.strftime("%F %T%.3f"), sentence(&line.record))
}

fn sign_said(sign: &Sign) -> String {
    match &sign.saw {
        Saw::Exit(exit) => exited("process", exit),
        Saw::SignalSent(sent) => {
            format!("{} sent to process {} by {}", signal(sent.signal), sent.pid, sender(&sent.sender))
        }
        Saw::ListenerUp(port) => format!("port {port} listens"),
        Saw::ListenerDown { port, left: 0 } => format!("nobody listens on port {port} any more"),
        Saw::ListenerDown { port, left } => {
            format!("a listener of port {port} went away, {left} left")
        }
        Saw::AcceptStall(stall) => not_accepted(stall),
        Saw::AnswerStall(stall) => not_answered(stall),
        Saw::StallOver(port) => format!("port {port} moves again"),
        Saw::InUse(port) => format!("clients connect to port {port}"),
        Saw::OomKill(killed) => oom_killed(killed),
        Saw::ServerErrors(errors) => server_errors(errors),
        Saw::LogErrors(errors) => log_errors(errors),
        Saw::UnixStall(stall) => unix_stall(stall),
        Saw::CommandRun(run) => format!("process {} ({}, uid {}) was run", run.pid, run.comm, run.uid),
        Saw::Serving(serving) => by_what(serving),
        Saw::Unit(state) => unit(state),
        Saw::Job(job) => match job.step {
            JobStep::New(kind) => {
                let kind = kind.map(|kind| format!("{} ", job_kind(kind))).unwrap_or_default();
                format!("{kind}job {} queued on {}", job.id, job.unit)
            }
            JobStep::Removed { result, active } => {
                format!("job {} on {} over: {}, now {}", job.id, job.unit, word(&result), word(&active))
            }
        },
        Saw::Listeners(listeners) => listening(listeners),
        Saw::Loss(loss) => {
            let lost = if loss.lost == 0 { "events".into() } else { format!("{} events", loss.lost) };
            format!("{lost} lost by {} ({}): everything is looked at again", source(sign.source), loss.place)
        }
        Saw::Working { works: true, why } if why.is_empty() => format!("{} works", source(sign.source)),
        Saw::Working { works: true, why } => format!("{} works ({why})", source(sign.source)),
        Saw::Working { works: false, why } => format!("{} does not work: {why}", source(sign.source)),
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::MainExit { exit, sent } => exited("main process", exit) + &after(exit.cause, sent.as_ref()),
        Why::WorkerExit { exit, sent } => exited("process", exit) + &after(exit.cause, sent.as_ref()),
        Why::WorkerStorm(storm) => format!(
            "{} processes died within {}, the last: {}",
            storm.deaths,
            span(storm.within),
            exited("process", &storm.last)
        ),
        Why::AcceptStall(stall) => not_accepted(stall),
        Why::AnswerStall(stall) => not_answered(stall),
        Why::ListenerLost(port) => format!("nobody listens on port {port} any more"),
        Why::UnixStall(stall) => unix_stall(stall),
        Why::OomKill(killed) => oom_killed(killed),
        Why::Stopped(sent) => {
            format!(
                "process {} was stopped by {} from {}",
                sent.pid,
                signal(sent.signal),
                sender(&sent.sender)
            )
        }
        Why::ServerErrors(errors) => server_errors(errors),
        Why::LogErrors(errors) => log_errors(errors),
        Why::InUse => "in use: asked more often".into(),
        Why::Loss => "events were lost: looked at again".into(),
    }
}

fn exited(whose: &str, exit: &Exit) -> String {
    format!("{whose} {} ({}) {}", exit.pid, exit.comm, ended(exit.cause))
}

fn ended(cause: Option<Cause>) -> String {
    match cause {
        None => "ended".to_owned(),
        Some(Cause::Code(code)) => format!("ended with code {code}"),
        Some(Cause::Signal { signal: number, core }) => {
            format!("ended by {}{}", signal(number), if core { " (core dumped)" } else { "" })
        }
    }
}

/// A signal may have been sent, and the process ended otherwise: it may have handled it, or be on its way.
fn after(cause: Option<Cause>, sent: Option<&SignalSent>) -> String {
    let Some(sent) = sent else { return String::new() };
    let by = sender(&sent.sender);
    match cause {
        Some(Cause::Signal { signal, .. }) if signal == sent.signal => format!(", sent by {by}"),
        Some(Cause::Signal { .. } | Cause::Code(_)) | None => {
            format!(", after {} from {by}", signal(sent.signal))
        }
    }
}

fn sender(sender: &Sender) -> String {
    match sender {
        Sender::Kernel => "the kernel".into(),
        Sender::OomKiller => "the kernel, for want of memory".into(),
        Sender::Process { pid, uid, comm, unit, cgroup: _ } if unit.is_empty() => {
            format!("process {pid} ({comm}, uid {uid})")
        }
        Sender::Process { pid, uid, comm, unit, cgroup: _ } => {
            format!("process {pid} ({comm}, uid {uid}, {unit})")
        }
    }
}

fn not_accepted(stall: &Stall) -> String {
    let Stall { port, age, waiting } = stall;
    format!("port {port} does not accept: {waiting} waiting, the oldest for {}", span(*age))
}

fn not_answered(stall: &Stall) -> String {
    let Stall { port, age, waiting } = stall;
    format!("port {port} does not answer: {waiting} waiting, the oldest for {}", span(*age))
}

fn oom_killed(killed: &OomKill) -> String {
    let OomKill { pid, comm, cgroup: _ } = killed;
    if *pid == 0 {
        return "the kernel killed a process of it for want of memory".into();
    }
    format!("the kernel kills process {pid} ({comm}) for want of memory")
}

fn server_errors(errors: &ServerErrors) -> String {
    let ServerErrors { port, status, errors, cgroup: _ } = errors;
    format!("port {port} answers with errors: {errors}, the last one {status}")
}

fn log_errors(log: &LogErrors) -> String {
    let LogErrors { path, errors, lines, service: _ } = log;
    format!("{errors} of the last {lines} lines of {} are errors", path.display())
}

fn unix_stall(stall: &UnixStall) -> String {
    let UnixStall { path, age, waiting } = stall;
    format!("{} does not accept: {waiting} waiting, for {} at least", path.display(), span(*age))
}

fn by_what(serving: &[Serving]) -> String {
    let each = alike(serving).into_iter().map(|(Serving { rung, why, .. }, classes)| match why.is_empty() {
        true => format!("{} by {rung}", classes.join(", ")),
        false => format!("{} by {rung} ({why})", classes.join(", ")),
    });
    format!("seen from now on: {}", each.collect::<Vec<_>>().join("; "))
}

pub(super) fn unit(state: &UnitState) -> String {
    let mut text = format!("{} is {} ({})", state.unit, word(&state.active), state.sub);
    if let Some(pid) = state.main_pid {
        let _ = write!(text, ", main process {pid}");
    }
    if let Some(job) = state.job {
        let _ = write!(text, ", job {}", job.id);
    }
    if state.result != "success" && !state.result.is_empty() {
        let _ = write!(text, ", result {}", state.result);
    }
    text
}

fn listening(listeners: &[Listener]) -> String {
    let waiting: Vec<String> = listeners
        .iter()
        .filter(|listener| listener.queue > 0)
        .map(|listener| {
            let place = match &listener.place {
                Place::Tcp(address) => address.to_string(),
                Place::Unix(path) => path.display().to_string(),
            };
            format!("{} of {} wait at {place}", listener.queue, listener.limit)
        })
        .collect();
    let waiting = if waiting.is_empty() { String::new() } else { format!("; {}", waiting.join(", ")) };
    format!("{} sockets listen{waiting}", listeners.len())
}

/// What whoever asked for it gave as a reason, where there is one.
fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn command_said(at: Mono, command: &Command) -> String {
    match command {
        Command::Pause { service: _, pause } => {
            format!("paused for {} by {}{}", span(pause.until.since(at)), pause.by, because(&pause.reason))
        }
        Command::Resume { service: _ } => "resumed".into(),
        Command::Restart { service: _, by, reason } => {
            format!("a restart is asked for by {by}{}", because(reason))
        }
        Command::Reload { faults: None } => "the configuration was read again and is in force".into(),
        Command::Reload { faults: Some(faults) } => format!(
            "the configuration has faults, the old one stays in force: {}",
            faults.lines().next().unwrap_or("")
        ),
    }
}

fn asked(audit: &Audit) -> String {
    let untold = match audit.untold {
        0 => String::new(),
        more => format!(" (and {more} more that were refused)"),
    };
    let how = if audit.done { "done" } else { "NOT DONE" };
    format!("{} asked for {}: {how}: {}{untold}", audit.by, audit.asked, audit.answer)
}

fn heartbeat(answer: &Answer) -> String {
    let verdict = match answer.verdict {
        Verdict::Alive => "alive",
        Verdict::Dead => "DEAD",
        Verdict::Unknown => "unknown",
    };
    let when = match answer.verdict {
        Verdict::Alive => "in",
        Verdict::Dead | Verdict::Unknown => "after",
    };
    format!("{verdict} {when} {}: {}, {answer}", span(answer.took), answer.asked)
}

fn decision(tell: &Tell) -> String {
    match &tell.decision {
        Decision::Act { action, rule, observed_only } => {
            let (would, end) = if *observed_only { ("would ", " (observing only)") } else { ("", "") };
            format!("decided: {would}{} {}{end}, because {rule}", verb(*action), tell.unit)
        }
        Decision::Hold { hold, until } => {
            format!("waits at most {}: {}", span(until.since(tell.at)), held(hold))
        }
        Decision::LeaveAlone { why, cause, sent } => {
            let ended =
                cause.map(|_| format!(" (main process {}{})", ended(*cause), after(*cause, sent.as_ref())));
            format!("left alone: {why}{}", ended.unwrap_or_default())
        }
        Decision::Alert { what } => format!("ALERT: {what}"),
        Decision::End(story) => ending(story),
    }
}

fn told(notified: &Notified) -> String {
    let about: Vec<&str> = notified.about.iter().map(|kind| kind.name()).collect();
    let (about, by) = (about.join(", "), notified.channel.as_deref().unwrap_or("anyone"));
    match &notified.fate {
        Fate::Told => format!("told by {by}: {about}"),
        Fate::Failed { why, again } => {
            format!("not told by {by} ({about}): {why}; again in {}", span(again.since(notified.at)))
        }
        Fate::GivenUp { why } => format!("given up to tell by {by} ({about}): {why}"),
        Fate::Dropped { count } => format!("not told to {by}: {count} more than there was room for"),
    }
}

fn ending(story: &Story) -> String {
    let took = span(story.took);
    let restarts = match story.restarts {
        0 => "without a restart".into(),
        1 => "with 1 restart".into(),
        many => format!("with {many} restarts"),
    };
    let first = story.steps.first().map(|step| format!("; it began with: {}", step.what)).unwrap_or_default();
    match story.end {
        IncidentEnd::Recovered => format!("RECOVERED in {took} {restarts}{first}"),
        IncidentEnd::Quarantined => {
            format!("QUARANTINED after {took} {restarts}: still watched, tried again slowly{first}")
        }
        IncidentEnd::StoodDown => format!("stood down after {took}{first}"),
        IncidentEnd::Superseded => format!("somebody else brought it back within {took}{first}"),
    }
}

/// What an order waits for, as a part of a sentence.
pub fn held(hold: &Hold) -> String {
    match hold {
        Hold::Backoff => "the pause between two restarts".into(),
        Hold::Quarantine => "quarantine, its restarts are used up".into(),
        Hold::HostBudget => "the host's restarts are used up".into(),
        Hold::Concurrency => "another service is being restarted".into(),
        Hold::Dependency { on } => format!("{on}, which it depends on, is failing"),
        Hold::ForeignJob { job } => format!("job {job} of somebody else is on the unit"),
        Hold::Request => "systemd has not answered the last request yet".into(),
        Hold::PortHeld { by } => format!("its port is held by {by}"),
        Hold::Gate { gate: _, why } => format!("a restart would not help, {why}"),
        Hold::Preflight { why } => format!("its configuration is invalid, {why}"),
        Hold::Ourselves { why } => {
            format!("many services fail, and so does watchdog when it asks itself, {why}")
        }
        Hold::Together { on } => format!("many services fail: one restart at a time, now of {on}"),
        Hold::Unstartable { why } => format!("systemd would not start it again, {why}"),
        Hold::Instance { by } => by.clone(),
        Hold::Package { by } => format!("a package manager is at work, {by}"),
        Hold::Boot => "the boot is not over".into(),
        Hold::Shutdown => "the host shuts down".into(),
        Hold::Reboot { why } => format!("a reboot of the host is due and not done, {why}"),
        Hold::Frozen => "its processes are frozen".into(),
        Hold::Debugger { by } => format!("a debugger is attached, {by}"),
        Hold::Systemd => "systemd's own Restart= acts first".into(),
        Hold::Twin { service } => format!("service {service} keeps the same unit under another name"),
        Hold::Pause => "paused by an operator".into(),
        Hold::Disabled => "the unit is disabled or masked".into(),
        Hold::Observe => "observing only".into(),
    }
}

fn action(act: &Act) -> String {
    format!("{} {}", verb(act.action), act.unit)
}

fn result(outcome: &Outcome) -> String {
    let took = span(outcome.at.since(outcome.requested));
    match &outcome.result {
        Result::Queued { job } => format!("systemd queued job {job} after {took}"),
        Result::Done => format!("done after {took}"),
        Result::Nothing => "there was nothing to do any more".into(),
        Result::Refused { error, text } if error.starts_with("watchdog.") => format!("not done: {text}"),
        Result::Refused { error, text } => format!("systemd refused: {text} ({error})"),
        Result::NoReply { text } => format!("no reply from systemd after {took}: {text}"),
    }
}
