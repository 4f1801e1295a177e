//! The sentences of an incident's story.

use crate::{
    model::{
        Action, ActiveState, Answer, Cause, CommandRun, Exit, Hold, Holder, JobResult, Lodger, Outcome,
        PidFile, Preflight, Question, RestartOn, Result, Sender, SignalSent, Storm, UnitState, Why,
    },
    policy::cause::Class,
};

pub(super) fn main_exit(exit: &Exit, sent: Option<&SignalSent>) -> String {
    let Exit { pid, comm, .. } = exit;
    format!("main process {pid} ({comm}) ended: {}", ended_by(exit, sent))
}

pub(super) fn suspicion(why: &Why) -> String {
    match why {
        Why::MainExit { exit, sent } => main_exit(exit, sent.as_ref()),
        Why::WorkerExit { exit, sent } => {
            let Exit { pid, comm, .. } = exit;
            format!("process {pid} ({comm}) ended: {}", ended_by(exit, sent.as_ref()))
        }
        Why::WorkerStorm(storm) => self::storm(storm),
        Why::AcceptStall(stall) => format!(
            "port {}: the oldest of {} waiting connections has not been accepted for {:?}",
            stall.port, stall.waiting, stall.age
        ),
        Why::AnswerStall(stall) => {
            format!("port {}: a request has not been answered for {:?}", stall.port, stall.age)
        }
        Why::ListenerLost(port) => format!("nothing listens on port {port} any more"),
        Why::UnixStall(stall) => format!(
            "{}: {} connections have not been accepted for {:?} at least",
            stall.path.display(),
            stall.waiting,
            stall.age
        ),
        Why::OomKill(killed) if killed.pid == 0 => {
            "the kernel killed a process of it for want of memory".to_owned()
        }
        Why::OomKill(killed) => {
            format!("the kernel kills process {} ({}) for want of memory", killed.pid, killed.comm)
        }
        Why::Stopped(sent) => {
            format!("process {} stands still: signal {}{}", sent.pid, signal_name(sent.signal), from(sent))
        }
        Why::ServerErrors(errors) => {
            format!(
                "port {}: {} answers of 500 and above, the last {}",
                errors.port, errors.errors, errors.status
            )
        }
        Why::LogErrors(log) => {
            format!("{}: {} of {} lines are errors", log.path.display(), log.errors, log.lines)
        }
        Why::InUse => "clients are connecting".to_owned(),
        Why::Loss => "signs were lost".to_owned(),
    }
}

pub(super) fn storm(storm: &Storm) -> String {
    let Storm { deaths, within, last } = storm;
    let how = ended_by(last, None);
    format!(
        "{deaths} of its processes died within {within:.1?} under a living main process, the last: process {} ({}), {how}",
        last.pid, last.comm
    )
}

pub(super) fn cause(cause: Cause) -> String {
    match cause {
        Cause::Code(code) => format!("exit code {code}"),
        Cause::Signal { signal, core } => {
            let core = if core { ", core dumped" } else { "" };
            format!("signal {signal} ({}{core})", signal_name(signal))
        }
    }
}

/// How a process ended, and after which signal of whom.
fn ended_by(exit: &Exit, sent: Option<&SignalSent>) -> String {
    let how = exit.cause.map_or("it is not known how".to_owned(), cause);
    let Some(sent) = sent else { return how };
    let what = match exit.cause {
        Some(Cause::Signal { .. }) if sent.sender == Sender::OomKiller => ": killed".to_owned(),
        Some(Cause::Signal { .. }) => ", sent".to_owned(),
        Some(Cause::Code(_)) | None => {
            format!(", after signal {} ({})", sent.signal, signal_name(sent.signal))
        }
    };
    format!("{how}{what}{}", from(sent))
}

fn from(sent: &SignalSent) -> String {
    match &sent.sender {
        Sender::Kernel => " by the kernel".to_owned(),
        Sender::OomKiller => " by the kernel for want of memory".to_owned(),
        Sender::Process { pid, uid, comm, unit, .. } => {
            format!(" by process {pid} ({comm}) of user {uid}{}", inside(unit))
        }
    }
}

/// Who may have asked systemd for something, by what was run just before.
pub(super) fn asked_by(by: &[CommandRun]) -> String {
    let one = |run: &CommandRun| {
        let CommandRun { pid, comm, uid, unit, .. } = run;
        format!("process {pid} ({comm}) of user {uid}{}", inside(unit))
    };
    match by {
        [] => "not known who asked".to_owned(),
        [run] => format!("asked for by {}", one(run)),
        several => {
            let each: Vec<String> = several.iter().rev().map(one).collect();
            format!("asked for by one of: {}", each.join(", "))
        }
    }
}

