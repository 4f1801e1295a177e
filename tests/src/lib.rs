//! The words of all stories: parts of configurations, and what to look for in an event stream.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use lab::{Event, Lab, Stream};

/// What happens at once has happened within this, also on a machine that is busy with other things.
pub const SOON: Duration = Duration::from_secs(20);

/// Keys of a heartbeat that is asked each second: what nothing in the kernel shows is found soon.
pub const QUICK: &str = "every = \"1s\"\nevery_in_use = \"1s\"\n";

/// Keys of a heartbeat whose backstop is far away: only an event can lead to it in time.
pub const SELDOM: &str = "every = \"1h\"\nevery_in_use = \"1h\"\n";

/// nginx's part of a configuration; more keys of its heartbeat may follow, and more tables.
pub const WEB: &str = "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://127.0.0.1/\"
";

/// A victim's part of a configuration that asks no more than a connection of it.
pub const DAEMON: &str = "[service.daemon]
unit = \"daemon.service\"
[service.daemon.heartbeat]
url = \"tcp://127.0.0.1:7000\"
";

/// A victim's part of a configuration; more keys of its heartbeat may follow, and more tables.
pub fn victim(name: &str, port: u16) -> String {
    format!(
        "[service.{name}]
unit = \"{name}.service\"
[service.{name}.heartbeat]
url = \"http://127.0.0.1:{port}/\"
body = \"It works!\"
"
    )
}

/// Ends a victim by SIGSEGV. It takes two: Rust's own handler of the first gives way, and lets the program go on.
pub fn segfault(lab: &Lab, unit: &str) -> Result<()> {
    let main = lab.main_pid(unit)?;
    lab.sh(&format!("while kill -SEGV {main} 2>/dev/null; do sleep 0.01; done")).map(drop)
}

/// A good heartbeat of this service.
pub fn is_alive(event: &Event, service: &str) -> bool {
    event.is("heartbeat", service) && event.data("verdict") == "alive"
}

/// A heartbeat of this service that says dead.
pub fn is_dead(event: &Event, service: &str) -> bool {
    event.is("heartbeat", service) && event.data("verdict") == "dead"
}

/// An order to restart or start this service's unit, carried out.
pub fn is_restart(event: &Event, service: &str) -> bool {
    let action = event.data("action");
    let ways = ["restart", "start", "start_afresh"];
    event.is("action", service) && ways.iter().any(|way| action[way].is_object())
}

/// Every order to restart or start this service's unit so far.
pub fn restarts(watchdog: &Stream, service: &str) -> Vec<Event> {
    watchdog.events().into_iter().filter(|event| is_restart(event, service)).collect()
}

/// Waits until the service has recovered, for the `count`th time.
pub fn recovered(watchdog: &Stream, service: &str, count: usize, limit: Duration) -> Result<Event> {
    let seen = Cell::new(0);
    watchdog.wait_for(&format!("recovery {count} of {service}"), limit, |event| {
        seen.set(seen.get() + usize::from(event.is("recovered", service)));
        seen.get() == count
    })
}

/// Waits until the service has recovered; its incident must be the only one from then on, at the cost of one restart. Before it,
/// a busy machine may have made a server look stalled that answered well.
pub fn recovered_once(watchdog: &Stream, service: &str, limit: Duration) -> Result<Event> {
    let recovered = recovered(watchdog, service, 1, limit)?;
    let restarts = restarts(watchdog, service);
    ensure!(restarts.len() == 1, "{} restarts of {service}, not one", restarts.len());
    let incidents: BTreeSet<String> = watchdog
        .events()
        .iter()
        .filter(|event| event.service() == service && event.data("incident").is_string())
        .skip_while(|event| event.data("incident") != recovered.data("incident"))
        .map(|event| event.data("incident").to_string())
        .collect();
    ensure!(incidents.len() == 1, "{incidents:?} are more incidents of {service} than one");
    Ok(recovered)
}

/// A sentence that is meant to wake someone.
pub fn is_alert(event: &Event, service: &str, words: &str) -> bool {
    event.is("decision", service)
        && event.0.to_string().contains("alert")
        && event.0.to_string().contains(words)
}

/// No restart of this service was ordered.
pub fn not_restarted(watchdog: &Stream, service: &str) -> Result<()> {
    let restarts = restarts(watchdog, service);
    ensure!(restarts.is_empty(), "{service} was restarted: {}", restarts[0].0);
    Ok(())
}
