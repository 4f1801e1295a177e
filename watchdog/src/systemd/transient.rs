use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};
use zbus::{Message, MessageStream, Variant};

use super::{Connection, Error, Reply, Signal, calls, names, said};
use crate::model::{Cause, JobResult, Unit};

/// What is run as a transient unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Program<'a> {
    /// The program, by an absolute path, and its arguments; no shell is involved.
    pub argv: &'a [String],
    /// Whom it runs as; `None` is root. Whoever runs as a user has no capability and comes by none.
    pub user: Option<&'a str>,
    /// Where its output goes: a file, or a Unix socket that listens; `None` is the journal.
    pub output: Option<&'a Path>,
    /// Its standard input; `None` is empty.
    pub input: Option<&'a [u8]>,
    /// More of its environment, as `NAME=value`.
    pub environment: &'a [String],
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// By itself.
    Ended(Cause),
    /// It was still running at its deadline, and was killed with all that it had started.
    Late,
}

/// Exit codes of systemd itself, where the program was never reached: 203 is EXEC, 217 is USER (systemd.exec(5)).
const FIRST_OF_SYSTEMD: u8 = 200;
const LAST_OF_SYSTEMD: u8 = 245;
/// systemd's own deadline lies this much behind ours: it ends what a watchdog that was killed has left behind.
const LEEWAY: Duration = Duration::from_secs(1);

/// Runs a program as a transient unit of systemd, in a cgroup of its own and outside of watchdog's sandbox, for at most
/// `timeout`.
///
/// # Errors
/// [`Error::CannotRun`] when the program was never reached, and all errors of a call.
pub async fn run_transient(
    connection: &Connection,
    program: &Program<'_>,
    timeout: Duration,
) -> Result<Ran, Error> {
    let unit = next_unit();
    let deadline = Instant::now() + timeout;
    let argv = program.argv;
    let mut run = Run { unit: &unit, argv, messages: MessageStream::from(&connection.bus), start: 0 };
    run.start = connection.start_transient(&unit, program, timeout + LEEWAY).await?;
    match timeout_at(deadline, run.watch(connection)).await {
        Ok(ran) => ran,
        Err(_) => {
            drop(run);
            match connection.kill(&unit).await {
                Ok(()) | Err(Error::Refused { .. }) => Ok(Ran::Late), // refused: it ended just now
                Err(error) => Err(error),
            }
        }
    }
}

/// A name that no other run has, also of another watchdog.
fn next_unit() -> Unit {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let name = format!("watchdog-exec-{}-{run}.service", std::process::id());
    name.parse().expect("letters, digits, dashes and a suffix are a unit name")
}

struct Run<'a> {
    unit: &'a Unit,
    argv: &'a [String],
    messages: MessageStream,
    /// Serial of the call that starts it.
    start: u32,
}

impl Run<'_> {
    /// Follows the unit to the end of its program. What systemd says at the end is the last that it says: it unloads the unit.
    async fn watch(&mut self, connection: &Connection) -> Result<Ran, Error> {
        let path = names::path_of(self.unit);
        let (mut ended, mut started) = (None, None);
        while let Some(message) = self.messages.next().await {
            let broken = |source| Error::Broken { about: self.unit.to_string(), source: Box::new(source) };
            let message: Message = message.map_err(broken)?;
            match Signal::of(connection, &message) {
                Some(Signal::Reply(serial)) if serial == self.start => self.accepted(&message)?,
                Some(Signal::Changed { path: changed, .. }) if changed == path => {
                    let said = Signal::said(&message).unwrap_or_default();
                    ended = said::cause(said.exec_code.unwrap_or(0), said.exec_status.unwrap_or(0)).or(ended);
                }
                Some(Signal::JobRemoved { unit, result, .. }) if unit == self.unit.as_str() => {
                    started = Some(result);
                }
                Some(Signal::Restarted) => break,
                Some(_) | None => {}
            }
            match (started, ended) {
                (Some(JobResult::Done), Some(cause)) => return Ok(Ran::Ended(cause)),
                (Some(JobResult::Done) | None, _) => {}
                (Some(_), Some(Cause::Code(code @ FIRST_OF_SYSTEMD..=LAST_OF_SYSTEMD))) => {
                    return Err(self.cannot(format!("systemd could not execute it (status {code})")));
                }
                (Some(_), Some(cause)) => return Ok(Ran::Ended(cause)),
                (Some(result), None) => return Err(self.cannot(format!("its start ended as {result:?}"))),
            }
        }
        Err(Error::NotConnected { about: self.unit.to_string() })
    }

    fn accepted(&self, reply: &Message) -> Result<(), Error> {
        match Reply::refusal(reply) {
            Some((error, text)) => Err(self.cannot(format!("{text} ({error})"))),
            None => Ok(()),
        }
    }

    fn cannot(&self, why: String) -> Error {
        Error::CannotRun { program: self.argv.first().cloned().unwrap_or_default(), why }
    }
}

impl Connection {
    /// Sends the call that starts a program as a unit; its reply is met among the messages, by this serial.
    async fn start_transient(
        &self,
        unit: &Unit,
        program: &Program<'_>,
        limit: Duration,
    ) -> Result<u32, Error> {
        let Program { argv, user, output, input, environment } = *program;
        let program = argv.first().map(String::as_str).unwrap_or_default();
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        // systemd would put variables of its own environment in the place of `$NAME`.
        let literal: Vec<String> = argv.iter().map(|argument| argument.replace('$', "$$")).collect();
        let command = vec![(program, literal, false)];
        let mut properties = vec![
            ("Description", Variant::from(format!("watchdog runs {program}"))),
            ("Type", Variant::from("exec")), // the start fails if the program is never reached
            ("ExecStart", Variant::new(command)),
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("RuntimeMaxUSec", Variant::from(limit)),
            ("TimeoutStartUSec", Variant::from(limit)),
            ("TimeoutStopUSec", Variant::from(1_000_000_u64)),
        ];
        let output = output.and_then(Path::to_str);
        properties.extend(output.map(|path| ("StandardOutputFileToAppend", Variant::from(path)))); // errors follow it
        if let Some(user) = user {
            properties.extend([
                ("User", Variant::from(user)),
                ("CapabilityBoundingSet", Variant::from(0_u64)),
                ("NoNewPrivileges", Variant::from(true)),
            ]);
        }
        if let Some(input) = input {
            properties.push(("StandardInput", Variant::from("data")));
            properties.push(("StandardInputData", Variant::new(input.to_vec())));
        }
        if !environment.is_empty() {
            properties.push(("Environment", Variant::new(environment.to_vec())));
        }
        let none: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let body = (unit.as_str(), calls::FAIL, properties, none);
        self.send_to_manager("StartTransientUnit", &body, unit.as_str()).await
    }
}
