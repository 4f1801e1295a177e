//! The event stream as a person reads it: one line per step, with the time since the fault.

use std::{cell::Cell, time::Duration};

use ::lab::{Event, Watchdog};
use serde_json::Value;

/// When the steps of an incident came, in microseconds; first of CLOCK_MONOTONIC, then after the fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
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
    let (looked_at, times) = (Cell::new(0), Cell::new(Times::default()));
    let ended = watchdog.wait_for("the recovery", limit, |event| {
        looked_at.set(looked_at.get() + 1);
        if looked_at.get() <= shown {
            return false;
        }
        times.set(taken(times.get(), event, service, fault));
        if let Some((who, what)) = line(event, service, times.get().verdict.is_some()) {
            let after = event.mono_us() as f64 / 1000.0 - fault as f64 / 1000.0;
            println!("   {after:>9.1} ms  {who:<10} {what}");
        }
        event.is("recovered", service) && event.mono_us() >= fault
    });
    if let Err(error) = ended {
        println!("   {error:#}");
    }
    times.get()
}

fn taken(mut times: Times, event: &Event, service: &str, fault: u64) -> Times {
    let at = Some(event.mono_us());
    let ended = event.is("suspicion", service) && event.data("why")["main_exit"].is_object();
    let dead = event.is("heartbeat", service) && event.data("verdict") == "dead";
    if event.mono_us() < fault {
        return times;
    }
    if ended || dead {
        times.verdict = times.verdict.or(at);
    }
    if event.is("action", service) {
        times.acted = times.acted.or(at);
    }
    if event.is("recovered", service) {
        times.recovered = times.recovered.or(at);
    }
    times
}

/// Who says what; `None` where it would only be noise.
fn line(event: &Event, service: &str, hurt: bool) -> Option<(&'static str, String)> {
    match event.kind() {
        "sign.signal" => Some(("kernel", sent(event))),
        "sign.accept_stall" | "sign.answer_stall" => Some(("kernel", stall(event))),
        "sign.listener_down" if hurt => None,
        "sign.listener_down" => {
            Some(("kernel", format!("a listener of port {} went away", event.data("server.port"))))
        }
        _ if event.service() != service => None,
        "suspicion" => suspicion(event.data("why")).map(|what| ("kernel", what)),
        "heartbeat" if hurt || event.data("verdict") != "alive" => Some(("heartbeat", heartbeat(event))),
        "decision" => decision(event).map(|what| ("decision", what)),
        "action" => Some(("action", name(event.data("action")))),
        "outcome" => Some(("systemd", name(event.data("result")))),
        "recovered" => {
            Some(("recovered", "a new main process, an active unit, and a good heartbeat".to_owned()))
        }
        "quarantined" => Some(("quarantine", "its budget is spent".to_owned())),
        _ => None,
    }
}

fn sent(event: &Event) -> String {
    let saw = event.data("saw");
    let sent = saw.get("signal_sent").unwrap_or(saw);
    let by = &sent["sender"]["process"];
    let by = if by.is_object() {
        format!("process {} ({})", by["pid"], text(&by["comm"]))
    } else {
        "the kernel".into()
    };
    format!("signal {} sent to process {} by {by}", sent["signal"], sent["pid"])
}

fn stall(event: &Event) -> String {
    let saw = event.data("saw");
    let accept = saw["accept_stall"].is_object();
    let stall = if accept { &saw["accept_stall"] } else { &saw["answer_stall"] };
    let what = if accept { "are not accepted" } else { "are not answered" };
    let age = stall["age_us"].as_u64().unwrap_or_default() / 1000;
    format!(
        "connections to port {} {what}: {} wait, the oldest for {age} ms",
        stall["port"], stall["waiting"]
    )
}

fn suspicion(why: &Value) -> Option<String> {
    for (kind, whose) in [("main_exit", "the main process"), ("worker_exit", "process")] {
        let exit = &why[kind]["exit"];
        if exit.is_object() {
            let cause = &exit["cause"];
            let signal = &cause["signal"]["signal"];
            let how = if signal.is_null() {
                format!("with code {}", cause["code"])
            } else {
                format!("by signal {signal}")
            };
            return Some(format!("{whose} {} ({}) ended {how}", exit["pid"], text(&exit["comm"])));
        }
    }
    None
}

fn heartbeat(event: &Event) -> String {
    let took = event.data("took_us").as_u64().unwrap_or_default() / 1000;
    let (verdict, phase, asked) =
        (text(event.data("verdict")), text(event.data("phase")), text(event.data("asked")));
    let end = event.data("end");
    format!("{verdict}: {asked} {}, phase {phase}, after {took} ms", name(end))
}

fn decision(event: &Event) -> Option<String> {
    let decision = event.data("decision");
    let decision = if decision.is_object() { decision } else { &event.0["data"] };
    match text(&decision["decision"]).as_str() {
        "act" => Some(format!("{}: {}", name(&decision["action"]), text(&decision["rule"]))),
        "hold" => Some(format!("wait: {}", name(&decision["hold"]))),
        "leave_alone" => Some(format!("leave it alone: {}", text(&decision["why"]))),
        "alert" => Some(format!("ALERT: {}", text(&decision["what"]))),
        _ => None,
    }
}

/// `{"late": …}` is late, `"refused"` is refused.
fn name(value: &Value) -> String {
    let name = value.as_object().and_then(|object| object.keys().next().cloned());
    name.unwrap_or_else(|| text(value)).replace('_', " ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
