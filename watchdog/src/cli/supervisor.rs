//! What systemd wants to hear of the service that watchdog is itself.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};

use crate::engine::Request;

/// Talks to systemd where it started us (`NOTIFY_SOCKET`); says nothing elsewhere.
#[derive(Debug)]
pub(super) struct Supervisor {
    ping_every: Option<Duration>,
}

impl Supervisor {
    pub(super) fn new() -> Supervisor {
        // half of WatchdogSec=, as sd_watchdog_enabled(3) asks for
        Supervisor { ping_every: sd_notify::watchdog_enabled().map(|within| within / 2) }
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
    /// where systemd does not want to hear it.
    pub(super) async fn ping(&self, engine: &mpsc::Sender<Request>) {
        let Some(every) = self.ping_every else { return std::future::pending().await };
        tokio::time::sleep(every).await;
        let (alive, is_alive) = oneshot::channel();
        if engine.send(Request::Ping { alive }).await.is_ok() && is_alive.await.is_ok() {
            say(&[NotifyState::Watchdog]);
        }
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(state) {
        tracing::debug!(%fault, "cannot tell systemd");
    }
}
