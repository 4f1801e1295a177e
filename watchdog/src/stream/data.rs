//! A record's `data`: the word of the model as it stands, so that it can be read back, and beside it what people and their
//! tools filter by, under OpenTelemetry's names where it has one.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Error, Record, Said};
use crate::model::{
    Answer, Cause, End, Exit, LogErrors, Loss, Mono, Port, Saw, ServerErrors, Service, Unit, Why,
};

/// The record's `data`.
pub(super) fn write(record: &Record, unit: Option<&Unit>) -> Map<String, Value> {
    let mut data = match &record.said {
        Said::Sign(sign) => object(sign),
        Said::Fact(fact) => object(fact),
        Said::Command(command) => named("command", command),
        Said::Audit(audit) => named("request", audit),
        Said::Suspicion(suspicion) => object(suspicion),
        Said::Heartbeat(answer) => object(answer),
        Said::Decision(tell) => object(tell),
        Said::Action(act) => object(act),
        Said::Outcome(outcome) => object(outcome),
        Said::Notified(notified) => object(notified),
        Said::Loss(loss) => object(loss),
        Said::State(state) => named("state", state),
    };
    // The line's subject says it.
    data.remove("service");
    data.insert("mono_us".into(), record.at.micros().into());
    if let Some(taken) = record.taken {
        data.insert("taken_us".into(), taken.micros().into());
    }
    if let Some(unit) = unit {
        data.insert("unit".into(), unit.as_str().into());
    }
    if let Some(incarnation) = record.said.incarnation() {
        data.insert("incarnation".into(), incarnation.to_string().into());
    }
    match &record.said {
        Said::Sign(sign) => of_sign(&mut data, &sign.saw),
        Said::Suspicion(suspicion) => of_suspicion(&mut data, &suspicion.why),
        Said::Heartbeat(answer) => of_answer(&mut data, answer),
        Said::Fact(_)
        | Said::Command(_)
        | Said::Audit(_)
        | Said::Decision(_)
        | Said::Action(_)
        | Said::Outcome(_)
        | Said::Notified(_)
        | Said::Loss(_)
        | Said::State(_) => {}
    }
    data.retain(|_, value| !value.is_null());
    data
}

/// The record that a line of this type, subject and data is.
pub(super) fn read(
    kind: &str,
    subject: Option<Service>,
    mut data: Map<String, Value>,
) -> Result<Record, Error> {
    let at: Mono = part(&data, "mono_us")?;
    let taken: Option<Mono> = part(&data, "taken_us")?;
    if let Some(service) = &subject {
        data.insert("service".into(), service.as_str().into());
    }
    let said = match kind {
        "watchdog.fact" => Said::Fact(whole(data)?),
        "watchdog.command" if data.contains_key("request") => Said::Audit(part(&data, "request")?),
        "watchdog.command" => Said::Command(part(&data, "command")?),
        "watchdog.suspicion" => Said::Suspicion(whole(data)?),
        "watchdog.heartbeat" => Said::Heartbeat(whole(data)?),
        "watchdog.decision" | "watchdog.recovered" | "watchdog.quarantined" => Said::Decision(whole(data)?),
        "watchdog.action" => Said::Action(whole(data)?),
        "watchdog.outcome" => Said::Outcome(whole(data)?),
        "watchdog.notified" => Said::Notified(whole(data)?),
        "watchdog.loss" => Said::Loss(whole::<Loss>(data)?),
        "watchdog.state" => Said::State(part(&data, "state")?),
        sign if sign.starts_with("watchdog.sign.") => Said::Sign(whole(data)?),
        unknown => return Err(Error::Kind { kind: unknown.to_owned() }),
    };
    // A line whose type and data disagree was not written by us.
    if said.kind() != kind {
        return Err(Error::Kind { kind: kind.to_owned() });
    }
    Ok(Record { at, taken, subject, said })
}

