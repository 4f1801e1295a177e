use zbus::{Message, OwnedObjectPath, Variant, message::Type};

use super::{Connection, Said, connection::MANAGER, connection::PROPERTIES};
use crate::model::{JobKind, JobResult, SystemState};

pub(super) const JOB: &str = "org.freedesktop.systemd1.Job";
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
const JOBS: &str = "/org/freedesktop/systemd1/job/";

/// What one message tells, as far as it matters here.
#[derive(Debug)]
pub enum Signal {
    /// Properties of the unit at this object path changed. Its body is read by [`Signal::said`], once the path is known to matter.
    Changed {
        /// The object path.
        path: String,
        /// systemd sends the properties of the unit's kind first, those of all units after them: with these a change is complete.
        complete: bool,
    },
    /// A job was queued.
    JobNew {
        /// Its number.
        id: u32,
        /// The unit's own name, no alias.
        unit: String,
    },
    /// A job ended.
    JobRemoved {
        /// Its number.
        id: u32,
        /// The unit's own name, no alias.
        unit: String,
        /// How it ended.
        result: JobResult,
    },
    /// The boot is over: all its jobs have ended.
    Booted,
    /// systemd has read all units again.
    Reloaded,
    /// Units were enabled, disabled or masked.
    FilesChanged,
    /// Signals may be missing: systemd left the bus or came back.
    Restarted,
    /// A reply to the call with this serial.
    Reply(u32),
}

impl Signal {
    /// Reads a message; `None` when it is of no interest, was not sent by systemd, or makes no sense.
    pub fn of(connection: &Connection, message: &Message) -> Option<Signal> {
        match message.message_type() {
            Type::MethodReturn | Type::Error => {
                message.header().reply_serial().map(|serial| Signal::Reply(serial.get()))
            }
            Type::Signal if connection.tells_of_a_new_owner(message) => Some(Signal::Restarted),
            Type::Signal if connection.is_from_systemd(message) => Signal::of_systemd(message),
            Type::Signal | Type::MethodCall => None,
        }
    }

    fn of_systemd(message: &Message) -> Option<Signal> {
        let header = message.header();
        let body = message.body();
        match (header.interface()?.as_str(), header.member()?.as_str()) {
            (PROPERTIES, "PropertiesChanged") => {
                // Only the first of three: most messages are about units that nobody watches.
                let interface: &str = body.deserialize_ignore_signature().ok()?;
                Some(Signal::Changed { path: header.path()?.to_string(), complete: interface == UNIT })
            }
            (MANAGER, "JobNew") => {
                let (id, _, unit): (u32, OwnedObjectPath, String) = body.deserialize().ok()?;
                Some(Signal::JobNew { id, unit })
            }
            (MANAGER, "JobRemoved") => {
                let (id, _, unit, result): (u32, OwnedObjectPath, String, String) =
                    body.deserialize().ok()?;
                Some(Signal::JobRemoved { id, unit, result: job_result(&result) })
            }
            (MANAGER, "Reloading") => {
                let begins: bool = body.deserialize().ok()?;
                (!begins).then_some(Signal::Reloaded)
            }
            (MANAGER, "StartupFinished") => Some(Signal::Booted),
            (MANAGER, "UnitFilesChanged") => Some(Signal::FilesChanged),
            _ => None,
        }
    }

    /// What a [`Signal::Changed`] says; `None` when it makes no sense.
    pub fn said(message: &Message) -> Option<Said> {
        let body = message.body();
        let (_, changed, _): Changes<'_> = body.deserialize().ok()?;
        Some(Said::of(&changed))
    }
}

type Changes<'a> = (&'a str, std::collections::HashMap<&'a str, Variant<'a>>, Vec<&'a str>);

/// A reply that is met among the messages.
#[derive(Debug)]
pub enum Reply {
    /// Everything about a unit.
    All(Box<Said>),
    /// systemd answered with an error.
    Refused {
        /// The D-Bus error's name.
        error: String,
        /// Its text.
        text: String,
    },
    /// The reply makes no sense.
    Malformed(zbus::Error),
}

impl Reply {
    /// The reply to [`Connection::ask_all`].
    pub fn of_all(message: &Message) -> Reply {
        if let Some((error, text)) = Reply::refusal(message) {
            return Reply::Refused { error, text };
        }
        match Said::of_all(message) {
            Ok(said) => Reply::All(Box::new(said)),
            Err(error) => Reply::Malformed(error),
        }
    }

    /// Name and text of the error that systemd answered with.
    pub(super) fn refusal(message: &Message) -> Option<(String, String)> {
        (message.message_type() == Type::Error).then(|| {
            let name = message.header().error_name().map(ToString::to_string).unwrap_or_default();
            (name, message.body().deserialize::<&str>().unwrap_or_default().to_owned())
        })
    }
}

/// The reply to [`Connection::ask_job`]; `None` when the job was over.
pub fn job_kind(message: &Message) -> Option<JobKind> {
    let body = message.body();
    let kind: Variant<'_> = body.deserialize().ok()?;
    let Variant::Str(kind) = kind else { return None };
    match kind.as_str() {
        "start" | "verify-active" => Some(JobKind::Start),
        "stop" => Some(JobKind::Stop),
        "restart" | "try-restart" => Some(JobKind::Restart),
        "reload" | "reload-or-start" | "try-reload" | "nop" => Some(JobKind::Reload),
        _ => None,
    }
}

/// The reply to [`Connection::ask_system_state`].
///
/// # Errors
/// It is an error, or makes no sense.
pub fn system_state(reply: &Message) -> zbus::Result<SystemState> {
    let body = reply.body();
    let state: Variant<'_> = body.deserialize()?;
    let Variant::Str(state) = state else { return Err(zbus::Error::InvalidReply) };
    Ok(match state.as_str() {
        "initializing" | "starting" => SystemState::Booting,
        "stopping" => SystemState::Stopping,
        _ => SystemState::Running,
    })
}

fn job_result(result: &str) -> JobResult {
    match result {
        "done" => JobResult::Done,
        "canceled" => JobResult::Canceled,
        "timeout" => JobResult::Timeout,
        "failed" => JobResult::Failed,
        "dependency" => JobResult::Dependency,
        "skipped" => JobResult::Skipped,
        _ => JobResult::Other,
    }
}

pub(super) fn job_path(job: u32) -> String {
    format!("{JOBS}{job}")
}

pub(super) fn job_of(path: &str) -> Option<u32> {
    path.strip_prefix(JOBS)?.parse().ok()
}