fn inside(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" in {unit}") }
}

pub(super) fn answer(answer: &Answer) -> String {
    let evidence = answer.evidence.as_ref().map(|evidence| format!("; {evidence}")).unwrap_or_default();
    let ailments = answer.ailments.as_ref().map(|ailments| format!("; {ailments}")).unwrap_or_default();
    format!(
        "{}: {} (phase: {}, after {:?}){evidence}{ailments}",
        answer.asked, answer.end, answer.phase, answer.took
    )
}

pub(super) fn ended(unit: &UnitState, class: Class, exit: Option<&(Exit, Option<SignalSent>)>) -> String {
    let how = match (exit, unit.main_ended) {
        (Some((exit @ Exit { cause: Some(_), .. }, sent)), _) | (Some((exit, sent)), None) => {
            ended_by(exit, sent.as_ref())
        }
        (Some((Exit { cause: None, .. }, _)) | None, Some(ended)) => cause(ended),
        (None, None) => format!("result {}", unit.result),
    };
    let class = match class {
        Class::Clean => "a clean end",
        Class::UncleanCode => "an unclean exit code",
        Class::UncleanSignal => "an unclean signal",
        Class::Timeout => "a time-out",
        Class::Watchdog => "systemd's watchdog",
        Class::Abnormal => return format!("the unit ended: {how} (an abnormal end: {})", unit.result),
    };
    let when = if unit.came_up { "ended" } else { "did not come up" };
    format!("the unit {when}: {how} ({class})")
}

pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Restart { .. } => "restart",
        Action::Start { .. } => "start",
        Action::StartAfresh { .. } => "remove the stale PID file and start",
        Action::Kill => "kill",
        Action::Undo => "take back the start",
        Action::Reboot => "reboot the host",
        Action::Cancel { .. } => "cancel the job",
    }
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match &outcome.result {
        Result::Queued { job } => format!("systemd queued job {job}"),
        Result::Done => "done".to_owned(),
        Result::Nothing => "there was nothing to do any more".to_owned(),
        Result::Refused { error, text } if error.starts_with("watchdog.") => format!("not done: {text}"),
        Result::Refused { error, text } => format!("systemd refused: {text} ({error})"),
        Result::NoReply { text } => format!("systemd did not answer: {text}"),
    }
}

pub(super) fn hold(hold: &Hold) -> String {
    match hold {
        Hold::Backoff => "the pause before the next restart".to_owned(),
        Hold::Quarantine => "its budget of restarts is spent".to_owned(),
        Hold::HostBudget => "the host's budget of restarts is spent".to_owned(),
        Hold::Concurrency => "another living unit is being restarted".to_owned(),
        Hold::Dependency { on } => format!("it needs {on}, which is failing"),
        Hold::ForeignJob { job } => format!("job {job}, which is not ours, is on the unit"),
        Hold::Request => "systemd has not answered the last request yet, which may be on its way".to_owned(),
        Hold::PortHeld { by } | Hold::Instance { by } => by.clone(),
        Hold::Gate { why, .. } => format!("a restart would not help: {why}"),
        Hold::Preflight { why } => {
            format!("a living instance is not stopped for an invalid configuration: {why}")
        }
        Hold::Ourselves { why } => {
            format!("many services fail together, and watchdog cannot ask itself: {why}")
        }
        Hold::Together { on } => format!("many services fail together: one restart at a time, now of {on}"),
        Hold::Unstartable { why } => format!("systemd would not start it again: {why}"),
        Hold::Package { by } => format!("a package manager is at work: {by}"),
        Hold::Boot => "jobs of the boot are still running".to_owned(),
        Hold::Shutdown => "the host shuts down".to_owned(),
        Hold::Reboot { why } => format!("the host is not rebooted: {why}"),
        Hold::Frozen => "its processes are frozen".to_owned(),
        Hold::Debugger { by } => format!("a debugger is attached: {by}"),
        Hold::Systemd => "systemd's own Restart= acts first".to_owned(),
        Hold::Twin { service } => format!("service {service} keeps the same unit under another name"),
        Hold::Pause => "an operator's pause".to_owned(),
        Hold::Disabled => "the unit is disabled or masked".to_owned(),
        Hold::Observe => "mode = \"observe\": nothing is done".to_owned(),
    }
}