fn of_sign(data: &mut Map<String, Value>, saw: &Saw) {
    match saw {
        Saw::Exit(exit) => of_exit(data, exit),
        Saw::SignalSent(sent) => {
            data.insert("process.pid".into(), sent.pid.into());
        }
        Saw::ListenerUp(port) | Saw::ListenerDown { port, .. } | Saw::StallOver(port) | Saw::InUse(port) => {
            of_port(data, *port);
        }
        Saw::AcceptStall(stall) | Saw::AnswerStall(stall) => of_port(data, stall.port),
        Saw::OomKill(killed) => of_process(data, killed.pid, &killed.comm),
        Saw::ServerErrors(errors) => of_errors(data, errors),
        Saw::LogErrors(errors) => of_log(data, errors),
        Saw::CommandRun(run) => of_process(data, run.pid, &run.comm),
        Saw::UnixStall(_)
        | Saw::Serving(_)
        | Saw::Unit(_)
        | Saw::Job(_)
        | Saw::Listeners(_)
        | Saw::Loss(_)
        | Saw::Working { .. } => {}
    }
}

fn of_suspicion(data: &mut Map<String, Value>, why: &Why) {
    match why {
        Why::MainExit { exit, .. } | Why::WorkerExit { exit, .. } => of_exit(data, exit),
        Why::WorkerStorm(storm) => of_exit(data, &storm.last),
        Why::AcceptStall(stall) | Why::AnswerStall(stall) => of_port(data, stall.port),
        Why::ListenerLost(port) => of_port(data, *port),
        Why::OomKill(killed) => of_process(data, killed.pid, &killed.comm),
        Why::ServerErrors(errors) => of_errors(data, errors),
        Why::LogErrors(errors) => of_log(data, errors),
        Why::Stopped(sent) => {
            data.insert("process.pid".into(), sent.pid.into());
        }
        Why::UnixStall(_) | Why::InUse | Why::Loss => {}
    }
}

fn of_exit(data: &mut Map<String, Value>, exit: &Exit) {
    of_process(data, exit.pid, &exit.comm);
    match exit.cause {
        Some(Cause::Code(code)) => {
            data.insert("process.exit.code".into(), code.into());
        }
        Some(Cause::Signal { .. }) | None => {}
    }
}

fn of_process(data: &mut Map<String, Value>, pid: u32, comm: &str) {
    data.insert("process.pid".into(), pid.into());
    data.insert("process.command".into(), comm.into());
}

fn of_errors(data: &mut Map<String, Value>, errors: &ServerErrors) {
    of_port(data, errors.port);
    data.insert("http.response.status_code".into(), errors.status.into());
}

fn of_log(data: &mut Map<String, Value>, errors: &LogErrors) {
    data.insert("log.file.path".into(), errors.path.display().to_string().into());
}

fn of_port(data: &mut Map<String, Value>, port: Port) {
    data.insert("server.port".into(), port.0.into());
}

fn of_answer(data: &mut Map<String, Value>, answer: &Answer) {
    let status = match &answer.end {
        End::Good { status } => *status,
        End::Status(status) | End::WrongBody { status, .. } => Some(*status),
        End::Refused
        | End::Reset
        | End::Late(_)
        | End::BadHttp(_)
        | End::BadTls(_)
        | End::Program(_)
        | End::Unreachable(_)
        | End::Own(_) => None,
    };
    if let Some(status) = status {
        data.insert("http.response.status_code".into(), status.into());
    }
}

fn object(word: &impl Serialize) -> Map<String, Value> {
    match value(word) {
        Value::Object(object) => object,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            named("word", &other)
        }
    }
}

fn named(name: &str, word: &impl Serialize) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value(word))])
}

/// Of the words only a path that is no UTF-8 cannot be written as JSON; a record that says so is better than none.
fn value(word: &impl Serialize) -> Value {
    serde_json::to_value(word).unwrap_or_else(|error| {
        Value::Object(Map::from_iter([("unwritable".into(), error.to_string().into())]))
    })
}

fn part<T: DeserializeOwned>(data: &Map<String, Value>, name: &str) -> Result<T, Error> {
    T::deserialize(data.get(name).unwrap_or(&Value::Null)).map_err(Error::Unreadable)
}

fn whole<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, Error> {
    T::deserialize(Value::Object(data)).map_err(Error::Unreadable)
}
