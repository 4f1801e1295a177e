//! What systemd wants to hear of the service that watchdog is itself.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{engine::Request, model::Tick};

/// Talks to systemd where it started us (`NOTIFY_SOCKET`); says nothing elsewhere.
#[derive(Debug)]
pub(super) struct Supervisor {
    pings: Option<Pings>,
}

#[derive(Debug)]
struct Pings {
    every: Duration,
    next: Instant,
}

impl Supervisor {
    /// How often systemd wants to hear that we live.
    pub(super) fn tick() -> Option<Tick> {
        let what = "systemd hears that decisions are made (WatchdogSec=)".to_owned();
        Some(Tick { what, every: every()? })
    }

    pub(super) fn new() -> Supervisor {
        let every = every();
        Supervisor { pings: every.map(|every| Pings { every, next: Instant::now() + every }) }
    }

    pub(super) fn ready(&self) {
        say(&[NotifyState::Ready]);
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => say(&[NotifyState::Reloading, now]),
            Err(_) => say(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping(&self) {
        say(&[NotifyState::Stopping]);
    }

    /// Waits until systemd wants to hear that we live, and says so if the engine does: nothing else speaks for it. For ever
    /// where systemd does not want to hear it. Dropped and called again, it goes on waiting for the same moment.
    pub(super) async fn ping(&mut self, engine: &mpsc::Sender<Request>) {
        let Some(Pings { every, next }) = &mut self.pings else { return std::future::pending().await };
        sleep_until(*next).await;
        let (alive, is_alive) = oneshot::channel();
        let lives = engine.send(Request::Ping { alive }).await.is_ok() && is_alive.await.is_ok();
        *next = Instant::now() + *every;
        if lives {
            say(&[NotifyState::Watchdog]);
        }
    }
}

/// Half of WatchdogSec=, as sd_watchdog_enabled(3) asks for.
fn every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 2)
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(state) {
        tracing::debug!(%fault, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Such as SIGHUPs, each of which has something else waited for.
    #[tokio::test]
    async fn g13_what_comes_in_between_puts_no_ping_off() {
        let every = Duration::from_millis(50);
        let mut supervisor = Supervisor { pings: Some(Pings { every, next: Instant::now() + every }) };
        let (engine, mut requests) = mpsc::channel(1);
        let interrupted = async {
            loop {
                tokio::select! {
                    () = supervisor.ping(&engine) => {}
                    () = sleep(every / 5) => {}
                }
            }
        };
        tokio::select! {
            () = interrupted => {}
            asked = timeout(Duration::from_secs(20), requests.recv()) => {
                assert!(matches!(asked, Ok(Some(Request::Ping { .. }))), "it never asked");
            }
        }
    }
}
