//! The sentences of an incident's story.

use crate::{
    model::{
        Action, ActiveState, Answer, Cause, Exit, Hold, Holder, JobResult, Outcome, Preflight, Question,
        RestartOn, Result, Sender, SignalSent, UnitState, Why,
    },
    policy::cause::Class,
};

pub(super) fn main_exit(exit: &Exit, sent: Option<&SignalSent>) -> String {
    let Exit { pid, comm, .. } = exit;
    format!("main process {pid} ({comm}) ended: {}{}", cause(exit.cause), by(exit.cause, sent))
}

pub(super) fn suspicion(why: &Why) -> String {
    match why {
        Why::MainExit { exit, sent } => main_exit(exit, sent.as_ref()),
        Why::WorkerExit { exit, sent } => {
            let Exit { pid, comm, .. } = exit;
            format!("process {pid} ({comm}) ended: {}{}", cause(exit.cause), by(exit.cause, sent.as_ref()))
        }
        Why::AcceptStall(stall) => format!(
            "port {}: the oldest of {} waiting connections has not been accepted for {:?}",
            stall.port, stall.waiting, stall.age
        ),
        Why::AnswerStall(stall) => {
            format!("port {}: a request has not been answered for {:?}", stall.port, stall.age)
        }
        Why::ListenerLost(port) => format!("nothing listens on port {port} any more"),
        Why::InUse => "clients are connecting".to_owned(),
        Why::Loss => "signs were lost".to_owned(),
    }
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

fn by(cause: Cause, sent: Option<&SignalSent>) -> String {
    let Some(sent) = sent else { return String::new() };
    let what = match cause {
        Cause::Signal { .. } => ", sent".to_owned(),
        Cause::Code(_) => format!(", after signal {} ({})", sent.signal, signal_name(sent.signal)),
    };
    match &sent.sender {
        Sender::Kernel => format!("{what} by the kernel"),
        Sender::Process { pid, uid, comm, .. } => format!("{what} by process {pid} ({comm}) of user {uid}"),
    }
}

pub(super) fn answer(answer: &Answer) -> String {
    format!("{}: {} (phase: {}, after {:?})", answer.asked, answer.end, answer.phase, answer.took)
}

pub(super) fn ended(unit: &UnitState, class: Class, exit: Option<&(Exit, Option<SignalSent>)>) -> String {
    let how = match (exit, unit.main_ended) {
        (Some((exit, sent)), _) => format!("{}{}", cause(exit.cause), by(exit.cause, sent.as_ref())),
        (None, Some(ended)) => cause(ended),
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
        Action::Kill => "kill",
        Action::Undo => "take back the start",
        Action::Cancel { .. } => "cancel the job",
    }
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match &outcome.result {
        Result::Queued { job } => format!("systemd queued job {job}"),
        Result::Done => "done".to_owned(),
        Result::Nothing => "there was nothing to do any more".to_owned(),
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
        Hold::PortHeld { by } => by.clone(),
        Hold::Gate { why, .. } => format!("a restart would not help: {why}"),
        Hold::Preflight { why } => {
            format!("a living instance is not stopped for an invalid configuration: {why}")
        }
        Hold::Unstartable { why } => format!("systemd would not start it again: {why}"),
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
        Question::Preflight => "whether its configuration is valid",
        Question::Pressure => "what the host is short of",
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
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    let name = named.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name);
    name.map_or_else(|| format!("number {signal}"), str::to_owned)
}