/// What is asked, as something that is or is not known.
pub(super) fn question(question: Question) -> &'static str {
    match question {
        Question::Unit => "the unit's state",
        Question::Holders => "who holds its ports",
        Question::Ourselves => "whether watchdog itself is well",
        Question::Preflight => "whether its configuration is valid",
        Question::Pressure => "what the host is short of",
        Question::Others => "who else is at work",
        Question::LastWords => "its last words",
        Question::MainProcess => "what its main process is",
        Question::PidFile => "what its PID file says",
        Question::Record { .. } => "the evidence",
    }
}

pub(super) fn preflight(preflight: &Preflight) -> String {
    match preflight {
        Preflight::Passed => "its preflight passed".to_owned(),
        Preflight::Failed { how, output } if output.is_empty() => format!("its preflight {how}"),
        Preflight::Failed { how, output } => format!("its preflight {how}: {}", output.join(" / ")),
        Preflight::NotRun { why } => format!("its preflight was not run: {why}"),
    }
}

pub(super) fn holder(holder: &Holder) -> String {
    let Holder { place, pid, comm, unit, .. } = holder;
    let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
    format!("{place} is held by process {pid} ({comm}){of}, outside the unit")
}

/// What a PID file has to do with a start that failed; `remove`: it goes where it is proved to be stale.
pub(super) fn pid_file(file: &PidFile, remove: bool) -> String {
    let PidFile { path, stamp, holder, .. } = file;
    let path = path.display();
    let Some(holder) = holder else {
        let named = format!(
            "after a start that failed, the PID file {path} names process {}, which does not live",
            stamp.pid
        );
        return named + &stale(file, remove);
    };
    let named = format!("after a start that failed, the PID file {path} names {}", lodger(holder));
    if holder.own {
        return format!("{named}, which is what an earlier run left in the unit: the file is kept");
    }
    if holder.alike {
        return format!(
            "{named}, which may be an instance of the service outside the unit: the file is kept and no second one is started; stop that process, or give it to the unit"
        );
    }
    let doubt = match (holder.later, &holder.program) {
        (true, Some(_)) => {
            return format!(
                "{named}, another program, started after the file was written{}",
                stale(file, remove)
            );
        }
        (true, None) => "but its program cannot be read",
        (false, _) => "but it was there before the file was written",
    };
    format!("{named}, which is no process of the unit, {doubt}: the file is kept; remove it if it is stale")
}

fn stale(file: &PidFile, remove: bool) -> String {
    let path = file.path.display();
    match (&file.instance, file.plain, remove) {
        (Some(other), _, _) => {
            format!(": the file is kept all the same, for {} may be of the service", lodger(other))
        }
        (None, false, _) => format!(
            ": the file is kept, for it holds more than a PID; remove {path} if the daemon refuses to start for it"
        ),
        (None, true, true) => ": it is stale, and removed before the next start".to_owned(),
        (None, true, false) => {
            format!(": it is stale; remove {path}, or let watchdog do it: stale_pid_file = \"remove\"")
        }
    }
}

pub(super) fn instance(file: &PidFile, holder: &Lodger) -> String {
    format!("{}, which {} names, may be an instance outside the unit", lodger(holder), file.path.display())
}

fn lodger(lodger: &Lodger) -> String {
    let of = if lodger.unit.is_empty() { String::new() } else { format!(" of {}", lodger.unit) };
    format!("process {} ({}){of}", lodger.pid, lodger.comm)
}

pub(super) fn job(result: JobResult) -> &'static str {
    match result {
        JobResult::Done => "done",
        JobResult::Canceled => "canceled",
        JobResult::Timeout => "timeout",
        JobResult::Failed => "failed",
        JobResult::Dependency => "dependency",
        JobResult::Skipped => "skipped",
        JobResult::Other => "with an unusual result",
    }
}

pub(super) fn active(active: ActiveState) -> &'static str {
    match active {
        ActiveState::Active => "active",
        ActiveState::Reloading => "reloading",
        ActiveState::Inactive => "inactive",
        ActiveState::Failed => "failed",
        ActiveState::Activating => "activating",
        ActiveState::Deactivating => "deactivating",
        ActiveState::Maintenance => "in maintenance",
    }
}

pub(super) fn restart_on(on: RestartOn) -> &'static str {
    match on {
        RestartOn::No => "no",
        RestartOn::Always => "always",
        RestartOn::OnSuccess => "on-success",
        RestartOn::OnFailure => "on-failure",
        RestartOn::OnAbnormal => "on-abnormal",
        RestartOn::OnAbort => "on-abort",
        RestartOn::OnWatchdog => "on-watchdog",
    }
}

fn signal_name(signal: u8) -> String {
    let named = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (15, "SIGTERM"),
        (19, "SIGSTOP"),
        (20, "SIGTSTP"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    let name = named.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name);
    name.map_or_else(|| format!("number {signal}"), str::to_owned)
}
