//! The event stream as a person reads it: one line per step, with the time since the fault.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use ::lab::{Event, Watchdog};
use serde_json::Value;

/// When the steps of an incident came, in microseconds; first of CLOCK_MONOTONIC, then after the fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// The first suspicion.
    suspected: Option<u64>,
    /// The verdict that it is dead; where the unit ended, the end.
    pub(crate) verdict: Option<u64>,
    /// The request to systemd.
    pub(crate) acted: Option<u64>,
    /// The good heartbeat that proves it.
    pub(crate) recovered: Option<u64>,
}

impl Times {
    pub(crate) fn relative_to(&mut self, fault: u64) {
        for time in [&mut self.verdict, &mut self.acted, &mut self.recovered] {
            *time = time.map(|time| time.saturating_sub(fault));
        }
    }
}

/// Prints the steps that concern a service from the `shown`th event on, until it has recovered or the limit is reached.
pub(crate) fn follow(watchdog: &Watchdog, shown: usize, fault: u64, service: &str, limit: Duration) -> Times {
    let (looked_at, times, last) = (Cell::new(0), Cell::new(Times::default()), RefCell::new(String::new()));
    let ended = watchdog.wait_for("the recovery", limit, |event| {
        looked_at.set(looked_at.get() + 1);
        if looked_at.get() <= shown || event.service() != service || event.mono_us() < fault {
            return false;
        }
        if let Some((who, what)) = line(event, times.get()) {
            // A signal to each of many processes is one thing that happened.
            if last.replace(what.clone()) != what {
                let after = event.mono_us() as f64 / 1000.0 - fault as f64 / 1000.0;
                println!("   {after:>9.1} ms  {who:<10} {what}");
            }
        }
        times.set(taken(times.get(), event));
        event.kind() == "recovered"
    });
    if let Err(error) = ended {
        println!("   {error:#}");
    }
    times.get()
}

fn taken(mut times: Times, event: &Event) -> Times {
    let at = Some(event.mono_us());
    if event.kind() == "suspicion" && suspicion(event.data("why")).is_some() {
        times.suspected = times.suspected.or(at);
    }
    let ended = event.kind() == "suspicion" && event.data("why")["main_exit"].is_object();
    let dead = event.kind() == "heartbeat" && event.data("verdict") == "dead";
    if ended || dead {
        times.verdict = times.verdict.or(at);
    }
    if event.kind() == "action" {
        times.acted = times.acted.or(at);
    }
    if event.kind() == "recovered" {
        times.recovered = times.recovered.or(at);
    }
    times
}

/// Who says what; `None` where it would only be noise: what the action itself sets off is not the story.
fn line(event: &Event, times: Times) -> Option<(&'static str, String)> {
    let (acted, first) = (times.acted.is_some(), times.suspected.is_none());
    match event.kind() {
        "sign.signal" if !acted => sent(event).map(|what| ("kernel", what)),
        "suspicion" if !acted => suspicion(event.data("why")).filter(|_| first).map(|what| ("kernel", what)),
        "heartbeat" if acted == (event.data("verdict") == "alive") => Some(("heartbeat", heartbeat(event))),
        "decision" => decision(event.data("decision")).map(|what| ("decision", what)),
        "action" => Some(("action", format!("{} {}", name(event.data("action")), text(event.data("unit"))))),
        "outcome" => Some(("systemd", outcome(event.data("result")))),
        "recovered" => Some(("recovered", "a new main process, an active unit, a good heartbeat".to_owned())),
        "quarantined" => Some(("quarantine", "its budget is spent; it is still watched".to_owned())),
        _ => None,
    }
}

/// A signal that somebody sent to the service; what its processes and systemd send among themselves is left out.
fn sent(event: &Event) -> Option<String> {
    let sent = &event.data("saw")["signal_sent"];
    let by = &sent["sender"]["process"];
    let outsider = by.is_object() && by["pid"] != 1 && by["cgroup"] != sent["cgroup"];
    let from = format!("{} (pid {})", text(&by["comm"]), by["pid"]);
    outsider.then(|| format!("{} sent to its processes by {from}", signal(&sent["signal"])))
}

fn suspicion(why: &Value) -> Option<String> {
    let said = &why[name(why).replace(' ', "_")];
    match name(why).as_str() {
        "main exit" => Some(format!("its main process {}", ended(&said["exit"]))),
        "worker exit" => Some(format!("its process {}", ended(&said["exit"]))),
        "accept stall" => Some(stall("accepted", said)),
        "answer stall" => Some(stall("answered", said)),
        "listener lost" => Some(format!("nothing listens on port {said} any more")),
        _ => None,
    }
}

fn stall(what: &str, stall: &Value) -> String {
    let age = stall["age_us"].as_u64().unwrap_or_default() / 1000;
    format!("port {}: {} waiting, not {what} for {age} ms", stall["port"], stall["waiting"])
}

fn ended(exit: &Value) -> String {
    let by_signal = &exit["cause"]["signal"]["signal"];
    let how = if by_signal.is_null() {
        format!("with code {}", exit["cause"]["code"])
    } else {
        format!("by {}", signal(by_signal))
    };
    format!("{} ({}) ended {how}", exit["pid"], text(&exit["comm"]))
}

fn heartbeat(event: &Event) -> String {
    let took = event.data("took_us").as_u64().unwrap_or_default() / 1000;
    let end = event.data("end");
    let how = match name(end).as_str() {
        "good" => format!("status {}", event.data("http.response.status_code")),
        "status" => format!("status {}", end["status"]),
        "late us" => "no complete answer in time".to_owned(),
        "wrong body" => format!("a page without {}", end["wrong_body"]["wanted"]),
        other => other.to_owned(),
    };
    let verdict = text(event.data("verdict"));
    format!(
        "{verdict}: {} after {took} ms: {how} (phase: {})",
        text(event.data("asked")),
        text(event.data("phase"))
    )
}

fn decision(decision: &Value) -> Option<String> {
    let said = &decision[name(decision).replace(' ', "_")];
    match name(decision).as_str() {
        "act" => Some(format!("{}, because {}", name(&said["action"]), text(&said["rule"]))),
        "hold" => Some(format!("wait: {}", name(&said["hold"]["hold"]))),
        "leave alone" => Some(format!("leave it alone: {}", text(&said["why"]))),
        "alert" => Some(format!("ALERT: {}", text(&said["what"]))),
        _ => None,
    }
}

fn outcome(result: &Value) -> String {
    let job = &result["queued"]["job"];
    if job.is_null() { name(result) } else { format!("job {job} is queued") }
}

/// `{"late_us": …}` is "late us", `"refused"` is "refused".
fn name(value: &Value) -> String {
    let name = value.as_object().and_then(|object| object.keys().next().cloned());
    name.unwrap_or_else(|| text(value)).replace('_', " ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn signal(number: &Value) -> String {
    let named = [(6, "SIGABRT"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (19, "SIGSTOP")];
    let name = named.iter().find(|(known, _)| number == known).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {number}"))
}
